//! What a command says, and whether it arrived; files that it is going to write.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{bail, Context};

/// Prints on standard output, at once.
///
/// # Errors
/// What the system says where it is full or closed. A reader that has gone (`| head`) ends the program quietly.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        printed => printed.context("cannot write to standard output"),
    }
}

/// Says something on standard error. Where that is full or closed there is nobody to tell, and the work goes on.
pub fn warn(text: impl Display) {
    let _ = writeln!(io::stderr(), "lisa: {text}");
}

/// Whether a file can be written, before anything is computed for it. What stands there stays as it is.
///
/// # Errors
/// What keeps it from being written, with its path.
pub fn check_file(path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => bail!("{}: it is a folder", cannot()),
        Ok(there) if there.is_file() => {
            let opened = OpenOptions::new().append(true).open(path);
            opened.map(drop).with_context(cannot)
        }
        // A pipe would wait for its reader.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => probe(path).with_context(cannot),
        Err(error) => Err(error).with_context(cannot),
    }
}

/// Makes a file beside one that is not there yet, and removes it.
fn probe(path: &Path) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        bail!("there is no folder {}", folder.display());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.probe", std::process::id()));
    let beside = folder.join(name);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)?;
    Ok(fs::remove_file(beside)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_known_before_and_nothing_stays_behind() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("old"), "old").unwrap();
        check_file(&at("old")).unwrap();
        check_file(&at("new")).unwrap();
        assert_eq!(fs::read_to_string(at("old")).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        for (name, why) in [
            ("", "it is a folder"),
            ("gone/report.json", "there is no folder"),
            ("old/report.json", "Not a directory"),
        ] {
            let error = format!("{:#}", check_file(&at(name)).unwrap_err());
            let named = error.starts_with(&format!("cannot write {}", at(name).display()));
            assert!(named && error.contains(why), "{error}");
        }
    }
}
