//! Lookups against numbers that were computed by hand, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2};
use std::time::Duration;

use tf_buffer::{stamp, DQuat, DVec3, InsertError, Inserted, LookupError, TfBuffer, Transform};

const SECOND: i64 = 1_000_000_000;

fn moved(x: f64, y: f64, z: f64) -> Transform {
    Transform::new(DVec3::new(x, y, z), DQuat::IDENTITY)
}

/// At (x, y, z), and turned about z by a quarter.
fn quarter(x: f64, y: f64, z: f64) -> Transform {
    Transform::new(
        DVec3::new(x, y, z),
        DQuat::from_xyzw(0.0, 0.0, FRAC_1_SQRT_2, FRAC_1_SQRT_2),
    )
}

fn assert_near(found: DVec3, expected: [f64; 3]) {
    let off = found.distance(DVec3::from_array(expected));
    assert!(off < 1e-12, "{found} is not {expected:?}");
}

/// odom → base_link drives 2 m along x and turns by 90° from 1 s to 2 s; base_link → camera is fixed, in the optical frame of
/// REP 103; odom → goal is fixed.
fn robot() -> TfBuffer {
    let mut buffer = TfBuffer::default();
    let optical = DQuat::from_xyzw(-0.5, 0.5, -0.5, 0.5);
    let camera = Transform::new(DVec3::new(0.1, 0.0, 0.5), optical);
    buffer
        .insert("odom", "base_link", SECOND, moved(0.0, 0.0, 0.0))
        .unwrap();
    buffer
        .insert("odom", "base_link", 2 * SECOND, quarter(2.0, 0.0, 0.0))
        .unwrap();
    buffer.insert_static("base_link", "camera", camera).unwrap();
    buffer
        .insert_static("odom", "goal", quarter(0.0, 5.0, 0.0))
        .unwrap();
    buffer
}

#[test]
fn a_chain_of_moving_and_fixed_transforms_is_what_the_hand_computes() {
    let buffer = robot();
    let half = 3 * SECOND / 2;
    // The base is at (1, 0, 0), turned by 45°.
    let camera = buffer.lookup("odom", "camera", half).unwrap();
    assert_near(
        camera.translation,
        [1.0 + 0.1 * FRAC_1_SQRT_2, 0.1 * FRAC_1_SQRT_2, 0.5],
    );
    // The optical z leads forward, x to the right, y down.
    let d = FRAC_1_SQRT_2;
    assert_near(camera.direction(DVec3::Z), [d, d, 0.0]);
    assert_near(camera.direction(DVec3::X), [d, -d, 0.0]);
    assert_near(camera.direction(DVec3::Y), [0.0, 0.0, -1.0]);
    // The goal looks along odom's y, from (0, 5, 0): (x, y) of odom is (y − 5, −x) there.
    let seen = buffer.lookup("goal", "camera", half).unwrap();
    assert_near(seen.translation, [0.1 * d - 5.0, -1.0 - 0.1 * d, 0.5]);
    let back = buffer.lookup("camera", "goal", half).unwrap();
    assert_near(back.point(seen.translation), [0.0, 0.0, 0.0]);
    // At a third of the way: 2/3 m and 30°.
    let third = buffer
        .lookup("odom", "base_link", SECOND + SECOND / 3)
        .unwrap();
    assert!((third.translation.x - 2.0 / 3.0).abs() < 1e-8);
    assert!((third.rotation.to_axis_angle().1 - FRAC_PI_2 / 3.0).abs() < 1e-8);
}

#[test]
fn at_a_stamp_that_is_there_the_transform_is_the_one_that_came() {
    let buffer = robot();
    assert_eq!(
        buffer.lookup("odom", "base_link", SECOND),
        Ok(moved(0.0, 0.0, 0.0))
    );
    assert_eq!(
        buffer.lookup("odom", "base_link", 2 * SECOND),
        Ok(quarter(2.0, 0.0, 0.0))
    );
    assert_eq!(
        buffer.lookup("odom", "goal", i64::MIN),
        Ok(quarter(0.0, 5.0, 0.0))
    );
}

