//! Where a model directory comes to lie, and what is left behind where it does not.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

use lisa::convert::convert;
use lisa::weights::{write_safetensors, WeightsError};

use super::Theirs;
use crate::{copy, names};

#[test]
fn every_file_has_the_mode_that_the_umask_gives() {
    let theirs = Theirs::new();
    theirs.convert();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let fresh = theirs.lisa().join("fresh");
    std::fs::write(&fresh, "").unwrap();
    for file in names(&theirs.options().out) {
        assert_eq!(
            mode(&theirs.options().out.join(&file)),
            mode(&fresh),
            "{file}"
        );
    }
    let dump = theirs.lisa().join("dump.safetensors");
    let tensor =
        candle_core::Tensor::zeros(2, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    write_safetensors(&dump, [("a", &tensor)]).unwrap();
    assert_eq!(mode(&dump), mode(&fresh));
}

#[test]
fn an_interrupted_conversion_leaves_nothing_and_keeps_what_was_there() {
    let theirs = Theirs::new();
    theirs.save();
    let options = theirs.options();
    let interrupt = |_: u64, _: u64, _: &str| options.stop.store(true, Ordering::Relaxed);
    let error = convert(&options, interrupt).unwrap_err();
    assert!(matches!(error, WeightsError::Interrupted), "{error}");
    let root = options.out.parent().unwrap();
    assert_eq!(names(root), ["lisa"]);

    theirs.convert();
    let before = std::fs::read(options.out.join("lisa.json")).unwrap();
    options.stop.store(false, Ordering::Relaxed);
    convert(&options, interrupt).unwrap_err();
    assert_eq!(names(root), ["lisa", "model"]);
    assert_eq!(
        std::fs::read(options.out.join("lisa.json")).unwrap(),
        before
    );
}

/// Runs `lisa convert`, sends it a signal while it waits for a file, and lets it go on. Its exit code.
fn signalled(theirs: &Theirs, signal: &str, trap: &str) -> Option<i32> {
    theirs.save();
    let options = theirs.options();
    let clip = options.out.with_file_name("clip");
    copy(&options.clip, &clip);
    let slow = clip.join("preprocessor_config.json");
    let json = std::fs::read(&slow).unwrap();
    std::fs::remove_file(&slow).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&slow).status();
    assert!(made.unwrap().success());
    // Whoever runs the tests may have left signals ignored, as shells do for what they start in the background.
    let mut child = std::process::Command::new("env")
        .args(["--default-signal=INT,TERM,HUP", "sh"])
        .args(["-c", &format!("{trap} exec \"$@\""), "sh"])
        .args([env!("CARGO_BIN_EXE_lisa"), "convert", "--lisa"])
        .arg(theirs.lisa())
        .arg("--clip")
        .arg(&clip)
        .arg("--out")
        .arg(&options.out)
        .spawn()
        .unwrap();
    // Opens when the other end does: the command is under way, and its folder is made.
    let mut pipe = std::fs::OpenOptions::new().write(true).open(&slow).unwrap();
    let parts = || {
        names(options.out.parent().unwrap())
            .iter()
            .filter(|n| n.contains(".part-"))
            .count()
    };
    assert_eq!(parts(), 1);
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-s", signal, &id])
        .status();
    assert!(sent.unwrap().success());
    pipe.write_all(&json).unwrap();
    drop(pipe);
    let code = child.wait().unwrap().code();
    assert_eq!(parts(), 0);
    code
}

#[test]
fn a_signal_ends_the_command_with_its_own_exit_code_and_nothing_left() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let theirs = Theirs::new();
        assert_eq!(signalled(&theirs, signal, ""), Some(code));
        assert!(!theirs.options().out.exists());
    }
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let theirs = Theirs::new();
    assert_eq!(signalled(&theirs, "HUP", "trap '' HUP;"), Some(0));
    assert!(theirs.options().out.join("lisa.json").is_file());
}

#[test]
fn what_a_killed_conversion_left_goes_with_the_next_one() {
    let theirs = Theirs::new();
    let root = theirs.lisa().parent().unwrap().to_owned();
    let left = root.join("model.part-4000000-0");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("model.safetensors"), "half").unwrap();
    theirs.convert();
    assert_eq!(names(&root), ["lisa", "model"]);
}

#[test]
fn the_place_is_looked_at_before_the_checkpoint() {
    let theirs = Theirs::new();
    theirs.save();
    // Whoever reads it fails.
    std::fs::write(theirs.lisa().join("config.json"), "no JSON").unwrap();
    let root = theirs.lisa().parent().unwrap().to_owned();
    std::fs::write(root.join("file"), "").unwrap();
    for (out, word) in [
        (root.join("file"), "a file stands there"),
        (root.join("file/model"), "a file stands there"),
        (theirs.lisa(), "no model directory"),
        // Nobody can make a folder there, not even root.
        ("/proc/lisa-model".into(), "cannot write /proc"),
    ] {
        let mut options = theirs.options();
        options.out = out;
        let error = convert(&options, |_, _, _| ()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
        // The folder that becomes the model has a name of its own, which nobody gave.
        assert!(!error.contains(".part-"), "{error}");
    }
    // Missing folders are made, and go again with what fails.
    let mut options = theirs.options();
    options.out = root.join("new/models/lisa");
    let error = convert(&options, |_, _, _| ()).unwrap_err().to_string();
    assert!(error.contains("config.json"), "{error}");
    assert_eq!(names(&root), ["file", "lisa"]);
}

#[test]
fn a_model_that_comes_with_the_project_is_found_by_its_name_from_anywhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    let run = |model: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_lisa"))
            .current_dir(elsewhere.path())
            .args([
                "segment",
                "--model",
                model,
                "--instruction",
                "x",
                "--max-new-tokens",
                "2",
                "--device",
                "cpu",
                "--image",
            ])
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/golden/tiny/image.png"
            ))
            .output()
            .unwrap()
    };
    let error = |model| String::from_utf8(run(model).stderr).unwrap();
    assert!(
        error("lisa-maxi").contains("model directory not found: lisa-maxi"),
        "{}",
        error("lisa-maxi")
    );
    let answered = run("lisa-mini");
    assert!(answered.status.success(), "{answered:?}");
}
