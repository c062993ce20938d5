//! What the unit tests of all folders share: the reference's data, and how a test says that it compared nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder that holds `expected.json`: `LISA_GOLDEN_DIR`, or the first of its folders that has one, or the copy in the
/// repository.
pub(crate) fn golden_dir() -> PathBuf {
    let Some(given) = given() else {
        return Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny");
    };
    if given.join("expected.json").is_file() {
        return given;
    }
    child_with(&given, "expected.json")
}

/// The first folder of a folder that has a file of that name.
pub(crate) fn child_with(folder: &Path, file: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut children: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    children.sort();
    children
        .into_iter()
        .find(|child| child.join(file).is_file())
        .unwrap_or_else(|| panic!("no folder with {file} in {}", folder.display()))
}

/// A test has nothing to compare with. In the repository's own data that is a mistake; other data need not have
/// everything, and then a line says so where the summary of `make test` finds it: past the harness, which shows what a
/// test prints only where it fails.
pub(crate) fn skipped(test: &str, reason: &str) {
    assert!(given().is_some(), "{test}: {reason}");
    let line = format!("\nSKIPPED: {test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn given() -> Option<PathBuf> {
    std::env::var_os("LISA_GOLDEN_DIR").map(PathBuf::from)
}
