//! Arguments of all commands that run a model.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::ProgressBar;
use lisa::engine::{AnswerOptions, DTypeSpec, DeviceSpec, Engine, EngineConfig};
use lisa::image::ClipFit;
use lisa::node::{bounds, DEFAULT_MAX_NEW_TOKENS};
use lisa::weights::{find_model, shipped_model};
use serde_json::Value;

/// Which model, where it runs, and how it answers.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// Model directory, as `lisa pull` and `lisa convert` make it, or the name of an installed model [default: lisa-mini, which
    /// comes with the project]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceSpec,
    /// auto, f32, f16 or bf16; a CPU computes in f32 and holds large weights so
    #[arg(long, default_value = "auto")]
    dtype: DTypeSpec,
    /// End an answer after so many tokens
    #[arg(
        long,
        value_name = "N",
        default_value_t = AnswerOptions::default().max_new_tokens as u32,
        value_parser = clap::value_parser!(u32).range(1..=32768)
    )]
    max_new_tokens: u32,
    /// 0 takes the likeliest token, above 0 samples (0 to 2)
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = in_range(bounds::TEMPERATURE))]
    temperature: f64,
    /// A pixel is in a mask above this probability (0.01 to 0.99)
    #[arg(long, value_name = "P", default_value_t = 0.5, value_parser = in_range(bounds::MASK_THRESHOLD))]
    mask_threshold: f64,
    /// Masks of fewer pixels count as empty
    #[arg(long, value_name = "PIXELS", default_value_t = 1)]
    min_mask_area: usize,
    /// How a picture that is not square fits the vision tower: crop, pad or squash; as in the model's training where nothing
    /// is said
    #[arg(long)]
    clip_fit: Option<ClipFit>,
}

/// For commands that answer as the node would: gives `--max-new-tokens` the default and the bounds of the node's parameter.
/// Others keep the default of the reference, and a bound that only catches slips.
pub fn as_the_node(tokens: clap::Arg) -> clap::Arg {
    static DEFAULT: LazyLock<String> = LazyLock::new(|| DEFAULT_MAX_NEW_TOKENS.to_string());
    let (min, max) = (bounds::MAX_NEW_TOKENS.start(), bounds::MAX_NEW_TOKENS.end());
    let accepted = clap::value_parser!(u32).range(*min as i64..=*max as i64);
    tokens
        .default_value(DEFAULT.as_str())
        .value_parser(accepted)
}

/// How a sampling answer draws.
#[derive(clap::Args)]
pub struct SamplingArgs {
    /// Seed of the sampling
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

pub fn in_range(
    range: RangeInclusive<f64>,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse::<f64>() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(format!(
            "accepted: a number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

impl ModelArgs {
    /// The model directory.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        match &self.model {
            Some(model) => Ok(find_model(model)),
            None => shipped_model().context(
                "--model is needed: models/lisa-mini, the model of the project, is not installed; `make install-data` in the project's folder installs it",
            ),
        }
    }

    /// The files in the model directory; none if it cannot be read.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = self.path().ok().and_then(|folder| folder.read_dir().ok());
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// The options of the engine; `seed` is that of the sampling.
    pub fn options(&self, seed: u64) -> AnswerOptions {
        AnswerOptions {
            max_new_tokens: self.max_new_tokens as usize,
            temperature: self.temperature,
            seed,
            mask_threshold: self.mask_threshold as f32,
            min_mask_area: self.min_mask_area,
            clip_fit: self.clip_fit,
            ..AnswerOptions::default()
        }
    }

    /// Everything that decides how the model answers, by the options' names.
    pub fn settings(&self) -> BTreeMap<String, Value> {
        let clip_fit = self.clip_fit.map(|fit| fit.to_string());
        let settings: [(&str, Value); 7] = [
            ("device", self.device.to_string().into()),
            ("dtype", self.dtype.to_string().into()),
            ("max_new_tokens", self.max_new_tokens.into()),
            ("temperature", self.temperature.into()),
            ("mask_threshold", self.mask_threshold.into()),
            ("min_mask_area", self.min_mask_area.into()),
            ("clip_fit", clip_fit.into()),
        ];
        settings
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    /// Loads the model, with a spinner on a terminal. `warm_up` pays off if several answers follow.
    pub fn start(&self, warm_up: bool) -> anyhow::Result<Engine> {
        let model = self.path()?;
        let mut config = EngineConfig::new(&model);
        config.device = self.device;
        config.dtype = self.dtype;
        config.warm_up = warm_up;
        let spinner =
            ProgressBar::new_spinner().with_message(format!("loading {}", model.display()));
        spinner.enable_steady_tick(Duration::from_millis(100));
        let started = Instant::now();
        let engine = Engine::start(config).context("cannot load the model");
        spinner.finish_and_clear();
        if let Ok(engine) = &engine {
            tracing::info!(
                "{} from {}, loaded in {:.1} s",
                engine.model(),
                model.display(),
                started.elapsed().as_secs_f64()
            );
        }
        engine
    }
}
