//! The command `lisa bench`: stages, training steps and GGUF files from the command line, and what it says of arguments that it cannot use.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Output};

use candle_core::quantized::gguf_file::{self, Value as Entry};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use lisa::bench::SHAPES;
use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lisa"))
        .arg("bench")
        .args(arguments)
        .env_remove("RAYON_NUM_THREADS")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(arguments: &[&str]) -> Value {
    let output = bench(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(report: &Value) -> Vec<&str> {
    let stages = report["stages"].as_array().unwrap();
    stages
        .iter()
        .map(|s| s["stage"].as_str().unwrap())
        .collect()
}

const STAGES: [&str; 9] = [
    "preprocess",
    "clip",
    "prefill",
    "token",
    "sam",
    "decode",
    "postprocess",
    "answer",
    "second_question",
];

#[test]
fn a_shape_is_measured_stage_by_stage_without_a_file() {
    let arguments = [
        "--shape",
        "lisa-mini",
        "--cycles",
        "2",
        "--tokens",
        "5",
        "--threads",
        "1",
    ];
    let report = report(&arguments);
    assert_eq!(names(&report), STAGES);
    for stage in report["stages"].as_array().unwrap() {
        let seconds = &stage["seconds"];
        let [min, median, max] = ["min", "median", "max"].map(|k| seconds[k].as_f64().unwrap());
        assert!(0.0 < min && min <= median && median <= max, "{stage}");
        assert!(seconds["spread"].as_f64().unwrap() >= 0.0, "{stage}");
    }
    for (stage, work) in [
        ("clip", "gflop"),
        ("prefill", "gflop"),
        ("sam", "gflop"),
        ("token", "gbytes"),
    ] {
        let stages = report["stages"].as_array().unwrap();
        let stage = stages.iter().find(|s| s["stage"] == stage).unwrap();
        assert!(stage[work].as_f64().unwrap() > 0.0, "{stage}");
        assert!(stage["share"].as_f64().unwrap() > 0.0, "{stage}");
    }
    // What the scripts of benches/peers read.
    assert_eq!(
        (&report["threads"], &report["tokens"]),
        (&1.into(), &5.into())
    );
    assert_eq!(report["config"]["llama"]["hidden_size"], 192);
    assert!(report["prompt"].as_u64() > report["image"].as_u64());
    assert_eq!(report["language"], true);
    for yardstick in ["gemm_gflops", "copy_gbytes"] {
        assert!(report["machine"][yardstick].as_f64().unwrap() > 0.0);
    }
    if cfg!(target_os = "linux") {
        assert!(report["peak_rss"].as_u64().unwrap() > 10 << 20);
    }
}

#[test]
fn a_shape_can_be_loaded_from_a_file_as_a_model_of_the_users_is() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().to_str().unwrap();
    let arguments = [
        "--shape",
        "lisa-mini",
        "--cycles",
        "1",
        "--scratch",
        scratch,
    ];
    let report = report(&arguments);
    assert_eq!(names(&report), STAGES);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_model_directory_is_measured_and_shown_as_a_table() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/lisa-mini");
    let output = bench(&["--model", model, "--cycles", "1", "--tokens", "4"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("lisa-mini on "), "{text}");
    for words in [&STAGES[..], &["most memory held", "GFLOP/s", "median"]].concat() {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn training_steps_are_measured_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().to_str().unwrap();
    let arguments = [
        "--shape",
        "lisa-mini",
        "--train",
        "--cycles",
        "1",
        "--batch",
        "1,2",
        "--threads",
        "2",
    ];
    let report = report(&[&arguments[..], &["--scratch", scratch]].concat());
    let batches = report["batches"].as_array().unwrap();
    let sizes: Vec<_> = batches
        .iter()
        .map(|b| b["batch"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [1, 2]);
    for batch in batches {
        assert_eq!(batch["stage"], "lora_step");
        assert!(batch["seconds"]["median"].as_f64().unwrap() > 0.0);
    }
    let kept = report["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|batch| batch["stage"] == "lora_step_kept"));
    assert_eq!(report["conversations"], 3);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A language model of one layer with 40 tokens.
fn write_gguf(path: &Path) {
    let numbers = |shape: &[usize], seed: usize| {
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| ((i * 37 + seed * 101) % 97) as f32 / 97.0 - 0.5);
        Tensor::from_iter(values, &Device::Cpu)
            .unwrap()
            .reshape(shape)
            .unwrap()
    };
    let shapes: [(&str, &[usize]); 11] = [
        ("token_embd.weight", &[40, 64]),
        ("output_norm.weight", &[64]),
        ("blk.0.attn_norm.weight", &[64]),
        ("blk.0.ffn_norm.weight", &[64]),
        ("blk.0.attn_q.weight", &[64, 64]),
        ("blk.0.attn_k.weight", &[32, 64]),
        ("blk.0.attn_v.weight", &[32, 64]),
        ("blk.0.attn_output.weight", &[64, 64]),
        ("blk.0.ffn_gate.weight", &[96, 64]),
        ("blk.0.ffn_up.weight", &[96, 64]),
        ("blk.0.ffn_down.weight", &[64, 96]),
    ];
    let tensors: Vec<_> = shapes
        .iter()
        .enumerate()
        .map(|(seed, (name, shape))| {
            let stored = if shape.len() == 1 {
                GgmlDType::F32
            } else {
                GgmlDType::Q8_0
            };
            (
                *name,
                QTensor::quantize(&numbers(shape, seed), stored).unwrap(),
            )
        })
        .collect();
    let metadata = BTreeMap::from([
        ("general.architecture", Entry::String("llama".into())),
        ("llama.attention.head_count", Entry::U32(4)),
        ("llama.attention.head_count_kv", Entry::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Entry::F32(1e-5)),
        ("llama.block_count", Entry::U32(1)),
        ("llama.context_length", Entry::U32(32)),
        ("llama.feed_forward_length", Entry::U32(96)),
    ]);
    let metadata: Vec<_> = metadata
        .iter()
        .map(|(name, value)| (*name, value))
        .collect();
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (*name, tensor))
        .collect();
    let mut bytes = Cursor::new(Vec::new());
    gguf_file::write(&mut bytes, &metadata, &tensors).unwrap();
    std::fs::write(path, bytes.into_inner()).unwrap();
}

#[test]
fn a_gguf_file_is_read_and_goes_on_with_a_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let (file, dump) = (
        folder.path().join("a.gguf"),
        folder.path().join("logits.safetensors"),
    );
    write_gguf(&file);
    let arguments = ["--ids", "1,5,9", "--tokens", "6", "--cycles", "2"];
    let file_and_dump = [
        "--gguf",
        file.to_str().unwrap(),
        "--dump",
        dump.to_str().unwrap(),
    ];
    let report = report(&[&file_and_dump[..], &arguments].concat());
    assert_eq!(names(&report), ["prefill", "token"]);
    let greedy: Vec<u64> = serde_json::from_value(report["greedy"].clone()).unwrap();
    assert!(
        greedy.len() == 6 && greedy.iter().all(|id| *id < 40),
        "{greedy:?}"
    );
    let logits = candle_core::safetensors::load(&dump, &Device::Cpu).unwrap();
    let logits = &logits["logits"];
    assert_eq!((logits.dims(), logits.dtype()), (&[3, 40][..], DType::F32));
    // The first token of the answer is the likeliest one after the prompt.
    let last = logits.get(2).unwrap().argmax(0).unwrap();
    assert_eq!(u64::from(last.to_scalar::<u32>().unwrap()), greedy[0]);

    for (more, words) in [
        (
            ["--ids", "1,40"],
            "token 40 is not in the vocabulary of 40 tokens; accepted: 0 to 39",
        ),
        (
            ["--tokens", "30"],
            "8 tokens of prompt and 30 of answer do not fit the model's 32 positions",
        ),
        (["--dtype", "f16"], "--gguf computes on the CPU in f32"),
    ] {
        let output = bench(&["--gguf", file.to_str().unwrap(), more[0], more[1]]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
}

#[test]
fn arguments_that_cannot_be_used_are_told_before_anything_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let no_model = folder.path().to_str().unwrap();
    let known: Vec<&str> = SHAPES.iter().map(|shape| shape.name).collect();
    let accepted = format!("shape \"huge\" is unknown; accepted: {}", known.join(", "));
    for (arguments, code, words) in [
        (&["--shape", "huge"][..], 2, accepted.as_str()),
        (
            &["--shape", "small", "--model", "x"],
            2,
            "cannot be used with",
        ),
        (
            &["--shape", "small", "--cycles", "0"],
            2,
            "0 is not in 1..=10000",
        ),
        (
            &["--shape", "small", "--tokens", "1"],
            2,
            "1 is not in 2..=32768",
        ),
        (&["--train"], 2, "--shape"),
        (
            &["--shape", "small", "--ids", "1"],
            2,
            "cannot be used with",
        ),
        (&["--ids", "1"], 2, "--gguf"),
        (&["--dump", "x"], 2, "--gguf"),
        (&["--shape", "small", "--batch", "1"], 2, "--train"),
        (&["--model", "x", "--batch", "1"], 2, "cannot be used with"),
        (
            &["--model", "x", "--scratch", "y"],
            2,
            "cannot be used with",
        ),
        (
            &["--shape", "small", "--train", "--tokens", "5"],
            2,
            "cannot be used with",
        ),
        (
            &["--shape", "sam-h", "--train"],
            1,
            "shape sam-h has no language model to train; accepted: small, lisa-mini",
        ),
        (&["--model", no_model], 1, "model file not found"),
        (&["--gguf", "nowhere.gguf"], 1, "cannot read nowhere.gguf"),
        (
            &["--gguf", "a", "--dump", "no/such/folder/x"],
            1,
            "no/such/folder",
        ),
        (
            &["--model", "lisa-mini", "--quantize", "q8_0"],
            1,
            "--quantize and --quantize-encoders are for --shape",
        ),
    ] {
        let output = bench(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            said(&output)
        );
        assert!(
            said(&output).contains(words),
            "{arguments:?}: {}",
            said(&output)
        );
        assert!(output.stdout.is_empty());
    }
}
