//! A run's folder, in which one training at a time may work.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::{flock, FlockOperation};

use super::checkpoint::{part_name, LAST};
use super::TrainError;

/// The file whose lock says that a training is at work. The system releases the lock when the process ends, however it ends.
const LOCK: &str = "run.lock";

/// The right to write to a run's folder, for as long as it lives.
#[derive(Debug)]
pub(super) struct RunFolder {
    _lock: File,
}

impl RunFolder {
    /// Makes the folder if it is missing, and takes its lock. With `resume` there has to be a checkpoint to go on from; without
    /// it there must be none.
    ///
    /// # Errors
    /// A place that cannot be written, a folder in which another training is at work, a checkpoint that is missing with
    /// `resume`, or one that is there without.
    pub fn open(folder: &Path, resume: bool) -> Result<Self, TrainError> {
        let last = folder.join(LAST);
        if resume && !last.exists() {
            return Err(TrainError::Unusable(format!(
                "{}: there is no {LAST} to go on from; without `--resume` a run begins here",
                folder.display()
            )));
        }
        if folder.exists() && !folder.is_dir() {
            return Err(TrainError::Unusable(format!(
                "{} is no folder; accepted for a run: a folder, or a name for a new one",
                folder.display()
            )));
        }
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        let path = folder.join(LOCK);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(TrainError::io(&path))?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(TrainError::io(&path)(error.into()));
            }
            let mut owner = String::new();
            // The other's process id only helps to find it, so it may be missing.
            let _ = file.read_to_string(&mut owner);
            return Err(TrainError::Unusable(format!(
                "{}: another training is at work here (process {}); wait for its end, or give another run.out",
                folder.display(),
                owner.trim()
            )));
        }
        // This is checked under the lock, since a training that held the lock may just have written a checkpoint.
        if !resume && last.exists() {
            return Err(TrainError::Unusable(format!(
                "{}: a run is there already; `--resume` goes on with it, another `run.out` starts anew",
                folder.display()
            )));
        }
        let mut sign = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            file.flush()
        };
        sign().map_err(TrainError::io(&path))?;
        // The lock's file may be writable even if the folder has become read-only, and then the first save would fail.
        let part = folder.join(part_name(LAST));
        File::create(&part)
            .and_then(|_| std::fs::remove_file(&part))
            .map_err(TrainError::io(folder))?;
        Ok(Self { _lock: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_training_at_a_time_works_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunFolder::open(folder.path(), false).unwrap();
        let error = RunFolder::open(folder.path(), false).unwrap_err();
        let words = format!("process {}", std::process::id());
        assert!(error.to_string().contains(&words), "{error}");
        drop(first);
        // The file stays behind, but without a lock it means nothing.
        assert!(folder.path().join(LOCK).is_file());
        RunFolder::open(folder.path(), false).unwrap();
    }

    #[test]
    fn going_on_wants_a_checkpoint_and_beginning_wants_none() {
        let folder = tempfile::tempdir().unwrap();
        let mistyped = folder.path().join("mistyped");
        let error = RunFolder::open(&mistyped, true).unwrap_err().to_string();
        assert!(
            error.contains("mistyped") && error.contains(LAST),
            "{error}"
        );
        assert!(!mistyped.exists(), "nothing is made for a mistyped name");
        std::fs::write(folder.path().join(LAST), "").unwrap();
        RunFolder::open(folder.path(), true).unwrap();
        let error = RunFolder::open(folder.path(), false).unwrap_err();
        assert!(error.to_string().contains("--resume"), "{error}");
    }

    #[test]
    fn a_folder_in_which_nothing_can_be_saved_is_refused_before_the_first_step() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LAST), "").unwrap();
        RunFolder::open(folder.path(), true).unwrap();
        // A folder stands where a save would begin. Permissions alone would not keep root from writing.
        std::fs::create_dir(folder.path().join(part_name(LAST))).unwrap();
        let error = RunFolder::open(folder.path(), true).unwrap_err();
        let named = folder.path().display().to_string();
        assert!(error.to_string().starts_with(&named), "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_a_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = RunFolder::open(&file.join("run"), false).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
        let error = RunFolder::open(&file, false).unwrap_err().to_string();
        assert!(error.contains("file is no folder"), "{error}");
    }
}
