//! The folder `OUT.part`, in which a bag of answers is made and from which an interrupted run resumes.
//!
//! | in it | what it is |
//! |---|---|
//! | `annotate.json` | the settings that the answers depend on; it also marks the folder as one of ours |
//! | `new/NAME` | the bag that is being written |
//! | `old/NAME` | what an earlier run has written, while it is copied into the new bag |
//! | `gone/` | what is being removed |
//! | `whole/NAME` | the answers together with the recording |
//!
//! Nothing outside of the folder is touched, and nothing in it that is not listed here. A bag has its final name from the
//! beginning, because its files are named after it. A run holds the folder's lock, and a second run is refused.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lisa_files::lock::{lock, FolderLock, Locked};
use lisa_files::make_folder;
use rosbag2::BagError;

use super::ReplayError;

const SETTINGS: &str = "annotate.json";
/// The folders of the table above.
const FOLDERS: [&str; 4] = ["new", "old", "gone", "whole"];

/// The folder `OUT.part` of one bag of answers, locked for this run. The module says what is in it.
pub(super) struct WorkFolder {
    out: PathBuf,
    part: PathBuf,
    _lock: FolderLock,
}

impl WorkFolder {
    /// Opens or makes the folder beside `out`. Afterwards the bag that an earlier run with the same settings has left is at
    /// [`WorkFolder::old`], and nothing is at [`WorkFolder::new_bag`].
    ///
    /// # Errors
    /// [`BagError::Exists`] where the bag is complete already, [`ReplayError::Foreign`], [`ReplayError::Busy`],
    /// [`ReplayError::OtherSettings`], [`BagError::Io`].
    pub fn open(out: &Path, settings: &BTreeMap<String, String>) -> Result<Self, ReplayError> {
        // `out/` and `out/.` mean `out`.
        let out: PathBuf = out.components().collect();
        let Some(name) = out.file_name() else {
            let kind = io::ErrorKind::InvalidInput;
            let error = io::Error::new(
                kind,
                "no name for a new folder; accepted: one that ends in a name",
            );
            return Err(io_error(&out)(error));
        };
        let mut part = name.to_owned();
        part.push(".part");
        let part = out.with_file_name(part);
        not_there(&out)?;
        match fs::metadata(&part) {
            Ok(_) if !is_ours(&part) => return Err(ReplayError::Foreign { path: part }),
            Ok(_) => {}
            Err(_) => make_folder(&part).map_err(io_error(&part))?,
        }
        let Locked::Ours(lock) = lock(&part).map_err(io_error(&part))? else {
            return Err(ReplayError::Busy { path: part });
        };
        let folder = Self {
            out,
            part,
            _lock: lock,
        };
        // Another run may have completed the bag while it held the lock.
        if let Err(error) = not_there(&folder.out) {
            folder.close()?;
            return Err(error);
        }
        if let Some(earlier) = read_settings(&folder.part) {
            check_settings(&folder.part, &earlier, settings)?;
        }
        let json = serde_json::to_string_pretty(settings)?;
        let path = folder.part.join(SETTINGS);
        fs::write(&path, json).map_err(io_error(&path))?;
        remove(&folder.part.join("gone"))?;
        // An old bag that is still there was not copied completely, so it and not the new one has all answers.
        if !folder.old().exists() && folder.new_bag().exists() {
            remove(&folder.part.join("old"))?;
            rename(&folder.part.join("new"), &folder.part.join("old"))?;
        }
        remove(&folder.part.join("new"))?;
        Ok(folder)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.part
    }

    /// The bag that is being written.
    pub fn new_bag(&self) -> PathBuf {
        self.bag("new")
    }

    /// Where the bag of an earlier run is, if there is one.
    pub fn old(&self) -> PathBuf {
        self.bag("old")
    }

    /// Where the answers are put together with the recording. Removes what an interrupted run has left there.
    ///
    /// # Errors
    /// [`BagError::Io`], where that cannot be removed.
    pub fn whole(&self) -> Result<PathBuf, ReplayError> {
        remove(&self.part.join("whole"))?;
        Ok(self.bag("whole"))
    }

    /// Removes the old bag once it has been copied.
    ///
    /// # Errors
    /// [`BagError::Io`].
    pub fn remove_old(&self) -> Result<(), ReplayError> {
        // Renamed first, because a half-removed bag would be taken for a complete one.
        let (old, gone) = (self.part.join("old"), self.part.join("gone"));
        if old.exists() {
            rename(&old, &gone)?;
        }
        remove(&gone)
    }

    /// Moves the completed bag to `out`, and removes the folder.
    ///
    /// # Errors
    /// [`BagError::Io`].
    pub fn publish(self, bag: &Path) -> Result<(), ReplayError> {
        not_there(&self.out)?;
        rename(bag, &self.out)?;
        self.close()
    }

    /// Removes the folder and everything of ours in it.
    ///
    /// # Errors
    /// [`BagError::Io`].
    pub fn close(self) -> Result<(), ReplayError> {
        for folder in FOLDERS {
            remove(&self.part.join(folder))?;
        }
        let settings = self.part.join(SETTINGS);
        match fs::remove_file(&settings) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&settings)(error))
            }
            _ => {}
        }
        // If somebody else has put a file into it, that file stays, and so does the folder.
        let _ = fs::remove_dir(&self.part);
        Ok(())
    }

    fn bag(&self, folder: &str) -> PathBuf {
        let name = self.out.file_name().unwrap_or_default();
        self.part.join(folder).join(name)
    }
}

