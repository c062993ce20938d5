//! Adapters on a quantized base, and what becomes of it when they are merged.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

mod support;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::{DType, Device};
use lisa::convert::{restore, RestoreOptions};
use lisa::train::{merge, read_metrics, MergeOptions, Record, TrainConfig, Trainer, LAST};
use lisa::weights::{BlockType, ModelDir, QuantizationChange};
use support::tiny_training::{config, questions, scenes};

/// Trains, and returns the records without their times.
fn train(text: &str, out: &Path) -> Vec<Record> {
    let mut trainer = Trainer::new(TrainConfig::parse(text).unwrap(), false).unwrap();
    trainer.run(&AtomicBool::new(false), |_| ()).unwrap();
    let records = read_metrics(out).unwrap();
    let without_time = |record: Record| Record {
        seconds: None,
        ..record
    };
    records.into_iter().map(without_time).collect()
}

fn stored_again(model: &Path, out: &Path, language_model: Option<BlockType>) {
    let options = RestoreOptions {
        model: model.to_owned(),
        out: out.to_owned(),
        dtype: Some(lisa::weights::DType::F32),
        quantization: QuantizationChange {
            language_model: Some(language_model),
            encoders: None,
        },
        stop: Default::default(),
    };
    restore(&options, |_, _, _| ()).unwrap();
}

/// The bytes of a tensor in the file of a model directory; `None` where there is none of that name.
fn bytes(model: &Path, name: &str) -> Option<Vec<u8>> {
    let file = std::fs::read(model.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    tensors
        .tensor(name)
        .ok()
        .map(|tensor| tensor.data().to_vec())
}

const ADAPTED: &str = "model.layers.1.mlp.down_proj.weight";
const KEPT: &str = "model.layers.0.mlp.down_proj.weight";

#[test]
fn an_adapter_learns_on_blocks_what_it_learns_on_their_numbers() {
    let place = tempfile::tempdir().unwrap();
    let folder = |name: &str| place.path().join(name);
    scenes(&folder("data"), 4);
    questions(&folder("data"), 4);
    let data = "groups = [{ datasets = 'ReasonSeg|train' }]
        samples_per_image = 2
        [optimizer]
        warmup = 1
        [run]
        batch_size = 2
        accumulation = 1
        save_every = 1000
    ";
    let first = data.replace(
        "[optimizer]",
        "[trainable]\nfull = ['text_hidden_fcs']\n[optimizer]",
    );
    let text = format!(
        "{}steps = 1\nout = '{}'",
        config(place.path(), &first),
        folder("first").display()
    );
    train(&text, &folder("first"));
    merge(&MergeOptions::new(
        folder("first").join(LAST),
        folder("whole"),
    ))
    .unwrap();

    // The tiny network is 48 wide, so that blocks fit into the rows of down_proj alone, which has 96 inputs.
    stored_again(&folder("whole"), &folder("blocks"), Some(BlockType::Q8_0));
    stored_again(&folder("blocks"), &folder("numbers"), None);
    assert!(bytes(&folder("blocks"), &format!("{ADAPTED}.q8_0")).is_some());
    let adapters = |model: &str| {
        let out = folder(&format!("run-{model}"));
        let data = data.replace("[optimizer]", "[trainable]\nfull = ['text_hidden_fcs']\nlora = { rank = 2, targets = ['1.mlp.down_proj'] }\n[optimizer]\nlr = 1e-2");
        let text = format!(
            "[model]\ndir = '{}'\n[data]\nroot = '{}'\n{data}steps = 3\nout = '{}'",
            folder(model).display(),
            folder("data").display(),
            out.display()
        );
        (train(&text, &out), out.join(LAST))
    };
    let (on_blocks, checkpoint) = adapters("blocks");
    let (on_numbers, _) = adapters("numbers");
    assert_eq!(on_blocks, on_numbers);
    assert!(on_blocks.iter().all(|record| record.loss.is_finite()));

    // Merged, what the adapter changed is rounded again, and the rest is what it was.
    let merged = |name: &str, quantization| {
        let options = MergeOptions {
            quantization,
            ..MergeOptions::new(&checkpoint, folder(name))
        };
        assert_eq!(merge(&options).unwrap().adapters, 1);
        folder(name)
    };
    let again = merged("merged", QuantizationChange::default());
    let config = ModelDir::open(&again).unwrap().config;
    assert_eq!(
        config.quantization.unwrap().language_model,
        Some(BlockType::Q8_0)
    );
    let of = |model: &Path, name: &str| bytes(model, &format!("{name}.q8_0")).unwrap();
    assert_eq!(of(&again, KEPT), of(&folder("blocks"), KEPT));
    assert_ne!(of(&again, ADAPTED), of(&folder("blocks"), ADAPTED));
    let none = QuantizationChange {
        language_model: Some(None),
        encoders: None,
    };
    let whole = merged("merged-whole", none);
    assert_eq!(bytes(&whole, &format!("{ADAPTED}.q8_0")), None);
    let numbers = |model: &Path| {
        let dir = ModelDir::open(model).unwrap();
        let weights = dir.weights(DType::F32, &Device::Cpu).unwrap();
        weights.get((48, 96), ADAPTED).unwrap()
    };
    let error = support::relative_l2(&numbers(&again), &numbers(&whole));
    assert!(error > 0.0 && error < 0.01, "{error}");
}
