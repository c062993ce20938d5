//! An object of 20,000 pixels: `cargo bench -p object_geometry`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

use object_geometry::{measure, Alignment, DVec3, Options, PixelPoint, View};

fn main() {
    divan::main();
}

/// 160×125 pixels of a ball-shaped surface with ripples of some millimetres, which stand for noise.
fn points() -> Vec<PixelPoint> {
    (0..20_000u32)
        .map(|k| {
            let (column, row) = (k % 160, k / 160);
            let (x, y) = (f64::from(column) / 525.0, f64::from(row) / 525.0);
            let bulge = (x - 0.15).powi(2) + (y - 0.12).powi(2);
            let z = 1.0 + bulge + 0.002 * f64::from(k.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
            let position = DVec3::new(x, y, 1.0) * z;
            PixelPoint {
                column,
                row,
                position,
            }
        })
        .collect()
}

#[divan::bench(args = [Alignment::Gravity { up: DVec3::NEG_Y }, Alignment::Principal])]
fn object_of_20000_pixels(bencher: divan::Bencher<'_, '_>, alignment: &Alignment) {
    let points = points();
    let view = View {
        points: &points,
        mask_pixels: points.len(),
        camera: DVec3::ZERO,
    };
    bencher.bench(|| measure(&view, &Options::new(*alignment)).unwrap());
}
