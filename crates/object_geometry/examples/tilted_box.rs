//! Measures the front of a box that is turned about the view, in a camera's optical frame, upright and by principal axes.
//!
//! `cargo run -p object_geometry --example tilted_box`

use object_geometry::{measure, Alignment, DVec3, GeometryError, Options, PixelPoint, View};

fn main() -> Result<(), GeometryError> {
    let (focal, depth) = (525.0, 0.8);
    let (sine, cosine) = 0.5f64.sin_cos();
    let mut points = Vec::new();
    for row in 0..480u32 {
        for column in 0..640u32 {
            let (x, y) = (
                (f64::from(column) - 319.5) / focal * depth,
                (f64::from(row) - 239.5) / focal * depth,
            );
            // A front of 0.24 m by 0.10 m.
            if (cosine * x + sine * y).abs() < 0.12 && (cosine * y - sine * x).abs() < 0.05 {
                let position = DVec3::new(x, y, depth);
                points.push(PixelPoint {
                    column,
                    row,
                    position,
                });
            }
        }
    }
    let view = View {
        points: &points,
        mask_pixels: points.len(),
        camera: DVec3::ZERO,
    };
    for alignment in [Alignment::Gravity { up: -DVec3::Y }, Alignment::Principal] {
        let object = measure(&view, &Options::new(alignment))?;
        println!("{alignment:?}");
        println!(
            "  box: {:.3} m at {:.3}",
            object.bounding_box.size, object.bounding_box.center
        );
        println!(
            "  orientation (x, y, z, w): {:.3}",
            object.bounding_box.rotation
        );
        println!(
            "  to grasp: {:.3} m wide along {:.3}",
            object.grasp.width, object.grasp.across
        );
        println!(
            "  {} points, {:.0} % of the mask",
            object.points,
            object.depth_coverage * 100.0
        );
    }
    Ok(())
}
