//! One batch through the network: images in parallel, sums in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::objective::{
    Counts, Example, GuidanceScore, ImageLosses, Losses, Objective, Pass, Probed,
};
use super::{Gradients, Parameters, Threads, TrainError};

/// What the images of a step gave together.
#[derive(Debug, Default)]
pub struct BatchLosses {
    /// The weighted losses by name, means over the step's batches.
    pub losses: Losses,
    /// Gradients of the sum of the losses; empty where the images were only measured.
    pub gradients: Gradients,
    /// Intersection and union of every mask, in pixels.
    pub overlaps: Vec<(f64, f64)>,
    /// One for each guided answer, where attention is guided.
    pub guidance: Vec<GuidanceScore>,
    /// How often the heads of the vision objective were right.
    pub probed: Vec<Probed>,
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

    /// Runs all images and adds up what they give.
    ///
    /// Each run of `batch_size` examples is one batch, over which losses are averaged. `learn` is the seed of the first
    /// image's dropout, and asks for gradients; without it the images are only measured.
    ///
    /// # Errors
    /// That of the first image that failed; the others are given up.
    pub fn run(
        &self,
        objective: &dyn Objective,
        parameters: &Parameters,
        examples: &[Example],
        batch_size: usize,
        learn: Option<u64>,
    ) -> Result<BatchLosses, TrainError> {
        let totals: Vec<Counts> = examples
            .chunks(batch_size)
            .map(|batch| {
                let mut totals = Counts::default();
                batch.iter().for_each(|e| totals += objective.counts(e));
                totals
            })
            .collect();
        let factor = 1.0 / totals.len().max(1) as f64;
        let sum = Mutex::new(OrderedSum::default());
        let one = |i: usize| {
            let pass = Pass {
                totals: totals[i / batch_size],
                factor,
                learn: learn.map(|seed| seed.wrapping_add(i as u64)),
            };
            let image = objective.run(parameters, &examples[i], pass);
            let mut sum = sum.lock().unwrap_or_else(|p| p.into_inner());
            sum.put(i, image)
        };
        let first = self.threads.first_round(examples.len());
        if self.round(0..first, &one)? {
            self.round(first..examples.len(), &one)?;
        }
        let sum = sum.into_inner().unwrap_or_else(|p| p.into_inner());
        match sum.error {
            Some(error) => Err(error),
            None => Ok(sum.total),
        }
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

/// Adds up what the images gave in the order of the images, whichever finishes first: sums of floats depend on their order.
#[derive(Default)]
struct OrderedSum {
    total: BatchLosses,
    waiting: std::collections::BTreeMap<usize, ImageLosses>,
    done: usize,
    error: Option<TrainError>,
}

impl OrderedSum {
    /// Takes in what one image gave. Returns whether to go on, which is until the first error.
    fn put(&mut self, i: usize, image: Result<ImageLosses, TrainError>) -> bool {
        let put = |sum: &mut Self| -> Result<(), TrainError> {
            sum.waiting.insert(i, image?);
            while let Some(image) = sum.waiting.remove(&sum.done) {
                for (name, loss) in image.losses {
                    *sum.total.losses.entry(name).or_default() += loss;
                }
                sum.total.gradients.add(image.gradients)?;
                sum.total.overlaps.extend(image.overlaps);
                sum.total.guidance.extend(image.guidance);
                sum.total.probed.extend(image.probed);
                sum.done += 1;
            }
            Ok(())
        };
        let result = put(self);
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
        self.error.is_none()
    }
}
