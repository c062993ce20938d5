//! Where answers and reports go: over nothing that is read, over nothing of somebody else's, and whole or not at all.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rosbag2::Bag;

use super::support::broken_pipe;
use super::support::output::{done, failed, text};
use super::{lisa, Bench};

#[test]
fn a_finished_bag_has_the_name_that_was_asked_for_and_its_files_too() {
    let bench = Bench::new(20);
    for (given, copy) in [("a/", &[][..]), ("b//", &["--copy"]), ("c/.", &[])] {
        // Not `join`ed, because `join` would drop the trailing slash that is tested here.
        let out = format!("{}/{given}", bench.folder.path().display());
        let more = [&["--no-overlay", "--max-new-tokens", "4"], copy].concat();
        let recording = bench.recording.to_str().unwrap();
        done(&lisa(
            &[&["bag", "annotate", recording, "--out", &out], &more[..]].concat(),
        ));
        let name = given.get(..1).unwrap();
        let bag = Bag::open(bench.file(name)).unwrap();
        let file = &bag.files()[0].path;
        assert_eq!(file, &bench.file(name).join(format!("{name}_0.mcap")));
        assert!(!bench.file(&format!("{name}.part")).exists());
    }
}

#[test]
fn what_stands_in_the_place_of_an_unfinished_bag_is_refused_before_the_model_is_loaded() {
    let bench = Bench::new(20);
    fs::create_dir(bench.file("folder.part")).unwrap();
    let kept = [bench.file("folder.part/thesis"), bench.file("file.part")];
    for file in &kept {
        fs::write(file, "kept").unwrap();
    }
    for name in ["folder", "file"] {
        let said = failed(&bench.annotate(&bench.file(name), &["--model", "/no/such/model"]));
        assert!(
            said.contains(&format!("{name}.part is in the way")) && said.contains("annotate.json"),
            "{said}"
        );
    }
    assert!(kept.iter().all(|file| fs::read(file).unwrap() == b"kept"));
}

#[test]
fn an_instruction_like_a_flag_is_one_and_seconds_are_within_what_the_help_says() {
    let bench = Bench::new(20);
    let more = ["--no-overlay", "--max-new-tokens", "4", "--instruction"];
    let out = bench.file("out");
    let recording = bench.recording.to_str().unwrap();
    let fixed = ["bag", "annotate", recording, "--out", out.to_str().unwrap()];
    done(&lisa(&[&fixed, &more[..], &["-5 apples"]].concat()));
    for value in ["nan", "inf", "-inf", "11", "-0.1"] {
        let slop = format!("--sync-slop-s={value}");
        for output in [
            bench.annotate(&bench.file("never"), &[&slop]),
            bench.eval(&[&slop]),
        ] {
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{value}: {said}");
            assert!(said.contains("accepted: a number from 0 to 10"), "{said}");
        }
    }
}

#[test]
fn depth_is_no_truth_and_that_is_said_before_the_model_is_loaded() {
    let bench = Bench::new(20);
    let topic = ["--truth-topic", "/camera/depth/image"];
    let said = failed(&bench.eval(&[&topic[..], &["--model", "/no/such/model"]].concat()));
    let expected =
        "lisa: /camera/depth/image holds depth maps (16UC1, millimetres), not masks; accepted: a topic of masks";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn a_report_is_written_over_no_bag_and_over_no_other_report() {
    let bench = Bench::new(20);
    let victim = Bag::open(&bench.recording).unwrap().files()[0].path.clone();
    let metadata = bench.recording.join("metadata.yaml");
    let before = [&victim, &metadata].map(|file| fs::read(file).unwrap());
    for (bag, file) in [
        (&victim, &victim),
        (&bench.recording, &victim),
        (&bench.recording, &metadata),
    ] {
        for option in ["--json", "--html"] {
            let [bag, file] = [bag, file].map(|path| path.to_str().unwrap());
            let said = failed(&lisa(&[
                "bag",
                "eval",
                bag,
                option,
                file,
                "--model",
                "no-such-model",
            ]));
            let expected = format!("lisa: {option} would be written over {file}, which is read");
            assert!(said.starts_with(&expected), "{said}");
        }
    }
    let (json, html) = (bench.file("r"), bench.file("rosbag/../r"));
    let [json, html] = [&json, &html].map(|path| path.to_str().unwrap());
    let both = ["--json", json, "--html", html, "--model", "no-such-model"];
    assert!(failed(&bench.eval(&both)).starts_with("lisa: --json and --html are the same file"));
    assert_eq!(
        [&victim, &metadata].map(|file| fs::read(file).unwrap()),
        before
    );
}

#[test]
fn a_reader_that_goes_away_costs_no_report_and_a_full_disk_no_earlier_one() {
    let bench = Bench::new(20);
    let answers = bench.answers("answers", &["--no-overlay"]);
    let [json, html] = ["r.json", "r.html"].map(|name| bench.file(name));
    let recording = bench.recording.to_str().unwrap();
    let eval = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lisa"));
        command.args(["bag", "eval", recording, "--list", "--results"]);
        command.arg(&answers).args([
            "--json".as_ref(),
            json.as_os_str(),
            "--html".as_ref(),
            html.as_os_str(),
        ]);
        command.stdout(stdout).output().unwrap()
    };
    done(&eval(broken_pipe()));
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["count"], 3);
    assert!(fs::read_to_string(&html).unwrap().contains("<html"));

    let before = fs::read(&json).unwrap();
    let full = |file: &Path| {
        let output = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
            .args([
                env!("CARGO_BIN_EXE_lisa"),
                "bag",
                "eval",
                recording,
                "--results",
            ])
            .args([answers.as_path(), Path::new("--json"), file])
            .output()
            .unwrap();
        let said = failed(&output);
        assert!(
            said.contains(&format!("cannot write {}: File too large", file.display())),
            "{said}"
        );
    };
    full(&json);
    assert_eq!(fs::read(&json).unwrap(), before);
    full(&bench.file("new.json"));
    assert!(!bench.file("new.json").exists());
}
