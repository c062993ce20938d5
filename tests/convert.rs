//! `lisa convert` as a user meets it: what it accepts, what it refuses, what it leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

mod converting;
mod support;

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use lisa::convert::{convert, restore, ConvertOptions, RestoreOptions};
use lisa::weights::{BlockType, ModelDir, QuantizationChange, Weights, WeightsError};
use support::{golden_that, Golden};

fn pickled() -> Golden {
    let has_index = |g: &Golden| {
        g.lisa_folder()
            .join("pytorch_model.bin.index.json")
            .is_file()
    };
    golden_that("is in pickle shards", has_index)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What is left in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn progress_counts_up_to_the_whole_and_the_folder_is_complete() {
    let golden = pickled();
    let folder = tempfile::tempdir().unwrap();
    let options = ConvertOptions::new(
        golden.lisa_folder(),
        golden.clip_folder(),
        folder.path().join("model"),
    );
    let (mut last, mut calls) = (0, 0);
    let report = convert(&options, |done, total, _| {
        assert!(done > last && done <= total);
        (last, calls) = (done, calls + 1);
    })
    .unwrap();
    assert_eq!(calls, report.tensors);
    assert!(report.bytes > last, "the header counts too");
    assert!(report
        .left_out
        .iter()
        .any(|name| name.ends_with("inv_freq")));
    assert_eq!(
        names(&options.out),
        ["lisa.json", "model.safetensors", "tokenizer.json"]
    );
    assert_eq!(names(folder.path()), ["model"], "no staging folder is left");
    // Again, over the first one.
    convert(&options, |_, _, _| ()).unwrap();
}

#[test]
fn every_dtype_opens_and_says_the_same() {
    let golden = pickled();
    let tensor = |dtype: Option<lisa::weights::DType>| {
        let folder = tempfile::tempdir().unwrap();
        let options = ConvertOptions {
            dtype,
            ..ConvertOptions::new(
                golden.lisa_folder(),
                golden.clip_folder(),
                folder.path().join("model"),
            )
        };
        convert(&options, |_, _, _| ()).unwrap();
        let dir = ModelDir::open(&options.out).unwrap();
        assert_eq!(dir.config.dtype, dtype.unwrap_or(lisa::weights::DType::F16));
        let rows = dir.config.llama.vocab_size;
        let weights = dir.weights(DType::F32, &Device::Cpu).unwrap();
        weights
            .get((rows, dir.config.llama.hidden_size), "lm_head.weight")
            .unwrap()
    };
    let stored = tensor(None);
    let error = |dtype| support::relative_l2(&tensor(Some(dtype)), &stored);
    assert_eq!(error(lisa::weights::DType::F32), 0.0);
    assert_eq!(error(lisa::weights::DType::F16), 0.0);
    // Rounded to 8 bits, and indeed rounded.
    let rounded = error(lisa::weights::DType::Bf16);
    assert!(rounded > 0.0 && rounded < 4e-3, "{rounded}");
}

/// The names in the file of the tensors of a model directory, and the file's size.
fn stored(model: &Path) -> (Vec<String>, u64) {
    let bytes = std::fs::read(model.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
    names.sort();
    (names, bytes.len() as u64)
}

#[test]
fn a_model_is_stored_again_in_blocks_and_out_of_them() {
    let golden = pickled();
    let folder = tempfile::tempdir().unwrap();
    let whole = golden.convert(folder.path());
    let again = |from: &Path, to: &str, quantization, dtype| {
        let options = RestoreOptions {
            model: from.to_owned(),
            out: folder.path().join(to),
            dtype,
            quantization,
            stop: Default::default(),
        };
        let report = restore(&options, |_, _, _| ()).unwrap();
        (options.out, report)
    };
    let blocks = |language_model, encoders| QuantizationChange {
        language_model: Some(language_model),
        encoders: Some(encoders),
    };
    let nothing = QuantizationChange::default();
    let (q8, report) = again(&whole, "q8", blocks(Some(BlockType::Q8_0), None), None);
    let (names, size) = stored(&q8);
    assert_eq!((report.bytes, report.tensors), (size, names.len()));
    assert!(size < stored(&whole).1);
    assert!(names.contains(&"lm_head.weight.q8_0".to_owned()));
    assert!(names.contains(&"model.embed_tokens.weight".to_owned()));
    assert!(!names
        .iter()
        .any(|n| n.contains("vision_tower") && n.ends_with("q8_0")));

    // Blocks are copied, not rounded again; what is not named stays.
    let (copy, _) = again(&q8, "copy", nothing, None);
    let bytes = |model: &Path| std::fs::read(model.join("model.safetensors")).unwrap();
    assert!(bytes(&copy) == bytes(&q8));
    let (more, _) = again(
        &q8,
        "more",
        QuantizationChange {
            language_model: None,
            ..blocks(None, Some(BlockType::Q8_0))
        },
        None,
    );
    let config = ModelDir::open(&more).unwrap().config;
    assert_eq!(
        config.quantization.unwrap().to_string(),
        "language model in q8_0, image encoders in q8_0"
    );
    // 64 inputs are no multiple of 256, so that 4 bits are stored in smaller blocks.
    let (q4, _) = again(&whole, "q4", blocks(Some(BlockType::Q4K), None), None);
    assert!(stored(&q4)
        .0
        .iter()
        .any(|name| name.ends_with(".q4_1") || name.ends_with(".q4_k")));
    let (back, _) = again(
        &q8,
        "back",
        blocks(None, None),
        Some(lisa::weights::DType::F32),
    );
    assert_eq!(stored(&back).0, stored(&whole).0);
    let open = |model: &Path| ModelDir::open(model).unwrap();
    assert_eq!(open(&back).config.quantization, None);
    assert_eq!(open(&back).parameters, open(&q8).parameters);

    // All of them are the same model, up to rounding.
    let table = |model: &Path| {
        let dir = open(model);
        let (rows, columns) = (dir.config.llama.vocab_size, dir.config.llama.hidden_size);
        let weights = dir.weights(DType::F32, &Device::Cpu).unwrap();
        weights.get((rows, columns), "lm_head.weight").unwrap()
    };
    let error = |model: &Path| support::relative_l2(&table(model), &table(&whole));
    assert!(error(&q8) > 0.0 && error(&q8) < 0.01, "{}", error(&q8));
    assert_eq!(support::relative_l2(&table(&back), &table(&q8)), 0.0);

    let onto_itself = RestoreOptions {
        model: q8.clone(),
        out: q8.clone(),
        dtype: None,
        quantization: nothing,
        stop: Default::default(),
    };
    let refused = restore(&onto_itself, |_, _, _| ()).unwrap_err().to_string();
    assert!(refused.contains("name another folder"), "{refused}");
}

#[test]
fn what_cannot_be_converted_is_named_and_nothing_is_left_behind() {
    let golden = pickled();
    let refused = |spoil: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        let lisa = folder.path().join("lisa");
        copy(&golden.lisa_folder(), &lisa);
        spoil(&lisa);
        let options = ConvertOptions::new(&lisa, golden.clip_folder(), folder.path().join("model"));
        let error = convert(&options, |_, _, _| ())
            .expect_err("it was converted")
            .to_string();
        assert_eq!(names(folder.path()), ["lisa"], "left behind after: {error}");
        error
    };
    let shard = "pytorch_model-00002-of-00002.bin";
    let error = refused(&|f| std::fs::remove_file(f.join(shard)).unwrap());
    assert!(error.contains(shard), "{error}");
    let error = refused(&|f| std::fs::write(f.join(shard), b"not a pickle").unwrap());
    assert!(error.contains(shard), "{error}");
    let error = refused(&|f| {
        let bytes = std::fs::read(f.join(shard)).unwrap();
        std::fs::write(f.join(shard), &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(error.contains(shard), "{error}");
    let error = refused(&|f| std::fs::remove_file(f.join("config.json")).unwrap());
    assert!(error.contains("config.json"), "{error}");
    let error = refused(&|f| std::fs::write(f.join("added_tokens.json"), "{}").unwrap());
    assert!(error.contains("[SEG]"), "{error}");
    let error = refused(&|f| {
        for file in ["tokenizer.model", "added_tokens.json"] {
            std::fs::remove_file(f.join(file)).unwrap();
        }
    });
    assert!(error.contains("tokenizer"), "{error}");
}

#[test]
fn a_folder_that_is_no_model_is_not_replaced() {
    let golden = pickled();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("photos");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("holiday.jpg"), "dear").unwrap();
    let options = ConvertOptions::new(golden.lisa_folder(), golden.clip_folder(), &out);
    let error = convert(&options, |_, _, _| ()).unwrap_err().to_string();
    assert!(
        error.contains("photos") && error.contains("no model directory"),
        "{error}"
    );
    assert_eq!(names(&out), ["holiday.jpg"]);
}

#[test]
fn a_wrong_shape_names_the_tensor_and_both_shapes() {
    let tensors = [(
        "a.weight".to_owned(),
        Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap(),
    )]
    .into();
    let weights = Weights::from_tensors(tensors, DType::F32, &Device::Cpu).pp("a");
    assert!(weights.get((2, 3), "weight").is_ok());
    match weights.get((3, 2), "weight") {
        Err(WeightsError::Shape {
            name,
            expected,
            found,
        }) => {
            assert_eq!(
                (name.as_str(), expected, found),
                ("a.weight", vec![3, 2], vec![2, 3])
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(
        matches!(weights.get(1, "bias"), Err(WeightsError::MissingTensor { name }) if name == "a.bias")
    );
}

#[test]
fn a_smaller_sam_input_interpolates_its_positions() {
    let golden = pickled();
    let folder = tempfile::tempdir().unwrap();
    let options = |side| ConvertOptions {
        sam_image_size: Some(side),
        ..ConvertOptions::new(
            golden.lisa_folder(),
            golden.clip_folder(),
            folder.path().join("model"),
        )
    };
    assert!(convert(&options(500), |_, _, _| ())
        .unwrap_err()
        .to_string()
        .contains("500"));
    let options = options(512);
    convert(&options, |_, _, _| ()).unwrap();
    let mut config = lisa::engine::EngineConfig::new(&options.out);
    config.device = "cpu".parse().unwrap();
    // Warm-up runs every part, masks included.
    drop(lisa::engine::Engine::start(config).unwrap());
}
