//! [`RepoCache`]: the folder of one repository in the cache that all clients of the hub share.
//!
//! | below `models--OWNER--NAME/` | |
//! |---|---|
//! | `blobs/ETAG` | content, named by its checksum; may be a link into a store of the whole cache, and is replaced as a link |
//! | `blobs/ETAG.incomplete` | the beginning of it |
//! | `refs/REVISION` | the commit that a branch or tag stood for when it was last asked about |
//! | `snapshots/COMMIT/FILE` | a relative link to the blob; the file itself where a file system has no links |
//!
//! Beside these folders, `.locks/models--OWNER--NAME/ETAG.lock` is locked (`flock`) by whoever downloads that blob.

use std::fs::{self, File};
use std::io::{self as std_io, ErrorKind, Write};
use std::path::{Path, PathBuf};

use lisa_files::lock::{lock, FolderLock, Locked};

use crate::digest::Etag;
use crate::error::io;
use crate::name::{is_below, is_hex};
use crate::{HubError, Repo, Revision};

/// The folder of a repository in the cache.
#[derive(Clone, Debug)]
pub(crate) struct RepoCache {
    /// The whole cache.
    pub hub: PathBuf,
    name: String,
}

impl RepoCache {
    pub fn new(hub: &Path, repo: &Repo) -> Self {
        Self {
            // Other clients may be given the same cache by another relative path.
            hub: std::path::absolute(hub).unwrap_or_else(|_| hub.to_owned()),
            name: repo.folder(),
        }
    }

    pub fn folder(&self) -> PathBuf {
        self.hub.join(&self.name)
    }

    pub fn blob(&self, etag: &Etag) -> PathBuf {
        self.folder().join("blobs").join(etag.as_str())
    }

    pub fn partial(&self, etag: &Etag) -> PathBuf {
        let name = format!("{}.incomplete", etag.as_str());
        self.folder().join("blobs").join(name)
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    /// The place of a file.
    ///
    /// # Errors
    /// A name that leads out of the snapshot.
    pub fn pointer(&self, commit: &str, file: &str) -> Result<PathBuf, HubError> {
        match is_below(file) {
            true => Ok(self.snapshot(commit).join(file)),
            false => Err(HubError::Name {
                what: "file",
                given: file.to_owned(),
                accepted: "files below the repository",
            }),
        }
    }

    /// The commit that a revision stands for, as far as the cache knows.
    pub fn commit(&self, revision: &Revision) -> Option<String> {
        if revision.is_commit() {
            return Some(revision.as_str().to_owned());
        }
        let commit = fs::read_to_string(self.folder().join("refs").join(revision.as_str())).ok()?;
        let commit = commit.trim();
        is_hex(commit, 40).then(|| commit.to_owned())
    }

    /// Writes down which commit a revision stands for.
    pub fn remember(&self, revision: &Revision, commit: &str) -> Result<(), HubError> {
        if revision.is_commit() || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder().join("refs").join(revision.as_str());
        make_parent(&path)?;
        let aside = beside(&path);
        let written = File::create(&aside)
            .and_then(|mut file| file.write_all(commit.as_bytes()))
            .and_then(|()| fs::rename(&aside, &path));
        written.map_err(io("write", &path))
    }

    /// The files of a snapshot that are in the cache, sorted, links followed.
    pub fn files(&self, commit: &str) -> Vec<String> {
        let mut files = Vec::new();
        let root = self.snapshot(commit);
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                // A link to a folder is none of ours, and might lead in a circle.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if path.is_file() {
                    let below = path.strip_prefix(&root).ok().and_then(Path::to_str);
                    files.extend(below.map(str::to_owned));
                }
            }
        }
        files.sort();
        files
    }

    /// The checksum that the name of a cached file's blob gives; `None` where the snapshot holds the file itself.
    pub fn etag_of(&self, pointer: &Path) -> Option<Etag> {
        let blob = fs::read_link(pointer).ok()?;
        Etag::parse(blob.file_name()?.to_str()?)
    }

    /// Tries to lock a blob; `None` while another process has it.
    pub fn lock(&self, etag: &Etag) -> Result<Option<FolderLock>, HubError> {
        let name = format!("{}.lock", etag.as_str());
        let path = self.hub.join(".locks").join(&self.name).join(name);
        make_parent(&path)?;
        let opened = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map(drop);
        opened.map_err(io("write", &path))?;
        match lock(&path).map_err(io("lock", &path))? {
            Locked::Ours(lock) => Ok(Some(lock)),
            Locked::Theirs => Ok(None),
        }
    }

    /// Gives a finished partial file its name.
    pub fn finish(&self, etag: &Etag) -> Result<(), HubError> {
        let blob = self.blob(etag);
        // A damaged blob, or a link to one, is replaced; what the link led to is not touched.
        fs::rename(self.partial(etag), &blob).map_err(io("write", &blob))
    }

    /// Lets a file of a snapshot be this blob.
    pub fn link(&self, commit: &str, file: &str, etag: &Etag) -> Result<(), HubError> {
        self.link_by(commit, file, etag, |target, link| {
            std::os::unix::fs::symlink(target, link)
        })
    }

    fn link_by(
        &self,
        commit: &str,
        file: &str,
        etag: &Etag,
        symlink: impl FnOnce(&Path, &Path) -> std_io::Result<()>,
    ) -> Result<(), HubError> {
        let pointer = self.pointer(commit, file)?;
        let up = "../".repeat(2 + file.matches('/').count());
        let target = PathBuf::from(format!("{up}blobs/{}", etag.as_str()));
        if fs::read_link(&pointer).is_ok_and(|there| there == target) {
            return Ok(());
        }
        make_parent(&pointer)?;
        let aside = beside(&pointer);
        let _ = fs::remove_file(&aside); // of a process that was killed; where there is none, nothing is to be done
        let linked = match symlink(&target, &aside) {
            Ok(()) => fs::rename(&aside, &pointer),
            // exFAT, and some network drives. Then the snapshot holds the file itself, as other clients do it.
            Err(error) if has_no_links(&error) => fs::rename(self.blob(etag), &pointer),
            Err(error) => Err(error),
        };
        linked.map_err(io("write", &pointer))
    }
}

