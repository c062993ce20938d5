//! What a training in a test is made of: a few scenes of TableWorld and a model of a few thousand numbers.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use tableworld::formats::{write_dataset, Format, Options, Order};
use tableworld::language::QuestionKind;
use tableworld::Split;

/// Writes `count` scenes in the layouts of ADE20K, RefCOCO and LLaVA-Instruct.
pub fn scenes(folder: &Path, count: usize) {
    let order = Order {
        formats: &[Format::Semantic, Format::Refer, Format::Vqa],
        split: Split::Train,
        seed0: 0,
        count,
        width: 160,
        height: 120,
    };
    write_dataset(&order, folder, &Options::default(), &|_| ()).unwrap();
}

/// The same in the layout of ReasonSeg, where half of the questions ask for what is not there.
pub fn questions(folder: &Path, count: usize) {
    let order = Order {
        formats: &[Format::ReasonSeg],
        split: Split::Train,
        seed0: 0,
        count,
        width: 160,
        height: 120,
    };
    let options = Options {
        reason_kinds: vec![QuestionKind::Explicit, QuestionKind::Absent],
        questions_per_scene: Some(4),
        ..Options::default()
    };
    write_dataset(&order, folder, &options, &|_| ()).unwrap();
}

/// lisa-mini with everything smaller.
pub fn tiny(folder: &Path) -> String {
    let mini = concat!(env!("CARGO_MANIFEST_DIR"), "/config/lisa-mini.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(mini).unwrap()).unwrap();
    json["dtype"] = "f32".into();
    for (part, values) in [
        (
            "clip",
            &[
                ("image_size", 64),
                ("patch_size", 8),
                ("hidden_size", 32),
                ("intermediate_size", 64),
                ("num_hidden_layers", 2),
            ][..],
        ),
        ("clip_preprocess", &[("size", 64), ("crop", 64)]),
        (
            "llama",
            &[
                ("hidden_size", 48),
                ("intermediate_size", 96),
                ("num_hidden_layers", 2),
                ("num_attention_heads", 4),
                ("num_key_value_heads", 4),
            ],
        ),
        (
            "sam",
            &[
                ("image_size", 128),
                ("embed_dim", 64),
                ("depth", 2),
                ("mlp_dim", 128),
                ("prompt_dim", 64),
                ("decoder_mlp_dim", 128),
            ],
        ),
    ] {
        for (key, value) in values {
            json[part][*key] = (*value).into();
        }
    }
    json["clip"]["merge"]["after"] = 1.into();
    json["sam"]["global_attn_indexes"] = serde_json::json!([0, 1]);
    json["out_dim"] = 64.into();
    let path = folder.join("tiny.json");
    std::fs::write(&path, json.to_string()).unwrap();
    path.display().to_string()
}

/// A configuration's beginning: a new tiny model, and data in `folder/data`. `rest` goes on within `[data]`.
pub fn config(folder: &Path, rest: &str) -> String {
    format!(
        "[model]\ninit = '{}'\nvocab_size = 700\n[data]\nroot = '{}'\n{rest}",
        tiny(folder),
        folder.join("data").display()
    )
}

/// Waits until the run has made a step.
pub fn begun(out: &Path, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let lines = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap_or_default();
        if lines.contains("\"train\"") {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(Instant::now() < deadline, "no step in five minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
}
