//! `lisa train` as people start it: in pipelines that break, below nohup, twice in one folder, and again with other settings.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

#[path = "train_cli/merging.rs"]
mod merging;
mod support;

use std::fs::{File, OpenOptions};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lisa::train::{read_checkpoint, read_metrics, LAST};
use support::broken_pipe;
use support::process::{ended, nohup, send};
use support::tiny_training::{begun, config, scenes};

const TRAINED: &str = "groups = [{ datasets = 'ade20k' }]
    samples_per_image = 1
    [objective]
    kind = 'vision'
    [trainable]
    full = ['mask_decoder']
    [run]
    batch_size = 1
    accumulation = 1
    save_every = 100000
";

/// A folder with a few scenes and configurations of runs in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        scenes(&folder.path().join("data"), 2);
        Self { folder }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `lisa train` of a run in `out(name)`.
    fn train(&self, name: &str, steps: u64) -> Command {
        let text = format!(
            "{}steps = {steps}\nout = '{}'",
            config(self.folder.path(), TRAINED),
            self.out(name).display()
        );
        self.train_as(name, &text)
    }

    fn train_as(&self, name: &str, text: &str) -> Command {
        let path = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lisa"));
        command
            .args(["train", "--config"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// What it says on standard error when it refuses to begin.
fn refusal(command: &mut Command) -> String {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// What is in a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// The shell closes the descriptor, as `2>&-` does.
fn closed(command: &Command, descriptor: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("exec \"$0\" \"$@\" {descriptor}>&-")])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    shell
}

#[test]
fn a_training_outlives_what_it_speaks_to() {
    let place = Place::new();
    // All are written before the first one reads.
    let mut commands = Vec::new();
    let mut start = |name: &'static str, command: Command| commands.push((name, command));
    let mut command = place.train("err-full", 3);
    command.stderr(full());
    start("err-full", command);
    let mut command = place.train("err-gone", 3);
    command.stderr(broken_pipe());
    start("err-gone", command);
    let command = place.train("err-closed", 3);
    start("err-closed", closed(&command, "2"));
    let mut command = place.train("out-full", 3);
    command.stdout(full());
    start("out-full", command);
    let mut command = place.train("out-gone", 3);
    command.stdout(broken_pipe());
    start("out-gone", command);
    let command = place.train("out-closed", 3);
    start("out-closed", closed(&command, "1"));
    let mut command = place.train("both-full", 3);
    command.stdout(full()).stderr(full());
    command.env("RUST_LOG", "debug");
    start("both-full", command);
    let started: Vec<(&str, Child)> = commands
        .into_iter()
        .map(|(name, mut command)| (name, command.spawn().unwrap()))
        .collect();
    for (name, mut child) in started {
        let status = ended(&mut child);
        assert_eq!(status.code(), Some(0), "{name}: {status}");
        let (state, _) = read_checkpoint(&place.out(name).join(LAST)).unwrap();
        assert_eq!(state.step, 3, "{name}");
    }
}

#[test]
fn a_training_that_was_stopped_has_saved_and_ends_with_the_signal_s_code() {
    let place = Place::new();
    for (name, signal, code) in [
        ("int", "-INT", 130),
        ("term", "-TERM", 143),
        ("hup", "-HUP", 129),
    ] {
        let mut command = place.train(name, 1_000_000);
        // Another process may have left SIGINT ignored, as shells do for what they start in the background.
        let mut child = default_signals(&mut command).spawn().unwrap();
        begun(&place.out(name), &mut child);
        send(signal, &child);
        let status = ended(&mut child);
        assert_eq!(
            (status.code(), status.signal()),
            (Some(code), None),
            "{name}"
        );
        let (state, _) = read_checkpoint(&place.out(name).join(LAST)).unwrap();
        assert!(state.step > 0, "{name}");
        let last = read_metrics(&place.out(name)).unwrap().last().unwrap().step;
        assert_eq!(state.step, last, "{name}");
    }
}

/// Runs it by way of `env`, which puts the signals' dispositions back.
fn default_signals(command: &mut Command) -> &mut Command {
    let program = command.get_program().to_owned();
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    *command = Command::new("env");
    command
        .args(["--default-signal=INT,TERM,HUP"])
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
}

#[test]
fn nohup_keeps_a_training_from_ending_with_its_terminal() {
    let place = Place::new();
    let command = place.train("nohup", 1_000_000);
    let mut child = nohup(&command).spawn().unwrap();
    begun(&place.out("nohup"), &mut child);
    send("-HUP", &child);
    // It goes on: further steps are made.
    let steps = || {
        std::fs::read_to_string(place.out("nohup").join("metrics.jsonl"))
            .unwrap()
            .lines()
            .count()
    };
    let (before, deadline) = (steps(), Instant::now() + Duration::from_secs(300));
    while steps() < before + 5 {
        assert!(child.try_wait().unwrap().is_none(), "SIGHUP ended it");
        assert!(
            Instant::now() < deadline,
            "no further steps in five minutes"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    send("-TERM", &child);
    assert_eq!(ended(&mut child).code(), Some(143));
}

#[test]
fn two_trainings_in_one_folder_do_not_meet() {
    let place = Place::new();
    let mut first = place.train("run", 1_000_000).spawn().unwrap();
    begun(&place.out("run"), &mut first);
    let said = refusal(&mut place.train("run", 1_000_000));
    assert!(said.contains(&format!("process {}", first.id())), "{said}");
    first.kill().unwrap(); // SIGKILL: nobody is left to put anything away
    first.wait().unwrap();
    // The first left no checkpoint, and its lock has gone with it.
    let status = place.train("run", 2).status().unwrap();
    assert!(status.success());
    let said = refusal(&mut place.train("run", 2));
    assert!(said.contains("--resume"), "{said}");
}

#[test]
fn resuming_says_what_differs_and_goes_on_where_nothing_that_counts_does() {
    let place = Place::new();
    let text = |out: &str, steps: u64, rest: &str| {
        format!(
            "{}steps = {steps}\nout = '{}'\n{rest}",
            config(place.folder.path(), TRAINED),
            place.out(out).display()
        )
    };
    let run = |out: &str, steps: u64, rest: &str| {
        let mut command = place.train_as(out, &text(out, steps, rest));
        command.arg("--resume");
        command
    };
    let said = refusal(&mut run("mistyped", 3, ""));
    assert!(said.contains("mistyped") && said.contains(LAST), "{said}");
    assert!(!place.out("mistyped").exists());

    assert!(place
        .train_as("run", &text("run", 3, ""))
        .status()
        .unwrap()
        .success());
    let said = refusal(&mut run("run", 3, "seed = 7\n[optimizer]\nlr = 0.5"));
    for words in [
        "optimizer.lr was 0.0003 and is 0.5",
        "run.seed was 0 and is 7",
    ] {
        assert!(said.contains(words), "{said}");
    }

    // A renamed folder, more steps, other threads.
    std::fs::rename(place.out("run"), place.out("renamed")).unwrap();
    let status = run("renamed", 5, "workers = 1\nloaders = 1")
        .status()
        .unwrap();
    assert!(status.success());
    let (state, _) = read_checkpoint(&place.out("renamed").join(LAST)).unwrap();
    assert_eq!(state.step, 5);

    // A line that somebody broke costs the curve, not the training.
    let metrics = place.out("renamed").join("metrics.jsonl");
    let lines = std::fs::read_to_string(&metrics).unwrap();
    std::fs::write(
        &metrics,
        lines.replacen("\"train\"", "\"tr", 1).replace('\n', "\r\n"),
    )
    .unwrap();
    assert!(run("renamed", 7, "").status().unwrap().success());
    let (state, _) = read_checkpoint(&place.out("renamed").join(LAST)).unwrap();
    assert_eq!(state.step, 7);

    // As many scenes, but one of them another.
    let ade = place.folder.path().join("data/ade20k");
    let first = files(&ade.join("images/training")).swap_remove(0);
    let label = ade
        .join("annotations/training")
        .join(first.with_extension("png").file_name().unwrap());
    let rename = |path: &Path| {
        let renamed = path.with_file_name(format!("other-{}", path.file_name().unwrap().display()));
        std::fs::rename(path, &renamed).unwrap();
        renamed
    };
    let renamed = (rename(&first), rename(&label));
    let said = refusal(&mut run("renamed", 9, ""));
    let words = "ade20k has 2 items as before, but not the same";
    assert!(said.contains(words), "{said}");
    std::fs::rename(renamed.0, first).unwrap();
    std::fs::rename(renamed.1, label).unwrap();

    // Another scene.
    scenes(&place.folder.path().join("data"), 3);
    let said = refusal(&mut run("renamed", 9, ""));
    assert!(said.contains("ade20k had 2 items and has 3"), "{said}");
}

#[test]
fn broken_files_are_named_before_the_first_step_and_so_many_may_be_left_out() {
    let place = Place::new();
    scenes(&place.folder.path().join("data"), 6);
    let pictures = place.folder.path().join("data/ade20k/images/training");
    let names = files(&pictures);
    std::fs::write(&names[1], "no picture").unwrap();
    let said = refusal(&mut place.train("run", 4));
    let name = names[1].file_name().unwrap().to_str().unwrap();
    assert!(
        said.contains(name) && said.contains("1 file of the data is broken; data.skip_broken = 1"),
        "{said}"
    );
    assert!(!place.out("run").join(LAST).exists());

    // Those who know may begin all the same; the broken picture then ends it when its turn comes, and what was learned stays.
    let said = refusal(place.train("late", 1_000_000).arg("--no-check"));
    assert!(said.contains(name), "{said}");
    let records = read_metrics(&place.out("late")).unwrap();
    let last = records
        .last()
        .expect("the broken picture is not the first that is drawn");
    let (state, _) = read_checkpoint(&place.out("late").join(LAST)).unwrap();
    assert_eq!(state.step, last.step);
    assert!(
        said.contains(&format!("saved after step {}", last.step)),
        "{said}"
    );

    let text = format!(
        "{}steps = 12\nout = '{}'",
        config(
            place.folder.path(),
            &TRAINED.replacen(
                "samples_per_image",
                "skip_broken = 1\n    samples_per_image",
                1
            )
        ),
        place.out("skipping").display()
    );
    let output = place
        .train_as("skipping", &text)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("left out (1 of 1 allowed)") && said.contains(name),
        "{said}"
    );
}

#[test]
fn what_the_processor_cannot_do_is_said_before_anything_is_read() {
    let place = Place::new();
    let text = config(place.folder.path(), TRAINED);
    let text = format!(
        "{text}steps = 1\ndevice = 'cpu'\nout = '{}'\n",
        place.out("bf16").display()
    );
    // The data is not there either, and would be missed next.
    std::fs::remove_dir_all(place.folder.path().join("data")).unwrap();
    let text = match text.contains("[model]") {
        true => text.replacen("[model]", "[model]\ndtype = 'bf16'", 1),
        false => format!("[model]\ndtype = 'bf16'\n{text}"),
    };
    let said = refusal(&mut place.train_as("bf16", &text));
    let words = "dtype bf16 cannot be computed on the CPU; accepted: auto, f32, f16";
    assert!(said.contains(words), "{said}");
}

#[test]
fn where_a_merged_model_cannot_go_is_said_before_the_run_is_read() {
    let place = Place::new();
    let taken = place.out("taken");
    std::fs::write(&taken, "no folder").unwrap();
    let merge = |out: &Path| {
        let mut lisa = Command::new(env!("CARGO_BIN_EXE_lisa"));
        lisa.args(["merge", "--run", "no-such-run", "--out"])
            .arg(out);
        refusal(&mut lisa)
    };
    let said = merge(&taken);
    assert!(
        said.contains("taken") && !said.contains("no-such-run"),
        "{said}"
    );
    let said = merge(&place.out("new"));
    assert!(said.contains("no-such-run"), "{said}");
    assert!(!place.out("new").exists());
}
