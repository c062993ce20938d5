//! docs/TRAINING.md, followed word by word: from LabelMe's files to a model that answers.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

mod support;

use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Output};

use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{json, Value};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(REPOSITORY).join(path)).unwrap()
}

/// The section of the docs that is followed.
fn section() -> String {
    let docs = read("docs/TRAINING.md");
    let (_, rest) = docs
        .split_once("\n## Fine-tune on pictures of your own\n")
        .unwrap();
    // Its subsections begin with the first ###.
    rest.split("\n##").next().unwrap().to_owned()
}

/// The texts between backquotes, each with its lines joined.
fn spans(text: &str) -> Vec<String> {
    let spans = text.split('`').skip(1).step_by(2);
    spans
        .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A mug on a table, 64×48.
fn mug() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| {
        match (20..40).contains(&x) && (10..34).contains(&y) {
            true => Rgb([200, 40, 40]),
            false => Rgb([120, 100, 80]),
        }
    })
}

/// What LabelMe writes, with ReasonSeg's two fields added as the docs ask for it.
fn labelme(name: &str, shapes: Value, image_data: Value) -> String {
    json!({
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": name,
        "imageData": image_data,
        "imageHeight": 48,
        "imageWidth": 64,
        "text": ["the cup I drink from"],
        "is_sentence": false
    })
    .to_string()
}

fn shape(kind: &str, points: Value) -> Value {
    json!({
        "label": "target", "points": points, "group_id": null, "description": "",
        "shape_type": kind, "flags": {}, "mask": null
    })
}

/// Pictures and JSONs, and nothing but these.
fn pictures(data: &Path, example: &str) {
    let train = data.join("reason_seg/ReasonSeg/train");
    let corners = json!([[20, 10], [39, 10], [39, 33], [20, 33]]);
    let mut mask = shape("mask", json!([[20, 10], [39, 33]]));
    let inside = image::GrayImage::from_pixel(20, 24, image::Luma([1]));
    let mut png = Cursor::new(Vec::new());
    inside.write_to(&mut png, ImageFormat::Png).unwrap();
    mask["mask"] = base64::encode(png.into_inner()).into();
    let files = [
        ("a.jpg", shape("polygon", corners.clone())),
        ("b.jpeg", shape("rectangle", json!([[20, 10], [39, 33]]))),
        ("c.png", shape("circle", json!([[30, 22], [30, 33]]))),
        ("d.JPG", mask),
    ];
    for (name, shape) in files {
        let format = match name {
            "c.png" => ImageFormat::Png,
            _ => ImageFormat::Jpeg,
        };
        let path = train.join(name);
        write(&path, encoded(&mug(), format));
        let text = labelme(name, json!([shape]), Value::Null);
        write(&path.with_extension("json"), text);
    }
    // A picture that only LabelMe's file holds, and the docs' own example.
    let held = base64::encode(encoded(&mug(), ImageFormat::Jpeg));
    let text = labelme("e.jpg", json!([shape("polygon", corners)]), held.into());
    write(&train.join("e.json"), text);
    write(&train.join("f.jpg"), encoded(&mug(), ImageFormat::Jpeg));
    let corners = "[20, 10], [39, 10], [39, 33]";
    let example = example.replace("[x, y], …", corners);
    serde_json::from_str::<Value>(&example).unwrap();
    write(&train.join("f.json"), &example);
    write(
        &train.join("unlabelled.jpg"),
        encoded(&mug(), ImageFormat::Jpeg),
    );
    write(&train.join("._a.jpg"), "what macOS leaves");
    let val = data.join("reason_seg/ReasonSeg/val");
    write(&val.join("g.jpg"), encoded(&mug(), ImageFormat::Jpeg));
    write(&val.join("g.json"), example);
}

#[test]
fn the_docs_lead_from_labelme_s_files_to_a_model_that_answers() {
    let section = section();
    let spans = spans(&section);
    let commands: Vec<&String> = spans.iter().filter(|s| s.starts_with("lisa ")).collect();
    let names: Vec<&str> = commands
        .iter()
        .map(|c| c.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(names, ["train", "train", "merge", "eval"], "{section}");
    let example = spans.iter().find(|s| s.starts_with("{\"text\"")).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pictures(&at.join("data"), example);
    let golden = support::golden_that("has a model", |_| true);
    let model = golden.convert(at);
    // As it is shipped, but shorter than a coffee break.
    let mut config = read("config/finetune.toml");
    for (shipped, ours) in [
        ("\nsteps = 500", "\nsteps = 3"),
        ("accumulation = 10", "accumulation = 1"),
        ("validate_every = 50", "validate_every = 3"),
        ("validation_images = 100", "validation_images = 1"),
    ] {
        assert!(config.contains(shipped), "{shipped}");
        config = config.replace(shipped, ours);
    }
    write(&at.join("config/finetune.toml"), config);

    let follow = |command: &str| -> Output {
        let words = command.split(' ').skip(1).map(|word| match word {
            "MODEL" => model.display().to_string(),
            "DATA" => "data".to_owned(),
            word => word.to_owned(),
        });
        let mut lisa = Command::new(env!("CARGO_BIN_EXE_lisa"));
        let output = lisa.args(words).current_dir(at).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
        output
    };
    let inspected = follow(commands[0]);
    let said = String::from_utf8_lossy(&inspected.stdout);
    assert!(
        said.contains("6 images, 6 questions, 0 explained"),
        "{said}"
    );
    let masks = said.lines().filter(|line| line.contains(" 1 masks: "));
    assert_eq!(masks.count(), 8, "{said}");
    assert!(at.join("look/sample-7.png").is_file());
    let warned = String::from_utf8_lossy(&inspected.stderr);
    let left_out = "1 picture without a JSON: unlabelled.jpg";
    assert!(warned.contains(left_out), "{warned}");
    for command in &commands[1..] {
        follow(command);
    }
    let run = lisa::train::read_metrics(&at.join("runs/kitchen")).unwrap();
    let steps = run.iter().filter(|record| record.split == "train").count();
    assert_eq!(steps, 3);
    assert!(run.iter().any(|record| record.split == "validation"));
    // The model is one, and it is not the one that was trained from.
    let weights = |dir: &Path| std::fs::read(dir.join("model.safetensors")).unwrap();
    assert_ne!(weights(&at.join("models/kitchen")), weights(&model));
}
