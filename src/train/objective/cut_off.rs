//! Counts answers that are cut off whole because what stands before them already fills the longest sequence.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// How many of the first pictures are each named in a warning; after them, only each doubling of their number is.
const NAMED: usize = 20;

/// The pictures with an answer from which nothing is learned. Without a warning such steps would just show a loss of 0.
#[derive(Debug, Default)]
pub(super) struct CutOff(Mutex<BTreeSet<PathBuf>>);

impl CutOff {
    /// Counts a picture. Returns the warning about it, if it is to be given.
    pub fn count(&self, picture: &Path) -> Option<String> {
        let mut seen = self.0.lock().unwrap_or_else(|p| p.into_inner());
        if !seen.insert(picture.to_owned()) {
            return None;
        }
        let count = seen.len();
        let so_far = match count {
            1 => String::new(),
            _ => format!(" ({count} pictures so far)"),
        };
        (count <= NAMED || count.is_power_of_two()).then(|| {
            format!(
                "{}: a question or history about it is longer than data.max_tokens, so its answer is cut off and nothing is learned from it{so_far}",
                picture.display()
            )
        })
    }

    /// Number of pictures so far.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(|p| p.into_inner()).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_picture_is_named_once_and_many_are_counted() {
        let cut_off = CutOff::default();
        let said = |i: usize| cut_off.count(Path::new(&format!("{i}.jpg")));
        let first = said(0).unwrap();
        assert!(
            first.starts_with("0.jpg: ") && first.contains("data.max_tokens"),
            "{first}"
        );
        assert_eq!(said(0), None);
        let lines: Vec<String> = (1..100).filter_map(said).collect();
        assert_eq!(lines.len(), 19 + 2);
        assert!(lines[20].ends_with("(64 pictures so far)"), "{}", lines[20]);
        assert_eq!(cut_off.len(), 100);
    }
}
