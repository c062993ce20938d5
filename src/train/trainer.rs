//! The training loop.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::adamw::{AdamWConfig, GroupSettings};
use super::batch::{Step, Workers};
use super::checkpoint::{read_checkpoint, write_checkpoint, CheckpointState, BEST, LAST};
use super::config::TrainConfig;
use super::curve::draw_curve;
use super::ema::{snapshot, Ema};
use super::metrics::{MetricsFile, Record};
use super::objective::{Example, Objective, Preparation};
use super::ranks::{gather, Alone, Communicator};
use super::run_folder::RunFolder;
use super::same_run::CurrentRun;
use super::setup::Setup;
use super::skipping::Skipping;
use super::{read_metrics, AdamW, Gradients, Parameters, Threads, TrainError};
use crate::data::{ItemList, Loader, Mixture};
use crate::weights::Fingerprint;

/// Broken files that are named before the others are counted.
const NAMED: usize = 20;

/// A run: everything that changes while it goes on.
pub struct Trainer {
    config: TrainConfig,
    model: PathBuf,
    parameters: Parameters,
    objective: Box<dyn Objective>,
    optimizer: AdamW,
    ema: Option<Ema>,
    workers: Workers,
    data: Arc<Mixture>,
    skipping: Arc<Skipping>,
    preparation: Arc<Preparation>,
    /// The held-out images of this rank.
    validation: Vec<Example>,
    /// How many of them there are on all ranks together.
    validation_images: usize,
    /// What the first rank alone writes to; the others write nothing.
    files: Option<Files>,
    /// What each dataset consists of, kept with the checkpoints so that a resumed run notices other data.
    items: BTreeMap<String, ItemList>,
    /// Fingerprint of the model's tensors that are not trained.
    frozen: Fingerprint,
    /// Updates made.
    step: u64,
    /// Step and score of the best validation so far.
    best: Option<(u64, f64)>,
    /// The processes that train together, of which this is one.
    ranks: Box<dyn Communicator>,
}

/// What a run writes to.
struct Files {
    metrics: MetricsFile,
    /// Keeps other trainings out of `run.out`.
    _folder: RunFolder,
}

/// What a rank says to all others before a step.
#[derive(Serialize, Deserialize)]
struct Ready {
    /// Whether somebody asked it to stop.
    stop: bool,
    /// Why it has no images.
    failed: Option<String>,
}

/// Why [`Trainer::run`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The last step was made.
    Finished,
    /// Somebody asked for it to stop; the step under way was finished and saved first.
    Stopped,
}

impl Trainer {
    /// Sets a run up. With `resume` it goes on from the newest checkpoint in `run.out`.
    ///
    /// # Errors
    /// A folder that holds another run, a checkpoint of other settings, or whatever is missing or broken, by name.
    pub fn new(config: TrainConfig, resume: bool) -> Result<Self, TrainError> {
        Self::with_ranks(config, resume, Box::new(Alone))
    }

