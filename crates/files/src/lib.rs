//! What the crates of lisa_ros need of files beside their content: folders, locks of folders, and pointers of Git LFS.

pub mod lfs;
pub mod lock;

use std::path::Path;
use std::{fs, io};

/// Makes a folder and those above it that are missing.
///
/// # Errors
/// The error of the system. If one of them is a file, the error names it.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let file = path.ancestors().find(|above| above.is_file());
    match file {
        Some(file) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is a file, and no folder", file.display()),
        )),
        None => fs::create_dir_all(path),
    }
}
