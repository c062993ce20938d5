//! A report is written whole or not at all: if the disk is full, the earlier report stays and no half of the new one is left.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file, replacing an earlier one only when the new one is complete.
///
/// # Errors
/// Those of the system. After one the earlier file is as it was, unless it is no plain file (a pipe, a device) or no other file
/// can be made in its folder; such a file is written in place.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link stays a link, and the file that it leads to is replaced.
    let real = fs::canonicalize(path);
    let path = real.as_deref().unwrap_or(path);
    let there = fs::metadata(path).ok();
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        // A pipe or a device cannot be replaced by a file.
        return fs::write(path, bytes);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let opened = OpenOptions::new().write(true).create_new(true).open(&part);
    let Ok(mut file) = opened else {
        return fs::write(path, bytes);
    };
    let mut write = || -> io::Result<()> {
        file.write_all(bytes)?;
        if let Some(there) = &there {
            file.set_permissions(there.permissions())?;
        }
        fs::rename(&part, path)
    };
    let written = write();
    if written.is_err() {
        // The error to report is that of writing; that the rest of the file may not be removed either does not matter.
        let _ = fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, PermissionsExt};

    #[test]
    fn a_report_takes_the_place_of_an_earlier_one_with_its_mode_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("report"), "").unwrap();
        fs::set_permissions(at("report"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("report", at("link")).unwrap();
        for name in ["report", "link", "new"] {
            write_whole(&at(name), name.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(at(name)).unwrap(), name);
        }
        assert!(at("link").is_symlink());
        let mode = fs::metadata(at("report")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        write_whole(Path::new("/dev/null"), b"x").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
