//! Reading a dataset's files, with errors that name them.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{ClassMap, DataError};

pub(super) fn broken(path: &Path) -> impl Fn(String) -> DataError + '_ {
    move |reason| DataError::Broken {
        path: path.to_owned(),
        reason,
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
    move |source| DataError::Io {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    let text = std::fs::read(path).map_err(io(path))?;
    serde_json::from_slice(&text).map_err(|e| broken(path)(e.to_string()))
}

/// JSON that may be in Windows' western code page, as a few of ReasonSeg's files are.
pub(super) fn read_json_cp1252<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    let bytes = std::fs::read(path).map_err(io(path))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => e.into_bytes().iter().map(|byte| cp1252(*byte)).collect(),
    };
    serde_json::from_str(&text).map_err(|e| broken(path)(e.to_string()))
}

fn cp1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// Files of an ending below a folder, sorted by name.
pub(super) fn list(
    folder: &Path,
    ending: &str,
    accepted: &str,
) -> Result<Vec<PathBuf>, DataError> {
    let missing = || DataError::Missing {
        what: "folder",
        path: folder.to_owned(),
        accepted: accepted.to_owned(),
    };
    if !folder.is_dir() {
        return Err(missing());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending)) {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(broken(folder)(format!("it holds no .{ending} file; accepted: {accepted}")));
    }
    found.sort();
    Ok(found)
}

/// The error for a file that has to be there.
pub(super) fn require(path: &Path, accepted: &str) -> Result<(), DataError> {
    match path.exists() {
        true => Ok(()),
        false => Err(DataError::Missing {
            what: "file",
            path: path.to_owned(),
            accepted: accepted.to_owned(),
        }),
    }
}

/// A picture of class indices, 8 or 16 bits a pixel, as it is stored.
pub(super) fn read_classes(path: &Path) -> Result<ClassMap, DataError> {
    let picture = image::open(path).map_err(|e| broken(path)(e.to_string()))?;
    let (width, height) = (picture.width(), picture.height());
    let pixels = match picture {
        image::DynamicImage::ImageLuma8(p) => p.into_raw().into_iter().map(u16::from).collect(),
        image::DynamicImage::ImageLuma16(p) => p.into_raw(),
        other => {
            return Err(broken(path)(format!(
                "its pixels are {:?}; accepted: one channel of class indices",
                other.color()
            )))
        }
    };
    Ok(ClassMap {
        width,
        height,
        pixels,
    })
}