    /// [`new`](Self::new) for one of several processes that train together. Each computes its share of every step's images, and all
    /// of them have the same model after it. The first one alone writes to `run.out`.
    ///
    /// # Errors
    /// As [`new`](Self::new); fewer images in a step than processes.
    pub fn with_ranks(
        config: TrainConfig,
        resume: bool,
        ranks: Box<dyn Communicator>,
    ) -> Result<Self, TrainError> {
        let (rank, size, images) = (ranks.rank(), ranks.size(), config.images_per_step());
        if images < size {
            return Err(TrainError::Unusable(format!(
                "a step of {images} images is too small for {size} ranks; accepted: run.batch_size × run.accumulation from {size} on"
            )));
        }
        let out = config.run.out.clone();
        let last = out.join(LAST);
        let folder = match rank {
            0 => Some(RunFolder::open(&out, resume)?),
            _ => None,
        };
        // The first may have to make the model, which the others open.
        if rank > 0 {
            gather(ranks.as_ref(), (), &|| ())?;
        }
        let Setup {
            model,
            parameters,
            objective,
            data,
            preparation,
            validation,
            frozen,
        } = Setup::of_rank(&config, rank)?;
        if rank == 0 {
            gather(ranks.as_ref(), (), &|| ())?;
        }
        let settings = &config.optimizer;
        let group = |name: &str| {
            let group = settings.groups.iter().find(|g| name.contains(&g.pattern));
            GroupSettings {
                lr_scale: group.map_or(1.0, |g| g.lr_scale),
                weight_decay: group
                    .and_then(|g| g.weight_decay)
                    .unwrap_or(settings.weight_decay),
            }
        };
        let adamw = AdamWConfig {
            beta1: settings.beta1,
            beta2: settings.beta2,
            eps: settings.eps,
        };
        let mut optimizer = AdamW::new(&parameters, adamw, group)?;
        let mut ema = match settings.ema {
            0.0 => None,
            decay => Some(Ema::new(&parameters, decay)?),
        };
        let items = data.items();
        let (mut step, mut best, mut keep) = (0, None, 0);
        if resume {
            let (state, tensors) = read_checkpoint(&last)?;
            let ours = CurrentRun {
                config: &config,
                items: &items,
                frozen,
                parameters: &parameters,
            };
            let theirs = ours.check(&last, &state, &tensors)?;
            for name in parameters.trained().keys() {
                let tensor = tensors.get(name).ok_or_else(|| {
                    TrainError::Unusable(format!("{}: it lacks {name}", last.display()))
                })?;
                parameters.set(name, tensor)?;
            }
            optimizer.restore(&tensors, state.step)?;
            if let Some(ema) = &mut ema {
                ema.restore(&tensors)?;
            }
            (step, keep) = (state.step, state.metrics_bytes);
            // A score on other held-out images says nothing about which step is best on these.
            best = (theirs.data.validation == config.data.validation)
                .then_some(state.best)
                .flatten();
        }
        let skipping = Skipping::new(config.data.skip_broken);
        let threads = match parameters.device().is_cpu() {
            true => config.threads(),
            false => Threads {
                images: 1,
                threads: 1,
            },
        };
        let files = folder.map(|folder| {
            Ok::<_, TrainError>(Files {
                metrics: MetricsFile::open(&out, keep)?,
                _folder: folder,
            })
        });
        let validation_images = validation.len();
        Ok(Self {
            files: files.transpose()?,
            workers: Workers::new(threads)?,
            config,
            model,
            parameters,
            objective,
            optimizer,
            ema,
            data: Arc::new(data),
            skipping: Arc::new(skipping),
            preparation: Arc::new(preparation),
            // One rank after the other has an image, as in a step.
            validation: validation.into_iter().skip(rank).step_by(size).collect(),
            validation_images,
            items,
            frozen,
            step,
            best,
            ranks,
        })
    }

