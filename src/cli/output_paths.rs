//! Checks whether output can be written to the paths that were given, before the computation and not after it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context};

/// Makes a folder for output, with its parents, and checks that files can be made in it.
///
/// # Errors
/// There is a file of that name, or the folder cannot be made or written to. The error names the path.
pub fn check_folder(path: &Path) -> anyhow::Result<()> {
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

/// Checks that a file can be written. A file that is there stays as it is.
///
/// # Errors
/// Why it cannot be written. The error names the path.
pub fn check_file(path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => bail!("{}: it is a folder", cannot()),
        Ok(there) if there.is_file() => {
            let opened = OpenOptions::new().append(true).open(path);
            opened.map(drop).with_context(cannot)
        }
        // Not tried: opening a pipe would wait for its reader.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => probe(path).with_context(cannot),
        Err(error) => Err(error).with_context(cannot),
    }
}

/// A file that a command will write, and the option that names it.
pub struct OutputFile<'a> {
    pub option: &'static str,
    pub path: &'a Path,
}

impl<'a> OutputFile<'a> {
    pub fn new(option: &'static str, path: &'a Path) -> Self {
        Self { option, path }
    }
}

/// Checks that none of the files that will be written is one that is read or another one that is written, by whatever path it is
/// named.
///
/// # Errors
/// The option, and the file that would be overwritten.
pub fn check_distinct(outputs: &[OutputFile], read: &[&Path]) -> anyhow::Result<()> {
    for (number, output) in outputs.iter().enumerate() {
        // Standard output, /dev/null and pipes have no content that could be overwritten.
        let Some(same) = FileIdentity::of(output.path) else {
            continue;
        };
        if let Some(read) = read
            .iter()
            .find(|read| FileIdentity::of(read).as_ref() == Some(&same))
        {
            bail!(
                "{} would be written over {}, which is read; accepted: the name of another file",
                output.option,
                read.display()
            );
        }
        let mut earlier = outputs.iter().take(number);
        if let Some(other) =
            earlier.find(|other| FileIdentity::of(other.path).as_ref() == Some(&same))
        {
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

/// Tells whether two paths lead to the same file.
#[derive(PartialEq)]
enum FileIdentity {
    /// A file that exists, by its device and inode.
    Existing(u64, u64),
    /// A file that does not exist yet, by its folder and name.
    New(PathBuf, OsString),
}

impl FileIdentity {
    /// `None` if the path is neither that of a plain file nor a name for a new one.
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(there) if there.is_file() => Some(Self::Existing(there.dev(), there.ino())),
            Ok(_) => None,
            Err(_) => {
                let folder = fs::canonicalize(folder_of(path)).ok()?;
                Some(Self::New(folder, path.file_name()?.to_owned()))
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

/// Checks that a new file can be made at a path, by making one beside it and removing that.
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
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/b");
        check_folder(&new).unwrap();
        assert!(new.is_dir() && fs::read_dir(&new).unwrap().next().is_none());
        let taken = dir.path().join("taken");
        fs::write(&taken, "kept").unwrap();
        let words = check_folder(&taken).unwrap_err().to_string();
        assert!(words.contains("taken is no folder"), "{words}");
        assert!(check_folder(&taken.join("below")).is_err());
        // Not even root can make files there.
        assert!(check_folder(Path::new("/proc")).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_known_before_and_nothing_stays_behind() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("old"), "old").unwrap();
        check_file(&at("old")).unwrap();
        check_file(&at("new")).unwrap();
        assert_eq!(fs::read_to_string(at("old")).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        for (path, why) in [
            (at(""), "it is a folder"),
            (at("gone/report.json"), "there is no folder"),
            (at("old/report.json"), "Not a directory"),
            ("/proc/report.json".into(), ""), // nobody can make files there, whoever runs the test
        ] {
            let error = format!("{:#}", check_file(&path).unwrap_err());
            let named = error.starts_with(&format!("cannot write {}", path.display()));
            assert!(named && error.contains(why), "{error}");
        }
    }

    #[test]
    fn an_output_that_is_read_or_written_already_is_refused_by_whatever_path() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("read"), "").unwrap();
        fs::hard_link(at("read"), at("linked")).unwrap();
        std::os::unix::fs::symlink(at("read"), at("led")).unwrap();
        fs::create_dir(at("below")).unwrap();
        let read = at("read");
        let refused = |json: &Path, html: &Path| {
            let outputs = [
                OutputFile::new("--json", json),
                OutputFile::new("--html", html),
            ];
            check_distinct(&outputs, &[&read])
                .err()
                .map(|e| e.to_string())
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
