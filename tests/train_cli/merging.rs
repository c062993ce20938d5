//! A run and the model that it belongs to: resumed with another one, merged into another one, and interrupted while merging.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::support::process::{ended, send};
use super::{default_signals, files, refusal, Place};

/// `lisa merge` of a run.
fn merge_of(run: &Path, out: &Path) -> Command {
    let mut lisa = Command::new(env!("CARGO_BIN_EXE_lisa"));
    lisa.args(["merge", "--run"])
        .arg(run)
        .arg("--out")
        .arg(out)
        .stdin(Stdio::null());
    lisa
}

#[test]
fn a_model_that_is_not_the_one_that_was_trained_is_named() {
    let place = Place::new();
    assert!(place.train("run", 2).status().unwrap().success());
    let run = place.out("run");
    let weights = run.join("init/model.safetensors");
    let trained = std::fs::read(&weights).unwrap();
    let mut tensors = candle_core::safetensors::load(&weights, &candle_core::Device::Cpu).unwrap();
    let mut save = |change: &dyn Fn(&candle_core::Tensor) -> candle_core::Tensor| {
        let norm = tensors.get_mut("model.norm.weight").unwrap();
        *norm = change(norm);
        lisa::weights::write_safetensors(&weights, tensors.iter().map(|(n, t)| (n.as_str(), t)))
            .unwrap();
    };
    save(&|norm| (norm + 1.0).unwrap());
    let words = "frozen tensors are";
    let said = refusal(place.train("run", 4).arg("--resume"));
    assert!(
        said.contains(words) && said.contains("but hold other numbers"),
        "{said}"
    );
    let merged = place.out("merged");
    let said = refusal(&mut merge_of(&run, &merged));
    assert!(
        said.contains("init is not the model that was trained") && said.contains("--onto"),
        "{said}"
    );
    assert!(!merged.exists());
    // Somebody who means it.
    let init = run.join("init");
    let status = merge_of(&run, &merged).arg("--onto").arg(&init).status();
    assert!(status.unwrap().success());
    // The model that is read stays.
    let said = refusal(&mut merge_of(&run, &init));
    assert!(said.contains("made of what lies in it"), "{said}");

    std::fs::write(&weights, trained).unwrap();
    assert!(merge_of(&run, &merged).status().unwrap().success());
    let status = place.train("run", 4).arg("--resume").status().unwrap();
    assert!(status.success());

    // Another size: the first trained tensor that differs.
    let text = std::fs::read_to_string(place.out("run.toml")).unwrap();
    let json = std::fs::read_to_string(place.out("tiny.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["sam"]["decoder_mlp_dim"] = 64.into();
    let wide = place.out("narrow.json");
    std::fs::write(&wide, json.to_string()).unwrap();
    std::fs::remove_dir_all(&init).unwrap();
    let text = text
        .replace("tiny.json", "narrow.json")
        .replace("steps = 4", "steps = 6");
    let said = refusal(place.train_as("run", &text).arg("--resume"));
    assert!(
        said.contains("mask_decoder")
            && said.contains("had the shape [128")
            && said.contains("and has [64"),
        "{said}"
    );
}

#[test]
fn a_merge_that_was_interrupted_leaves_nothing() {
    let place = Place::new();
    assert!(place.train("run", 1).status().unwrap().success());
    let (run, out) = (place.out("run"), place.out("models/merged"));
    // It waits for a file, with its folder made.
    let slow = run.join("init/lisa.json");
    let json = std::fs::read(&slow).unwrap();
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        std::fs::remove_file(&slow).unwrap();
        let made = Command::new("mkfifo").arg(&slow).status();
        assert!(made.unwrap().success());
        let mut child = default_signals(&mut merge_of(&run, &out)).spawn().unwrap();
        let mut pipe = OpenOptions::new().write(true).open(&slow).unwrap();
        assert_eq!(files(&place.out("models")).len(), 1);
        send(signal, &child);
        // The signal is heard before what is waited for comes.
        std::thread::sleep(Duration::from_millis(200));
        std::io::Write::write_all(&mut pipe, &json).unwrap();
        drop(pipe);
        assert_eq!(ended(&mut child).code(), Some(code));
        assert!(!place.out("models").exists());
        std::fs::remove_file(&slow).unwrap();
        std::fs::write(&slow, &json).unwrap();
    }
}
