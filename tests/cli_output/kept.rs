//! What is made where nobody reads the lines about it, and what nothing is written over.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::support::broken_pipe;
use super::support::process::ended;
use super::support::tiny_training::{config, scenes};
use super::{lisa, picture, said};

#[test]
fn a_reader_that_goes_away_costs_lines_and_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let to_nobody = |command: &mut Command| {
        let output = command.stdout(broken_pipe()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    };
    let images = ["a.png", "b.png", "c.png"].map(|name| picture(&at(name)).to_owned());
    let few = ["--max-new-tokens", "4"];
    let segment = ["segment", "--instruction", "the mug", "--image"];
    to_nobody(
        lisa()
            .args(segment)
            .args(&images)
            .args(few)
            .arg("--out")
            .arg(at("out")),
    );
    for name in ["a", "b", "c"] {
        assert!(at(&format!("out/{name}_overlay.png")).is_file(), "{name}");
    }

    let eval = [
        "eval", "world", "--split", "val", "--count", "1", "--limit", "3", "--list",
    ];
    let reports = [at("r.json"), at("r.html")];
    to_nobody(lisa().args(eval).args(few).args([
        "--json".as_ref(),
        reports[0].as_os_str(),
        "--html".as_ref(),
        reports[1].as_os_str(),
    ]));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&reports[0]).unwrap()).unwrap();
    assert_eq!(report["count"], 3);
    assert!(std::fs::read_to_string(&reports[1])
        .unwrap()
        .contains("<html"));
    // A disk that is full is a fault, and no more lines are lost by it.
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let json = at("full.json");
    let output = lisa()
        .args(eval)
        .args(few)
        .arg("--json")
        .arg(&json)
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(json.is_file());

    let mut chat = lisa();
    chat.args(["chat", "--image"])
        .arg(&images[0])
        .args(few)
        .arg("--out")
        .arg(at("talk"));
    let mut chat = chat
        .stdin(Stdio::piped())
        .stdout(broken_pipe())
        .spawn()
        .unwrap();
    let mut stdin = chat.stdin.take().unwrap();
    stdin.write_all(b"the mug\nthe spoon\n").unwrap();
    drop(stdin);
    assert_eq!(ended(&mut chat).code(), Some(0));
    assert!(at("talk/turn02_overlay.png").is_file());

    scenes(&at("data"), 2);
    let text = config(
        folder.path(),
        "groups = [{ datasets = 'ade20k' }]
        [objective]
        kind = 'vision'
        [trainable]
        full = ['mask_decoder']
        [run]
        steps = 1
    ",
    );
    std::fs::write(at("train.toml"), text).unwrap();
    let mut inspect = lisa();
    inspect.args(["train", "--inspect", "3", "--config"]);
    to_nobody(inspect.arg(at("train.toml")).arg("--out").arg(at("look")));
    assert!(at("look/sample-2.png").is_file());
}

#[test]
fn a_closed_standard_output_is_an_error_and_the_work_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let image = picture(&folder.path().join("a.png")).to_owned();
    let run = |redirection: &str, args: &[&OsStr]| {
        let mut command = Command::new("sh");
        let script = format!("exec \"$@\" {redirection}");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_lisa")]);
        command.args(args).output().unwrap()
    };
    let out = folder.path().join("out");
    let version = [OsStr::new("--version")];
    let mut segment = [
        "segment",
        "--json",
        "--instruction",
        "the mug",
        "--max-new-tokens",
        "4",
    ]
    .map(OsStr::new)
    .to_vec();
    segment.extend([
        OsStr::new("--image"),
        image.as_os_str(),
        OsStr::new("--out"),
        out.as_os_str(),
    ]);
    for args in [&version[..], &segment] {
        let output = run(">&-", args);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let words = "cannot write to standard output: it is closed";
        assert!(said(&output).contains(words), "{}", said(&output));
        assert_eq!(run(">/dev/null", args).status.code(), Some(0));
        assert_eq!(run("<>/dev/null >&0", args).status.code(), Some(0));
    }
    assert!(out.join("a_overlay.png").is_file());
}

#[test]
fn nothing_is_written_over_what_is_read_or_written_already() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let names = [
        "a.png",
        "a_overlay.png",
        "a_mask_0.png",
        "turn01_overlay.png",
    ];
    for name in names {
        picture(Path::new(&at(name)));
    }
    let before: Vec<Vec<u8>> = names
        .iter()
        .map(|name| std::fs::read(at(name)).unwrap())
        .collect();
    let segment = [
        "segment",
        "--instruction",
        "a mug",
        "--model",
        "no-such-model",
        "--image",
    ];
    let eval = [
        "eval",
        "world",
        "--split",
        "val",
        "--model",
        "no-such-model",
    ];
    let here = folder.path().display().to_string();
    let beside = format!("{here}/./r");
    for (args, tail, words) in [
        (
            &segment[..],
            vec![
                at("a_overlay.png"),
                at("a.png"),
                "--out".into(),
                here.clone(),
            ],
            "would be written over",
        ),
        (
            &segment,
            vec![
                at("a_mask_0.png"),
                at("a.png"),
                "--out".into(),
                here.clone(),
            ],
            "would be written over",
        ),
        (
            &segment,
            vec![at("a.png"), "--dump".into(), at("a.png")],
            "--dump would be written over",
        ),
        (
            &segment,
            vec![
                at("a.png"),
                "--out".into(),
                here.clone(),
                "--dump".into(),
                at("a_mask.png"),
            ],
            "would be written over",
        ),
        (
            &eval,
            vec!["--json".into(), at("r"), "--html".into(), beside],
            "--json and --html are the same file",
        ),
        (
            &["chat"],
            vec![
                "--image".into(),
                at("turn01_overlay.png"),
                "--out".into(),
                here.clone(),
            ],
            "could be written over",
        ),
    ] {
        let output = lisa().args(args).args(&tail).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{tail:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{tail:?}: {}", said(&output));
        assert!(
            !said(&output).contains("no-such-model"),
            "{}",
            said(&output)
        );
    }
    let after: Vec<Vec<u8>> = names
        .iter()
        .map(|name| std::fs::read(at(name)).unwrap())
        .collect();
    assert!(before == after);
}
