//! What a command that was run has said.

use std::process::Output;

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a command that succeeds.
pub fn done(output: &Output) -> String {
    let said = text(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    text(&output.stdout)
}

/// Standard error of a command that fails.
pub fn failed(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}
