//! `mpirun lisa train`: several processes make the model of one, end together, and go on in any number.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lisa::train::{read_checkpoint, read_metrics, Record, LAST};
use support::tiny_training::{begun, config, questions, scenes};

/// Five images a step, which two and three ranks cannot share evenly; dropout, an average, held-out images, every kind of score.
const ANSWERS: &str = "groups = [{ datasets = 'ReasonSeg|train' }]
    validation = [{ datasets = 'ReasonSeg|train' }]
    samples_per_image = 2
    [objective]
    kind = 'reasoning'
    attend = 1.0
    attend_layer = 0
    attend_head = 0
    [trainable]
    full = ['mask_decoder', 'text_hidden_fcs']
    lora = { rank = 2, alpha = 4.0, dropout = 0.3, targets = ['q_proj', 'v_proj'] }
    [optimizer]
    ema = 0.9
    [run]
    batch_size = 5
    accumulation = 1
    save_every = 100000
    validate_every = 2
    validation_images = 3
    threads = 1
";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        scenes(&folder.path().join("data"), 4);
        questions(&folder.path().join("data"), 4);
        Self { folder }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `lisa train` by so many processes, of a run in `out(name)`.
    fn train(&self, ranks: usize, name: &str, steps: u64) -> Command {
        let text = format!(
            "{}steps = {steps}\nout = '{}'",
            config(self.folder.path(), ANSWERS),
            self.out(name).display()
        );
        let path = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        let mut command = mpirun(ranks);
        command
            .arg(env!("CARGO_BIN_EXE_lisa"))
            .args(["train", "--config"])
            .arg(path)
            .stdin(Stdio::null());
        command
    }

    fn trained(&self, ranks: usize, name: &str, steps: u64, resume: bool) {
        let mut command = self.train(ranks, name, steps);
        command.args(resume.then_some("--resume"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// `mpirun` for processes on this machine, however few processors it has and whoever starts it. What it has asked to end has 15 s for it,
/// which is hundreds of steps; it waits twice as long in any case.
fn mpirun(ranks: usize) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args([
            "--allow-run-as-root",
            "--oversubscribe",
            "--bind-to",
            "none",
        ])
        .args([
            "--mca",
            "btl",
            "self,vader",
            "--mca",
            "odls_base_sigkill_timeout",
            "15",
        ])
        .args(["-n", &ranks.to_string()]);
    command
}

/// What a run has learned: every number that its checkpoint holds.
fn learned(out: &Path) -> (u64, Vec<(String, Vec<u32>)>) {
    let (state, tensors) = read_checkpoint(&out.join(LAST)).unwrap();
    let bits = |tensor: &candle_core::Tensor| -> Vec<u32> {
        let tensor = tensor.flatten_all().unwrap();
        let tensor = tensor.to_dtype(candle_core::DType::F32).unwrap();
        let values = tensor.to_vec1::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    let mut all: Vec<_> = tensors.iter().map(|(n, t)| (n.clone(), bits(t))).collect();
    all.sort();
    (state.step, all)
}

/// The records but for the time that a step took.
fn measured(out: &Path) -> Vec<Record> {
    let mut records = read_metrics(out).unwrap();
    records.iter_mut().for_each(|record| record.seconds = None);
    records
}

/// The process id of a rank, among the processes that `mpirun` has started.
fn process_of(mpirun: &Child, rank: usize) -> String {
    let variable = format!("OMPI_COMM_WORLD_RANK={rank}");
    let children = format!("/proc/{0}/task/{0}/children", mpirun.id());
    let children = std::fs::read_to_string(children).unwrap();
    let of_rank = |pid: &&str| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|v| v == variable.as_bytes())
    };
    children
        .split_whitespace()
        .find(of_rank)
        .unwrap()
        .to_owned()
}

#[test]
fn several_processes_make_the_model_of_one_bit_for_bit() {
    let place = Place::new();
    place.trained(1, "one", 4, false);
    let (step, one) = learned(&place.out("one"));
    assert_eq!(step, 4);
    let records = measured(&place.out("one"));
    assert!(records
        .iter()
        .any(|r| r.split == "validation" && r.giou.is_some()));
    assert!(records.iter().all(|r| r.presence.is_some()));
    for ranks in [2, 3, 5] {
        let name = format!("of-{ranks}");
        place.trained(ranks, &name, 4, false);
        assert!(
            learned(&place.out(&name)) == (4, one.clone()),
            "{ranks} ranks"
        );
        assert_eq!(measured(&place.out(&name)), records, "{ranks} ranks");
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_processes() {
    let place = Place::new();
    place.trained(1, "whole", 4, false);
    place.trained(3, "parts", 2, false);
    place.trained(2, "parts", 4, true);
    assert!(learned(&place.out("parts")) == learned(&place.out("whole")));
    assert_eq!(measured(&place.out("parts")), measured(&place.out("whole")));
}

#[test]
fn a_process_that_dies_ends_all_and_what_was_learned_is_kept() {
    let place = Place::new();
    let out = place.out("dies");
    let mut child = place
        .train(2, "dies", 100_000)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    begun(&out, &mut child);
    let victim = process_of(&child, 1);
    let killed = Command::new("kill")
        .args(["-KILL", &victim])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("signal 9"), "{words}");
    let (step, _) = learned(&out);
    assert!(step >= 1);
    place.trained(1, "dies", step + 2, true);
    assert_eq!(learned(&out).0, step + 2);
}

#[test]
fn what_cannot_be_shared_is_refused_by_all() {
    let place = Place::new();
    let output = place.train(6, "many", 2).output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("a step of 5 images is too small for 6 ranks"),
        "{words}"
    );
}
