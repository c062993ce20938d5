//! What holds for any transforms: composition, inverse, and the ends of an interpolation.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use proptest::prelude::*;
use tf_buffer::{DQuat, DVec3, LookupError, TfBuffer, Transform};

fn vector() -> impl Strategy<Value = DVec3> {
    [-10.0..10.0, -10.0..10.0, -10.0..10.0f64].prop_map(DVec3::from_array)
}

fn transform() -> impl Strategy<Value = Transform> {
    let length = |q: &DQuat| (0.1..1.0).contains(&q.length());
    let rotation = [-1.0..1.0, -1.0..1.0, -1.0..1.0, -1.0..1.0f64].prop_map(DQuat::from_array);
    (vector(), rotation.prop_filter("too short", length))
        .prop_map(|(translation, rotation)| Transform::new(translation, rotation.normalize()))
}

/// The same within 1e-9, wherever it takes points within some metres.
fn same(a: &Transform, b: &Transform) -> bool {
    let corners = [DVec3::ZERO, DVec3::X, DVec3::Y, DVec3::Z];
    (corners.iter()).all(|&p| a.point(p).distance(b.point(p)) < 1e-9)
}

proptest! {
    /// A tree of random shape: frame k hangs on one before it. Every lookup is the product of the transforms to the root.
    #[test]
    fn a_lookup_composes_what_was_inserted(
        links in proptest::collection::vec((transform(), any::<prop::sample::Index>(), any::<bool>()), 1..12),
        point in vector(),
    ) {
        let (mut buffer, mut to_root) = (TfBuffer::default(), vec![Transform::IDENTITY]);
        for (k, (transform, parent, fixed)) in links.iter().enumerate() {
            let parent = parent.index(k + 1);
            let (name, child) = (format!("f{parent}"), format!("f{}", k + 1));
            match fixed {
                true => buffer.insert_static(&name, &child, *transform).unwrap(),
                false => buffer.insert(&name, &child, 7, *transform).unwrap(),
            };
            let above = to_root[parent];
            to_root.push(above.then(transform));
        }
        for (a, from_a) in to_root.iter().enumerate() {
            for (b, from_b) in to_root.iter().enumerate() {
                let found = buffer.lookup(&format!("f{a}"), &format!("f{b}"), 7).unwrap();
                let expected = from_a.inverse().point(from_b.point(point));
                prop_assert!(found.point(point).distance(expected) < 1e-9);
                let back = buffer.lookup(&format!("f{b}"), &format!("f{a}"), 7).unwrap();
                prop_assert!(same(&found.inverse(), &back));
                prop_assert!((found.rotation.length() - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn an_interpolation_ends_where_it_should_and_turns_at_constant_speed(
        from in transform(), to in transform(), share in 0.0..1.0f64,
    ) {
        prop_assert_eq!(from.interpolate(&to, 0.0), from);
        prop_assert_eq!(from.interpolate(&to, 1.0), to);
        let between = from.interpolate(&to, share);
        let straight = from.translation.lerp(to.translation, share);
        prop_assert!(between.translation.distance(straight) < 1e-12);
        let whole = from.rotation.angle_between(to.rotation);
        prop_assert!((between.rotation.angle_between(from.rotation) - share * whole).abs() < 1e-6);
        // From the other end it is the same.
        prop_assert!(same(&between, &to.interpolate(&from, 1.0 - share)));
    }

    #[test]
    fn then_and_inverse_undo_each_other(a in transform(), b in transform(), c in transform(), p in vector()) {
        prop_assert!(same(&a.then(&a.inverse()), &Transform::IDENTITY));
        prop_assert!(same(&a.then(&b).then(&c), &a.then(&b.then(&c))));
        prop_assert!(a.then(&b).point(p).distance(a.point(b.point(p))) < 1e-9);
        prop_assert!(same(&a.then(&b).inverse(), &b.inverse().then(&a.inverse())));
    }

    /// Whatever is inserted and asked for, there is an answer of finite numbers or an error, and no answer outside the stamps.
    #[test]
    fn any_sequence_ends_in_an_answer_or_an_error(
        steps in proptest::collection::vec((0..5usize, 0..5usize, -3..40i64, transform(), any::<bool>()), 0..60),
        at in -5..45i64,
    ) {
        let names = ["a", "b", "c", "/d", "e"];
        let tenth = 100_000_000;
        let mut buffer = TfBuffer::default();
        for (parent, child, stamp, transform, fixed) in steps {
            let _ = match fixed {
                true => buffer.insert_static(names[parent], names[child], transform),
                false => buffer.insert(names[parent], names[child], stamp * tenth, transform),
            };
        }
        for target in ["a", "b", "c", "d", "e", "f"] {
            for source in ["a", "b", "c", "d", "e", "f"] {
                match buffer.lookup(target, source, at * tenth) {
                    Ok(found) => {
                        prop_assert!(found.translation.is_finite() && found.rotation.is_normalized());
                        prop_assert!(target == source || (target != "f" && source != "f"));
                    }
                    Err(LookupError::AfterNewest { seconds, .. } | LookupError::BeforeOldest { seconds, .. }) => {
                        prop_assert!(seconds > 0.0);
                    }
                    Err(LookupError::Loop { frames }) => prop_assert!(frames.len() >= 2),
                    Err(_) => {}
                }
            }
        }
    }
}
