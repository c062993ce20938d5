//! Writes the picture of a seed and the mask of each object as PNG files into a folder.
//!
//! `cargo run --release -p tableworld --example scene -- SEED FOLDER`

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use tableworld::{render, Scene, Split};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(seed), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: scene SEED FOLDER".into());
    };
    let seed: u64 = seed.to_str().ok_or("the seed is not a number")?.parse()?;
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder)?;
    let scene = Scene::sample(Split::Train, seed);
    let frame = render(&scene, 640, 480);
    frame.image.save(folder.join("picture.png"))?;
    for (i, object) in scene.objects.iter().enumerate() {
        let (colour, category) = (object.colour.name(), object.category.name());
        let name = format!("mask_{i}_{colour}_{}.png", category.replace(' ', "_"));
        frame.mask(i).save(folder.join(&name))?;
        println!("{name}: {} pixels", frame.visible(i));
    }
    Ok(())
}
