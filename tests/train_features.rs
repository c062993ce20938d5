//! What frozen encoders compute is kept, and nothing of a training depends on it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Device, Tensor};
use lisa::train::{
    read_checkpoint, read_metrics, Parameters, Record, Setup, TrainConfig, Trainer, LAST,
};
use lisa::weights::ModelDir;
use support::tiny_training::{config, scenes};

/// Both encoders are frozen.
const FROZEN: &str = "groups = [{ datasets = 'ade20k' }]
    validation = [{ datasets = 'refcoco' }]
    [trainable]
    full = ['mask_decoder', 'text_hidden_fcs', 'embed_tokens', 'lm_head']
    lora = { rank = 4, dropout = 0.1 }
    [optimizer]
    warmup = 2
    [run]
    batch_size = 2
    accumulation = 1
    validation_images = 3
    validate_every = 4
    save_every = 3
    steps = 7
";

fn text(folder: &Path, rest: &str, out: &Path) -> String {
    format!(
        "{}out = '{}'\n{rest}",
        config(folder, FROZEN),
        out.display()
    )
}

/// Trains, or goes on, until `stop_at` or the end.
fn train(text: &str, resume: bool, stop_at: Option<u64>) {
    let stop = AtomicBool::new(false);
    let mut trainer = Trainer::new(TrainConfig::parse(text).unwrap(), resume).unwrap();
    trainer
        .run(&stop, |record| {
            stop.fetch_or(stop_at == Some(record.step), Ordering::Relaxed);
        })
        .unwrap();
}

/// All that a run leaves behind as numbers: its records without times, and the tensors of its last checkpoint.
type Left = (Vec<Record>, Vec<(String, Vec<f32>)>);

fn left(out: &Path) -> Left {
    let records = read_metrics(out).unwrap();
    let without_time = |record: Record| Record {
        seconds: None,
        ..record
    };
    let (_, tensors) = read_checkpoint(&out.join(LAST)).unwrap();
    let mut tensors: Vec<_> = tensors
        .into_iter()
        .map(|(name, t)| (name, t.flatten_all().unwrap().to_vec1().unwrap()))
        .collect();
    tensors.sort_by(|a: &(String, Vec<f32>), b| a.0.cmp(&b.0));
    (records.into_iter().map(without_time).collect(), tensors)
}

fn files(out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(out.join("features"));
    let mut files: Vec<_> = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn kept_features_change_nothing_and_what_is_broken_is_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    scenes(&folder.join("data"), 4);
    let run = |name: &str, rest: &str| {
        let out = folder.join(name);
        train(&text(folder, rest, &out), false, None);
        let left = left(&out);
        (left, files(&out))
    };
    let (computed, none) = run("computed", "cached_images = 0\ncached_gb = 0.0");
    assert_eq!(computed.0.len(), 9, "{:?}", computed.0);
    assert!(none.is_empty(), "{none:?}");
    let (in_memory, none) = run("memory", "cached_images = 100\ncached_gb = 0.0");
    assert!(none.is_empty(), "{none:?}");
    assert!(in_memory == computed);
    let (on_disk, kept) = run("disk", "cached_images = 0\ncached_gb = 1.0\nworkers = 1");
    assert!(on_disk == computed);
    // Of four pictures at most, for each of two encoders.
    assert!(
        kept.len() >= 4 && kept.len() <= 8 && kept.len() % 2 == 0,
        "{kept:?}"
    );
    for name in kept.iter().map(|path| path.file_name().unwrap()) {
        let name = name.to_string_lossy();
        assert!(name.ends_with(".safetensors"), "{name}");
    }
    let (both, _) = run("both", "");
    assert!(both == computed);
    let (little, kept) = run("little", "cached_images = 1\ncached_gb = 0.0001");
    assert!(little == computed);
    let bytes: u64 = kept.iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes <= 100_000, "{bytes}");

    // A run that was stopped finds its features again. Broken ones, half-written ones and those of other weights do no harm.
    let out = folder.join("resumed");
    let text = text(folder, "cached_images = 0", &out);
    train(&text, false, Some(4));
    let kept = files(&out);
    let whole = std::fs::read(&kept[0]).unwrap();
    std::fs::write(&kept[0], &whole[..whole.len() / 2]).unwrap();
    let mut flipped = std::fs::read(&kept[1]).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&kept[1], flipped).unwrap();
    let part = out.join("features/half.part");
    std::fs::write(&part, "half").unwrap();
    let foreign = out.join("features/image_encoder-0123456789abcdef-00.safetensors");
    std::fs::write(&foreign, &whole).unwrap();
    let untouched = kept.last().unwrap().metadata().unwrap().modified().unwrap();
    train(&text, true, None);
    assert!(left(&out) == computed);
    assert!(!part.exists() && !foreign.exists());
    assert_eq!(std::fs::read(&kept[0]).unwrap(), whole);
    let later = kept.last().unwrap().metadata().unwrap().modified().unwrap();
    assert_eq!(untouched, later, "what is whole is not written again");
}