#[test]
fn a_rotation_goes_the_shorter_way_round() {
    let mut buffer = TfBuffer::default();
    let minus = DQuat::from_xyzw(0.0, 0.0, -FRAC_1_SQRT_2, -FRAC_1_SQRT_2); // the same rotation as quarter's
    buffer.insert("a", "b", 0, moved(0.0, 0.0, 0.0)).unwrap();
    buffer
        .insert("a", "b", 10, Transform::new(DVec3::ZERO, minus))
        .unwrap();
    let middle = buffer.lookup("a", "b", 5).unwrap();
    assert_near(
        middle.direction(DVec3::X),
        [FRAC_1_SQRT_2, FRAC_1_SQRT_2, 0.0],
    );
}

#[test]
fn nothing_is_extrapolated_and_the_link_is_named_with_the_seconds() {
    let buffer = robot();
    let link = |error: LookupError| match error {
        LookupError::BeforeOldest {
            parent,
            child,
            seconds,
        } => (parent, child, -seconds, false),
        LookupError::AfterNewest {
            parent,
            child,
            seconds,
        } => (parent, child, seconds, true),
        other => panic!("{other}"),
    };
    for (at, seconds) in [
        (2_250_000_000, 0.25),
        (2_000_000_001, 1e-9),
        (750_000_000, -0.25),
    ] {
        for (target, source) in [
            ("goal", "camera"),
            ("camera", "odom"),
            ("odom", "base_link"),
        ] {
            let error = buffer.lookup(target, source, at).unwrap_err();
            assert_eq!(error.may_pass(), seconds > 0.0);
            let expected = (
                "odom".to_owned(),
                "base_link".to_owned(),
                seconds,
                seconds > 0.0,
            );
            assert_eq!(link(error), expected);
        }
    }
    let error = buffer.lookup("odom", "camera", 2_250_000_000).unwrap_err();
    let text = "the newest transform from \"base_link\" to \"odom\" is 0.250 s older than what was asked for";
    assert_eq!(error.to_string(), text);
}

#[test]
fn what_lies_above_the_common_ancestor_is_not_needed() {
    let mut buffer = robot();
    buffer
        .insert("map", "odom", 100 * SECOND, moved(1.0, 1.0, 0.0))
        .unwrap();
    let half = 3 * SECOND / 2;
    assert!(buffer.lookup("goal", "camera", half).is_ok());
    // Here the transform below is the one that lacks, although the one above does not cover the time either.
    let error = buffer.lookup("goal", "camera", 3 * SECOND).unwrap_err();
    assert!(matches!(error, LookupError::AfterNewest { child, .. } if child == "base_link"));
    // On the way to the map both lack, and only one of them can still come.
    let error = buffer.lookup("map", "camera", 3 * SECOND).unwrap_err();
    assert!(
        matches!(error, LookupError::BeforeOldest { child, seconds, .. } if child == "odom" && seconds == 97.0)
    );
}

#[test]
fn of_two_late_transforms_the_one_farthest_behind_is_named() {
    let mut buffer = TfBuffer::default();
    buffer
        .insert("a", "b", 5 * SECOND, moved(1.0, 0.0, 0.0))
        .unwrap();
    buffer
        .insert("b", "c", 3 * SECOND, moved(1.0, 0.0, 0.0))
        .unwrap();
    let error = buffer.lookup("a", "c", 6 * SECOND).unwrap_err();
    assert!(
        matches!(error, LookupError::AfterNewest { child, seconds, .. } if child == "c" && seconds == 3.0)
    );
}

#[test]
fn unknown_and_unconnected_frames_are_named() {
    let mut buffer = robot();
    buffer
        .insert("world", "drone", SECOND, moved(0.0, 0.0, 1.0))
        .unwrap();
    buffer
        .insert_static("drone", "gimbal", moved(0.0, 0.0, -0.1))
        .unwrap();
    let unknown = |frame: &str| {
        Err(LookupError::UnknownFrame {
            frame: frame.to_owned(),
        })
    };
    assert_eq!(buffer.lookup("odom", "camra", SECOND), unknown("camra"));
    assert_eq!(buffer.lookup("mapp", "camera", SECOND), unknown("mapp"));
    // Connection is looked at before time: neither 1 s nor 9 s is the reason.
    for at in [SECOND, 9 * SECOND] {
        let error = buffer.lookup("goal", "gimbal", at).unwrap_err();
        let text = "frames \"goal\" (in the tree of \"odom\") and \"gimbal\" (in the tree of \"world\") are not connected";
        assert_eq!(error.to_string(), text);
        assert!(error.may_pass());
    }
    assert_eq!(
        buffer.lookup("nowhere", "nowhere", 0),
        Ok(Transform::IDENTITY)
    );
}

