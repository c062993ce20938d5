//! What the commands make of output that cannot be written, of names that are no text, and of text that looks like a flag.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

#[path = "cli_output/kept.rs"]
mod kept;
mod support;

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::broken_pipe;
use support::process::{ended, ignores_hangup, nohup, send};

fn lisa() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lisa"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A small picture.
fn picture(path: &Path) -> &Path {
    let pixels = image::RgbImage::from_pixel(64, 48, image::Rgb([90, 120, 60]));
    pixels
        .save_with_format(path, image::ImageFormat::Png)
        .unwrap();
    path
}

#[test]
fn output_that_is_lost_is_an_error_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let image = picture(&folder.path().join("a.png")).to_owned();
    let out = folder.path().join("out");
    let segment = [
        "segment",
        "--image",
        image.to_str().unwrap(),
        "--instruction",
        "the mug",
        "--max-new-tokens",
        "4",
        "--out",
        out.to_str().unwrap(),
    ];
    let mut json = segment.to_vec();
    json.push("--json");
    let eval = [
        "eval", "world", "--split", "val", "--count", "1", "--limit", "1",
    ];
    let world = folder.path().join("world");
    let make = [
        "world",
        "--split",
        "val",
        "--count",
        "1",
        "--format",
        "frames",
        "--out",
        world.to_str().unwrap(),
    ];
    for args in [
        &["--help"][..],
        &["--version"],
        &["train", "--help"],
        &["train", "--settings"],
        &segment,
        &json,
        &eval,
        &make,
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = lisa().args(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
        assert!(
            said(&output).contains("standard output"),
            "{args:?}: {}",
            said(&output)
        );
        // A reader that has gone wants no more, and the work is done.
        let output = lisa().args(args).stdout(broken_pipe()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output));
    }
}

#[test]
fn the_place_of_the_output_is_looked_at_before_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let image = picture(&folder.path().join("a.png")).to_owned();
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "").unwrap();
    let missing = folder.path().join("missing/report.json");
    let segment = |extra: &[&OsStr]| {
        let mut command = lisa();
        command
            .args([
                "segment",
                "--model",
                "no-such-model",
                "--instruction",
                "a mug",
                "--image",
            ])
            .arg(&image)
            .args(extra);
        said(&command.output().unwrap())
    };
    let eval = |flag: &str, file: &Path| {
        let mut command = lisa();
        command
            .args([
                "eval",
                "world",
                "--split",
                "val",
                "--count",
                "1",
                "--model",
                "no-such-model",
                flag,
            ])
            .arg(file);
        said(&command.output().unwrap())
    };
    let out = folder.path().join("out");
    let out = [OsStr::new("--out"), out.as_os_str()];
    for (words, text) in [
        (
            "taken is no folder",
            segment(&[OsStr::new("--out"), taken.as_os_str()]),
        ),
        (
            "there is no folder",
            segment(&[out[0], out[1], OsStr::new("--dump"), missing.as_os_str()]),
        ),
        (
            "is a folder",
            segment(&[
                out[0],
                out[1],
                OsStr::new("--dump"),
                folder.path().as_os_str(),
            ]),
        ),
        ("there is no folder", eval("--json", &missing)),
        ("there is no folder", eval("--html", &missing)),
        ("is a folder", eval("--json", folder.path())),
        (
            "cannot write /proc/report.json",
            eval("--json", Path::new("/proc/report.json")),
        ),
    ] {
        assert!(text.contains(words), "{text}");
        assert!(!text.contains("no-such-model"), "{text}");
    }
}

#[test]
fn names_that_are_no_text_and_instructions_like_flags_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join(OsStr::from_bytes(b"caf\xe9.png"));
    picture(&image);
    let output = lisa()
        .args([
            "segment",
            "--json",
            "--max-new-tokens",
            "4",
            "--instruction",
            "-5 apples",
        ])
        .arg("--image")
        .arg(&image)
        .arg("--out")
        .arg(folder.path().join("out"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["instruction"], "-5 apples");
    assert!(
        answer["image"]
            .as_str()
            .unwrap()
            .ends_with("caf\u{fffd}.png"),
        "{answer}"
    );
    let overlay: PathBuf = folder
        .path()
        .join("out")
        .join(OsStr::from_bytes("caf\u{fffd}_overlay.png".as_bytes()));
    assert!(overlay.is_file());
}

#[test]
fn chat_goes_on_after_a_line_that_is_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let image = picture(&folder.path().join("a.png")).to_owned();
    let mut child = lisa()
        .args(["chat", "--max-new-tokens", "4", "--image"])
        .arg(&image)
        .arg("--out")
        .arg(folder.path().join("out"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"caf\xe9\n/reset\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        text.contains("not UTF-8") && text.contains("the history is forgotten"),
        "{text}"
    );
}

#[test]
fn nohup_keeps_a_chat_from_ending_with_its_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut chat = lisa();
    chat.args(["chat", "--image"])
        .arg(picture(&folder.path().join("a.png")))
        .arg("--out")
        .arg(folder.path().join("out"));
    let mut child = nohup(&chat).stdin(Stdio::piped()).spawn().unwrap();
    assert!(ignores_hangup(&mut child));
    send("-HUP", &child);
    send("-TERM", &child);
    assert_eq!(ended(&mut child).code(), Some(143));
}

#[test]
fn more_of_the_log_is_more() {
    let folder = tempfile::tempdir().unwrap();
    let image = picture(&folder.path().join("a.png")).to_owned();
    let log = |flags: &[&str]| {
        let output = lisa()
            .env_remove("RUST_LOG")
            .args([
                "segment",
                "--max-new-tokens",
                "4",
                "--instruction",
                "the mug",
                "--image",
            ])
            .arg(&image)
            .arg("--out")
            .arg(folder.path().join("out"))
            .args(flags)
            .output()
            .unwrap();
        said(&output)
    };
    assert_eq!(log(&[]), "");
    let some = log(&["-v"]);
    assert!(
        some.contains("INFO") && some.contains("lisa-mini"),
        "{some}"
    );
}
