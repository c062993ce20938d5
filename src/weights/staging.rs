//! [`Staging`]: a folder that becomes a model directory when it is complete, and is removed otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use lisa_files::lock::{lock, FolderLock, Locked};

use super::error::cannot_write;
use super::model_dir::MODEL_FILES;
use super::WeightsError;

/// Stands between the name of the model directory and the id of the process that is writing it.
const PART: &str = ".part-";

/// A folder beside the model directory that it is to become. Dropped before [`Staging::replace`] it is removed, with all
/// folders that were made for it.
///
/// A process that is killed cannot remove its folder. The next process that writes the same model directory does so; it knows by
/// a lock, which the system releases when a process ends, that the owner of a folder no longer runs.
pub(crate) struct Staging {
    folder: PathBuf,
    out: PathBuf,
    _lock: FolderLock,
    /// The folders that had to be made to reach `out`, the innermost first.
    made: Vec<PathBuf>,
    replaced: bool,
}

impl Staging {
    /// Makes the folder, so that a place that cannot be written is known before anything is computed. `sources` are the files and
    /// folders that the new model is made of.
    ///
    /// # Errors
    /// [`WeightsError::Write`] where the place cannot be written, is no folder, holds something else than a model directory, or
    /// holds one of the sources.
    pub fn beside(out: &Path, sources: &[&Path]) -> Result<Self, WeightsError> {
        // Where `out` is a symbolic link, the link stays and the folder it leads to is replaced.
        let out = match out.symlink_metadata() {
            Ok(_) => fs::canonicalize(out).map_err(|e| cannot_write(out, e))?,
            Err(_) => out.to_owned(),
        };
        check(&out)?;
        for source in sources {
            spare(&out, source)?;
        }
        let Some(name) = out
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
        else {
            return Err(cannot_write(&out, "accepted: the name of a folder"));
        };
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let made = made_for(&parent)?;
        let staged = fs::create_dir_all(&parent)
            .map_err(|e| cannot_write(&parent, e))
            .and_then(|()| {
                remove_dead(&parent, &name);
                locked(&parent, &name, &out)
            });
        match staged {
            Ok((folder, lock)) => Ok(Self {
                folder,
                out,
                _lock: lock,
                made,
                replaced: false,
            }),
            Err(error) => {
                remove_empty(&made);
                Err(error)
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Checks a source that was not known yet when the folder was made.
    ///
    /// # Errors
    /// [`WeightsError::Write`] where the source lies in the folder that would be replaced.
    pub fn spare(&self, source: &Path) -> Result<(), WeightsError> {
        spare(&self.out, source)
    }

    /// Rewrites the path in an error about a file in this folder to the path that the file was to get, which is the one that the
    /// user knows.
    pub fn named(&self, error: WeightsError) -> WeightsError {
        let final_path = |path: PathBuf| match path.strip_prefix(&self.folder) {
            Ok(rest) if rest.as_os_str().is_empty() => self.out.clone(),
            Ok(rest) => self.out.join(rest),
            Err(_) => path,
        };
        match error {
            WeightsError::Write { path, reason } => WeightsError::Write {
                path: final_path(path),
                reason,
            },
            WeightsError::Io { path, source } => WeightsError::Io {
                path: final_path(path),
                source,
            },
            WeightsError::Invalid { path, reason } => WeightsError::Invalid {
                path: final_path(path),
                reason,
            },
            other => other,
        }
    }

    /// Puts the finished folder in its place. Of a model directory that stood there, the files of the model are deleted; others,
    /// such as a model card, are kept.
    ///
    /// # Errors
    /// [`WeightsError::Write`] where the place cannot be written. The old folder is then still in its place, unless the message
    /// says where else it is.
    pub fn replace(mut self) -> Result<(), WeightsError> {
        let out = self.out.clone();
        check(&out)?;
        if !out.exists() {
            fs::rename(&self.folder, &out).map_err(|e| cannot_write(&out, e))?;
            self.replaced = true;
            return Ok(());
        }
        let mut aside = self.folder.clone().into_os_string();
        aside.push(".old");
        let aside = PathBuf::from(aside);
        fs::rename(&out, &aside).map_err(|e| cannot_write(&out, e))?;
        if let Err(error) = fs::rename(&self.folder, &out) {
            fs::rename(&aside, &out).map_err(|e| {
                cannot_write(
                    &out,
                    format!("{error}; what stood there is now {}: {e}", aside.display()),
                )
            })?;
            return Err(cannot_write(&out, error));
        }
        self.replaced = true;
        keep_others(&aside, &out)
            .and_then(|()| fs::remove_dir_all(&aside))
            .map_err(|e| {
                cannot_write(
                    &out,
                    format!(
                        "the new model is there, and the old one could not be removed from {}: {e}",
                        aside.display()
                    ),
                )
            })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.replaced {
            // An error here is not reported: the caller drops this because of another error, which matters more.
            let _ = fs::remove_dir_all(&self.folder);
            remove_empty(&self.made);
        }
    }
}

/// The folders on the way to `parent` that do not exist yet, the innermost first.
fn made_for(parent: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let mut made = Vec::new();
    for folder in parent.ancestors().filter(|f| !f.as_os_str().is_empty()) {
        if folder.is_dir() {
            break;
        }
        if folder.exists() {
            return Err(cannot_write(
                folder,
                "a file stands there; name a new folder",
            ));
        }
        made.push(folder.to_owned());
    }
    Ok(made)
}

/// Removes those of the folders that are empty.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        // An error here is not reported: the caller cleans up because of another error, which matters more.
        let _ = fs::remove_dir(folder);
    }
}

/// Checks that `source` does not lie in the folder at `out`, which will be deleted.
fn spare(out: &Path, source: &Path) -> Result<(), WeightsError> {
    let within = fs::canonicalize(source).is_ok_and(|source| source.starts_with(out));
    match out.exists() && within {
        true => Err(cannot_write(
            out,
            "the new model is made of what lies in it; name another folder",
        )),
        false => Ok(()),
    }
}

/// Checks that a model directory may be written to this place: there is nothing, an empty folder or another model directory.
fn check(out: &Path) -> Result<(), WeightsError> {
    if !out.exists() {
        return Ok(());
    }
    if !out.is_dir() {
        return Err(cannot_write(out, "a file stands there; name a new folder"));
    }
    let mut entries = fs::read_dir(out).map_err(|e| cannot_write(out, e))?;
    match out.join("lisa.json").is_file() || entries.next().is_none() {
        true => Ok(()),
        false => Err(cannot_write(
            out,
            "it exists and is no model directory; name a new folder",
        )),
    }
}

/// Moves every entry that is no file of a model from one folder to another.
fn keep_others(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if !MODEL_FILES.iter().any(|file| name == *file) {
            fs::rename(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

/// Removes the folders of processes that were killed while they wrote this model directory. A folder with a file that such a
/// process does not write was made by a person, whatever its name, and stays.
fn remove_dead(parent: &Path, name: &str) {
    let begins = format!("{name}{PART}");
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (folder, called) = (entry.path(), entry.file_name());
        // A name must end after the two numbers, so that `….old` stays. That is the old model, put aside by `replace`, and where
        // the process died before it moved the new one into place it is the only one left.
        let ours = called
            .to_str()
            .and_then(|called| called.strip_prefix(&begins))
            .is_some_and(|end| {
                end.split_once('-')
                    .is_some_and(|(process, attempt)| number(process) && number(attempt))
            });
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if let (Ok(Locked::Ours(_held)), Some(files)) = (lock(&folder), written(&folder)) {
            // If this fails, a folder is left over that does no harm.
            let _ = files.iter().try_for_each(fs::remove_file);
            let _ = fs::remove_dir(&folder);
        }
    }
}

/// The files of a folder, if all of them are such as a conversion or a merge writes, otherwise `None`.
fn written(folder: &Path) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name();
        // Tensors are written to a temporary file with a random name, which becomes model.safetensors.
        let temporary = name.to_str().is_some_and(|name| name.starts_with(".tmp"));
        let known = temporary || MODEL_FILES.iter().any(|file| name == *file);
        if !known || !entry.file_type().ok()?.is_file() {
            return None;
        }
        files.push(entry.path());
    }
    Some(files)
}

/// Makes a folder and locks it. Before it is locked, another process may take it for that of a dead process; then the next name
/// is tried.
fn locked(parent: &Path, name: &str, out: &Path) -> Result<(PathBuf, FolderLock), WeightsError> {
    for attempt in 0..100 {
        let folder = parent.join(format!("{name}{PART}{}-{attempt}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(cannot_write(out, e)),
        }
        if let Locked::Ours(lock) = lock(&folder).map_err(|e| cannot_write(out, e))? {
            return Ok((folder, lock));
        }
    }
    Err(cannot_write(
        parent,
        "other processes write here; try again",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_finished_vanishes_with_the_folders_made_for_it() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("a/b/model");
        let staging = Staging::beside(&out, &[]).unwrap();
        fs::write(staging.path().join("lisa.json"), "{}").unwrap();
        drop(staging);
        assert!(names(root.path()).is_empty());
        let staging = Staging::beside(&out, &[]).unwrap();
        fs::write(staging.path().join("lisa.json"), "{}").unwrap();
        staging.replace().unwrap();
        assert_eq!(names(&out), ["lisa.json"]);
        assert_eq!(names(&root.path().join("a/b")), ["model"]);
    }

    #[test]
    fn the_folder_of_a_killed_process_goes_and_a_living_one_s_stays() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("model");
        fs::create_dir(root.path().join("model.part-4000000-0")).unwrap();
        fs::create_dir(root.path().join("model-2.part-4000000-0")).unwrap();
        // Folders of people that happen to have such a name.
        let own = [
            "model.part-4000001-0/notes",
            "model.part-4000002-0/lisa.json/x",
            "model.part-x/lisa.json",
        ];
        for file in own.map(|file| root.path().join(file)) {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "kept").unwrap();
        }
        for file in ["lisa.json", "model.safetensors", ".tmpAbC"] {
            fs::write(root.path().join("model.part-4000000-0").join(file), "dead").unwrap();
        }
        let first = Staging::beside(&out, &[]).unwrap();
        let second = Staging::beside(&out, &[]).unwrap();
        assert!(first.path().is_dir() && second.path().is_dir());
        assert!(!root.path().join("model.part-4000000-0").exists());
        assert!(
            root.path().join("model-2.part-4000000-0").exists(),
            "another model's"
        );
        for file in own.map(|file| root.path().join(file)) {
            assert_eq!(
                fs::read_to_string(&file).unwrap(),
                "kept",
                "{}",
                file.display()
            );
        }
    }

    #[test]
    fn a_model_s_card_outlives_the_model() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("model");
        fs::create_dir(&out).unwrap();
        for (name, text) in [
            ("lisa.json", "old"),
            ("model.safetensors", "old"),
            ("README.md", "card"),
        ] {
            fs::write(out.join(name), text).unwrap();
        }
        let staging = Staging::beside(&out, &[]).unwrap();
        fs::write(staging.path().join("lisa.json"), "new").unwrap();
        staging.replace().unwrap();
        assert_eq!(names(root.path()), ["model"]);
        assert_eq!(names(&out), ["README.md", "lisa.json"]);
        assert_eq!(fs::read_to_string(out.join("lisa.json")).unwrap(), "new");
    }

    #[test]
    fn errors_know_the_place_and_not_the_folder_that_becomes_it() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("model");
        let staging = Staging::beside(&out, &[]).unwrap();
        for (path, place) in [
            (staging.path().join("lisa.json"), out.join("lisa.json")),
            (staging.path().to_owned(), out.clone()),
            (root.path().join("other"), root.path().join("other")),
        ] {
            let error = staging.named(cannot_write(&path, "no space")).to_string();
            assert_eq!(error, cannot_write(&place, "no space").to_string());
        }
    }

    #[test]
    fn a_place_that_cannot_be_had_is_refused_before_anything_is_made() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "").unwrap();
        fs::create_dir(at("source")).unwrap();
        fs::write(at("source/lisa.json"), "").unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("link")).unwrap();
        let before = names(root.path());
        for (out, word) in [
            (at("file"), "a file stands there"),
            (at("file/model"), "a file stands there"),
            (at("link"), "link"),
            (at("source"), "made of what lies in it"),
            (at("new/.."), "name of a folder"),
        ] {
            let source = at("source");
            let error = Staging::beside(&out, &[&source]).err().unwrap().to_string();
            assert!(error.contains(word), "{error}");
            assert_eq!(names(root.path()), before);
        }
    }
}
