//! A night's recordings measured by several processes, as a shell runs them, with lisa-mini: parts, their merge, two nights
//! compared.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use serde_json::Value;
use support::output::{done, failed, text};
use tableworld::formats::{write_dataset, Format, Options, Order};
use tableworld::Split;
use tempfile::TempDir;

/// How a command ends whose report names recordings that could not be measured.
const PARTLY: Option<i32> = Some(3);

/// Recordings of two robots, and room for what is made of them.
struct Night {
    folder: TempDir,
    bags: Vec<String>,
}

impl Night {
    /// So many recordings, each of two scenes.
    fn new(bags: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bags = (0..bags).map(|k| {
            let robot = folder.path().join(format!("r{}/{k}", k % 2));
            let order = Order {
                formats: &[Format::Rosbag],
                split: Split::Test,
                seed0: 20 + 2 * k,
                count: 2,
                width: 96,
                height: 72,
            };
            let made = write_dataset(&order, &robot, &Options::default(), &|_| {}).unwrap();
            // Beside the others of its robot.
            let place = folder.path().join(format!("r{}/bag{k}", k % 2));
            fs::rename(&made.made[0].path, &place).unwrap();
            place.to_str().unwrap().to_owned()
        });
        let bags = bags.collect();
        Self { folder, bags }
    }