/// Refuses a path at which something is, even if it is a link that leads nowhere.
fn not_there(out: &Path) -> Result<(), ReplayError> {
    match out.symlink_metadata() {
        Ok(_) => Err(BagError::Exists {
            path: out.to_owned(),
        }
        .into()),
        Err(_) => Ok(()),
    }
}

/// Whether a run has made this folder: it has settings in it, or nothing at all because that run was killed at once.
fn is_ours(part: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(part) else {
        return false;
    };
    entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == SETTINGS))
        || read_settings(part).is_some()
}

/// The settings with which an earlier run has begun.
fn read_settings(part: &Path) -> Option<BTreeMap<String, String>> {
    let text = fs::read_to_string(part.join(SETTINGS)).ok()?;
    serde_json::from_str(&text).ok()
}

fn check_settings(
    part: &Path,
    earlier: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Result<(), ReplayError> {
    let names = earlier
        .keys()
        .chain(now.keys().filter(|key| !earlier.contains_key(*key)));
    let other: Vec<&str> = names
        .filter(|key| earlier.get(*key) != now.get(*key))
        .map(String::as_str)
        .collect();
    match other.is_empty() {
        true => Ok(()),
        false => Err(ReplayError::OtherSettings {
            path: part.to_owned(),
            settings: other.join(", "),
        }),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ReplayError + '_ {
    move |source| {
        ReplayError::Bag(BagError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), ReplayError> {
    fs::rename(from, to).map_err(io_error(from))
}

/// Removes one of [`FOLDERS`] with everything in it, if it is there.
fn remove(folder: &Path) -> Result<(), ReplayError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(model: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("model".to_owned(), model.to_owned())])
    }

    fn why(out: &Path) -> ReplayError {
        WorkFolder::open(out, &settings("a")).err().unwrap()
    }

    #[test]
    fn what_is_somebody_s_own_is_refused_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("folder.part/new")).unwrap();
        fs::write(at("folder.part/new/thesis"), "kept").unwrap();
        fs::write(at("file.part"), "kept").unwrap();
        for name in ["folder", "file"] {
            assert!(matches!(why(&at(name)), ReplayError::Foreign { .. }));
        }
        for beside in ["out.whole", "out.gone", "out.old"] {
            fs::create_dir(at(beside)).unwrap();
            fs::write(at(beside).join("thesis"), "kept").unwrap();
        }
        let folder = WorkFolder::open(&at("out"), &settings("a")).unwrap();
        // A foreign file in the folder stays there.
        fs::write(at("out.part/thesis"), "kept").unwrap();
        fs::create_dir_all(folder.new_bag()).unwrap();
        let bag = folder.new_bag();
        folder.publish(&bag).unwrap();
        assert!(at("out").is_dir());
        for file in [
            "folder.part/new/thesis",
            "file.part",
            "out.whole/thesis",
            "out.gone/thesis",
            "out.old/thesis",
            "out.part/thesis",
        ] {
            assert_eq!(fs::read_to_string(at(file)).unwrap(), "kept", "{file}");
        }
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        assert!(matches!(
            why(&at("link")),
            ReplayError::Bag(BagError::Exists { .. })
        ));
    }

    #[test]
    fn a_folder_is_one_run_s_at_a_time_and_the_next_one_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let first = WorkFolder::open(&out, &settings("a")).unwrap();
        assert!(matches!(why(&out), ReplayError::Busy { .. }));
        fs::create_dir_all(first.new_bag()).unwrap();
        fs::write(first.new_bag().join("answers"), "1").unwrap();
        // The run is killed.
        drop(first);
        let other = WorkFolder::open(&out, &settings("b")).err().unwrap();
        assert!(other.to_string().contains("(model)"), "{other}");
        for _ in 0..2 {
            // A run is killed while it copies, so the old bag is still the complete one.
            let second = WorkFolder::open(&out, &settings("a")).unwrap();
            assert_eq!(
                fs::read_to_string(second.old().join("answers")).unwrap(),
                "1"
            );
            assert!(!second.new_bag().exists());
            fs::create_dir_all(second.new_bag()).unwrap();
        }
        let third = WorkFolder::open(&out, &settings("a")).unwrap();
        third.remove_old().unwrap();
        third.close().unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_slash_behind_a_name_is_not_a_part_of_it() {
        let root = tempfile::tempdir().unwrap();
        for name in ["x/", "x//", "x/."] {
            let out = root.path().join(name);
            let folder = WorkFolder::open(&out, &settings("a")).unwrap();
            assert_eq!(folder.path(), root.path().join("x.part"), "{name}");
            let bag = folder.new_bag();
            assert_eq!(bag.file_name().unwrap(), "x");
            fs::create_dir_all(&bag).unwrap();
            folder.publish(&bag).unwrap();
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
            fs::remove_dir(root.path().join("x")).unwrap();
        }
        let words = why(&root.path().join("x/..")).to_string();
        assert!(
            words.contains("accepted: one that ends in a name"),
            "{words}"
        );
    }
}