#[test]
fn a_slash_is_removed_on_insertion_and_refused_in_a_lookup() {
    let mut buffer = TfBuffer::default();
    buffer
        .insert_static("/base_link", "/camera", moved(1.0, 0.0, 0.0))
        .unwrap();
    assert_eq!(
        buffer.lookup("base_link", "camera", 0),
        Ok(moved(1.0, 0.0, 0.0))
    );
    for frame in ["/camera", "", "/"] {
        let bad = Err(LookupError::BadName {
            frame: frame.to_owned(),
        });
        assert_eq!(buffer.lookup("base_link", frame, 0), bad);
        assert_eq!(buffer.lookup(frame, "camera", 0), bad);
        assert_eq!(buffer.lookup(frame, frame, 0), bad);
    }
    for (parent, child) in [("", "a"), ("a", ""), ("/", "a"), ("a", "/")] {
        let refused = buffer.insert(parent, child, 0, Transform::IDENTITY);
        assert!(matches!(refused, Err(InsertError::NoName { .. })));
    }
    let own = buffer.insert("/a", "a", 0, Transform::IDENTITY);
    assert_eq!(
        own,
        Err(InsertError::OwnParent {
            frame: "a".to_owned()
        })
    );
}

#[test]
fn a_loop_names_its_frames() {
    let mut buffer = TfBuffer::default();
    for (parent, child) in [
        ("b", "a"),
        ("c", "b"),
        ("a", "c"),
        ("a", "tool"),
        ("x", "y"),
    ] {
        buffer
            .insert(parent, child, 0, Transform::IDENTITY)
            .unwrap();
    }
    for (target, source) in [("tool", "b"), ("x", "tool"), ("tool", "y")] {
        let error = buffer.lookup(target, source, 0).unwrap_err();
        let LookupError::Loop { mut frames } = error else {
            panic!("{error}")
        };
        frames.sort();
        assert_eq!(frames, ["a", "b", "c"]);
    }
}

#[test]
fn a_frame_may_change_its_parent_and_what_was_before_stays_right() {
    let mut buffer = TfBuffer::default();
    buffer
        .insert_static("map", "table", moved(3.0, 0.0, 0.0))
        .unwrap();
    buffer
        .insert_static("map", "gripper", moved(0.0, 7.0, 0.0))
        .unwrap();
    buffer
        .insert("table", "cup", SECOND, moved(0.0, 0.0, 1.0))
        .unwrap();
    buffer
        .insert("table", "cup", 2 * SECOND, moved(0.0, 0.0, 2.0))
        .unwrap();
    let picked = buffer.insert("gripper", "cup", 3 * SECOND, moved(0.5, 0.0, 0.0));
    assert_eq!(
        picked,
        Ok(Inserted::Reparented {
            from: "table".to_owned()
        })
    );
    let cup = |at: i64| buffer.lookup("map", "cup", at).unwrap().translation;
    assert_near(cup(3 * SECOND / 2), [3.0, 0.0, 1.5]);
    // Between two parents the older transform holds, as in tf2.
    assert_near(cup(5 * SECOND / 2), [3.0, 0.0, 2.0]);
    assert_near(cup(3 * SECOND), [0.5, 7.0, 0.0]);
    // A late message about the former parent does not change what is new.
    let late = buffer.insert("table", "cup", 5 * SECOND / 2, moved(0.0, 0.0, 4.0));
    assert_eq!(late, Ok(Inserted::Taken));
    assert_near(
        buffer
            .lookup("map", "cup", 9 * SECOND / 4)
            .unwrap()
            .translation,
        [3.0, 0.0, 3.0],
    );
}