#[test]
fn only_pictures_that_come_again_are_kept_and_only_of_frozen_encoders() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    scenes(&folder.join("data"), 6);
    let kept = |name: &str, change: (&str, &str)| {
        let out = folder.join(name);
        let text = text(folder, "", &out).replace(change.0, change.1);
        train(&text, false, None);
        let of = |encoder: &str| {
            let names = files(&out);
            let names = names.iter().map(|path| path.file_name().unwrap());
            names
                .filter(|n| n.to_string_lossy().starts_with(encoder))
                .count()
        };
        (of("image_encoder-"), of("vision_tower-"))
    };
    let (sam, tower) = kept("plain", ("", ""));
    assert!(sam > 3 && sam == tower, "{sam}, {tower}");
    // Of augmented pictures none; what is held out is not augmented.
    let (sam, tower) = kept("augmented", ("[trainable]", "augment = true\n[trainable]"));
    assert!((1..=3).contains(&sam) && sam == tower, "{sam}, {tower}");
    let (sam, tower) = kept("trained", ("'lm_head'", "'lm_head', 'vision_tower'"));
    assert!(sam > 3 && tower == 0, "{sam}, {tower}");
}

/// Encoders that are loaded as for inference give what those give that could be trained.
#[test]
fn frozen_encoders_equal_the_plain_ones() {
    let folder = tempfile::tempdir().unwrap();
    scenes(&folder.path().join("data"), 2);
    let text = text(folder.path(), "", &folder.path().join("run"));
    let setup = Setup::new(&TrainConfig::parse(&text).unwrap()).unwrap();
    let model = ModelDir::open(&setup.model).unwrap();
    let plain = Parameters::open(&model, DType::F32, &Device::Cpu).unwrap();
    let all = plain.frozen_numbers();
    let trained: usize = setup
        .parameters
        .trained()
        .iter()
        .fold(0, |sum, (name, var)| {
            sum + if name.contains("lora") {
                0
            } else {
                var.elem_count()
            }
        });
    assert_eq!(setup.parameters.frozen_numbers() + trained, all);
    let encoders = |name: &&str| name.contains("image_encoder") || name.contains("vision_tower");
    assert_eq!(setup.parameters.frozen_names().find(encoders), None);

    let fast = setup.parameters.network(&model.config, None).unwrap();
    let plain = plain.network(&model.config, None).unwrap();
    let example = &setup.validation[0];
    let (sam, clip) = (&example.sam_pixels, &example.clip_pixels);
    let (sam, clip) = (sam.unsqueeze(0).unwrap(), clip.unsqueeze(0).unwrap());
    let same = |what: &str, ours: Tensor, theirs: Tensor| {
        let norm = |t: &Tensor| {
            let sum = t.sqr().unwrap().sum_all().unwrap();
            f64::from(sum.to_scalar::<f32>().unwrap()).sqrt()
        };
        let error = norm(&(&ours - &theirs).unwrap()) / norm(&theirs);
        println!("{what}: {error:.1e}");
        assert!(norm(&theirs) > 0.0 && error < 1e-5, "{what}: {error}");
    };
    let never = &|| false;
    let (ours, theirs) = (&fast.image_encoder, &plain.image_encoder);
    let ours = ours.forward(&sam, never).unwrap();
    same("SAM", ours, theirs.forward(&sam, never).unwrap());
    let (ours, theirs) = (&fast.vision_tower, &plain.vision_tower);
    let ours = ours.forward(&clip, never).unwrap();
    same("CLIP", ours, theirs.forward(&clip, never).unwrap());
}
