//! From masks to metres on TableWorld's scenes, from messages as a robot sends them. `lisa eval metres` measures more scenes.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use lisa::eval::metres::{
    measure_scene, Conditions, MaskSource, MetresReport, MetresSettings, Motion, Sensor,
};
use tableworld::{Scene, Split};

fn report(conditions: &[Conditions], scenes: u64) -> MetresReport {
    let settings = MetresSettings::new(Split::Val, 0);
    let scenes: Vec<_> = (0..scenes)
        .map(|seed| {
            let scene = Scene::sample(Split::Val, seed);
            measure_scene(&scene, &settings, conditions, &[]).unwrap()
        })
        .collect();
    let report = MetresReport::new(&settings, &scenes, None);
    println!("{report}");
    report
}

#[test]
fn true_masks_give_the_visible_surface_to_a_centimetre_in_every_row() {
    let report = report(&Conditions::geometry(Sensor::Exact), 6);
    assert_eq!(report.rows.len(), 16);
    for row in &report.rows {
        let name = row.conditions.to_string();
        assert!(row.objects >= 10, "{name}: {}", row.objects);
        assert!(row.not_located.is_empty(), "{name}: {:?}", row.not_located);
        let surface = row.surface_mm.unwrap();
        assert!(surface.p95 <= 10.0, "{name}: {surface:?}");
        // 0.5 m/s times 0.2 s.
        match row.conditions.motion {
            Motion::Still => assert_eq!(row.surface_latest_mm, None),
            Motion::Moving => {
                let latest = row.surface_latest_mm.unwrap();
                assert!((85.0..115.0).contains(&latest.median), "{name}: {latest:?}");
            }
        }
    }
}

#[test]
fn masks_that_spill_over_and_a_real_sensor_do_not_move_it_far() {
    let conditions: Vec<Conditions> = [
        MaskSource::Truth,
        MaskSource::Dilated(2),
        MaskSource::Shifted(1),
    ]
    .into_iter()
    .map(|masks| Conditions {
        sensor: Sensor::Real,
        masks,
        ..Conditions::PLAIN
    })
    .collect();
    for row in report(&conditions, 4).rows {
        let surface = row.surface_mm.unwrap();
        assert!(surface.median <= 6.0, "{}: {surface:?}", row.conditions);
    }
}