#[test]
fn static_and_moving_replace_each_other() {
    let mut buffer = TfBuffer::default();
    assert_eq!(
        buffer.insert("a", "b", SECOND, moved(1.0, 0.0, 0.0)),
        Ok(Inserted::Taken)
    );
    assert_eq!(
        buffer.insert_static("a", "b", moved(2.0, 0.0, 0.0)),
        Ok(Inserted::Replaced)
    );
    assert_eq!(
        buffer.lookup("a", "b", 9 * SECOND),
        Ok(moved(2.0, 0.0, 0.0))
    );
    assert_eq!(
        buffer.insert("a", "b", SECOND, moved(3.0, 0.0, 0.0)),
        Ok(Inserted::Replaced)
    );
    assert_eq!(buffer.lookup("a", "b", SECOND), Ok(moved(3.0, 0.0, 0.0)));
    assert!(buffer.lookup("a", "b", 9 * SECOND).is_err());
    // A static transform that comes again replaces the former, of another parent too.
    assert_eq!(
        buffer.insert_static("a", "c", moved(1.0, 0.0, 0.0)),
        Ok(Inserted::Taken)
    );
    assert_eq!(
        buffer.insert_static("a", "c", moved(4.0, 0.0, 0.0)),
        Ok(Inserted::Taken)
    );
    let other = buffer.insert_static("d", "c", moved(5.0, 0.0, 0.0));
    assert_eq!(
        other,
        Ok(Inserted::Reparented {
            from: "a".to_owned()
        })
    );
    assert_eq!(buffer.lookup("d", "c", 0), Ok(moved(5.0, 0.0, 0.0)));
}

#[test]
fn the_history_is_bounded() {
    let mut buffer = TfBuffer::new(Duration::from_secs(10));
    for second in 0..=25 {
        buffer
            .insert("a", "b", second * SECOND, moved(second as f64, 0.0, 0.0))
            .unwrap();
    }
    assert_eq!(
        buffer.lookup("a", "b", 15 * SECOND),
        Ok(moved(15.0, 0.0, 0.0))
    );
    let error = buffer.lookup("a", "b", 14 * SECOND).unwrap_err();
    assert!(matches!(error, LookupError::BeforeOldest { seconds, .. } if seconds == 1.0));
}

#[test]
fn messages_that_overtake_each_other_are_put_in_order() {
    let mut buffer = TfBuffer::default();
    for tenths in [0, 2, 1, 4, 3] {
        let x = moved(f64::from(tenths), 0.0, 0.0);
        assert_eq!(
            buffer.insert("a", "b", i64::from(tenths) * SECOND / 10, x),
            Ok(Inserted::Taken)
        );
    }
    assert_near(
        buffer
            .lookup("a", "b", 3 * SECOND / 20)
            .unwrap()
            .translation,
        [1.5, 0.0, 0.0],
    );
    // The one that came last holds.
    buffer
        .insert("a", "b", SECOND / 10, moved(9.0, 0.0, 0.0))
        .unwrap();
    assert_eq!(
        buffer.lookup("a", "b", SECOND / 10),
        Ok(moved(9.0, 0.0, 0.0))
    );
}

#[test]
fn what_is_later_than_a_clock_that_was_set_back_is_dropped() {
    let mut buffer = TfBuffer::default();
    for (stamp, x) in [(SECOND, 1.0), (SECOND * 3 / 2, 9.0)] {
        buffer
            .insert("odom", "base_link", stamp, moved(x, 0.0, 0.0))
            .unwrap();
    }
    buffer
        .insert("odom", "person", SECOND * 3 / 2, moved(4.0, 0.0, 0.0))
        .unwrap();
    buffer.forget_after(SECOND);
    assert!(buffer.lookup("odom", "person", SECOND).is_err());
    // Halfway to what comes next, not to what was there before.
    buffer
        .insert("odom", "base_link", SECOND * 6 / 5, moved(2.0, 0.0, 0.0))
        .unwrap();
    let between = buffer.lookup("odom", "base_link", SECOND * 11 / 10);
    assert_near(between.unwrap().translation, [1.5, 0.0, 0.0]);
}

