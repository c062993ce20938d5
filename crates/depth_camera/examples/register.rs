//! Moves the depth image of a coarse camera into the picture of a finer one that stands beside it, and prints both.
//!
//! `cargo run --release -p depth_camera --example register`; a digit is a depth in steps of half a metre, a dot is missing.

use std::error::Error;
use std::process::ExitCode;

use depth_camera::{Camera, Depth, DepthImage, Registration, RigidTransform};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Every error of the library is one line for a person.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let coarse = Camera::pinhole((24, 10), (24.0, 24.0), (11.5, 4.5))?;
    let fine = coarse.resized(72, 30)?;
    // A box one metre away, in front of a wall at four.
    let is_box = |x: u32, y: u32| (9..15).contains(&x) && (3..8).contains(&y);
    let metres = (0..24 * 10).map(|k| if is_box(k % 24, k / 24) { 1.0 } else { 4.0 });
    let image = DepthImage::new(24, 10, metres.collect())?;
    print(&image);
    // The fine camera stands 15 cm to the right, so what it sees lies further to the left.
    let coarse_to_fine = RigidTransform::new([0.0, 0.0, 0.0, 1.0], [-0.15, 0.0, 0.0])?;
    let registered = Registration::new(coarse, fine)?.register(&image, &coarse_to_fine)?;
    print(&registered.image);
    println!(
        "{} depth pixels lie outside the picture",
        registered.outside
    );
    Ok(())
}

fn print(image: &DepthImage) {
    for y in 0..image.height() {
        let letters = (0..image.width()).map(|x| match image.at(x, y) {
            Some(Depth::Measured(metres)) => {
                char::from_digit((metres * 2.0) as u32, 10).unwrap_or('9')
            }
            _ => '.',
        });
        println!("{}", letters.collect::<String>());
    }
    println!();
}
