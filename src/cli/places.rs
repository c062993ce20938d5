//! Whether output can be written where it is to go: looked at before a computation, not after it.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

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
    probe(&path.join("output"))
        .with_context(|| format!("cannot write to the folder {}", path.display()))
}

/// Whether a file can be written, before anything is computed for it. What stands there stays as it is.
///
/// # Errors
/// What keeps it from being written, with its path.
pub fn file(path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => bail!("{}: it is a folder", cannot()),
        Ok(there) if there.is_file() => {
            let opened = OpenOptions::new().append(true).open(path);
            opened.map(drop).with_context(cannot)
        }
        // A pipe would wait for its reader.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => probe(path).with_context(cannot),
        Err(error) => Err(error).with_context(cannot),
    }
}

/// Makes a file beside one that is not there yet, and removes it.
fn probe(path: &Path) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        bail!("there is no folder {}", folder.display());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.probe", std::process::id()));
    let beside = folder.join(name);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)?;
    Ok(fs::remove_file(beside)?)
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
    fn a_file_that_cannot_be_written_is_known_before_and_nothing_stays_behind() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("old"), "old").unwrap();
        file(&at("old")).unwrap();
        file(&at("new")).unwrap();
        assert_eq!(fs::read_to_string(at("old")).unwrap(), "old");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        for (path, why) in [
            (at(""), "it is a folder"),
            (at("gone/report.json"), "there is no folder"),
            (at("old/report.json"), "Not a directory"),
            ("/proc/report.json".into(), ""), // nobody can make files there, whoever runs the test
        ] {
            let error = format!("{:#}", file(&path).unwrap_err());
            let named = error.starts_with(&format!("cannot write {}", path.display()));
            assert!(named && error.contains(why), "{error}");
        }
    }
}
