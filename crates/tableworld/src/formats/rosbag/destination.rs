//! Where a bag is made, `SPLIT.part/SPLIT`, and how it comes to its place, `SPLIT`, when it is whole: whatever ends the writing,
//! the same order can be given again, and an earlier bag is there until then.

use std::fs;
use std::path::{Path, PathBuf};

use lisa_files::lock::{lock, FolderLock, Locked};

use super::super::files::make_folder;
use super::super::WriteError;

/// See the module's text.
pub(super) struct BagDestination {
    out: PathBuf,
    part: PathBuf,
    bag: PathBuf,
    _lock: FolderLock,
}

impl BagDestination {
    /// Makes room for a bag `name` in the folder `parent`.
    ///
    /// # Errors
    /// [`WriteError::Existing`] where something else than a bag of this name stands, or another process makes one;
    /// [`WriteError::Write`].
    pub fn open(parent: &Path, name: &str) -> Result<Self, WriteError> {
        let out = parent.join(name);
        let part = parent.join(format!("{name}.part"));
        let bag = part.join(name);
        // An earlier bag is replaced; anything else is nobody's to remove.
        if out.symlink_metadata().is_ok()
            && !(is_bag(&out, name) && out.join("metadata.yaml").is_file())
        {
            return Err(existing(
                &out,
                "it is no finished bag, or holds other files",
            ));
        }
        let begun = part.symlink_metadata().is_ok();
        if begun && !is_begun(&part, name) {
            return Err(existing(&part, "a bag is made there, and this is none"));
        }
        make_folder(&part)?;
        let Locked::Ours(lock) = lock(&part).map_err(WriteError::io(&part))? else {
            return Err(existing(&part, "another `lisa world` is making it"));
        };
        if bag.exists() {
            fs::remove_dir_all(&bag).map_err(WriteError::io(&bag))?;
        }
        Ok(Self {
            out,
            part,
            bag,
            _lock: lock,
        })
    }

    /// Where the bag is written.
    pub fn bag(&self) -> &Path {
        &self.bag
    }

    /// The bag is whole.
    ///
    /// # Errors
    /// [`WriteError::Write`].
    pub fn publish(self) -> Result<(), WriteError> {
        if self.out.exists() {
            fs::remove_dir_all(&self.out).map_err(WriteError::io(&self.out))?;
        }
        fs::rename(&self.bag, &self.out).map_err(WriteError::io(&self.out))?;
        fs::remove_dir(&self.part).map_err(WriteError::io(&self.part))
    }
}

fn existing(path: &Path, reason: &str) -> WriteError {
    WriteError::Existing {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Whether nothing is in a folder but what a writer puts into the bag `name`.
fn is_bag(folder: &Path, name: &str) -> bool {
    let begins = format!("{name}_");
    let ours = |file: &str| {
        file.starts_with("metadata.yaml") || file.starts_with(&begins) && file.ends_with(".mcap")
    };
    all(folder, |entry| {
        entry.file_name().to_str().is_some_and(ours) && entry.path().is_file()
    })
}

/// Whether nothing is in a folder but a bag that was begun, or nothing at all.
fn is_begun(part: &Path, name: &str) -> bool {
    all(part, |entry| {
        entry.file_name() == name && is_bag(&entry.path(), name)
    })
}

fn all(folder: &Path, ours: impl Fn(&fs::DirEntry) -> bool) -> bool {
    let entries = fs::read_dir(folder);
    entries.is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| ours(&entry))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: PathBuf) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    #[test]
    fn an_interrupted_bag_is_made_anew_and_the_earlier_one_stays_till_then() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write(at("val/val_0.mcap"));
        write(at("val/metadata.yaml"));
        for _ in 0..2 {
            // Killed.
            let place = BagDestination::open(root.path(), "val").unwrap();
            let second = BagDestination::open(root.path(), "val")
                .err()
                .unwrap()
                .to_string();
            assert!(
                second.contains("another `lisa world` is making it"),
                "{second}"
            );
            write(place.bag().join("val_0.mcap"));
            assert!(at("val/metadata.yaml").exists());
        }
        let place = BagDestination::open(root.path(), "val").unwrap();
        fs::create_dir(place.bag()).unwrap();
        place.publish().unwrap();
        assert!(at("val").is_dir() && !at("val/val_0.mcap").exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_somebody_s_own_is_refused_and_stays() {
        for file in [
            "val",
            "val/thesis",
            "val/val_0.mcap",
            "val.part",
            "val.part/thesis",
            "val.part/val/thesis",
        ] {
            let root = tempfile::tempdir().unwrap();
            write(root.path().join(file));
            let error = BagDestination::open(root.path(), "val")
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.contains("remove it or write to another folder"),
                "{error}"
            );
            assert!(root.path().join(file).is_file());
        }
    }
}
