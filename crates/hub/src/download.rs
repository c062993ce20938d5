//! One file, from its first missing byte to its checked place.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use lisa_files::lock::FolderLock;
use ureq::http::{header, HeaderMap};

use crate::address::text;
use crate::cache::{make_parent, RepoCache};
use crate::digest::{add_file, Etag, Hasher, PIECE};
use crate::error::io;
use crate::event::{Event, Say};
use crate::http::{About, Client, Patience, Trouble};
use crate::HubError;

/// How often somebody who waits for another process looks whether it has finished.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A file of a repository, with what the hub says of its content.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub file: String,
    pub etag: Etag,
    pub size: u64,
    /// Where it is had, without a signature.
    pub url: String,
}

/// Brings a file into the snapshot of `commit`, unless it is there. Whatever was there is checked, too.
pub(crate) fn fetch(
    client: &Client,
    cache: &RepoCache,
    about: About<'_>,
    commit: &str,
    wanted: &Wanted,
    say: Say<'_>,
) -> Result<(), HubError> {
    let _lock = wait_for_lock(client, cache, wanted, say)?;
    let blob = cache.blob(&wanted.etag);
    let pointer = cache.pointer(commit, &wanted.file)?;
    // A file system without links holds the file in the snapshot itself.
    for there in [&blob, &pointer] {
        if !there.is_file() {
            continue;
        }
        if is_whole(client, there, &wanted.etag, wanted.size, say)? {
            return match there == &blob {
                true => cache.link(commit, &wanted.file, &wanted.etag),
                false => Ok(()),
            };
        }
        say(Event::Note(&format!(
            "{} in the cache is damaged and is fetched again",
            wanted.file
        )));
        say(Event::At(0));
    }
    Download::open(client, cache, about, wanted)?.run(say)?;
    cache.finish(&wanted.etag)?;
    cache.link(commit, &wanted.file, &wanted.etag)
}

/// Whether a file has the length and the checksum that it should have.
pub(crate) fn is_whole(
    client: &Client,
    path: &Path,
    etag: &Etag,
    size: u64,
    say: Say<'_>,
) -> Result<bool, HubError> {
    if fs::metadata(path).map_err(io("read", path))?.len() != size {
        return Ok(false);
    }
    let mut hasher = etag.hasher(size);
    add_file(&mut hasher, path, size, &client.stop, |at| {
        say(Event::At(at))
    })?;
    Ok(hasher.finish() == etag.as_str())
}

fn wait_for_lock(
    client: &Client,
    cache: &RepoCache,
    wanted: &Wanted,
    say: Say<'_>,
) -> Result<FolderLock, HubError> {
    let mut waits = false;
    loop {
        if let Some(lock) = cache.lock(&wanted.etag)? {
            return Ok(lock);
        }
        if !waits {
            say(Event::Note(&format!(
                "another program is downloading {}; waiting for it",
                wanted.file
            )));
            waits = true;
        }
        client.settings.pause.pause(LOOK_AGAIN, &client.stop);
        if client.stop.is_asked() {
            return Err(HubError::Interrupted);
        }
    }
}

/// A file that is being downloaded.
struct Download<'a> {
    client: &'a Client,
    about: About<'a>,
    wanted: &'a Wanted,
    partial: std::path::PathBuf,
    file: File,
    /// Bytes that are in the partial file and in the checksum.
    at: u64,
    hasher: Hasher,
    /// The server has shown that it cannot go on in the middle.
    no_ranges: bool,
}

