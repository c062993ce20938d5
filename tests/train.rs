//! Training, end to end, on a few scenes of TableWorld and a model of a few thousand numbers.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use lisa::model::Lisa;
use lisa::train::{merge, read_metrics, Ended, MergeOptions, Record, TrainConfig, Trainer, LAST};
use lisa::weights::GuidedHead;
use lisa::weights::ModelDir;
use support::tiny_training::{config, questions, scenes, tiny};
use support::GradientTolerance;

/// The records without their times.
fn numbers(records: &[Record]) -> Vec<Record> {
    let without = |record: &Record| Record {
        seconds: None,
        ..record.clone()
    };
    records.iter().map(without).collect()
}

fn never() -> AtomicBool {
    AtomicBool::new(false)
}

/// Trains to the end, and returns the mean gIoU of the last ten steps.
fn learn(text: &str) -> f64 {
    let mut trainer = Trainer::new(TrainConfig::parse(text).unwrap(), false).unwrap();
    let mut giou = Vec::new();
    let ended = trainer
        .run(&never(), |record| giou.extend(record.giou))
        .unwrap();
    assert_eq!(ended, Ended::Finished);
    let end = &giou[giou.len() - 10..];
    end.iter().sum::<f64>() / end.len() as f64
}

/// Both stages in small: the encoders learn the samples by heart, then the language model does, from the first's prompts.
#[test]
fn a_few_samples_are_learned_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    scenes(&folder.path().join("data"), 4);
    let (vision, reasoning) = (
        folder.path().join("vision"),
        folder.path().join("reasoning"),
    );
    let common = "
        [optimizer]
        lr = 2e-3
        beta2 = 0.98
        warmup = 20
        decay = 'cosine'
        [run]
        batch_size = 4
        accumulation = 1
        save_every = 1000";
    let first = config(
        folder.path(),
        &format!(
            "groups = [{{ datasets = 'ade20k' }}]
            samples_per_image = 8
            [objective]
            kind = 'vision'
            bce = 4.0
            dice = 1.0
            [trainable]
            full = ['image_encoder', 'mask_decoder', 'vision_tower']
            {common}
            steps = 300
            out = '{}'",
            vision.display()
        ),
    );
    let giou = learn(&first);
    println!("gIoU {giou:.3} from phrases");
    assert!(giou > 0.9, "gIoU {giou} from phrases");

    let merged = folder.path().join("merged");
    merge(&MergeOptions::new(vision.join(LAST), &merged)).unwrap();
    let giou = learn(&format!(
        "[model]
        dir = '{}'
        [data]
        root = '{}'
        groups = [{{ datasets = 'ade20k' }}]
        samples_per_image = 8
        [objective]
        bce = 4.0
        dice = 1.0
        align = 4.0
        ground = 0.1
        teacher = '{}'
        [trainable]
        full = ['text_hidden_fcs', 'model.layers', 'embed_tokens', 'lm_head', 'mm_projector', 'model.norm']
        {common}
        steps = 400
        cached_images = 4
        out = '{}'",
        merged.display(),
        folder.path().join("data").display(),
        vision.join(LAST).display(),
        reasoning.display()
    ));
    println!("gIoU {giou:.3} from answers");
    assert!(giou > 0.9, "gIoU {giou} from answers");
}

const SHORT: &str =
    "groups = [{ datasets = 'ade20k||refcoco', rate = 2 }, { datasets = 'llava_instruct_150k' }]
    validation = [{ datasets = 'refcoco' }]
    [trainable]
    full = ['mask_decoder', 'text_hidden_fcs', 'embed_tokens', 'lm_head']
    lora = { rank = 4, dropout = 0.1 }
    [optimizer]
    warmup = 2
    ema = 0.9
    [run]
    batch_size = 2
    accumulation = 2
    validation_images = 3
    validate_every = 4
    save_every = 3
";

