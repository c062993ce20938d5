//! Whether files fit on the disks that they go to.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::HubError;

/// What is to be written to a place.
#[derive(Clone, Debug)]
pub struct Need {
    /// The folder, which need not exist yet.
    pub folder: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// What it is, in words, e.g. `the download`.
    pub what: String,
    /// How a person names another place, e.g. `with HF_HOME`.
    pub elsewhere: String,
}

/// Compares the needs with what is free. Those on one disk are added up.
///
/// A system that does not tell what is free is trusted.
///
/// # Errors
/// [`HubError::Space`] with both numbers.
pub fn check_space(needs: &[Need]) -> Result<(), HubError> {
    check(needs, |folder| {
        let device = folder.metadata().ok()?.dev();
        let disk = rustix::fs::statvfs(folder).ok()?;
        Some((device, disk.f_bavail.saturating_mul(disk.f_frsize)))
    })
}

/// `disk` gives which disk a folder lies on, and the bytes that are free there.
fn check(needs: &[Need], disk: impl Fn(&Path) -> Option<(u64, u64)>) -> Result<(), HubError> {
    let mut disks: Vec<(u64, u64, Vec<&Need>)> = Vec::new();
    for need in needs.iter().filter(|need| need.bytes > 0) {
        let folder = std::path::absolute(&need.folder).unwrap_or_else(|_| need.folder.clone());
        let there = folder.ancestors().find(|folder| folder.is_dir());
        let Some((device, free)) = there.and_then(&disk) else {
            continue;
        };
        match disks.iter_mut().find(|(known, ..)| *known == device) {
            Some((_, _, all)) => all.push(need),
            None => disks.push((device, free, vec![need])),
        }
    }
    for (_, free, all) in disks {
        let needed = all.iter().map(|need| need.bytes).sum::<u64>();
        if needed > free {
            let words = |word: fn(&Need) -> &str| {
                let words: Vec<&str> = all
                    .iter()
                    .map(|need| word(need))
                    .filter(|w| !w.is_empty())
                    .collect();
                words.join(" and ")
            };
            let ways = words(|need| &need.elsewhere);
            return Err(HubError::Space {
                folder: all[0].folder.clone(),
                what: words(|need| &need.what),
                needed,
                free,
                way_out: if ways.is_empty() {
                    ways
                } else {
                    format!(" {ways}")
                },
            });
        }
    }
    Ok(())
}

/// Bytes for a person: decimal, as disks are sold.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{count} bytes"),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(folder: &str, bytes: u64, what: &str) -> Need {
        Need {
            folder: folder.into(),
            bytes,
            what: what.to_owned(),
            elsewhere: format!("for {what}"),
        }
    }

    #[test]
    fn needs_on_one_disk_are_added_up() {
        let needs = [need("/a", 60, "the download"), need("/b", 50, "the model")];
        let one = |_: &Path| Some((1, 100));
        let error = check(&needs, one).unwrap_err().to_string();
        for word in ["/a", "110 bytes", "100 bytes", "the download and the model"] {
            assert!(error.contains(word), "{error}");
        }
        // Each on a disk of its own has room, and so has nothing.
        let count = std::cell::Cell::new(0);
        let two = |_: &Path| {
            count.set(count.get() + 1);
            Some((count.get(), 100))
        };
        check(&needs, two).unwrap();
        check(&[need("/a", 0, "nothing")], |_| Some((1, 0))).unwrap();
        check(&needs, |_| None).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_yet_lies_on_the_disk_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        let needs = [need(missing.to_str().unwrap(), u64::MAX, "everything")];
        assert!(matches!(check_space(&needs), Err(HubError::Space { .. })));
    }
}
