//! One batch through the network: images in parallel, sums in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use super::objective::{
    Counts, Example, GuidanceScore, ImageLosses, Losses, Objective, Pass, Probed,
};
use super::{Gradients, Parameters, TrainError};

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

/// Worker threads, each with a thread pool of its own: an image is computed by one thread, so that its numbers do not
/// depend on how many there are.
pub struct Workers {
    pools: Vec<rayon::ThreadPool>,
}

impl Workers {
    /// Workers that compute `count` images at a time; 0 counts as 1. Several only help on the CPU.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(count: usize) -> Result<Self, TrainError> {
        let pools = (0..count.max(1))
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| TrainError::Unusable(format!("starting worker threads: {e}")))?;
        Ok(Self { pools })
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
        let next = AtomicUsize::new(0);
        let sum = Mutex::new(OrderedSum::default());
        std::thread::scope(|scope| {
            for pool in self.pools.iter().take(examples.len()) {
                scope.spawn(|| {
                    pool.install(|| loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(example) = examples.get(i) else {
                            break;
                        };
                        let pass = Pass {
                            totals: totals[i / batch_size],
                            factor,
                            learn: learn.map(|seed| seed.wrapping_add(i as u64)),
                        };
                        let image = objective.run(parameters, example, pass);
                        let mut sum = sum.lock().unwrap_or_else(|p| p.into_inner());
                        if !sum.put(i, image) {
                            break;
                        }
                    });
                });
            }
        });
        let sum = sum.into_inner().unwrap_or_else(|p| p.into_inner());
        match sum.error {
            Some(error) => Err(error),
            None => Ok(sum.total),
        }
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