    /// Also two that cannot be measured: one is cut in its first bytes, one is not there.
    fn with_damage(bags: u64) -> Self {
        let mut night = Self::new(bags);
        let cut = night.file("r1/cut.mcap");
        fs::write(&cut, b"\x89MCAP0\r\n\x01").unwrap();
        let gone = night.file("r0/gone");
        for (at, path) in [(1, cut), (3, gone)] {
            night.bags.insert(at, path.to_str().unwrap().to_owned());
        }
        night
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    /// `bag eval` of all.
    fn eval(&self, more: &[&str]) -> Output {
        let bags: Vec<&str> = self.bags.iter().map(String::as_str).collect();
        let truth = [
            "--truth-topic",
            "/ground_truth/mask",
            "--truth-boxes-topic",
            "/ground_truth/boxes",
            "--max-new-tokens",
            "24",
        ];
        lisa(&[&["bag", "eval"], &bags[..], &truth, more].concat())
    }

    /// The part of a shard, which is made or there.
    fn shard(&self, parts: &str, number: usize, of: usize, more: &[&str]) -> (PathBuf, Output) {
        let (folder, shard) = (self.path(parts), format!("{number}/{of}"));
        let output = self.eval(&[&["--shard", &shard, "--parts", &folder], more].concat());
        let part = self
            .file(parts)
            .join(format!("part-{number:05}-of-{of:05}.json"));
        (part, output)
    }

    /// The parts of a run, in the order of the shards.
    fn parts(&self, parts: &str, of: usize) -> Vec<String> {
        let made = (1..=of).map(|number| {
            let (part, output) = self.shard(parts, number, of, &[]);
            assert!(part.exists(), "{}", text(&output.stderr));
            part.to_str().unwrap().to_owned()
        });
        made.collect()
    }
}

fn lisa(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lisa"))
        .args(arguments)
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap()
}

fn merge(parts: &[String], more: &[&str]) -> Output {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    lisa(&[&["report", "merge"], &parts[..], more].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A report without its times, which no two runs share.
fn timeless(mut report: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for name in ["latency_ms", "stages_ms"] {
                    fields.remove(name);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut report);
    report
}

/// The pictures of a page, in their order.
fn pictures(page: &Path) -> Vec<String> {
    let page = fs::read_to_string(page).unwrap();
    let pictures = page.split("src=\"data:image/jpeg;base64,").skip(1);
    pictures
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

#[test]
fn parts_add_up_to_the_run_in_one_piece_to_the_digit() {
    let night = Night::with_damage(5);
    let (whole, page) = (night.path("whole.json"), night.path("whole.html"));
    let output = night.eval(&["--json", &whole, "--html", &page]);
    assert_eq!(output.status.code(), PARTLY, "{}", text(&output.stderr));
    let one_piece = json(&night.file("whole.json"));
    assert_eq!(one_piece["bags"].as_array().unwrap().len(), 7);
    assert_eq!(one_piece["delivery"]["asked"], 10);
    let faults: Vec<&str> = one_piece["bags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|bag| bag["fault"].as_str())
        .collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[1].contains("gone: "), "{faults:?}");
    assert_eq!(one_piece["by"]["robot"]["r0"]["bags"], 3);
    assert_eq!(one_piece["by"]["robot"]["r1"]["bags"], 2);
    let shown = pictures(&night.file("whole.html"));
    assert_eq!(shown.len() % 10, 0);
    assert!(!shown.is_empty());
    let said = fs::read_to_string(&page).unwrap();
    for part in [
        "By robot",
        "By day",
        "By instruction",
        "By model",
        "Not measured",
        "Worst",
    ] {
        assert!(said.contains(part), "{part}");
    }

    // Three shards have recordings each; of nine two have none.
    for of in [3, 9] {
        let folder = format!("parts{of}");
        let mut parts = night.parts(&folder, of);
        parts.reverse();
        let (merged, page) = (night.path("merged.json"), night.path("merged.html"));
        let output = merge(&parts, &["--json", &merged, "--html", &page]);
        assert_eq!(output.status.code(), PARTLY, "{}", text(&output.stderr));
        let merged = json(&night.file("merged.json"));
        assert_eq!(
            timeless(merged.clone()),
            timeless(one_piece.clone()),
            "{of}"
        );
        assert_eq!(pictures(&night.file("merged.html")), shown, "{of}");
        // Of the same parts in another order also the times are the same, and every byte.
        parts.rotate_left(1);
        let again = night.path("again.json");
        merge(&parts, &["--json", &again]);
        assert_eq!(json(&night.file("again.json")), merged);
        let left: Vec<_> = fs::read_dir(night.file(&folder)).unwrap().collect();
        assert_eq!(left.len(), of, "{left:?}");
    }
}

#[test]
fn a_whole_part_is_kept_and_a_torn_one_is_made_again() {
    let night = Night::new(3);
    let (part, output) = night.shard("parts", 1, 2, &[]);
    done(&output);
    let made = fs::read(&part).unwrap();
    let (_, output) = night.shard("parts", 1, 2, &[]);
    assert!(done(&output).contains("is there and whole"));
    assert_eq!(fs::read(&part).unwrap(), made);

    // A copy that was cut anywhere: at its end, in its first field, before its first byte.
    for length in [made.len() - 1, 20, 0] {
        fs::write(&part, &made[..length]).unwrap();
        let refused = failed(&merge(&[part.to_str().unwrap().to_owned()], &[]));
        assert!(refused.contains("is torn: "), "{refused}");
        let (_, output) = night.shard("parts", 1, 2, &[]);
        done(&output);
        assert!(text(&output.stderr).contains("it is made again"));
        let again = |bytes: &[u8]| timeless_part(serde_json::from_slice(bytes).unwrap());
        assert_eq!(again(&fs::read(&part).unwrap()), again(&made));
    }
    // With other settings it is another run.
    let (_, output) = night.shard("parts", 1, 2, &["--mask-threshold", "0.6"]);
    done(&output);
    let said = text(&output.stderr);
    assert!(
        said.contains("(mask_threshold: 0.5 and 0.6): it is made again"),
        "{said}"
    );
    // What is no part is nobody's to overwrite.
    fs::write(&part, "mine").unwrap();
    let (_, output) = night.shard("parts", 1, 2, &[]);
    let said = failed(&output);
    assert!(
        said.contains("is no part of a run, and stays as it is; accepted: "),
        "{said}"
    );
    assert_eq!(fs::read(&part).unwrap(), b"mine");
}

/// A part without the times in it.
fn timeless_part(mut part: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for name in ["latency", "latency_ms"] {
                    fields.remove(name);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut part);
    part
}

#[test]
fn parts_that_do_not_belong_together_are_refused_by_name() {
    let night = Night::new(3);
    let two = night.parts("two", 2);
    let three = night.parts("three", 3);
    let said = failed(&merge(&two[..1], &[]));
    assert!(said.contains("of 2 shards one is missing: 2"), "{said}");
    let said = failed(&merge(&three[1..2], &[]));
    assert!(
        said.contains("of 3 shards some are missing: 1, 3"),
        "{said}"
    );
    for both in [
        vec![two[0].clone(), two[0].clone()],
        [two.clone(), three].concat(),
    ] {
        let said = failed(&merge(&both, &[]));
        assert!(said.contains("have the same inputs; accepted: "), "{said}");
    }
    let (other, output) = night.shard("other", 2, 2, &["--mask-threshold", "0.6"]);
    done(&output);
    let other = other.to_str().unwrap().to_owned();
    let said = failed(&merge(&[two[0].clone(), other], &[]));
    assert!(
        said.contains("made in different ways (mask_threshold: 0.5 and 0.6)"),
        "{said}"
    );
    let json = night.path("report.json");
    done(&merge(&two, &["--json", &json]));
    let said = failed(&merge(&[json], &[]));
    assert!(said.contains("report.json is no part of a run"), "{said}");
    // The same recording in two runs would count twice.
    let fewer = Night {
        bags: night.bags[..1].to_vec(),
        folder: tempfile::tempdir().unwrap(),
    };
    let overlapping = [two, fewer.parts("one", 1)].concat();
    let said = failed(&merge(&overlapping, &[]));
    assert!(said.contains("have the same inputs"), "{said}");
}

#[test]
fn several_runs_stand_in_one_report_and_two_reports_are_compared() {
    let night = Night::new(3);
    let (first, second) = (
        Night {
            bags: night.bags[..2].to_vec(),
            folder: tempfile::tempdir().unwrap(),
        },
        Night {
            bags: night.bags[2..].to_vec(),
            folder: tempfile::tempdir().unwrap(),
        },
    );
    let parts = [second.parts("parts", 1), first.parts("parts", 2)].concat();
    let (both, whole) = (night.path("both.json"), night.path("whole.json"));
    done(&merge(&parts, &["--json", &both]));
    done(&night.eval(&["--json", &whole]));
    let [both, whole] = ["both.json", "whole.json"].map(|name| timeless(json(&night.file(name))));
    // By their inputs the runs have the order of the one list.
    assert_eq!(both, whole);

    let (one, compared) = (night.path("one.json"), night.path("compared.json"));
    done(&night.eval(&["--json", &one, "--mask-threshold", "0.9"]));
    let said = done(&lisa(&[
        "report",
        "compare",
        &night.path("whole.json"),
        &one,
        "--json",
        &compared,
    ]));
    assert!(
        said.contains("3 recordings: the same recordings, drawn in pairs"),
        "{said}"
    );
    let compared = json(&night.file("compared.json"));
    assert_eq!(compared["overall"][0]["name"], "gIoU");
    let values = compared["overall"][0]["values"].as_array().unwrap();
    assert_eq!(values[0], whole["giou"]);
    assert_eq!(values[1], json(&night.file("one.json"))["giou"]);
    // Three recordings are too few for an interval, which is said.
    assert!(compared["overall"][0]["interval"].is_null());
    assert!(said.contains("too few"), "{said}");
    let said = failed(&lisa(&[
        "report",
        "compare",
        &one,
        &night.path("compared.json"),
    ]));
    assert!(
        said.contains("holds no instructions by recording"),
        "{said}"
    );
}

#[test]
fn scenes_are_shared_and_merged_as_recordings_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let eval = |more: &[&str]| {
        let words = [
            "eval",
            "world",
            "--split",
            "val",
            "--count",
            "5",
            "--size",
            "96x72",
            "--max-new-tokens",
            "24",
        ];
        lisa(&[&words[..], more].concat())
    };
    done(&eval(&["--json", &at("whole.json")]));
    let parts: Vec<String> = (1..=3)
        .map(|number| {
            let shard = format!("{number}/3");
            done(&eval(&["--shard", &shard, "--parts", &at("parts")]));
            at(&format!("parts/part-{number:05}-of-00003.json"))
        })
        .collect();
    let merged = at("merged.json");
    done(&merge(
        &parts,
        &["--json", &merged, "--html", &at("merged.html")],
    ));
    let [merged, whole] =
        ["merged.json", "whole.json"].map(|name| timeless(json(&folder.path().join(name))));
    assert_eq!(merged, whole);
    assert!(whole["places"].is_array() && whole["count"].as_u64().unwrap() > 20);
    assert_eq!(pictures(&folder.path().join("merged.html")).len() % 20, 0);
    let said = failed(&eval(&[
        "--shard",
        "1/3",
        "--parts",
        &at("p"),
        "--limit",
        "4",
    ]));
    assert!(
        said.contains("accepted with --shard: fewer scenes, by --count"),
        "{said}"
    );
}

#[test]
fn what_a_network_did_not_give_is_asked_for_again_and_nothing_else() {
    let mut night = Night::new(2);
    let here = PathBuf::from(&night.bags[1]);
    let name = here.file_name().unwrap().to_str().unwrap().to_owned();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    night.bags[1] = format!("http://{}/{name}", listener.local_addr().unwrap());
    let (works, folder) = (
        Arc::new(AtomicBool::new(false)),
        here.parent().unwrap().to_owned(),
    );
    let switch = Arc::clone(&works);
    std::thread::spawn(move || serve(&listener, &folder, &switch));
    let (part, output) = night.shard("parts", 1, 1, &[]);
    assert_eq!(output.status.code(), PARTLY, "{}", text(&output.stderr));
    let before = json(&part);
    let fault = &before["content"]["bags"][1]["fault"];
    assert_eq!(fault["may_pass"], true, "{fault}");

    works.store(true, Ordering::SeqCst);
    let (_, output) = night.shard("parts", 1, 1, &[]);
    done(&output);
    let after = json(&part);
    // What was measured is as it was, times included.
    assert_eq!(after["content"]["bags"][0], before["content"]["bags"][0]);
    assert_eq!(
        after["content"]["bags"][1]["instructions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let (_, output) = night.shard("parts", 1, 1, &[]);
    assert!(done(&output).contains("is there and whole"));
}

/// Serves files with ranges, until the test ends; before it works, it is busy.
fn serve(listener: &std::net::TcpListener, folder: &Path, works: &AtomicBool) {
    use std::io::{BufRead, BufReader, Write};
    for connection in listener.incoming() {
        let mut stream = connection.unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let request: Vec<String> = lines
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        let Some(target) = request.first().and_then(|line| line.split(' ').nth(1)) else {
            continue;
        };
        let refuse = |mut stream: std::net::TcpStream, status: u16| {
            let head =
                format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
        };
        if !works.load(Ordering::SeqCst) {
            refuse(stream, 503);
            continue;
        }
        let Ok(bytes) = fs::read(folder.join(target.trim_start_matches('/'))) else {
            refuse(stream, 404);
            continue;
        };
        let range = request.iter().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("range: bytes=")
                .map(str::to_owned)
        });
        let range = range.map(|range| {
            let (from, until) = range.split_once('-').unwrap();
            match from.parse::<usize>() {
                Ok(from) => from..(until.parse::<usize>().unwrap() + 1).min(bytes.len()),
                Err(_) => bytes.len().saturating_sub(until.parse().unwrap())..bytes.len(),
            }
        });
        let all = bytes.len();
        let (status, body) = match &range {
            Some(range) => {
                let last = range.end - 1;
                let part = format!("206 x\r\nContent-Range: bytes {}-{last}/{all}", range.start);
                (part, &bytes[range.clone()])
            }
            None => ("200 x".to_owned(), &bytes[..]),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(body);
    }
}
