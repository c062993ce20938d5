//! Where a model looked, as the command `lisa` shows it: `lisa segment --attention` and the reports of `lisa eval`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lisa::weights::{GuidedHead, LisaConfig};
use serde_json::Value;

use support::{golden_that, Golden};

struct Bench {
    golden: Golden,
    folder: tempfile::TempDir,
    model: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let golden = golden_that("has a picture", |golden| {
            golden.folder.join("image.png").is_file()
        });
        let folder = tempfile::tempdir().unwrap();
        let model = golden.convert(folder.path());
        Self {
            golden,
            folder,
            model,
        }
    }

    fn guide(&self) {
        let path = self.model.join("lisa.json");
        let mut config = LisaConfig::read(&path).unwrap();
        config.guided_head = Some(GuidedHead { layer: 0, head: 0 });
        std::fs::write(&path, serde_json::to_string(&config).unwrap()).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn image(&self) -> PathBuf {
        self.golden.folder.join("image.png")
    }

    fn lisa(&self, arguments: &[&str]) -> Output {
        let model = self.model.to_str().unwrap();
        Command::new(env!("CARGO_BIN_EXE_lisa"))
            .args(arguments)
            .args(["--model", model, "--device", "cpu", "--max-new-tokens", "3"])
            .output()
            .unwrap()
    }

    fn segment(&self, attention: &Path) -> Output {
        let (image, out) = (self.image(), self.file("out"));
        self.lisa(&[
            "segment",
            "--image",
            image.to_str().unwrap(),
            "--instruction",
            "Where is the mug?",
            "--out",
            out.to_str().unwrap(),
            "--json",
            "--attention",
            attention.to_str().unwrap(),
        ])
    }

    fn eval(&self, name: &str) -> (Value, String) {
        let (json, html) = (self.file(name).with_extension("json"), self.file(name));
        let done = self.lisa(&[
            "eval",
            "world",
            "--split",
            "val",
            "--count",
            "1",
            "--size",
            "64x64",
            "--json",
            json.to_str().unwrap(),
            "--html",
            html.to_str().unwrap(),
        ]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        let json = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        (json, std::fs::read_to_string(html).unwrap())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn segment_writes_where_the_model_looked() {
    let bench = Bench::new();
    bench.guide();
    let file = bench.file("new/looked.png");
    let done = bench.segment(&file);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let frame = image::open(bench.image()).unwrap().to_rgb8();
    let drawn = image::open(&file).unwrap().to_rgb8();
    assert_eq!(drawn.dimensions(), frame.dimensions());
    assert!(drawn != frame, "nothing is drawn");
    let json: Value = serde_json::from_slice(&done.stdout).unwrap();
    let said = &json["attention"];
    assert_eq!(said["picture"].as_str(), file.to_str());
    let (on_image, on_s) = (said["on_image"].as_f64(), said["on_s"].as_f64());
    let both = on_image.unwrap() + on_s.unwrap();
    assert!(both > 0.0 && both < 1.0 + 1e-4, "{said}");
}

/// The weights are missing, so whoever opens them first says something else.
#[test]
fn segment_says_what_is_missing_before_the_model_is_opened() {
    let bench = Bench::new();
    std::fs::remove_file(bench.model.join("model.safetensors")).unwrap();
    let refused = |file: &str, words: [&str; 2]| {
        let done = bench.segment(&bench.file(file));
        assert!(!done.status.success());
        let said = text(&done.stderr);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(!bench.file(file).exists());
    };
    refused(
        "looked.png",
        ["lisa.json names no guided_head", "objective.attend"],
    );
    refused(
        "looked.txt",
        ["--attention", "accepted: a name that ends in .png"],
    );
}

#[test]
fn a_report_shows_attention_of_a_model_with_a_guided_head_only() {
    let bench = Bench::new();
    let (without, plain) = bench.eval("plain.html");
    bench.guide();
    let (with, looked) = bench.eval("looked.html");
    assert!(without["attended"].is_null());
    assert_eq!(without["attended_count"], 0);
    assert_eq!(with["giou"], without["giou"], "looking changes no answer");
    let attended = with["attended"].as_f64().unwrap();
    assert!(attended > 0.0 && attended < 1.0, "{attended}");
    assert!(with["attended_count"].as_u64() <= with["count"].as_u64());
    assert!(with["definitions"]["attended"].is_string());
    let count = |page: &str, what| page.matches(what).count();
    assert_eq!(count(&plain, "<img"), count(&plain, "<article"));
    assert_eq!(count(&looked, "<img"), 2 * count(&looked, "<article"));
}
