//! Reading a dataset's files, with errors that name them.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{ClassMap, DataError};

pub(super) fn broken(path: &Path) -> impl Fn(String) -> DataError + '_ {
    move |reason| DataError::Broken {
        path: path.to_owned(),
        reason,
    }
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
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
pub(super) fn list(folder: &Path, ending: &str, accepted: &str) -> Result<Vec<PathBuf>, DataError> {
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
        if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case(ending))
        {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(broken(folder)(format!(
            "it holds no .{ending} file; accepted: {accepted}"
        )));
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

/// Width and height of a PNG of class indices, from its header.
pub(super) fn class_map_size(path: &Path) -> Result<(u32, u32), DataError> {
    open_classes(path).map(|reader| reader.info().size())
}

fn open_classes(path: &Path) -> Result<png::Reader<BufReader<File>>, DataError> {
    let file = File::open(path).map_err(io(path))?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let reader = decoder
        .read_info()
        .map_err(|e| broken(path)(e.to_string()))?;
    let (color, _) = reader.output_color_type();
    if !matches!(color, png::ColorType::Grayscale | png::ColorType::Indexed) {
        return Err(broken(path)(format!(
            "its pixels are {color:?}; accepted: class indices, grey or with a palette"
        )));
    }
    Ok(reader)
}

/// A PNG of class indices as it is stored: grey or by palette, 1 to 16 bits a pixel.
///
/// Palettes only colour the viewer's picture (Mapillary Vistas has one), so nothing is expanded here.
pub(super) fn read_classes(path: &Path) -> Result<ClassMap, DataError> {
    let mut reader = open_classes(path)?;
    let wrong = |e: png::DecodingError| broken(path)(e.to_string());
    let (width, height) = reader.info().size();
    let (_, depth) = reader.output_color_type();
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| broken(path)("it is too large".to_owned()))?;
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes).map_err(wrong)?;
    let row = frame.line_size.max(1);
    let mut pixels = Vec::with_capacity(width as usize * height as usize);
    for line in bytes.chunks_exact(row).take(height as usize) {
        match depth {
            png::BitDepth::Sixteen => {
                pixels.extend(
                    line.chunks_exact(2)
                        .map(|b| u16::from_be_bytes([b[0], b[1]])),
                );
            }
            png::BitDepth::Eight => pixels.extend(line.iter().map(|b| u16::from(*b))),
            small => {
                let bits = small as usize;
                let index = |x: usize| {
                    let byte = line[x * bits / 8];
                    let shift = 8 - bits - x * bits % 8;
                    u16::from((byte >> shift) & ((1 << bits) - 1))
                };
                pixels.extend((0..width as usize).map(index));
            }
        }
    }
    Ok(ClassMap {
        width,
        height,
        pixels,
    })
}
