//! `lisa bag annotate` and `eval`, as a shell runs them, with lisa-mini.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

#[path = "bag_answers/outputs.rs"]
mod outputs;
mod support;

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lisa_messages::Instruction;
use rosbag2::{Bag, BagWriter, CompressedImage, Header, Image, NewTopic, Time, WriterOptions};
use serde_json::Value;
use support::output::{done, failed, text};
use support::process::{ended, ignores_hangup, nohup, send};
use tableworld::formats::{write_dataset, Format, Options, Order};
use tableworld::Split;
use tempfile::TempDir;

const SCENES: usize = 3;

/// A recording of a few scenes of TableWorld, and room for what is made of it.
struct Bench {
    folder: TempDir,
    recording: PathBuf,
}

impl Bench {
    fn new(seed0: u64) -> Self {
        Self::with(seed0, SCENES)
    }

    fn with(seed0: u64, count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let order = Order {
            formats: &[Format::Rosbag],
            split: Split::Test,
            seed0,
            count,
            width: 96,
            height: 72,
        };
        let made = write_dataset(&order, folder.path(), &Options::default(), &|_| {}).unwrap();
        Self {
            recording: made.made[0].path.clone(),
            folder,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn annotate(&self, out: &Path, more: &[&str]) -> Output {
        annotate(&self.recording, out, more)
    }

    /// Answers of `annotate`, which succeeds.
    fn answers(&self, name: &str, more: &[&str]) -> PathBuf {
        let out = self.file(name);
        done(&self.annotate(&out, more));
        out
    }

    fn eval(&self, more: &[&str]) -> Output {
        let recording = self.recording.to_str().unwrap();
        lisa(&[&["bag", "eval", recording], more].concat())
    }
}

fn lisa(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lisa"))
        .args(arguments)
        .output()
        .unwrap()
}

fn annotate(bag: &Path, out: &Path, more: &[&str]) -> Output {
    let (bag, out) = (bag.to_str().unwrap(), out.to_str().unwrap());
    let fixed = [
        "bag",
        "annotate",
        bag,
        "--out",
        out,
        "--max-new-tokens",
        "24",
    ];
    lisa(&[&fixed, more].concat())
}

fn names(bag: &Path) -> Vec<String> {
    let topics = Bag::open(bag).unwrap();
    topics.topics().iter().map(|t| t.name.clone()).collect()
}

/// A recording with one frame, whose bytes are no picture, and one instruction about it, or none.
fn unanswerable(folder: &Path, asks: bool) -> PathBuf {
    let path = folder.join("unanswerable");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let header = Header {
        stamp: Time::from_nanoseconds(5),
        ..Header::default()
    };
    let frames = NewTopic::of::<CompressedImage>("/image/compressed");
    let frames = writer.add_topic(frames).unwrap();
    let frame = CompressedImage {
        header: header.clone(),
        format: "jpeg".into(),
        data: vec![7].into(),
    };
    writer.write_message(frames, 5, &frame).unwrap();
    if asks {
        let topic = NewTopic::of::<Instruction>("/instruction");
        let topic = writer.add_topic(topic).unwrap();
        let instruction = Instruction {
            header,
            text: "the mug".into(),
            ..Instruction::default()
        };
        writer.write_message(topic, 6, &instruction).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn without_a_single_answer_annotate_fails() {
    let folder = tempfile::tempdir().unwrap();
    let bag = unanswerable(folder.path(), true);
    let out = folder.path().join("out");
    let said = failed(&annotate(&bag, &out, &[]));
    let last = said.lines().last().unwrap();
    let expected = format!(
        "lisa: none of 1 instructions could be answered; {} says of each why",
        out.display()
    );
    assert_eq!(last, expected, "{said}");
    assert_eq!(
        Bag::open(&out)
            .unwrap()
            .topic("/lisa/result")
            .unwrap()
            .messages,
        1
    );
}

#[test]
fn without_an_instruction_annotate_says_what_to_give() {
    let folder = tempfile::tempdir().unwrap();
    let bag = unanswerable(folder.path(), false);
    let out = folder.path().join("out");
    assert_eq!(
        failed(&annotate(&bag, &out, &[])),
        format!(
            "lisa: {}: no instructions are in it; give --instruction TEXT to ask the same of every frame, or name a topic of \
             std_msgs/String with --instruction-topic\n",
            bag.display()
        )
    );
    assert!(!out.exists());
}

#[test]
fn a_model_that_is_not_there_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let bag = unanswerable(folder.path(), true);
    let out = folder.path().join("out");
    failed(&annotate(&bag, &out, &["--model", "/no/such/model"]));
    // Neither a bag nor the beginning of one, which would stand in the way of the right model.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn where_the_answers_cannot_go_is_said_before_the_model_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let bag = unanswerable(folder.path(), true);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for (out, why) in [
        (file.clone(), "exists; a bag is written to a new folder"),
        (file.join("deep/out"), "is a file, and no folder"),
    ] {
        let said = failed(&annotate(&bag, &out, &["--model", "/no/such/model"]));
        assert!(
            said.contains(why) && said.contains(&file.display().to_string()),
            "{said}"
        );
        assert!(!said.contains("/no/such/model"), "{said}");
    }
    for (option, path, why) in [
        ("--json", "gone/report.json", "there is no folder"),
        ("--html", "", "it is a folder"),
        ("--html", "file/report.html", "Not a directory"),
    ] {
        let path = folder.path().join(path);
        let report = path.to_str().unwrap();
        let model = ["--model", "/no/such/model"];
        let bag = bag.to_str().unwrap();
        let said = failed(&lisa(
            &[&["bag", "eval", bag, option, report], &model[..]].concat(),
        ));
        let named = said.starts_with(&format!("lisa: cannot write {report}: "));
        assert!(named && said.contains(why), "{said}");
    }
}

#[test]
fn stopped_it_ends_with_the_signal_s_code_and_the_same_command_goes_on() {
    let bench = Bench::with(40, 60);
    let out = bench.file("answers");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lisa"));
    command
        .args(["bag", "annotate"])
        .arg(&bench.recording)
        .arg("--out")
        .arg(&out)
        .args(["--max-new-tokens", "4"]);
    let mut child = nohup(&command).spawn().unwrap();
    assert!(ignores_hangup(&mut child));
    send("-HUP", &child);
    send("-TERM", &child);
    assert_eq!(ended(&mut child).code(), Some(143));
    assert!(!out.exists() && bench.file("answers.part").exists());
    done(&command.output().unwrap());
    assert!(out.exists() && !bench.file("answers.part").exists());
}

#[test]
fn objects_have_places_where_the_recording_has_depth_unless_it_is_off() {
    let bench = Bench::new(20);
    let topics = |name: &str, more: &[&str]| {
        let out = bench.answers(name, &[&["--no-overlay"], more].concat());
        let mut topics = names(&out);
        topics.retain(|topic| topic.ends_with("_3d") || topic.ends_with("s"));
        topics
    };
    let placed = topics("placed", &["--target-frame", "table"]);
    let in_space = ["/lisa/detections", "/lisa/detections_3d", "/lisa/markers"];
    assert_eq!(placed, in_space);
    let with_points = topics("with_points", &["--object-points"]);
    assert_eq!(with_points.last().unwrap(), "/lisa/object_points");
    let flat = topics("flat", &["--depth-transport", "off"]);
    assert_eq!(flat, ["/lisa/detections"]);
    let json = bench.file("report.json");
    let more = [
        "--truth-topic",
        "/ground_truth/mask",
        "--truth-boxes-topic",
        "/ground_truth/boxes",
        "--max-new-tokens",
        "24",
        "--json",
        json.to_str().unwrap(),
    ];
    let said = done(&bench.eval(&more));
    assert!(
        said.contains("places, mm") && said.contains("true masks"),
        "{said}"
    );
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let rows = report["places"].as_array().unwrap();
    let truth = rows.iter().find(|row| row["name"] == "true masks").unwrap();
    assert!(truth["objects"].as_u64().unwrap() > 0, "{truth}");
    let wrong = bench.eval(&["--truth-boxes-topic", "/ground_truth/mask"]);
    let said = failed(&wrong);
    assert!(
        said.contains("accepted: vision_msgs/msg/Detection3DArray"),
        "{said}"
    );
}

#[test]
fn a_namespace_is_one_that_ros_takes() {
    let bench = Bench::new(20);
    for name in ["a b", "cam/", "/1st", "caméra", "a//b"] {
        let output = bench.annotate(&bench.file("out"), &["--namespace", name]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("is not the name of a namespace: "), "{said}");
        assert!(!bench.file("out").exists() && !bench.file("out.part").exists());
    }
    // A namespace without a slash is taken from the root on, as a node's is.
    for (name, result) in [
        ("cam", "/cam/result"),
        ("/a/b", "/a/b/result"),
        ("/", "/result"),
    ] {
        let out = bench.file(&format!("out{}", name.replace('/', "_")));
        done(&bench.annotate(&out, &["--namespace", name, "--no-overlay"]));
        assert_eq!(names(&out)[0], result);
        assert!(names(&out).iter().all(|topic| topic.starts_with('/')));
    }
}

#[test]
fn depth_is_no_camera_and_that_is_said_once() {
    let bench = Bench::new(20);
    let depth = "/camera/depth/image";
    for output in [
        bench.annotate(&bench.file("out"), &["--topic", depth]),
        bench.eval(&["--topic", depth]),
    ] {
        let said = failed(&output);
        let [line] = said.lines().collect::<Vec<_>>()[..] else {
            panic!("{said}");
        };
        let expected = format!("lisa: {depth} holds depth maps (16UC1, millimetres), not pictures; accepted: a camera's topic (");
        assert!(line.starts_with(&expected), "{line}");
    }
    assert!(!bench.file("out.part").exists());
}

#[test]
fn without_truth_eval_reports_latency_and_says_what_quality_needs() {
    let bench = Bench::new(20);
    let answers = bench.answers("answers", &[]);
    let answers = ["--results", answers.to_str().unwrap()];
    let reports = ["json", "html"].map(|end| bench.file(&format!("report.{end}")));
    let [json, html] = reports.each_ref().map(|path| path.to_str().unwrap());
    let files = ["--json", json, "--html", html];
    for source in [&answers[..], &["--max-new-tokens", "24"]] {
        let said = done(&bench.eval(&[source, &files].concat()));
        let row: Vec<&str> = said
            .lines()
            .find(|line| line.starts_with("all "))
            .unwrap()
            .split_whitespace()
            .collect();
        assert_eq!(row[..2], ["all", "3"], "{said}");
        assert!(row.contains(&"ms") || row.contains(&"s"), "{said}");
        assert!(
            said.contains("gIoU, cIoU") && said.contains("with --truth-topic"),
            "{said}"
        );
        assert!(said.contains("3 instructions, 3 answered"), "{said}");
        let report: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        assert_eq!(report["count"], 3);
        assert!(
            report["latency_ms"]["p50"].as_f64().unwrap() > 0.0,
            "{report}"
        );
        assert!(report["giou"].is_null());
        let why = report["not_measured"]["giou"].as_str().unwrap();
        assert!(why.contains("--truth-topic"), "{why}");
        assert_eq!(report["instructions"].as_array().unwrap().len(), 3);
        let page = fs::read_to_string(html).unwrap();
        assert!(page.contains("--truth-topic"));
    }
    // With it nothing is said to be missing.
    let said =
        done(&bench.eval(&[&answers[..], &["--truth-topic", "/ground_truth/mask"]].concat()));
    assert!(!said.contains("--truth-topic"), "{said}");
}

#[test]
fn answers_that_belong_to_something_else_are_said_to() {
    let bench = Bench::new(20);
    let same = bench.answers("same", &["--instruction", "the mug", "--no-overlay"]);
    let own = bench.answers("own", &["--no-overlay"]);
    let [same, own] = [same, own].map(|path| path.to_str().unwrap().to_owned());
    let truth = ["--truth-topic", "/ground_truth/mask"];

    // Ids of one instruction for every frame are numbers, and the recording's are its own.
    let said = failed(&bench.eval(&[&["--results", &same], &truth[..]].concat()));
    let expected = format!("lisa: none of the 3 results in {same} answers an instruction of ");
    assert!(said.contains(&expected), "{said}");

    // The recording of other scenes, with instructions that nobody has given an id.
    let other = numbered(&bench, "the apple");
    let said = failed(&lisa(&["bag", "eval", &other, "--results", &same]));
    assert!(
        said.contains("; \"1\" is \"the mug\" there and \"the apple\" here"),
        "{said}"
    );

    // Of two bags of answers, which have none in common.
    let said = failed(&bench.eval(&["--results", &own, "--against", &same]));
    assert!(said.contains("have no answer to compare"), "{said}");

    // What belongs to the recording is judged, the rest is mentioned.
    let said = bench.eval(&[&["--results", &own], &truth[..]].concat());
    assert!(
        !text(&said.stderr).contains("not judged"),
        "{}",
        text(&said.stderr)
    );
    let more = numbered(&bench, "the mug");
    let output = lisa(&["bag", "eval", &more, "--results", &same]);
    done(&output);
    let said = text(&output.stderr);
    assert!(
        said.contains("2 of the 3 results in ") && said.contains("and are not judged"),
        "{said}"
    );
}

/// The first frame of the bench's recording, and one instruction about it without an id.
fn numbered(bench: &Bench, words: &str) -> String {
    let path = bench.file(&words.replace(' ', "-"));
    let bag = Bag::open(&bench.recording).unwrap();
    let camera = lisa::replay::image_topic(&bag, None).unwrap().name;
    let selection = rosbag2::Selection::all().topics([&camera]);
    let frame = bag.messages(&selection).unwrap().next().unwrap().unwrap();
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let topic = bag.topic(&camera).unwrap().clone();
    let compressed = topic.ros_type.ends_with("CompressedImage");
    let images = writer.add_topic(topic.into()).unwrap();
    writer.write(images, frame.log_time, &frame.data).unwrap();
    let header = match compressed {
        true => bag.decode::<CompressedImage>(&frame).unwrap().header,
        false => bag.decode::<Image>(&frame).unwrap().header,
    };
    let topic = NewTopic::of::<Instruction>("/instruction");
    let topic = writer.add_topic(topic).unwrap();
    let instruction = Instruction {
        header,
        text: words.to_owned(),
        ..Instruction::default()
    };
    writer
        .write_message(topic, frame.log_time + 1, &instruction)
        .unwrap();
    writer.finish().unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_does_not_arrive_is_a_failure() {
    let bench = Bench::new(20);
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let own = bench.answers("own", &["--no-overlay"]);
    let results = ["--results", own.to_str().unwrap()];
    let recording = bench.recording.to_str().unwrap();
    for (more, why) in [
        (&[][..], "cannot write to standard output: No space left"),
        (
            &["--list"],
            "cannot write to standard output: No space left",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_lisa"))
            .args([&["bag", "eval", recording], &results[..], more].concat())
            .stdout(full())
            .output()
            .unwrap();
        assert!(failed(&output).contains(why));
    }
    for option in ["--json", "--html"] {
        let said = failed(&bench.eval(&[&results[..], &[option, "/dev/full"]].concat()));
        assert!(
            said.contains("cannot write /dev/full: No space left"),
            "{said}"
        );
    }
    // A disk that is full after a kilobyte: the shell lets no file grow larger.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
        .args([env!("CARGO_BIN_EXE_lisa"), "bag", "annotate", recording])
        .args(["--max-new-tokens", "24", "--out"])
        .arg(bench.file("out"))
        .output()
        .unwrap();
    let said = failed(&output);
    assert!(
        said.contains("File too large") && said.contains("out.part"),
        "{said}"
    );
    assert!(!bench.file("out").exists());
}
