//! [`Etag`]: the name of a blob is the checksum of its content.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha1::Digest as _;

use crate::error::io;
use crate::name::is_hex;
use crate::stop::Stop;
use crate::HubError;

/// The checksum by which the hub names a file: SHA-256 of a large one, git's SHA-1 of a small one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Etag(String);

impl Etag {
    /// The name of a blob, if it is a checksum. A weak mark (`W/`) and quotes are left out, as every client does.
    pub fn parse(header: &str) -> Option<Self> {
        let text = header.trim();
        let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
        let text = text.to_ascii_lowercase();
        (is_hex(&text, 40) || is_hex(&text, 64)).then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which checksum it is, in words.
    pub fn kind(&self) -> &'static str {
        match self.0.len() {
            64 => "SHA-256",
            _ => "git SHA-1",
        }
    }

    /// Begins the checksum of a file of `size` bytes.
    pub fn hasher(&self, size: u64) -> Hasher {
        match self.0.len() {
            64 => Hasher::Sha256(sha2::Sha256::default()),
            _ => {
                let mut hasher = sha1::Sha1::default();
                // A git blob is its content behind this header.
                hasher.update(format!("blob {size}\0"));
                Hasher::Git(hasher)
            }
        }
    }
}

/// A checksum under way.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(sha2::Sha256),
    Git(sha1::Sha1),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => sha2::Digest::update(hasher, bytes),
            Self::Git(hasher) => hasher.update(bytes),
        }
    }

    /// The checksum, as the hub writes it.
    pub fn finish(self) -> String {
        let bytes: Vec<u8> = match self {
            Self::Sha256(hasher) => sha2::Digest::finalize(hasher).to_vec(),
            Self::Git(hasher) => hasher.finalize().to_vec(),
        };
        bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Bytes that are read or written at a time; large enough that a signal to stop and the progress cost nothing.
pub(crate) const PIECE: usize = 1 << 18;

/// Adds the first `length` bytes of a file to a checksum. `at` is told how far it is.
pub(crate) fn add_file(
    hasher: &mut Hasher,
    path: &Path,
    length: u64,
    stop: &Stop,
    mut at: impl FnMut(u64),
) -> Result<(), HubError> {
    let mut file = File::open(path).map_err(io("read", path))?;
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    while done < length {
        if stop.is_asked() {
            return Err(HubError::Interrupted);
        }
        let wanted = (length - done).min(PIECE as u64) as usize;
        let read = file.read(&mut piece[..wanted]).map_err(io("read", path))?;
        if read == 0 {
            let short = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(io("read", path)(short));
        }
        hasher.update(&piece[..read]);
        done += read as u64;
        at(done);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(etag: &str, content: &[u8]) -> String {
        let mut hasher = Etag::parse(etag).unwrap().hasher(content.len() as u64);
        hasher.update(content);
        hasher.finish()
    }

    #[test]
    fn checksums_are_those_of_git_and_of_sha256sum() {
        // `echo hello | git hash-object --stdin`, `echo hello | sha256sum`.
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(of(git, b"hello\n"), git);
        assert_eq!(of(sha256, b"hello\n"), sha256);
    }

    #[test]
    fn only_a_checksum_names_a_blob() {
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        for header in [git.to_owned(), format!("\"{git}\""), format!("W/\"{git}\"")] {
            assert_eq!(Etag::parse(&header).unwrap().as_str(), git);
        }
        for header in [
            "",
            "\"\"",
            "../../etc/passwd",
            "5d41402abc4b2a76b9719d911017c592",
        ] {
            assert_eq!(Etag::parse(header), None);
        }
    }
}
