//! Git LFS pointers: small texts that stand for large files which `git lfs` has not fetched.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The beginning of every pointer: the `version` line of the specification, for any host.
const BEGINS: &[u8] = b"version https://";
/// A line that every pointer holds.
const HOLDS: &[u8] = b"\noid sha256:";
/// The specification says that a pointer is shorter than this, bytes.
const LONGEST: usize = 1024;

/// What a user can do about a pointer, as a part of an error text.
pub const WAY_OUT: &str = "run `git lfs pull` in its folder, or download the file itself";

/// Whether these bytes are a pointer and not the file that it stands for.
pub fn is_pointer(bytes: &[u8]) -> bool {
    bytes.len() < LONGEST
        && bytes.starts_with(BEGINS)
        && bytes.windows(HOLDS.len()).any(|part| part == HOLDS)
}

/// Whether the file is a pointer. A file that cannot be read counts as none, because opening it next gives the error.
pub fn file_is_pointer(path: &Path) -> bool {
    let mut bytes = Vec::with_capacity(LONGEST);
    // A pipe would be emptied by a look at it.
    path.is_file()
        && File::open(path)
            .and_then(|file| file.take(LONGEST as u64).read_to_end(&mut bytes))
            .is_ok()
        && is_pointer(&bytes)
}

/// An example of a pointer, for tests.
pub const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_told_from_what_it_stands_for() {
        assert!(is_pointer(POINTER.as_bytes()));
        assert!(!is_pointer(b"{\"version\": \"https://\"}"));
        assert!(!is_pointer(&[POINTER.as_bytes(), &[0; 1024]].concat()));
    }
}