    /// Looks at every file that the run may learn from, before it learns. `progress` is called from any thread with the
    /// number of items that were looked at and the number of all items.
    ///
    /// # Errors
    /// More broken files than `data.skip_broken` allows, the first of them by name.
    pub fn check(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<(), TrainError> {
        let broken = self.data.check(progress);
        if broken.len() <= self.config.data.skip_broken {
            return broken
                .into_iter()
                .try_for_each(|error| self.skipping.leave_out(error.into()));
        }
        let count = broken.len();
        let mut lines: Vec<String> = broken.iter().take(NAMED).map(ToString::to_string).collect();
        if count > NAMED {
            lines.push(format!("and {} more", count - NAMED));
        }
        let what = match count {
            1 => "1 file of the data is broken; data.skip_broken = 1 goes on without it".to_owned(),
            _ => format!("{count} files of the data are broken; data.skip_broken = {count} goes on without them"),
        };
        Err(TrainError::Unusable(format!(
            "{what}:\n{}",
            lines.join("\n")
        )))
    }

    /// Takes leave of the other processes, after which nothing can be trained or measured any more.
    pub fn leave(&self) {
        self.ranks.leave();
    }

    /// Updates made so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The network's tensors as they are now.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Trains to the last step, or until `stop` is set. `observe` is called with every record as it is written.
    ///
    /// # Errors
    /// A loss that is no number, data that is broken beyond what may be left out, or a place that cannot be written.
    pub fn run(
        &mut self,
        stop: &AtomicBool,
        mut observe: impl FnMut(&Record),
    ) -> Result<Ended, TrainError> {
        let loader = self.loader();
        while self.step < self.config.run.steps {
            let started = Instant::now();
            let Some(examples) = self.next_examples(&loader, stop)? else {
                self.save()?;
                return Ok(Ended::Stopped);
            };
            let mut record = self.update(&examples, stop)?;
            record.seconds = Some(started.elapsed().as_secs_f64());
            self.write(&record)?;
            observe(&record);
            let run = &self.config.run;
            let done = self.step == run.steps;
            let due = self.step % run.validate_every == 0 || done;
            if self.validation_images > 0 && due {
                let record = self.validate()?;
                self.write(&record)?;
                observe(&record);
                self.keep_best(&record)?;
            }
            if self.step % self.config.run.save_every == 0 || done {
                self.save()?;
            }
        }
        Ok(Ended::Finished)
    }

    /// How many of a step's images are this rank's.
    fn own_images(&self) -> usize {
        let (rank, size) = (self.ranks.rank(), self.ranks.size());
        (rank..self.config.images_per_step()).step_by(size).len()
    }

    /// The images of this rank, from those of the next step on.
    fn loader(&self) -> Loader<Example, TrainError> {
        let (data, preparation) = (self.data.clone(), self.preparation.clone());
        let skipping = self.skipping.clone();
        let (rank, size) = (self.ranks.rank() as u64, self.ranks.size() as u64);
        let own = self.own_images() as u64;
        let images = self.config.images_per_step() as u64;
        let ahead = 2 * self.own_images();
        let threads = self.config.run.loaders;
        Loader::new(threads, ahead, own * self.step, move |number| {
            let index = number / own * images + number % own * size + rank;
            skipping.take(index, |index| {
                let sample = data.sample(index)?;
                preparation.prepare(sample, &mut data.rng(index))
            })
        })
    }

    /// This rank's images of the next step; `None` if any of the ranks is to stop.
    fn next_examples(
        &mut self,
        loader: &Loader<Example, TrainError>,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Example>>, TrainError> {
        let stop = stop.load(Ordering::Relaxed);
        let loaded: Result<Vec<Example>, TrainError> = match stop {
            true => Ok(Vec::new()),
            false => (0..self.own_images()).map(|_| loader.next()).collect(),
        };
        let ready = Ready {
            stop,
            failed: loaded.as_ref().err().map(ToString::to_string),
        };
        let all = gather(self.ranks.as_ref(), ready, &|| ())?;
        let failed = all.iter().enumerate().find_map(|(rank, ready)| {
            let reason = ready.failed.as_ref()?;
            Some(TrainError::Unusable(format!("rank {rank}: {reason}")))
        });
        match (loaded, failed) {
            (Err(error), _) | (Ok(_), Some(error)) => Err(self.saved_before(error)),
            (Ok(examples), None) => Ok((!all.iter().any(|ready| ready.stop)).then_some(examples)),
        }
    }

    fn write(&mut self, record: &Record) -> Result<(), TrainError> {
        match &mut self.files {
            Some(files) => files.metrics.write(record),
            None => Ok(()),
        }
    }

    /// Saves what was learned before the data failed. Returns the error, extended by the step up to which nothing is lost.
    fn saved_before(&mut self, error: TrainError) -> TrainError {
        if self.step == 0 {
            return error;
        }
        match self.save() {
            Ok(()) => TrainError::Unusable(format!(
                "{error}; saved after step {}: mend the file or set data.skip_broken, and --resume goes on",
                self.step
            )),
            Err(worse) => TrainError::Unusable(format!("{error}; and saving failed: {worse}")),
        }
    }

    /// One update.
    fn update(&mut self, examples: &[Example], stop: &AtomicBool) -> Result<Record, TrainError> {
        let images = self.config.images_per_step();
        let seed = (self.config.run.seed << 32) ^ (self.step * images as u64);
        let step = Step {
            examples,
            images,
            batch_size: self.config.run.batch_size,
            learn: Some(seed),
        };
        let saved = RefCell::new(None);
        // A rank that has died answers no more, and mpirun then lets the others go on for a second: what the steps before have
        // brought is saved as soon as this one is asked to stop.
        let save = || {
            let several = self.ranks.size() > 1;
            if several && stop.load(Ordering::Relaxed) && saved.borrow().is_none() {
                *saved.borrow_mut() = Some(self.write_last());
            }
        };
        let mut batch = self.workers.run(
            self.objective.as_ref(),
            &self.parameters,
            step,
            self.ranks.as_ref(),
            &save,
        )?;
        saved.into_inner().transpose()?;
        let loss: f64 = batch.losses.values().sum();
        if !loss.is_finite() {
            return Err(TrainError::Diverged {
                step: self.step + 1,
                loss,
            });
        }
        let gradients: &mut Gradients = &mut batch.gradients;
        let norm = gradients.clip(self.config.optimizer.clip_norm)?;
        let lr = self.config.schedule().at(self.step);
        let (optimizer, parameters) = (&mut self.optimizer, &self.parameters);
        self.workers
            .with_all_threads(|| optimizer.step(parameters, gradients, lr))??;
        self.step += 1;
        if let Some(ema) = &mut self.ema {
            ema.update(&self.parameters, self.step)?;
        }
        let mut record = Record::new(self.step, "train", batch);
        record.lr = Some(lr);
        record.grad_norm = Some(norm);
        Ok(record)
    }

    /// Puts the averaged tensors in the place of those of the last step, if an average is kept. This is for measuring: a run
    /// that went on from here would not be the same run.
    ///
    /// # Errors
    /// An operation that failed, e.g. for memory.
    pub fn use_average(&self) -> Result<(), TrainError> {
        match &self.ema {
            Some(ema) => set_all(&self.parameters, ema.average()),
            None => Ok(()),
        }
    }

    /// Measures the held-out images, with the averaged tensors if an average is kept.
    ///
    /// # Errors
    /// An operation that failed, e.g. for memory.
    pub fn validate(&mut self) -> Result<Record, TrainError> {
        let own = match &self.ema {
            Some(ema) => {
                let own = snapshot(&self.parameters);
                let own: BTreeMap<String, Tensor> = own
                    .into_iter()
                    .map(|(name, tensor)| Ok((name, tensor.copy()?)))
                    .collect::<candle_core::Result<_>>()?;
                set_all(&self.parameters, ema.average())?;
                Some(own)
            }
            None => None,
        };
        let batch = self.workers.run(
            self.objective.as_ref(),
            &self.parameters,
            Step {
                examples: &self.validation,
                images: self.validation_images,
                batch_size: self.validation_images,
                learn: None,
            },
            self.ranks.as_ref(),
            &|| (),
        );
        if let Some(own) = own {
            set_all(&self.parameters, &own)?;
        }
        let batch = batch?;
        Ok(Record::new(self.step, "validation", batch))
    }

    /// Writes the best checkpoint if this validation is better than all before: by gIoU where there are masks, and by the loss
    /// otherwise.
    fn keep_best(&mut self, record: &Record) -> Result<(), TrainError> {
        let score = record.giou.unwrap_or(-record.loss);
        if self.best.is_none_or(|(_, best)| score > best) {
            self.best = Some((self.step, score));
            let tensors = match &self.ema {
                Some(ema) => ema.average().clone(),
                None => snapshot(&self.parameters),
            };
            if let Some(files) = &self.files {
                let state = self.state(files)?;
                write_checkpoint(&self.config.run.out, BEST, &state, &tensors)?;
            }
        }
        Ok(())
    }

    fn state(&self, files: &Files) -> Result<CheckpointState, TrainError> {
        Ok(CheckpointState {
            step: self.step,
            config: toml::to_string(&self.config)
                .map_err(|e| TrainError::Unusable(format!("writing the configuration: {e}")))?,
            model: self.model.clone(),
            best: self.best,
            metrics_bytes: files.metrics.sync()?,
            lora_scale: self.parameters.lora().map(|l| l.alpha / l.rank as f64),
            items: self.items.clone(),
            frozen: Some(self.frozen),
        })
    }

    /// Writes the newest checkpoint and draws the curve. Without the curve nothing is lost but a picture, so failing to draw
    /// it is only a warning. To be called on all ranks, which wait for each other.
    ///
    /// # Errors
    /// A checkpoint that cannot be written; ranks whose models differ.
    pub fn save(&mut self) -> Result<(), TrainError> {
        let written = self.write_last();
        let sums = match self.ranks.size() {
            1 => Vec::new(),
            _ => gather(self.ranks.as_ref(), self.checksum()?, &|| ())?,
        };
        if let Some(other) = sums.iter().position(|sum| *sum != sums[0]) {
            return Err(TrainError::Unusable(format!(
                "after step {} the model of rank {other} is not that of rank 0; accepted: the same lisa and processors of one kind on every rank",
                self.step
            )));
        }
        written
    }

    /// A checksum of the trained tensors, which are the same on every rank as long as all is well.
    fn checksum(&self) -> Result<u32, TrainError> {
        let mut hasher = crc32fast::Hasher::new();
        for var in self.parameters.trained().values() {
            let values = var.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            hasher.update(bytemuck::cast_slice(&values));
        }
        Ok(hasher.finalize())
    }

    /// Writes the newest checkpoint on the first rank.
    fn write_last(&self) -> Result<(), TrainError> {
        let Some(files) = &self.files else {
            return Ok(());
        };
        let mut tensors = snapshot(&self.parameters);
        tensors.extend(self.optimizer.state());
        if let Some(ema) = &self.ema {
            tensors.extend(
                ema.average()
                    .iter()
                    .map(|(n, t)| (format!("ema.{n}"), t.clone())),
            );
        }
        let state = self.state(files)?;
        let out = &self.config.run.out;
        write_checkpoint(out, LAST, &state, &tensors)?;
        let drawn =
            read_metrics(out).and_then(|records| draw_curve(&records, &out.join("loss.png")));
        if let Err(error) = drawn {
            tracing::warn!("the curve is not drawn: {error}");
        }
        Ok(())
    }
}

fn set_all(parameters: &Parameters, tensors: &BTreeMap<String, Tensor>) -> Result<(), TrainError> {
    tensors
        .iter()
        .try_for_each(|(name, tensor)| parameters.set(name, tensor))
}