#[test]
fn time_that_is_set_back_drops_what_moves_and_says_so() {
    let mut buffer = robot();
    buffer
        .insert("odom", "base_link", 60 * SECOND, moved(9.0, 0.0, 0.0))
        .unwrap();
    buffer
        .insert("odom", "person", 60 * SECOND, moved(4.0, 0.0, 0.0))
        .unwrap();
    let jumped = buffer.insert("odom", "base_link", SECOND / 2, moved(0.0, 0.0, 0.0));
    assert_eq!(jumped, Ok(Inserted::JumpedBack { seconds: 59.5 }));
    assert_near(
        buffer
            .lookup("odom", "camera", SECOND / 2)
            .unwrap()
            .translation,
        [0.1, 0.0, 0.5],
    );
    let gone = buffer.lookup("odom", "person", SECOND / 2);
    assert_eq!(
        gone,
        Err(LookupError::UnknownFrame {
            frame: "person".to_owned()
        })
    );
    assert_eq!(
        buffer.frames().collect::<Vec<_>>(),
        ["base_link", "camera", "odom", "goal"]
    );
    // Less than a second is a message that came late.
    buffer
        .insert("odom", "base_link", 3 * SECOND, moved(1.0, 0.0, 0.0))
        .unwrap();
    let late = buffer.insert("odom", "base_link", 2 * SECOND, moved(1.0, 0.0, 0.0));
    assert_eq!(late, Ok(Inserted::Taken));
    // Time that leaps forward leaves only what is new.
    buffer
        .insert("odom", "base_link", 900 * SECOND, moved(1.0, 0.0, 0.0))
        .unwrap();
    let error = buffer.lookup("odom", "base_link", 3 * SECOND).unwrap_err();
    assert!(matches!(error, LookupError::BeforeOldest { seconds, .. } if seconds == 897.0));
}

#[test]
fn numbers_that_no_transform_has_are_refused_and_change_nothing() {
    let mut buffer = robot();
    let before = buffer.clone();
    for x in [f64::NAN, f64::INFINITY, 1e13] {
        let refused = buffer.insert("odom", "base_link", 0, moved(0.0, x, 0.0));
        assert!(matches!(refused, Err(InsertError::Translation { .. })));
        let refused = buffer.insert_static("odom", "new", moved(0.0, x, 0.0));
        assert!(matches!(refused, Err(InsertError::Translation { .. })));
    }
    for (z, w) in [
        (0.0, 0.0),
        (f64::NAN, 1.0),
        (f64::INFINITY, 0.0),
        (0.0, 1.01),
        (1.0, 1.0),
    ] {
        let turned = Transform::new(DVec3::ZERO, DQuat::from_xyzw(0.0, 0.0, z, w));
        let refused = buffer.insert("odom", "base_link", 0, turned);
        assert!(matches!(refused, Err(InsertError::Quaternion { .. })));
    }
    assert_eq!(format!("{buffer:?}").len(), format!("{before:?}").len());
    assert_eq!(
        buffer.lookup("odom", "base_link", SECOND),
        before.lookup("odom", "base_link", SECOND)
    );
    // Rounded as people write it, which tf2 takes.
    let written = Transform::new(DVec3::ZERO, DQuat::from_xyzw(0.0, 0.0, 0.7072, 0.7072));
    buffer.insert_static("odom", "shelf", written).unwrap();
    let shelf = buffer.lookup("odom", "shelf", 0).unwrap();
    assert_near(shelf.direction(DVec3::X), [0.0, 1.0, 0.0]);
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let mut buffer = TfBuffer::new(Duration::MAX);
    assert_eq!(
        stamp(i32::MIN, u32::MAX),
        i64::from(i32::MIN) * SECOND + 4_294_967_295
    );
    buffer
        .insert("a", "b", i64::MIN, moved(0.0, 0.0, 0.0))
        .unwrap();
    buffer
        .insert("a", "b", i64::MAX, moved(1.0, 0.0, 0.0))
        .unwrap();
    assert!((buffer.lookup("a", "b", 0).unwrap().translation.x - 0.5).abs() < 1e-12);
    let back = buffer
        .insert("a", "b", i64::MIN, moved(0.0, 0.0, 0.0))
        .unwrap();
    assert!(matches!(back, Inserted::JumpedBack { seconds } if seconds > 1.8e10));
}
