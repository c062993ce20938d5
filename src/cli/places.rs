//! Whether output can be written where it is to go: looked at before a computation, not after it.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{bail, Context};

/// Makes a folder for output, with those above it, and tries whether files can be made in it.
///
/// # Errors
/// A file in its place, a place that cannot be written, by its path.
pub fn folder(path: &Path) -> anyhow::Result<()> {
    if path.exists() && !path.is_dir() {
        bail!(
            "{} is no folder; accepted: a folder, or a name for a new one",
            path.display()
        );
    }
    fs::create_dir_all(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))?;
    let trial = path.join(format!(".lisa-{}", std::process::id()));
    make(&trial).with_context(|| format!("cannot write to the folder {}", path.display()))
}

/// Tries whether a file can be written; leaves what is in it as it is.
///
/// # Errors
/// A folder in its place, a folder above it that is missing, a place that cannot be written, by its path.
pub fn file(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        bail!("{} is a folder; accepted: a file's name", path.display());
    }
    let wrong = || format!("cannot write {}", path.display());
    if path.exists() {
        // A pipe would wait for its reader, and a device has no content to keep.
        if path.is_file() {
            OpenOptions::new()
                .append(true)
                .open(path)
                .with_context(wrong)?;
        }
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.map_or(PathBuf::from("."), Path::to_owned);
    if !above.is_dir() {
        bail!("{}: there is no folder {}", wrong(), above.display());
    }
    make(path).with_context(wrong)
}

/// Makes a file and takes it away again.
fn make(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_files_in_their_place_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let new = place.path().join("a/b");
        folder(&new).unwrap();
        assert!(new.is_dir() && fs::read_dir(&new).unwrap().next().is_none());
        let taken = place.path().join("taken");
        fs::write(&taken, "kept").unwrap();
        let words = folder(&taken).unwrap_err().to_string();
        assert!(words.contains("taken is no folder"), "{words}");
        assert!(folder(&taken.join("below")).is_err());
        // Nobody can make files there, whoever runs the test.
        assert!(folder(Path::new("/proc")).is_err());
    }

    #[test]
    fn a_file_is_tried_and_left_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let kept = place.path().join("kept.json");
        fs::write(&kept, "kept").unwrap();
        file(&kept).unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
        let new = place.path().join("new.json");
        file(&new).unwrap();
        assert!(!new.exists());
        let words = file(&place.path().join("none/new.json"))
            .unwrap_err()
            .to_string();
        assert!(words.contains("there is no folder"), "{words}");
        let words = file(place.path()).unwrap_err().to_string();
        assert!(words.contains("is a folder"), "{words}");
        assert!(file(Path::new("/proc/new.json")).is_err());
    }
}
