//! How well boxes, cylinders and balls are measured from depth with noise, mixed pixels and holes.
//!
//! `cargo test --release -p object_geometry --test accuracy -- --nocapture` prints the numbers.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

mod scene;

use object_geometry::{measure, Alignment, DVec3, ObjectGeometry, Options, View};
use scene::{see, Body, Faults, Seen, FOCAL};

const NOISE: f64 = 0.002;

fn measured(seen: &Seen, alignment: Alignment, noise: f64) -> ObjectGeometry {
    let view = View {
        points: &seen.points,
        mask_pixels: seen.mask_pixels,
        camera: seen.camera,
    };
    measure(
        &view,
        &Options {
            depth_noise: noise,
            ..Options::new(alignment)
        },
    )
    .unwrap()
}

#[test]
fn sizes_and_centres_are_near_the_truth() {
    let up = Alignment::Gravity { up: DVec3::Z };
    let bodies = [
        (
            "box",
            Body::Box {
                size: DVec3::new(0.20, 0.12, 0.15),
                yaw: 0.4,
            },
        ),
        (
            "small box",
            Body::Box {
                size: DVec3::new(0.08, 0.05, 0.03),
                yaw: 1.2,
            },
        ),
        (
            "cylinder",
            Body::Cylinder {
                radius: 0.04,
                height: 0.12,
            },
        ),
        ("ball", Body::Ball { radius: 0.06 }),
    ];
    println!(
        "{:10} {:>5} {:>6} {:>6} {:>6} | {:>20} | {:>20} | {:>7}",
        "body", "m", "noise", "points", "out", "size error mm", "to the visible mm", "centre"
    );
    for (name, body) in bodies {
        for distance in [0.6, 1.0, 2.0] {
            for noise in [0.0, NOISE] {
                let faults = Faults {
                    noise,
                    mixed: if noise > 0.0 { 0.02 } else { 0.0 },
                    holes: if noise > 0.0 { 0.02 } else { 0.0 },
                    ..Faults::default()
                };
                let clean = measured(&see(&body, distance, 0.6, Faults::default(), 1), up, 0.0);
                let found = measured(&see(&body, distance, 0.6, faults, 1), up, noise);
                let e = (found.bounding_box.size - body.size()) * 1e3;
                let v = (found.bounding_box.size - clean.bounding_box.size) * 1e3;
                let c = found.bounding_box.center.distance(body.center()) * 1e3;
                let cv = found
                    .bounding_box
                    .center
                    .distance(clean.bounding_box.center)
                    * 1e3;
                println!("{name:10} {distance:5.1} {noise:6.3} {:6} {:6} | {:6.1} {:6.1} {:6.1} | {:6.1} {:6.1} {:6.1} | {c:6.1} {cv:6.1} sigma {:.1} px {:.1} grasp w {:.1} n {:.3} {:.3} {:.3}",
                    found.points, found.rejected, e.x, e.y, e.z, v.x, v.y, v.z, NOISE * distance * distance * 1e3, distance / FOCAL * 1e3, found.grasp.width*1e3, found.grasp.normal.x, found.grasp.normal.y, found.grasp.normal.z);
            }
        }
    }
}
