//! [`Event`]: what a person who waits wants to know.

/// What happens while files are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Files are about to be fetched: how many, and their bytes in all, those that are in the cache already included.
    Begin {
        /// Number of files.
        files: usize,
        /// Bytes.
        bytes: u64,
    },
    /// A file begins.
    File {
        /// Its name in the repository.
        name: &'a str,
        /// Its size in bytes.
        size: u64,
    },
    /// So many bytes of this file are here: read again from the cache, or downloaded. Goes back to 0 where it has to begin anew.
    At(u64),
    /// The file is in its place, checked.
    Done,
    /// Something a person should know, in one sentence without a full stop: a pause, a file that is fetched again.
    Note(&'a str),
}

/// Who is told.
pub(crate) type Say<'a> = &'a mut dyn FnMut(Event<'_>);
