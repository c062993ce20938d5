//! Looks at all files of a mixture before a training, so that a picture that is missing is reported in the first minute and not
//! when its turn comes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{DataError, Dataset, Mixture};

impl Mixture {
    /// Looks at every file that a sample may come from: whether it is there, whether pictures have a header that can be
    /// read and the size that their annotations are of, whether annotations can be read. No picture is decoded, so one
    /// that is damaged behind its header is not found.
    ///
    /// Runs on as many threads as the machine has. `progress` is called from any of the threads after each item, with the number
    /// of items done and the number of all items.
    ///
    /// Returns one error for each file that is missing or broken, sorted by path.
    pub fn check(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<DataError> {
        let items: Vec<(&dyn Dataset, usize)> = self
            .datasets()
            .flat_map(|data| (0..data.len()).map(move |index| (data.as_ref(), index)))
            .collect();
        let done = AtomicUsize::new(0);
        let look = || {
            let found = items.par_iter().flat_map_iter(|(data, index)| {
                let wrong = data.check(*index);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
                wrong
            });
            found.collect::<Vec<DataError>>()
        };
        // It has its own pool of threads, since training may have set the common one to a single thread, and here the threads
        // mostly wait for the disk.
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut wrong = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool.install(look),
            Err(_) => look(),
        };
        wrong.sort_by(|a, b| a.path().cmp(&b.path()));
        let mut named = HashSet::new();
        wrong.retain(|error| match error.path() {
            Some(path) => named.insert(path.to_owned()),
            None => true,
        });
        wrong
    }
}
