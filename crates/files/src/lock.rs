//! Locks of folders in which only one process may work at a time.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;

/// The lock of a folder. It is released when it is dropped, or by the system when the process dies.
#[derive(Debug)]
pub struct FolderLock {
    _held: File,
}

/// The outcome of trying to lock a folder.
#[derive(Debug)]
pub enum Locked {
    /// The folder is locked until this is dropped.
    Ours(FolderLock),
    /// Another process has the lock, or has just removed the folder.
    Theirs,
}

/// Tries to lock a folder, without waiting for another process.
///
/// # Errors
/// The error of the system, if the folder cannot be opened.
pub fn lock(folder: &Path) -> std::io::Result<Locked> {
    let held = match File::open(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Locked::Theirs),
        held => held?,
    };
    // Some network file systems have no locks. There the folder counts as locked by us, as no process can hold it.
    if let Err(Errno::WOULDBLOCK) = flock(&held, FlockOperation::NonBlockingLockExclusive) {
        return Ok(Locked::Theirs);
    }
    // Whoever had it may have removed it before the lock was ours.
    let (ours, there) = (held.metadata()?, fs::metadata(folder));
    let same = there.is_ok_and(|there| there.ino() == ours.ino() && there.dev() == ours.dev());
    Ok(match same {
        true => Locked::Ours(FolderLock { _held: held }),
        false => Locked::Theirs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(matches!(first, Locked::Ours(_)));
        assert!(matches!(lock(folder.path()).unwrap(), Locked::Theirs));
        drop(first);
        assert!(matches!(lock(folder.path()).unwrap(), Locked::Ours(_)));
        let gone = lock(&folder.path().join("gone")).unwrap();
        assert!(matches!(gone, Locked::Theirs));
    }
}
