//! Making folders.

use std::path::Path;
use std::{fs, io};

/// Makes a folder and those it stands in, where they are not there.
///
/// # Errors
/// The system's; and in words that say which, where one of them is a file.
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
