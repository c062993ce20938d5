//! `lisa bag follow`, as a shell runs it, with lisa-mini on scenes that a moving camera sees.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::output::{done, failed, text};
use tableworld::formats::{write_dataset, CameraMotion, Format, Options, Order, Recording};
use tableworld::Split;

const FRAMES: u32 = 8;
const SCENES: usize = 3;

fn recording(folder: &Path) -> PathBuf {
    let order = Order {
        formats: &[Format::Rosbag],
        split: Split::Test,
        seed0: 12,
        count: SCENES,
        width: 160,
        height: 120,
    };
    let options = Options {
        recording: Recording {
            frames: FRAMES,
            ..Recording::new(CameraMotion::Moving)
        },
        ..Options::default()
    };
    let made = write_dataset(&order, folder, &options, &|_| {}).unwrap();
    made.made[0].path.clone()
}

fn follow(bag: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lisa"))
        .args(["bag", "follow", bag.to_str().unwrap()])
        .args(["--truth-topic", "/ground_truth/masks"])
        .args(["--max-new-tokens", "24"])
        .args(more)
        .output()
        .unwrap()
}

fn report(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn each_instruction_is_followed_and_beside_it_asked_anew() {
    let folder = tempfile::tempdir().unwrap();
    let bag = recording(folder.path());
    let json = folder.path().join("report.json");
    let arguments = [
        "--duration",
        "0.25",
        "--json",
        json.to_str().unwrap(),
        "--truth-boxes-topic",
        "/ground_truth/boxes",
        "--list",
    ];
    let out = done(&follow(&bag, &arguments));
    assert!(
        out.contains("asking anew") && out.contains("identity switches"),
        "{out}"
    );
    assert!(out.contains("places, mm"), "{out}");
    let first = report(&json);
    // The recording has depth: what is followed has a place in every frame in which it is seen.
    let places = &first["places"][0];
    assert_eq!(places["name"], "predicted masks");
    assert!(
        places["centre_mm"]["median"].as_f64().unwrap() > 0.0,
        "{places}"
    );
    let goals = first["goals"].as_array().unwrap();
    assert_eq!(goals.len(), SCENES);
    let frames = first["frames"].as_array().unwrap();
    assert!(!frames.is_empty(), "lisa-mini names no object in any scene");
    assert_eq!(
        out.lines().filter(|line| line.contains(" ms ")).count(),
        frames.len()
    );
    let mut switches = 0;
    for goal in goals {
        let of_goal: Vec<&Value> = frames.iter().filter(|f| f["id"] == goal["id"]).collect();
        assert_eq!(
            of_goal.len() as u64,
            goal["frames"].as_u64().unwrap(),
            "{goal}"
        );
        // 0.25 s at 10 Hz, from the frame at which the instruction was heard.
        let accepted = match goal["status"].as_str().unwrap() {
            "segmented" | "lost" => 3..=4,
            _ => 0..=0,
        };
        assert!(accepted.contains(&of_goal.len()), "{goal}");
        let asked = of_goal.iter().filter(|f| f["asked"] == true).count() as u64;
        if !of_goal.is_empty() {
            assert_eq!(asked, goal["times_asked"].as_u64().unwrap());
            assert_eq!(of_goal[0]["asked"], true, "the first frame is the model's");
            let [one, other] = ["iou", "iou_anew"].map(|way| of_goal[0][way].as_f64().unwrap());
            assert!(
                (one - other).abs() < 0.05,
                "the same question about the same frame"
            );
        }
        for pair in of_goal.windows(2) {
            let [before, after] = [pair[0], pair[1]].map(|f| f["stamp"].as_i64().unwrap());
            assert_eq!(after - before, 100_000_000, "every frame is looked at");
            let [before, after] = [pair[0], pair[1]].map(|f| f["iou"].as_f64().unwrap());
            switches += u64::from(before >= 0.5 && after < 0.1);
        }
    }
    assert_eq!(
        first["follow"]["identity_switches"].as_u64().unwrap(),
        switches
    );
    // The masks depend on the recording alone, and not on how long anything takes.
    done(&follow(&bag, &arguments[..6]));
    let second = report(&json);
    let ious = |report: &Value| -> Vec<f64> {
        let frames = report["frames"].as_array().unwrap().iter();
        frames.map(|f| f["iou"].as_f64().unwrap()).collect()
    };
    assert_eq!(ious(&first), ious(&second));
    // A lower rate looks at fewer frames.
    done(&follow(
        &bag,
        &[&arguments[..6], &["--rate-hz", "5"]].concat(),
    ));
    assert!(ious(&report(&json)).len() < ious(&first).len());
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bag = recording(folder.path());
    let error = |more: &[&str]| text(&follow(&bag, more).stderr);
    let duration = error(&["--duration", "0"]);
    assert!(
        duration.contains("accepted: a number from 0.01 to 3600"),
        "{duration}"
    );
    let file = bag.join("metadata.yaml");
    let over = ["--duration", "1", "--json", file.to_str().unwrap()];
    let refused = follow(&bag, &over);
    assert!(
        failed(&refused).contains("metadata.yaml"),
        "{}",
        text(&refused.stderr)
    );
    assert!(fs::read_to_string(&file)
        .unwrap()
        .contains("rosbag2_bagfile_information"));
}
