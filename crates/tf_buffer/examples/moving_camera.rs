//! Where a point that a camera saw lies in the map, while the robot drives and turns its head.
//!
//! `cargo run -p tf_buffer --example moving_camera`

use std::error::Error;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

use tf_buffer::{stamp, DQuat, DVec3, LookupError, TfBuffer, Transform};

fn main() -> Result<(), Box<dyn Error>> {
    let mut buffer = TfBuffer::default();
    // The optical frame of REP 103: z forward, x right, y down.
    let optical = DQuat::from_xyzw(-0.5, 0.5, -0.5, 0.5);
    buffer.insert_static(
        "head",
        "camera_optical",
        Transform::new(DVec3::ZERO, optical),
    )?;
    for (second, x, pan) in [(10, 0.0, 0.0), (11, 1.0, FRAC_PI_2)] {
        let base = Transform::new(DVec3::new(x, 0.0, 0.0), DQuat::IDENTITY);
        buffer.insert("map", "base_link", stamp(second, 0), base)?;
        let head = Transform::new(DVec3::new(0.0, 0.0, 1.2), DQuat::from_rotation_z(pan));
        buffer.insert("base_link", "head", stamp(second, 0), head)?;
    }

    let seen = DVec3::new(0.0, 0.0, 2.0); // two metres in front of the camera
    let picture = stamp(10, 500_000_000);
    let point = buffer.lookup("map", "camera_optical", picture)?.point(seen);
    println!("the point lies at {point:.3} in the map");
    let expected = DVec3::new(0.5 + 2.0 * FRAC_PI_4.cos(), 2.0 * FRAC_PI_4.sin(), 1.2);
    assert!(point.distance(expected) < 1e-12);

    match buffer.lookup("map", "camera_optical", stamp(11, 40_000_000)) {
        Err(error @ LookupError::AfterNewest { .. }) => println!("not yet: {error}"),
        other => println!("unexpected: {other:?}"),
    }
    Ok(())
}