#[test]
fn numbers_do_not_depend_on_threads_and_merging_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    scenes(&folder.path().join("data"), 6);
    let run = |workers: usize, threads: usize, loaders: usize| {
        let out = folder.path().join(format!("run-{workers}-{threads}"));
        let text = format!(
            "{}steps = 5\nworkers = {workers}\nthreads = {threads}\nloaders = {loaders}\nout = '{}'",
            config(folder.path(), SHORT),
            out.display()
        );
        let mut trainer = Trainer::new(TrainConfig::parse(&text).unwrap(), false).unwrap();
        trainer.run(&never(), |_| ()).unwrap();
        (numbers(&read_metrics(&out).unwrap()), trainer, out)
    };
    let (one, trainer, out) = run(1, 1, 1);
    // Four images a step: at a time, one after the other on several threads, and in rounds of three and one.
    let others = [(3, 3, 2), (1, 3, 1), (2, 5, 2), (4, 2, 1)];
    let others = others.map(|(workers, threads, loaders)| run(workers, threads, loaders).0);
    let count = |split: &str| one.iter().filter(|record| record.split == split).count();
    assert!(count("train") == 5 && count("validation") >= 1, "{one:?}");
    assert!(one.iter().all(|record| record.loss.is_finite()), "{one:?}");
    for other in others {
        assert_eq!(one, other);
    }
    assert!(out.join("loss.png").is_file());

    // The merged directory computes what the trained network computes.
    let merged = folder.path().join("merged");
    let options = MergeOptions {
        name: Some("merged".to_owned()),
        ..MergeOptions::new(out.join(LAST), &merged)
    };
    let report = merge(&options).unwrap();
    assert_eq!((report.step, report.adapters), (5, 4));
    let model = ModelDir::open(&merged).unwrap();
    assert_eq!(model.config.name, "merged");
    // Folded into the layers once, the adapters are not folded in again.
    let again = |model: &Path, out: &Path| {
        let options = MergeOptions {
            model: Some(model.to_owned()),
            ..MergeOptions::new(&options.checkpoint, out)
        };
        merge(&options).unwrap_err().to_string()
    };
    let refused = again(&merged, &folder.path().join("twice"));
    let words = "merged is not the model that was trained: its frozen tensors are";
    assert!(
        refused.contains(words) && refused.contains("hold other numbers"),
        "{refused}"
    );
    let refused = again(&merged, &merged);
    assert!(refused.contains("made of what lies in it"), "{refused}");
    let onto = MergeOptions {
        onto: Some(merged.clone()),
        ..MergeOptions::new(out.join(LAST), folder.path().join("twice"))
    };
    let refused = merge(&onto).unwrap_err().to_string();
    assert!(refused.contains("its adapters belong to"), "{refused}");
    assert!(!folder.path().join("twice").exists());
    let weights = model.weights(DType::F32, &Device::Cpu).unwrap();
    let ours = Lisa::load(&weights, &model.config).unwrap();
    let tokens = Tensor::zeros((4, 48), DType::F32, &Device::Cpu).unwrap();
    let ids = [1, 20, -200, 300, 40];
    let hidden = |lisa: &Lisa| {
        let (hidden, _) = lisa.hidden_states(&ids, -200, &tokens).unwrap();
        hidden.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    // The average of the weights is what is merged, not the last step's.
    let trained = || hidden(&trainer.parameters().network(&model.config, None).unwrap());
    let last = trained();
    trainer.use_average().unwrap();
    let (ours, average) = (hidden(&ours), trained());
    assert_eq!((ours.len(), last.len()), (average.len(), average.len()));
    let distance = |other: &[f32]| {
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        let norm: f64 = ours.iter().map(|a| f64::from(*a).powi(2)).sum();
        (ours.iter().zip(other).map(square).sum::<f64>() / norm).sqrt()
    };
    let (to_average, to_last) = (distance(&average), distance(&last));
    println!("merged: {to_average:.1e} from the average, {to_last:.1e} from the last step");
    assert!(to_average < 1e-5, "{to_average}");
    assert!(
        to_last > 10.0 * to_average.max(1e-6),
        "{to_last} and {to_average}"
    );
}

const GUIDED: &str = "groups = [{ datasets = 'ReasonSeg|train' }]
    validation = [{ datasets = 'ReasonSeg|train' }]
    samples_per_image = 4
    [trainable]
    full = ['model.layers', 'embed_tokens', 'lm_head', 'mm_projector', 'text_hidden_fcs', 'mask_decoder']
    [optimizer]
    lr = 3e-3
    warmup = 5
    decay = 'constant'
    [run]
    batch_size = 2
    accumulation = 1
    validation_images = 2
    save_every = 1000
    cached_images = 4