impl<'a> Download<'a> {
    fn open(
        client: &'a Client,
        cache: &RepoCache,
        about: About<'a>,
        wanted: &'a Wanted,
    ) -> Result<Self, HubError> {
        let partial = cache.partial(&wanted.etag);
        make_parent(&partial)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&partial)
            .map_err(io("write", &partial))?;
        Ok(Self {
            client,
            about,
            wanted,
            file,
            at: 0,
            hasher: wanted.etag.hasher(wanted.size),
            no_ranges: false,
            partial,
        })
    }

    /// Downloads what is missing, and compares length and checksum. What does not fit is fetched once more from its beginning:
    /// the first part may have been another program's.
    fn run(mut self, say: Say<'_>) -> Result<(), HubError> {
        self.take_up(say)?;
        for last in [false, true] {
            self.download(say)?;
            let sum = self.hasher.clone().finish();
            if sum == self.wanted.etag.as_str() {
                // The name is given only to what the disk has.
                return self.file.sync_all().map_err(io("write", &self.partial));
            }
            self.begin_anew(say)?;
            if last {
                fs::remove_file(&self.partial).map_err(io("remove", &self.partial))?;
                let kind = self.wanted.etag.kind();
                return Err(HubError::Damaged {
                    file: self.wanted.file.clone(),
                    found: format!("{kind} {sum}"),
                    expected: self.wanted.etag.as_str().to_owned(),
                    url: self.client.settings.endpoint.clone(),
                });
            }
            say(Event::Note(&format!(
                "{} came with another checksum than announced and is fetched again",
                self.wanted.file
            )));
        }
        Ok(())
    }

    /// Adds what an earlier process has left to the checksum.
    fn take_up(&mut self, say: Say<'_>) -> Result<(), HubError> {
        let there = self
            .file
            .metadata()
            .map_err(io("read", &self.partial))?
            .len();
        if there > self.wanted.size {
            return self.begin_anew(say);
        }
        add_file(
            &mut self.hasher,
            &self.partial,
            there,
            &self.client.stop,
            |at| say(Event::At(at)),
        )?;
        self.at = there;
        Ok(())
    }

    fn begin_anew(&mut self, say: Say<'_>) -> Result<(), HubError> {
        self.file.set_len(0).map_err(io("write", &self.partial))?;
        self.hasher = self.wanted.etag.hasher(self.wanted.size);
        self.at = 0;
        say(Event::At(0));
        Ok(())
    }

    fn download(&mut self, say: Say<'_>) -> Result<(), HubError> {
        let mut patience = Patience::default();
        // A server without ranges begins anew each time: only what goes beyond the best try is progress.
        let mut best = self.at;
        while self.at < self.wanted.size {
            let tried = self.attempt(say);
            if self.at > best {
                best = self.at;
                patience.renew();
            }
            if let Err(trouble) = tried {
                patience.wait(self.client, &self.wanted.file, trouble, say)?;
            }
        }
        Ok(())
    }

    /// One request, read as far as it goes.
    fn attempt(&mut self, say: Say<'_>) -> Result<(), Trouble> {
        if self.no_ranges && self.at > 0 {
            self.begin_anew(say)?;
        }
        let about = About {
            file: Some(&self.wanted.file),
            ..self.about
        };
        let response = match self.client.get(&self.wanted.url, self.at, about) {
            Ok(response) => response,
            Err(trouble) => {
                // Where a range is refused, the whole may be had.
                self.no_ranges |= self.at > 0
                    && matches!(&trouble, Trouble::Again { reason, .. } if reason.ends_with("no such range"));
                return Err(trouble);
            }
        };
        let left = match response.status().as_u16() {
            206 if range_start(response.headers()) == Some(self.at) => self.wanted.size - self.at,
            206 => {
                self.no_ranges = true;
                return Err(Trouble::again(
                    "the server sent another range than was asked for",
                ));
            }
            _ => self.wanted.size,
        };
        let length = text(response.headers(), header::CONTENT_LENGTH.as_str());
        if let Some(length) = length.and_then(|length| length.parse::<u64>().ok()) {
            if length != left {
                return Err(Trouble::again(format!(
                    "the server sends {length} bytes where {left} are missing"
                )));
            }
        }
        if response.status() == 200 && self.at > 0 {
            // The server has ignored the range.
            self.begin_anew(say)?;
        }
        self.read(response.into_body().into_reader(), say)
    }

    fn read(&mut self, mut body: impl Read, say: Say<'_>) -> Result<(), Trouble> {
        let mut piece = vec![0; PIECE];
        loop {
            if self.client.stop.is_asked() {
                return Err(HubError::Interrupted.into());
            }
            let read = match body.read(&mut piece) {
                Ok(0) if self.at < self.wanted.size => {
                    return Err(Trouble::again(format!(
                        "the connection ended after {} of {} bytes",
                        self.at, self.wanted.size
                    )))
                }
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(_) if self.client.stop.is_asked() => return Err(HubError::Interrupted.into()),
                Err(error) => {
                    return Err(Trouble::again(format!(
                        "the connection broke off after {} of {} bytes: {error}",
                        self.at, self.wanted.size
                    )))
                }
            };
            if read as u64 > self.wanted.size - self.at {
                self.begin_anew(say)?;
                return Err(Trouble::again("the server sends more than was announced"));
            }
            // At a place and not at the end: where a file system has no locks, another process may write the same bytes.
            self.file
                .write_all_at(&piece[..read], self.at)
                .map_err(io("write", &self.partial))?;
            self.hasher.update(&piece[..read]);
            self.at += read as u64;
            say(Event::At(self.at));
        }
    }
}

/// The first byte of the range that an answer holds.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, header::CONTENT_RANGE.as_str())?
        .trim()
        .strip_prefix("bytes")?;
    range.trim().split('-').next()?.parse().ok()
}