fn has_no_links(error: &std_io::Error) -> bool {
    use rustix::io::Errno;
    let none = [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| none.contains(&errno))
        || error.kind() == ErrorKind::Unsupported
}

/// A name beside a file, for what is to replace it at once.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    PathBuf::from(name)
}

/// Makes the folder that a file is to lie in.
pub(crate) fn make_parent(path: &Path) -> Result<(), HubError> {
    match path.parent() {
        Some(parent) => lisa_files::make_folder(parent).map_err(io("make the folder", parent)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";
    const EMPTY: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

    fn cache() -> (tempfile::TempDir, RepoCache, Etag) {
        let folder = tempfile::tempdir().unwrap();
        let cache = RepoCache::new(folder.path(), &"a/b".parse().unwrap());
        let etag = Etag::parse(EMPTY).unwrap();
        make_parent(&cache.blob(&etag)).unwrap();
        fs::write(cache.blob(&etag), "").unwrap();
        (folder, cache, etag)
    }

    #[test]
    fn snapshots_are_links_to_blobs_as_other_clients_make_them() {
        let (folder, cache, etag) = cache();
        cache.link(COMMIT, "config.json", &etag).unwrap();
        cache.link(COMMIT, "sub/part.bin", &etag).unwrap();
        cache.link(COMMIT, "sub/part.bin", &etag).unwrap();
        let snapshot = folder.path().join("models--a--b/snapshots").join(COMMIT);
        let target = |file: &str| fs::read_link(snapshot.join(file)).unwrap();
        assert_eq!(target("config.json"), Path::new("../../blobs").join(EMPTY));
        assert_eq!(
            target("sub/part.bin"),
            Path::new("../../../blobs").join(EMPTY)
        );
        assert_eq!(cache.files(COMMIT), ["config.json", "sub/part.bin"]);
        assert_eq!(
            cache.etag_of(&snapshot.join("config.json")),
            Some(etag.clone())
        );
        assert!(cache.link(COMMIT, "../../../../x", &etag).is_err());
    }

    #[test]
    fn without_links_the_snapshot_holds_the_file_itself() {
        let (_folder, cache, etag) = cache();
        let refuse = |_: &Path, _: &Path| Err(rustix::io::Errno::PERM.into());
        cache.link_by(COMMIT, "config.json", &etag, refuse).unwrap();
        let pointer = cache.pointer(COMMIT, "config.json").unwrap();
        assert!(pointer.symlink_metadata().unwrap().is_file());
        assert!(!cache.blob(&etag).exists());
        assert_eq!(cache.etag_of(&pointer), None);
    }

    #[test]
    fn refs_say_which_commit_a_revision_was() {
        let (folder, cache, _) = cache();
        let pr: Revision = "refs/pr/1".parse().unwrap();
        assert_eq!(cache.commit(&pr), None);
        cache.remember(&pr, COMMIT).unwrap();
        assert_eq!(cache.commit(&pr).as_deref(), Some(COMMIT));
        let path = folder.path().join("models--a--b/refs/refs/pr/1");
        assert_eq!(fs::read_to_string(&path).unwrap(), COMMIT);
        // A commit stands for itself, and what is none is not believed.
        let commit: Revision = COMMIT.parse().unwrap();
        assert_eq!(cache.commit(&commit).as_deref(), Some(COMMIT));
        fs::write(path, "../../x").unwrap();
        assert_eq!(cache.commit(&pr), None);
    }

    #[test]
    fn a_blob_is_downloaded_by_one_at_a_time() {
        let (folder, cache, etag) = cache();
        let ours = cache.lock(&etag).unwrap();
        assert!(ours.is_some() && cache.lock(&etag).unwrap().is_none());
        let place = format!(".locks/models--a--b/{EMPTY}.lock");
        assert!(folder.path().join(place).is_file());
        drop(ours);
        assert!(cache.lock(&etag).unwrap().is_some());
    }
}
