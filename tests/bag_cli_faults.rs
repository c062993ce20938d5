//! `lisa bag info` and `extract` where something stands in their way: no permission to write, a full disk, a bag that was cut, the
//! ends of time. What can be done is done, and nothing is lost without a word.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

mod support;

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rosbag2::{
    Bag, BagWriter, ChunkCompression, Compression, Header, Image, NewTopic, StorageKind, Time,
    WriterOptions,
};
use rusqlite::Connection;
use serde_json::Value;
use support::output::{done, failed, text};

const FRAMES: u64 = 6;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lisa"));
    command.args(arguments);
    command
}

fn write(folder: &Path, times: &[u64], options: WriterOptions) -> PathBuf {
    let path = folder.join("bag");
    let mut writer = BagWriter::create(&path, options).unwrap();
    let topic = writer.add_topic(NewTopic::of::<Image>("/image")).unwrap();
    for (number, time) in times.iter().enumerate() {
        // Pixels that do not compress.
        let from = number as u32 * 64 * 48 * 3;
        let pixels =
            (from..from + 64 * 48 * 3).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8);
        let image = Image {
            header: Header {
                stamp: Time::from_nanoseconds(number as i64),
                frame_id: "camera".into(),
            },
            height: 48,
            width: 64,
            encoding: "rgb8".into(),
            is_bigendian: 0,
            step: 3 * 64,
            data: pixels.collect::<Vec<_>>().into(),
        };
        writer.write_message(topic, *time, &image).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn sqlite() -> WriterOptions {
    WriterOptions {
        storage: StorageKind::Sqlite3,
        ..WriterOptions::default()
    }
}

fn times() -> Vec<u64> {
    (1..=FRAMES).collect()
}

fn extract(bag: &Path, more: &[&str]) -> Output {
    let out = tempfile::tempdir().unwrap();
    let (bag, folder) = (bag.to_str().unwrap(), out.path().to_str().unwrap());
    let arguments = [&["bag", "extract", bag, "--out", folder], more].concat();
    let output = command(&arguments).output().unwrap();
    if output.status.success() {
        let entries = fs::read_dir(out.path()).unwrap();
        let frames = entries.count() - 1;
        assert!(text(&output.stdout).contains(&frames.to_string()));
    }
    output
}

/// Somebody who may read a recording and not write it. As root, whom no permission binds, the program is run as nobody.
#[test]
fn a_recording_is_read_where_nothing_may_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let whole = write(folder.path(), &times(), sqlite());
    let database = Bag::open(&whole).unwrap().files()[0].path.clone();
    let recorder = Connection::open(&database).unwrap();
    recorder.pragma_update(None, "journal_mode", "WAL").unwrap();
    let copy = "INSERT INTO messages(topic_id, timestamp, data) SELECT topic_id, 100, data FROM messages LIMIT 1";
    recorder.execute(copy, []).unwrap();
    for ends in [&["-wal"][..], &["-wal", "-shm"], &[]] {
        let other = tempfile::tempdir().unwrap();
        let place = other.path().join("recording");
        fs::create_dir(&place).unwrap();
        let named = |path: &Path, end: &str| PathBuf::from(format!("{}{end}", path.display()));
        let left = place.join("left.db3");
        for end in [&[""], ends].concat() {
            fs::copy(named(&database, end), named(&left, end)).unwrap();
            fs::set_permissions(named(&left, end), Permissions::from_mode(0o444)).unwrap();
        }
        let program = other.path().join("lisa");
        fs::copy(env!("CARGO_BIN_EXE_lisa"), &program).unwrap();
        for folder in [other.path(), &place] {
            fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
        }
        let mut command = Command::new(&program);
        command.args(["bag", "info", left.to_str().unwrap()]);
        if fs::metadata(&place).unwrap().uid() == 0 {
            command.uid(65_534).gid(65_534);
        }
        let text = done(&command.output().unwrap());
        let messages = FRAMES + u64::from(!ends.is_empty());
        assert!(
            text.contains(&format!("Messages:     {messages}\n")),
            "{ends:?}: {text}"
        );
        assert_eq!(
            text.contains("its journal was read with it"),
            !ends.is_empty(),
            "{text}"
        );
        let mut names: Vec<String> = fs::read_dir(&place)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let mut expected = vec!["left.db3".to_owned()];
        expected.extend(ends.iter().map(|end| format!("left.db3{end}")));
        expected.sort();
        assert_eq!(names, expected);
        for folder in [other.path(), &place] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
    }
}

#[test]
fn info_and_extract_agree_about_the_ends_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let bag = write(folder.path(), &[0, 5, u64::MAX], WriterOptions::default());
    let info = command(&["bag", "info", bag.to_str().unwrap(), "--check"])
        .output()
        .unwrap();
    let info = done(&info);
    assert!(
        info.contains("Messages:     3\n") && info.contains("Read:         3 messages"),
        "{info}"
    );
    for more in [&[][..], &["--until", "1e9", "--every", "1"]] {
        let output = extract(&bag, more);
        // What lies behind --until is left out; the end of time is behind every number of seconds.
        let frames = if more.is_empty() { 3 } else { 2 };
        assert!(done(&output).starts_with(&format!("{frames} frames of /image; ")));
    }
    let folder = tempfile::tempdir().unwrap();
    let bag = write(folder.path(), &times(), sqlite());
    let database = Bag::open(&bag).unwrap().files()[0].path.clone();
    let database = Connection::open(database).unwrap();
    for (id, time) in [(1, i64::MIN), (2, -1), (3, -1), (4, i64::MAX)] {
        let sql = "UPDATE messages SET timestamp = ?2 WHERE id = ?1";
        database.execute(sql, (id, time)).unwrap();
    }
    drop(database);
    let info = done(
        &command(&["bag", "info", bag.to_str().unwrap()])
            .output()
            .unwrap(),
    );
    assert!(info.contains("Messages:     6\n"), "{info}");
    assert!(
        info.contains("3 messages have negative log times; they count as logged at 0"),
        "{info}"
    );
    assert!(done(&extract(&bag, &[])).starts_with("6 frames of /image; "));
}

