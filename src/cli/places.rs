//! Whether output can be written where it is to go: looked at before a computation, not after it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
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

/// A file that a command will write, and the option that names it.
pub struct Output<'a> {
    pub option: &'static str,
    pub path: &'a Path,
}

impl<'a> Output<'a> {
    pub fn new(option: &'static str, path: &'a Path) -> Self {
        Self { option, path }
    }
}

/// Whether files that will be written are none that are read, and none is another one, by whatever path.
///
/// # Errors
/// The option and the file that would be written over.
pub fn distinct(outputs: &[Output], read: &[&Path]) -> anyhow::Result<()> {
    for (number, output) in outputs.iter().enumerate() {
        // Standard output, /dev/null and pipes lose nothing.
        let Some(same) = Same::of(output.path) else {
            continue;
        };
        if let Some(read) = read
            .iter()
            .find(|read| Same::of(read).as_ref() == Some(&same))
        {
            bail!(
                "{} would be written over {}, which is read; accepted: the name of another file",
                output.option,
                read.display()
            );
        }
        let mut earlier = outputs.iter().take(number);
        if let Some(other) = earlier.find(|other| Same::of(other.path).as_ref() == Some(&same)) {
            bail!(
                "{} and {} are the same file, {}; accepted: two names",
                other.option,
                output.option,
                output.path.display()
            );
        }
    }
    Ok(())
}

/// Whether a file lies, or would lie, in a folder.
pub fn is_in(file: &Path, folder: &Path) -> bool {
    let above = fs::canonicalize(folder_of(file));
    above.is_ok_and(|above| fs::canonicalize(folder).is_ok_and(|folder| folder == above))
}

/// By what two paths to one file are known.
#[derive(PartialEq)]
enum Same {
    /// One that is there, by its device and number.
    There(u64, u64),
    /// One that is not there yet, by its folder and name.
    Coming(PathBuf, OsString),
}

impl Same {
    /// `None`: neither a plain file nor a name for one.
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(there) if there.is_file() => Some(Self::There(there.dev(), there.ino())),
            Ok(_) => None,
            Err(_) => {
                let folder = fs::canonicalize(folder_of(path)).ok()?;
                Some(Self::Coming(folder, path.file_name()?.to_owned()))
            }
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a file beside one that is not there yet, and removes it.
fn probe(path: &Path) -> anyhow::Result<()> {
    let folder = folder_of(path);
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

    #[test]
    fn an_output_that_is_read_or_written_already_is_refused_by_whatever_path() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("read"), "").unwrap();
        fs::hard_link(at("read"), at("linked")).unwrap();
        std::os::unix::fs::symlink(at("read"), at("led")).unwrap();
        fs::create_dir(at("below")).unwrap();
        let read = at("read");
        let refused = |json: &Path, html: &Path| {
            let outputs = [Output::new("--json", json), Output::new("--html", html)];
            distinct(&outputs, &[&read]).err().map(|e| e.to_string())
        };
        for name in ["read", "linked", "led", "below/../read"] {
            let words = refused(&at("new"), &at(name)).unwrap();
            assert!(words.starts_with("--html would be written over"), "{words}");
        }
        let words = refused(&at("new"), &at("below/../new")).unwrap();
        assert!(
            words.starts_with("--json and --html are the same file"),
            "{words}"
        );
        assert_eq!(refused(&at("new"), &at("other")), None);
        assert_eq!(
            refused(Path::new("/dev/null"), Path::new("/dev/null")),
            None
        );
    }
}