";

#[test]
fn a_guided_head_is_measured_learned_and_written_into_the_merged_model() {
    let folder = tempfile::tempdir().unwrap();
    questions(&folder.path().join("data"), 4);
    let run = |name: &str, objective: &str, rest: &str| {
        let out = folder.path().join(name);
        let text = format!(
            "{}{rest}\nout = '{}'\n[objective]\n{objective}",
            config(folder.path(), GUIDED),
            out.display()
        );
        let mut trainer = Trainer::new(TrainConfig::parse(&text).unwrap(), false).unwrap();
        trainer.run(&never(), |_| ()).unwrap();
        (numbers(&read_metrics(&out).unwrap()), out)
    };
    let head = "attend_layer = 1\nattend_head = 2\n";
    let guided = format!("attend = 1.0\n{head}");
    let (records, out) = run("guided", &guided, "steps = 60\nvalidate_every = 30");
    let train: Vec<&Record> = records.iter().filter(|r| r.split == "train").collect();
    let attended = |records: &[&Record]| {
        let mass: Vec<f64> = records.iter().filter_map(|r| r.attended).collect();
        assert_eq!(mass.len(), records.len());
        mass.iter().sum::<f64>() / mass.len() as f64
    };
    let (before, after) = (attended(&train[..5]), attended(&train[55..]));
    println!("attention on what is asked for: {before:.3}, later {after:.3}");
    assert!(after > 2.0 * before && after > 0.3, "{before} then {after}");
    for record in &records {
        assert!(record.losses["attend"] > 0.0);
        let presence = record.presence.unwrap();
        assert!((0.0..=1.0).contains(&presence));
    }
    let last = records.last().unwrap();
    assert_eq!(last.split, "validation");
    assert!(last.presence_present.is_some() && last.presence_absent.is_some());

    // Recomputing the layers changes nothing but the order of sums; threads do not even that.
    let short = "steps = 2\nvalidate_every = 2";
    let (once, _) = run("once", &guided, short);
    let (again, _) = run(
        "again",
        &guided,
        &format!("{short}\nworkers = 1\nloaders = 1"),
    );
    assert_eq!(once, again);
    let recomputed = format!("{short}\ncheckpoint_activations = true");
    let (recomputed, _) = run("recomputed", &guided, &recomputed);
    for (a, b) in once.iter().zip(&recomputed) {
        let error = (a.losses["attend"] - b.losses["attend"]).abs();
        assert!(error < 1e-3 * a.losses["attend"], "{a:?} {b:?}");
    }
    // A head that is named but has no weight changes nothing.
    let (plain, _) = run("plain", "", short);
    let (unweighted, unweighted_out) = run("unweighted", head, short);
    assert_eq!(plain, unweighted);
    assert!(plain
        .iter()
        .all(|r| r.attended.is_none() && !r.losses.contains_key("attend")));

    // The curve has four more panels, two in a row.
    let height = |run: &Path| image::open(run.join("loss.png")).unwrap().height();
    assert_eq!(height(&out), 3 * height(&unweighted_out));

    let merged = |run: &Path, name: &str| {
        let options = MergeOptions::new(run.join(LAST), folder.path().join(name));
        merge(&options).unwrap();
        ModelDir::open(&options.out).unwrap().config.guided_head
    };
    assert_eq!(merged(&out, "with"), Some(GuidedHead { layer: 1, head: 2 }));
    assert_eq!(merged(&unweighted_out, "without"), None);

    // The model knows its head from then on.
    let further = |name: &str, objective: &str| {
        let text = format!(
            "[model]\ndir = '{}'\n[data]\nroot = '{}'\n{GUIDED}steps = 1\nout = '{}'\n[objective]\nattend = 1.0\n{objective}",
            folder.path().join("with").display(),
            folder.path().join("data").display(),
            folder.path().join(name).display()
        );
        Trainer::new(TrainConfig::parse(&text).unwrap(), false).map(|_| ())
    };
    further("further", "").unwrap();
    let other = further("other", "attend_layer = 1\nattend_head = 0\n").unwrap_err();
    assert!(other.to_string().contains("layer 1, head 2"), "{other}");
}

