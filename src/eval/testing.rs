//! What the tests of this folder share.

use std::time::Duration;

use ::image::GrayImage;

use super::{Case, Latency, Protocol, Report, Run, Tally};
use crate::data::TruthMask;
use crate::engine::AttentionMap;
use crate::image::ClipView;
use crate::testing::golden_dir;

/// The reference's own evaluation of the golden ReasonSeg split.
pub(super) fn golden_scores() -> serde_json::Value {
    let text = std::fs::read_to_string(golden_dir().join("expected.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["reason_seg"].clone()
}

/// Name and numbers of each image of it.
pub(super) fn golden_items() -> Vec<(String, serde_json::Value)> {
    let items = golden_scores()["items"].as_array().unwrap().clone();
    assert!(!items.is_empty());
    let named = |item: serde_json::Value| (item["name"].as_str().unwrap().to_owned(), item);
    items.into_iter().map(named).collect()
}

/// The reference's predicted mask and the truth.
pub(super) fn golden(name: &str) -> (GrayImage, TruthMask) {
    let bytes = std::fs::read(golden_dir().join("reason_seg/expected.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let predicted = file.tensor(&format!("{name}.pred")).unwrap();
    let gt = file.tensor(&format!("{name}.gt")).unwrap();
    let (height, width) = (gt.shape()[0] as u32, gt.shape()[1] as u32);
    (
        mask(width, height, predicted.data()),
        truth(width, height, gt.data()),
    )
}

pub(super) fn mask(width: u32, height: u32, pixels: &[u8]) -> GrayImage {
    GrayImage::from_raw(width, height, pixels.to_vec()).unwrap()
}

pub(super) fn truth(width: u32, height: u32, pixels: &[u8]) -> TruthMask {
    let pixels = pixels.to_vec();
    TruthMask {
        width,
        height,
        pixels,
    }
}

/// A case about an absent object, refused, to be changed from there.
pub(super) fn case<'a>(name: &'a str, kind: &'a str) -> Case<'a> {
    Case {
        name,
        kind,
        history: &[],
        instruction: "Where is the mug?",
        answer: "There is none.",
        truth: None,
        predicted: None,
        emitted: Some(0),
        expected: 0,
        names_right: None,
        distractors: Default::default(),
        attention: None,
        latency: Latency {
            total: Duration::from_millis(100),
            stages: &[],
        },
    }
}

/// Of 2 × 2 tokens over the whole of a picture.
pub(super) fn attention((width, height): (u32, u32), weights: [f32; 4], sink: f32) -> AttentionMap {
    AttentionMap {
        grid: 2,
        weights: weights.to_vec(),
        sink,
        view: ClipView {
            left: 0.0,
            top: 0.0,
            width: f64::from(width),
            height: f64::from(height),
        },
    }
}

pub(super) fn run() -> Run {
    Run {
        model: "tiny".to_owned(),
        protocol: Protocol::Generated,
        dataset: "reason_seg".to_owned(),
        split: "val".to_owned(),
        seed: Some(7),
        settings: Default::default(),
    }
}

/// A report of a question that was answered by half its mask, and of one about an absent object that was refused.
pub(super) fn report() -> Report {
    let truth = truth(2, 1, &[1, 1]);
    let half = mask(2, 1, &[255, 0]);
    let mut tally = Tally::default();
    let mut mug = case("a", "short");
    (mug.truth, mug.predicted) = (Some(&truth), Some(&half));
    (mug.emitted, mug.expected, mug.names_right) = (Some(1), 1, Some(true));
    tally.add(&mug).unwrap();
    tally.add(&case("b", "absent")).unwrap();
    tally.report(run())
}

/// A report of a mask whose answer was given, and of a question that could not be asked.
pub(super) fn given() -> Report {
    let truth = truth(2, 1, &[1, 1]);
    let half = mask(2, 1, &[255, 0]);
    let mut tally = Tally::default();
    let mut mug = case("a", "short");
    (mug.truth, mug.predicted, mug.emitted) = (Some(&truth), Some(&half), None);
    tally.add(&mug).unwrap();
    tally.pass_over("absent", true);
    tally.report(Run {
        protocol: Protocol::TeacherForced,
        ..run()
    })
}
