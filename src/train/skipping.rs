//! Broken files of the data: how many a run may leave out, and what takes their place.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use super::TrainError;

/// Samples that are tried for one index before the run gives up.
const TRIES: u64 = 1000;
/// Distance from an index to the sample that takes its place. It is beyond any run's own samples, so that the next index does
/// not give the same sample again.
const STRIDE: u64 = 1 << 40;

/// Leaves out broken files, up to an allowed number.
#[derive(Debug)]
pub(super) struct Skipping {
    allowed: usize,
    seen: Mutex<BTreeSet<PathBuf>>,
}

impl Skipping {
    pub fn new(allowed: usize) -> Self {
        Self {
            allowed,
            seen: Mutex::default(),
        }
    }

    /// Makes the sample of an index, or another in its place if a file of it is broken. Which one depends on the index and the
    /// files alone, so it is the same on every thread and in a resumed run.
    ///
    /// # Errors
    /// The first broken file beyond those allowed, and any error that is not about a file.
    pub fn take<T>(
        &self,
        index: u64,
        make: impl Fn(u64) -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let mut at = index;
        for _ in 0..TRIES {
            match make(at) {
                Err(error) if error.broken_file().is_some() => self.leave_out(error)?,
                made => return made,
            }
            at = at.wrapping_add(STRIDE);
        }
        Err(TrainError::Unusable(format!(
            "{TRIES} samples in a row come from broken files; accepted: data of which most can be read"
        )))
    }

    /// Counts a broken file, and warns about it the first time.
    ///
    /// # Errors
    /// `error` itself, if more files are broken than are allowed or if it is not about a file.
    pub fn leave_out(&self, error: TrainError) -> Result<(), TrainError> {
        let Some(path) = error.broken_file() else {
            return Err(error);
        };
        let mut seen = self.seen.lock().unwrap_or_else(|p| p.into_inner());
        if seen.contains(path) {
            return Ok(());
        }
        if seen.len() >= self.allowed {
            return Err(error);
        }
        seen.insert(path.to_owned());
        tracing::warn!(
            "left out ({} of {} allowed): {error}",
            seen.len(),
            self.allowed
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every third file is broken, of nine.
    fn make(index: u64) -> Result<u64, TrainError> {
        match index % 9 {
            file if file % 3 == 0 => Err(TrainError::Broken {
                path: format!("{file}.jpg").into(),
                // Whatever the error says about it, it is the same file.
                reason: format!("{file}.jpg: cut short at {index}"),
            }),
            file => Ok(file),
        }
    }

    #[test]
    fn so_many_files_are_left_out_and_no_more() {
        let skipping = Skipping::new(2);
        assert_eq!(skipping.take(1, make).unwrap(), 1);
        let instead = skipping.take(0, make).unwrap();
        assert!(instead % 3 != 0, "{instead}");
        assert_eq!(skipping.take(0, make).unwrap(), instead, "always the same");
        let third = (1..9)
            .filter(|index| index % 3 == 0)
            .find_map(|index| skipping.take(index, make).err());
        let words = third.map(|error| error.to_string()).unwrap_or_default();
        assert!(words.contains(".jpg: cut short at"), "{words}");
    }

    #[test]
    fn without_leave_the_first_ends_it_and_other_errors_always_do() {
        assert!(Skipping::new(0).take(0, make).is_err());
        let other = |_| Err::<(), _>(TrainError::Unusable("no memory".to_owned()));
        assert!(Skipping::new(9).take(0, other).is_err());
    }
}
