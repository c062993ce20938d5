//! [`HubError`]: what can go wrong, each in one line that says the way out.

use std::path::{Path, PathBuf};

/// Why files of a repository could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A name cannot be one of a repository, a revision or a file.
    #[error("{given:?} is no name of a {what}; accepted: {accepted}")]
    Name {
        /// What was to be named, in words.
        what: &'static str,
        /// The name.
        given: String,
        /// Which names are accepted.
        accepted: &'static str,
    },
    /// A variable of the environment has a value that cannot be used.
    #[error("{name} {reason}")]
    Setting {
        /// Name of the variable, or the file that it leads to.
        name: String,
        /// What is wrong, and what is accepted.
        reason: String,
    },
    /// The hub does not show the repository: it does not exist, or it is private.
    #[error("{endpoint} shows no model {repo}; check the name{}", token_way_out(*.with_token))]
    NoSuchRepo {
        /// The name that was asked for.
        repo: String,
        /// The hub.
        endpoint: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The hub does not accept the token.
    #[error("{endpoint} does not accept the token of {origin}; make a new one in the settings of your account there, or remove this one")]
    Token {
        /// The hub.
        endpoint: String,
        /// Where the token came from.
        origin: String,
    },
    /// The repository's files are given to those only who accepted its conditions.
    #[error("{repo} is gated: accept its conditions at {endpoint}/{repo}, then set HF_TOKEN to a token of the same account{said}")]
    Gated {
        /// The repository.
        repo: String,
        /// The hub.
        endpoint: String,
        /// What the hub said, with a semicolon before it; may be empty.
        said: String,
    },
    /// The repository has no such branch, tag or commit.
    #[error("{repo} has no revision {revision}; the default is main")]
    NoSuchRevision {
        /// The repository.
        repo: String,
        /// The revision that was asked for.
        revision: String,
    },
    /// The repository has no such file at that revision.
    #[error("{repo} has no file {file}")]
    NoSuchFile {
        /// The repository.
        repo: String,
        /// The file.
        file: String,
    },
    /// The hub, or where it leads to, cannot be reached.
    #[error("cannot reach {url}: {reason}; check the network, HF_ENDPOINT and HTTPS_PROXY, or take what is in the cache with HF_HUB_OFFLINE=1")]
    Unreachable {
        /// Scheme, host and port.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// The hub answered with an error that trying again does not mend.
    #[error("{url} answered {status}{said}")]
    Status {
        /// The address, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the hub said, with a colon before it; may be empty.
        said: String,
    },
    /// It was tried often enough.
    #[error("{what}: gave up after {tries} tries: {reason}; what came is kept, and the same command goes on from there")]
    GaveUp {
        /// What was asked for.
        what: String,
        /// Number of tries without a new byte.
        tries: u32,
        /// The last error.
        reason: String,
    },
    /// The hub wants a longer pause than anybody waits for.
    #[error("{url} is busy and asks to come back in {seconds} s; run the same command then")]
    Busy {
        /// The address, without its query.
        url: String,
        /// The pause it asks for.
        seconds: u64,
    },
    /// What answered is no hub, as a login page in between.
    #[error("{url} does not answer as a model hub does: {reason}; is HF_ENDPOINT right, or is there a login page in between?")]
    NotAHub {
        /// The address, without its query.
        url: String,
        /// What is missing or wrong in the answer.
        reason: String,
    },
    /// A redirect that must not be followed.
    #[error("{url} leads to {to}, which is not followed: {reason}")]
    Redirect {
        /// The address, without its query.
        url: String,
        /// Where it leads, without the query.
        to: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// A file came twice, and not with the content that the hub has announced.
    #[error("{file} came with {found}, and {expected} was announced; nothing of it is kept: try again, or ask whoever serves {url}")]
    Damaged {
        /// The file.
        file: String,
        /// Length or checksum that came.
        found: String,
        /// Length or checksum that was announced.
        expected: String,
        /// The hub.
        url: String,
    },
    /// Not enough room on a disk.
    #[error("{folder}: {needed} are needed for {what}, and {free} are free; make room, or name another place{way_out}", folder = .folder.display(), needed = crate::space::bytes(*.needed), free = crate::space::bytes(*.free))]
    Space {
        /// The folder on that disk.
        folder: PathBuf,
        /// What is to be written there, in words.
        what: String,
        /// Bytes.
        needed: u64,
        /// Bytes.
        free: u64,
        /// How another place is named.
        way_out: String,
    },
    /// A file or folder of the cache cannot be read or written.
    #[error("cannot {doing} {path}: {source}", path = .path.display())]
    Io {
        /// What was to be done, e.g. `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Offline, and the cache lacks something.
    #[error("HF_HUB_OFFLINE is set, and {cache} {lacks}; unset it to download", cache = .cache.display())]
    Offline {
        /// The cache.
        cache: PathBuf,
        /// What it lacks, in words.
        lacks: String,
    },
    /// It was ended from outside. What came is kept for the next time.
    #[error("interrupted")]
    Interrupted,
}

fn token_way_out(with_token: bool) -> &'static str {
    match with_token {
        false => ", and for a private one set HF_TOKEN to a token that may read it",
        true => ", or use a token that may read it",
    }
}

/// An error of the file system.
pub(crate) fn io<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> HubError + 'a {
    move |source| HubError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}
