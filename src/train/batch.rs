//! One step through the network: images in parallel, on all threads and ranks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::objective::{
    Counts, Example, GuidanceScore, ImageLosses, Losses, Objective, Pass, Probed,
};
use super::ranks::{gather, Communicator};
use super::sum::{sum_in_order, Finished, Trained};
use super::{Gradients, Parameters, Threads, TrainError};

/// What the images of a step gave together.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct BatchLosses {
    /// The weighted losses by name, means over the step's batches.
    pub losses: Losses,
    /// Gradients of the sum of the losses; empty where the images were only measured.
    #[serde(skip)]
    pub gradients: Gradients,
    /// Intersection and union of every mask, in pixels.
    pub overlaps: Vec<(f64, f64)>,
    /// One for each guided answer, where attention is guided.
    pub guidance: Vec<GuidanceScore>,
    /// How often the heads of the vision objective were right.
    pub probed: Vec<Probed>,
}

impl BatchLosses {
    /// Adds what the next image gave.
    pub(super) fn add(&mut self, image: ImageLosses) -> Result<(), TrainError> {
        let gradients = self.add_scores(image);
        Ok(self.gradients.add(gradients)?)
    }

    /// Adds what the next image gave but for its gradients, which it returns.
    pub(super) fn add_scores(&mut self, image: ImageLosses) -> Gradients {
        for (name, loss) in image.losses {
            *self.losses.entry(name).or_default() += loss;
        }
        self.overlaps.extend(image.overlaps);
        self.guidance.extend(image.guidance);
        self.probed.extend(image.probed);
        image.gradients
    }
}

/// The images of a step or of a validation.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// Those of this rank in their order: one of as many images as there are ranks, from the rank's own number on.
    pub examples: &'a [Example],
    /// How many there are on all ranks together.
    pub images: usize,
    /// How many of them in a row are one batch, over which losses are averaged.
    pub batch_size: usize,
    /// The seed of the first image's dropout, which asks for gradients; without it the images are only measured.
    pub learn: Option<u64>,
}

/// Thread pools, one for each image that is computed at a time. Inside of an operation a sum is made by one thread whatever the number
/// of threads, so the numbers do not depend on it.
pub struct Workers {
    threads: Threads,
    /// The pools for each number of images at a time that there was so far.
    pools: Mutex<BTreeMap<usize, Arc<Vec<rayon::ThreadPool>>>>,
}

impl Workers {
    /// Workers that share the threads out. Several only help on the CPU.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(threads: Threads) -> Result<Self, TrainError> {
        let workers = Self {
            threads,
            pools: Mutex::default(),
        };
        workers.pools(threads.images)?;
        Ok(workers)
    }

    /// The pools for `count` images at a time, which are started when they are asked for first. Threads without work sleep.
    fn pools(&self, count: usize) -> Result<Arc<Vec<rayon::ThreadPool>>, TrainError> {
        let mut pools = self.pools.lock().unwrap_or_else(|p| p.into_inner());
        if let Some(pools) = pools.get(&count) {
            return Ok(pools.clone());
        }
        let new = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let started: Result<Vec<_>, _> = self.threads.of_each(count).into_iter().map(new).collect();
        let started = started
            .map_err(|e| TrainError::Unusable(format!("starting worker threads: {e}")))
            .map(Arc::new)?;
        pools.insert(count, started.clone());
        Ok(started)
    }

    /// Calls a function whose operations may use all threads.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn with_all_threads<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T, TrainError> {
        let pools = self.pools(1)?;
        Ok(match pools.first() {
            Some(pool) => pool.install(f),
            None => f(),
        })
    }

    /// Runs this rank's images and adds up what those of all ranks give. `idle` is called again and again while there is nothing to do
    /// but to wait.
    ///
    /// # Errors
    /// That of the first image that failed; the others are given up. A rank that is lost.
    pub fn run(
        &self,
        objective: &dyn Objective,
        parameters: &Parameters,
        step: Step<'_>,
        ranks: &dyn Communicator,
        idle: &dyn Fn(),
    ) -> Result<BatchLosses, TrainError> {
        let (rank, size) = (ranks.rank(), ranks.size());
        let own = step.examples.len();
        let counts: Vec<Counts> = step.examples.iter().map(|e| objective.counts(e)).collect();
        let counts = gather(ranks, counts, idle)?;
        let mut totals = vec![Counts::default(); step.images.div_ceil(step.batch_size.max(1))];
        for image in 0..step.images {
            totals[image / step.batch_size] += counts[image % size][image / size];
        }
        let factor = 1.0 / totals.len().max(1) as f64;
        let finished = Finished::new(2 * self.threads.at_a_time(own).max(1));
        let one = |position: usize| {
            let image = rank + position * size;
            let pass = Pass {
                totals: totals[image / step.batch_size],
                factor,
                learn: step.learn.map(|seed| seed.wrapping_add(image as u64)),
            };
            finished.put(
                image,
                objective.run(parameters, &step.examples[position], pass),
            )
        };
        let trained = parameters.trained().iter();
        let trained: Vec<Trained> = trained
            .map(|(name, var)| (name.clone(), var.shape().clone()))
            .collect();
        std::thread::scope(|scope| {
            let (one, finished) = (&one, &finished);
            let computing = scope.spawn(move || {
                let _closing = Closing(finished);
                let first = self.threads.first_round(own);
                match self.round(0..first, one)? {
                    true => self.round(first..own, one).map(|_| ()),
                    false => Ok(()),
                }
            });
            let next = |image| {
                let lost = || TrainError::Unusable("an image was not computed".to_owned());
                finished.take(image, idle).unwrap_or_else(|| Err(lost()))
            };
            let (device, images) = (parameters.device(), step.images);
            let sum = sum_in_order(ranks, &trained, device, images, idle, next);
            finished.close();
            match computing.join() {
                Ok(computed) => computed.and(sum),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// Says that no further image comes, however the threads that compute them end.
struct Closing<'a>(&'a Finished);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Workers {
    /// Computes the images of these indices, as many at a time as there may be, until `one` says not to go on. Returns what it said
    /// last.
    fn round(
        &self,
        images: Range<usize>,
        one: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<bool, TrainError> {
        if images.is_empty() {
            return Ok(true);
        }
        let pools = self.pools(self.threads.at_a_time(images.len()))?;
        let (next, go_on) = (AtomicUsize::new(images.start), AtomicBool::new(true));
        std::thread::scope(|scope| {
            for pool in pools.iter() {
                let work = || {
                    while go_on.load(Ordering::Relaxed) {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        if i >= images.end {
                            break;
                        }
                        go_on.fetch_and(one(i), Ordering::Relaxed);
                    }
                };
                scope.spawn(move || pool.install(work));
            }
        });
        Ok(go_on.into_inner())
    }
}
