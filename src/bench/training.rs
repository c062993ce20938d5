//! Steps of a training: LoRA as in `config/finetune.toml`, on a model of random weights and pictures of TableWorld.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;
use tableworld::formats::{write_dataset, Format, Options, Order};
use tableworld::Split;

use super::scratch::Scratch;
use super::{cpu_seconds, peak_rss, BenchError, Shape, Stage, Work};
use crate::compute::{give_back_free_memory, DeviceSpec};
use crate::train::{TrainConfig, TrainError, Trainer};
use crate::weights::QuantizationChange;

/// The configuration that is measured. Data, model, number of steps and size of the batches are replaced.
const CONFIG: &str = include_str!("../../config/finetune.toml");
/// Pictures that are learned from, more than the largest batch has.
const PICTURES: usize = 12;

/// How training steps are measured.
#[derive(Clone, Debug)]
pub struct Training {
    /// Images of a step; each is measured in turn.
    pub batches: Vec<usize>,
    /// Steps that are measured at each size; another one, before, warms up.
    pub steps: usize,
    /// Threads that compute, and images that are computed at a time where a batch has as many.
    pub workers: usize,
    /// Where it computes.
    pub device: DeviceSpec,
    /// Folder for the model, the pictures and the checkpoints, which are removed afterwards.
    pub scratch: PathBuf,
    /// Which weights of the frozen network are in blocks.
    pub quantization: QuantizationChange,
}

/// How long steps took.
#[derive(Clone, Debug, Serialize)]
pub struct TrainingTimes {
    /// For each size of a batch, where the encoders compute each picture.
    pub batches: Vec<StepTimes>,
    /// The same where what the frozen encoders computed is kept, as from the second epoch on.
    pub kept: Vec<StepTimes>,
    /// Conversations about one picture, which are computed as one sequence.
    pub conversations: usize,
}

/// The steps of one size of a batch.
#[derive(Clone, Debug, Serialize)]
pub struct StepTimes {
    /// Images of a step.
    pub batch: usize,
    /// How long a step took.
    #[serde(flatten)]
    pub stage: Stage,
    /// How long it computed, on all cores together, in seconds: the median of the steps. Other programs hardly change it.
    pub cpu_seconds: Option<f64>,
    /// The most memory that the process has held up to the end of these steps, in bytes.
    pub peak_rss: Option<u64>,
}

impl Training {
    /// Writes a model and pictures, and trains.
    ///
    /// # Errors
    /// A shape without a language model, or a folder that cannot be written.
    pub fn measure(&self, shape: Shape) -> Result<TrainingTimes, BenchError> {
        if !shape.language {
            return Err(BenchError::NoLanguageModel {
                shape: shape.name,
                accepted: Shape::names(|shape| shape.language),
            });
        }
        let folder = Scratch::new(&self.scratch)?;
        let model = shape.write(&folder, self.quantization)?;
        let mut config = TrainConfig::parse(CONFIG).map_err(TrainError::Unusable)?;
        config.model.dir = Some(model);
        config.data.validation.clear();
        (config.run.accumulation, config.run.steps) = (1, self.steps as u64 + 1);
        (config.run.workers, config.run.device) = (self.workers, self.device);
        config.run.threads = self.workers;
        let conversations = config.data.samples_per_image;
        let mut times = |stage, pictures, kept| {
            let data = folder.path().join(stage);
            write_pictures(&data, pictures)?;
            config.data.root = data.clone();
            (config.run.cached_images, config.run.cached_gb) = (kept, 0.0);
            let batches = self.batches.iter().filter_map(|&batch| {
                config.run.batch_size = batch;
                config.run.out = data.join(format!("run-{batch}"));
                self.steps(stage, batch, config.clone()).transpose()
            });
            batches.collect::<Result<Vec<_>, BenchError>>()
        };
        Ok(TrainingTimes {
            batches: times("lora_step", PICTURES, 0)?,
            // The only picture is computed in the step that warms up.
            kept: times("lora_step_kept", 1, 1)?,
            conversations,
        })
    }

    /// Trains; `None` where no step was measured.
    fn steps(
        &self,
        stage: &'static str,
        batch: usize,
        config: TrainConfig,
    ) -> Result<Option<StepTimes>, BenchError> {
        // What an earlier training left free would count as memory of this one.
        give_back_free_memory();
        let mut trainer = Trainer::new(config, false)?;
        let (mut seconds, mut computed) = (Vec::new(), Vec::new());
        trainer.run(&AtomicBool::new(false), |record| {
            seconds.extend(record.seconds);
            computed.extend(cpu_seconds());
        })?;
        let mut computed: Vec<f64> = computed.windows(2).map(|two| two[1] - two[0]).collect();
        computed.sort_by(f64::total_cmp);
        let times: Vec<Duration> = seconds
            .into_iter()
            .skip(1)
            .map(Duration::from_secs_f64)
            .collect();
        let stage = Stage::new(stage, &times, Work::default());
        Ok(stage.map(|stage| StepTimes {
            batch,
            stage,
            cpu_seconds: computed.get(computed.len() / 2).copied(),
            peak_rss: peak_rss(),
        }))
    }
}

/// Scenes in ReasonSeg's layout, each with more questions than a sample takes.
fn write_pictures(folder: &Path, count: usize) -> Result<(), BenchError> {
    let order = Order {
        formats: &[Format::ReasonSeg],
        split: Split::Train,
        seed0: 0,
        count,
        width: 640,
        height: 480,
    };
    let written = write_dataset(&order, folder, &Options::default(), &|_| ());
    written.map(drop).map_err(|e| BenchError::Write {
        path: folder.to_owned(),
        reason: e.to_string(),
    })
}