#[test]
fn conversations_that_share_their_beginning_give_what_each_gives_alone() {
    use lisa::train::objective::{
        Counts, Features, Losses, Objective, Pass, Preparation, Reasoning,
    };
    use lisa::train::Setup;

    let folder = tempfile::tempdir().unwrap();
    scenes(&folder.path().join("data"), 2);
    let text = config(folder.path(), SHORT).replace("dropout = 0.1", "dropout = 0.0");
    let text = format!("{text}\nout = '{}'", folder.path().join("run").display());
    let mut config = TrainConfig::parse(&text).unwrap();
    config.data.samples_per_image = 3;
    let setup = Setup::new(&config).unwrap();
    let model = ModelDir::open(&setup.model).unwrap();
    let tokenizer = std::sync::Arc::new(ModelDir::open(&setup.model).unwrap().tokenizer);
    let preparation = Preparation::new(&model.config, tokenizer, 512, false).unwrap();
    let sample = (0..20)
        .map(|i| setup.data.sample(i).unwrap())
        .find(|s| s.conversations.len() == 3 && !s.conversations[0].masks.is_empty())
        .unwrap();
    // Room for the picture and a few words: no answer is left to learn from, and that is counted.
    assert_eq!(preparation.cut_off(), 0);
    let shortest = model.config.clip.num_features() + 15;
    let tokenizer = std::sync::Arc::new(ModelDir::open(&setup.model).unwrap().tokenizer);
    let short = Preparation::new(&model.config, tokenizer, shortest, false).unwrap();
    for _ in 0..2 {
        let mut rng = setup.data.rng(0);
        short.prepare(sample.clone(), &mut rng).unwrap();
    }
    assert_eq!(short.cut_off(), 1);
    let objective = Reasoning::new(
        &model.config,
        config.objective.weights(),
        Features::not_kept(),
    );
    let prepare = |conversations: &[lisa::data::Conversation]| {
        let mut sample = sample.clone();
        sample.conversations = conversations.to_vec();
        preparation.prepare(sample, &mut setup.data.rng(0)).unwrap()
    };
    let together = prepare(&sample.conversations);
    let totals: Counts = objective.counts(&together);
    let pass = Pass {
        totals,
        factor: 1.0,
        learn: Some(0),
    };
    let packed = objective.run(&setup.parameters, &together, pass).unwrap();
    let mut losses = Losses::new();
    let mut gradients = lisa::train::Gradients::default();
    for conversation in &sample.conversations {
        let alone = prepare(std::slice::from_ref(conversation));
        let outcome = objective.run(&setup.parameters, &alone, pass).unwrap();
        for (name, loss) in outcome.losses {
            *losses.entry(name).or_default() += loss;
        }
        gradients.add(outcome.gradients).unwrap();
    }
    assert!(losses.len() >= 3, "{losses:?}");
    for (name, loss) in &losses {
        assert!(
            (loss - packed.losses[name]).abs() < 1e-4 * loss.abs(),
            "{name}"
        );
    }
    assert!(gradients.names().eq(packed.gradients.names()));
    // The sums are made in another order, so the numbers need not be equal.
    let same = GradientTolerance {
        relative: 1e-3,
        total: gradients.norm().unwrap(),
    };
    for name in gradients.names() {
        let (a, b) = (packed.gradients.get(name), gradients.get(name));
        same.assert(name, a.unwrap(), b.unwrap());
    }
}