#[test]
fn a_cut_recording_is_said_to_be_cut_wherever_one_looks() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriterOptions {
        compression: Compression::File,
        ..sqlite()
    };
    let times: Vec<u64> = (1..=40).collect();
    let bag = write(folder.path(), &times, options);
    let file = Bag::open(&bag).unwrap().files()[0].path.clone();
    let whole = fs::read(&file).unwrap();
    assert!(!text(&extract(&bag, &[]).stdout).contains("not whole"));
    for part in [2, 4] {
        fs::write(&file, &whole[..whole.len() * part / 5]).unwrap();
        let output = extract(&bag, &[]);
        let shown = done(&output);
        assert!(shown.contains("note: the bag is not whole"), "{shown}");
        let errors = text(&output.stderr);
        assert!(errors.contains(": it is cut short"), "{errors}");
        let summary: Value = serde_json::from_str(&done(&extract(&bag, &["--json"]))).unwrap();
        let missing = summary["missing"].as_array().unwrap();
        let cut = |line: &Value| line.as_str().unwrap().contains("it is cut short");
        assert!(missing.iter().any(cut), "{summary}");
    }
    // Nothing of the messages is left, and why is said before that there are none.
    let packed = zstd::encode_all(&zstd::decode_all(&whole[..]).unwrap()[..4096], 0).unwrap();
    fs::write(&file, &packed[..packed.len() - 1]).unwrap();
    let errors = failed(&extract(&bag, &[]));
    assert!(errors.contains(": it is cut short"), "{errors}");
}

#[test]
fn what_cannot_be_read_of_a_bag_is_no_frame_that_could_not_be_extracted() {
    let folder = tempfile::tempdir().unwrap();
    let bag = write(folder.path(), &times(), WriterOptions::default());
    let file = Bag::open(&bag).unwrap().files()[0].path.clone();
    let whole = fs::read(&file).unwrap();
    // Inside a chunk, which gives the frames before the cut and says that it is not whole.
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let output = extract(&file, &[]);
    let shown = done(&output);
    assert!(!shown.contains("could not be extracted"), "{shown}");
    assert!(shown.contains("note: the bag is not whole"), "{shown}");
    let summary: Value = serde_json::from_str(&done(&extract(&file, &["--json"]))).unwrap();
    assert_eq!(summary["failed"], 0);
    assert!(summary["frames"].as_u64().unwrap() < FRAMES, "{summary}");

    let output = extract(&file, &["--limit", "0"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

fn full() -> Stdio {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

#[test]
fn output_that_does_not_arrive_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let bag = write(folder.path(), &times(), WriterOptions::default());
    let bag = bag.to_str().unwrap();
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    for arguments in [
        &["bag", "info", bag][..],
        &["bag", "info", bag, "--json"],
        &["bag", "extract", bag, "--out", out],
        &["bag", "extract", bag, "--out", out, "--json"],
    ] {
        let output = command(arguments).stdout(full()).output().unwrap();
        let errors = failed(&output);
        assert!(
            errors.contains("cannot write to standard output: No space left"),
            "{errors}"
        );
    }
    // Nobody hears what is said on standard error, and the work is done all the same.
    let cut = Path::new(bag).join("metadata.yaml");
    fs::write(cut, "[").unwrap();
    for arguments in [
        &["bag", "info", bag][..],
        &["bag", "extract", bag, "--out", out],
    ] {
        let output = command(arguments).stderr(full()).output().unwrap();
        assert!(done(&output).contains('6'));
    }
}

/// A disk that is full after a kilobyte: the shell lets no file grow larger.
#[test]
fn a_file_that_does_not_fit_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let bag = write(folder.path(), &times(), WriterOptions::default());
    let out = folder.path().join("out");
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
        .args([env!("CARGO_BIN_EXE_lisa"), "bag", "extract"])
        .args([&bag, Path::new("--out"), &out])
        .output()
        .unwrap();
    let errors = failed(&output);
    assert!(
        errors.starts_with(&format!("lisa: cannot write {}", out.display())),
        "{errors}"
    );
}

#[test]
fn a_folder_that_cannot_be_is_said_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let bag = write(folder.path(), &times(), chunks());
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    for out in [file.clone(), file.join("out")] {
        let arguments = [
            "bag",
            "extract",
            bag.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        let errors = failed(&command(&arguments).output().unwrap());
        assert!(
            errors.starts_with(&format!("lisa: cannot make the folder {}", out.display())),
            "{errors}"
        );
    }
}

fn chunks() -> WriterOptions {
    WriterOptions {
        compression: Compression::Chunk(ChunkCompression::Zstd),
        ..WriterOptions::default()
    }
}