/// Runs the program until `seconds` have passed and kills it, or to its end.
fn train(config: &Path, resume: bool, kill_at: Option<(&Path, u64)>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lisa"));
    command.arg("train").arg("--config").arg(config);
    if resume {
        command.arg("--resume");
    }
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    if let Some((metrics, step)) = kill_at {
        let deadline = Instant::now() + Duration::from_secs(300);
        loop {
            let lines = std::fs::read_to_string(metrics).unwrap_or_default();
            let done = lines.matches("\"train\"").count() as u64;
            if done >= step {
                break;
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            assert!(Instant::now() < deadline, "no step {step} in five minutes");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    } else {
        assert!(child.wait().unwrap().success());
    }
}

/// A batch of one image, whose operations are cut into as many parts as there are threads.
#[test]
fn one_image_gives_the_same_bits_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    scenes(&folder.path().join("data"), 3);
    let run = |threads: usize| {
        let out = folder.path().join(format!("run-{threads}"));
        let text = config(folder.path(), SHORT)
            .replace("batch_size = 2", "batch_size = 1")
            .replace("accumulation = 2", "accumulation = 1");
        let path = folder.path().join(format!("{threads}.toml"));
        std::fs::write(&path, format!("{text}steps = 4\nout = '{}'", out.display())).unwrap();
        let status = Command::new(env!("CARGO_BIN_EXE_lisa"))
            .arg("train")
            .arg("--config")
            .arg(&path)
            .env("RAYON_NUM_THREADS", threads.to_string())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        (numbers(&read_metrics(&out).unwrap()), tensors(&out))
    };
    let one = run(1);
    assert!(one.0.len() >= 4, "{:?}", one.0);
    for threads in [2, 3, 5] {
        assert!(one == run(threads), "{threads} threads");
    }
}

/// Step and tensors of a run's last checkpoint, by name.
fn tensors(out: &Path) -> (u64, Vec<(String, Vec<f32>)>) {
    let (state, tensors) = lisa::train::read_checkpoint(&out.join(LAST)).unwrap();
    let mut tensors: Vec<(String, Vec<f32>)> = tensors
        .into_iter()
        .map(|(name, t)| (name, t.flatten_all().unwrap().to_vec1().unwrap()))
        .collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    (state.step, tensors)
}

#[test]
fn a_killed_run_resumes_with_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    scenes(&folder.path().join("data"), 6);
    let write = |name: &str| {
        let out = folder.path().join(name);
        let text = format!(
            "{}steps = 11\nout = '{}'",
            config(folder.path(), SHORT),
            out.display()
        );
        let path = folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        (path, out)
    };
    let (whole, whole_out) = write("whole");
    train(&whole, false, None);
    let (killed, killed_out) = write("killed");
    let metrics = killed_out.join("metrics.jsonl");
    // Killed after a checkpoint and some steps that it does not hold, and once more after the run was resumed.
    train(&killed, false, Some((&metrics, 5)));
    train(&killed, true, Some((&metrics, 7)));
    train(&killed, true, None);
    let (a, b) = (
        numbers(&read_metrics(&whole_out).unwrap()),
        numbers(&read_metrics(&killed_out).unwrap()),
    );
    assert_eq!(
        a.iter().filter(|record| record.split == "train").count(),
        11
    );
    assert_eq!(a, b);
    assert!(
        tensors(&whole_out) == tensors(&killed_out),
        "the checkpoints differ"
    );
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("broken.toml");
    let ask = |text: &str| {
        std::fs::write(&config, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_lisa"))
            .arg("train")
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let words = ask("[data]\nroot = 'nowhere'\ngroups = [{ datasets = 'ade20k' }]\n[model]\ndir = 'm'\n[trainable]\nfull = ['x']");
    assert!(words.contains("nowhere/ade20k/images/training"), "{words}");
    assert_eq!(words.trim().lines().count(), 1, "{words}");
    let words = ask("[data]\nroot = '.'\ngroups = [{ datasets = 'imagenet' }]\n[model]\ndir = 'm'\n[trainable]\nfull = ['x']");
    assert!(
        words.contains("imagenet") && words.contains("refcoco"),
        "{words}"
    );
    // It is refused before the data is looked for, which does not exist.
    let words = ask(&format!(
        "[data]\nroot = 'nowhere'\ngroups = [{{ datasets = 'ade20k' }}]\n[model]\ninit = '{}'\n[trainable]\nfull = ['x']\n[objective]\nattend = 1.0\nattend_layer = 7\nattend_head = 0",
        tiny(folder.path())
    ));
    assert!(
        words.contains("attend_layer is 7") && words.contains("0 to 1"),
        "{words}"
    );
    assert_eq!(words.trim().lines().count(), 1, "{words}");
}
