//! Reading a dataset's folders and its pictures of classes, with errors that name the file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use lisa_files::lfs;

use super::{ClassMap, DataError};
use crate::image::{MAX_PIXELS, MAX_SIDE};

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

/// A file's name without its folder.
pub(super) fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Opens a file of the data. A pipe or a device is refused, since reading it might never end.
pub(super) fn open(path: &Path) -> Result<File, DataError> {
    regular(path)?;
    File::open(path).map_err(io(path))
}

/// Reads a whole file of the data.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    regular(path)?;
    std::fs::read(path).map_err(io(path))
}

/// Checks that a path does not lead to anything but a regular file. A path that leads nowhere passes: opening it gives the error.
pub(super) fn regular(path: &Path) -> Result<(), DataError> {
    let Ok(metadata) = path.metadata() else {
        return Ok(());
    };
    let kind = metadata.file_type();
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(broken(path)(format!(
        "it is {what}; accepted: a regular file"
    )))
}

/// Whether a file belongs neither to a person nor to a dataset: operating systems write such files into folders that they show.
fn is_clutter(name: &str) -> bool {
    const CLUTTER: [&str; 5] = [
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "__macosx",
        "@eadir",
    ];
    // The dot covers hidden files, `.DS_Store`, and the `._a.jpg` that macOS writes for every `a.jpg` on other file systems.
    name.starts_with('.') || CLUTTER.contains(&name.to_lowercase().as_str())
}

/// Everything in a folder other than clutter, sorted.
pub(super) fn entries(folder: &Path, accepted: &str) -> Result<Vec<PathBuf>, DataError> {
    if !folder.is_dir() {
        return Err(DataError::Missing {
            what: "folder",
            path: folder.to_owned(),
            accepted: accepted.to_owned(),
        });
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        if !is_clutter(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The files in a folder whose names end in one of `endings`, sorted by name.
pub(super) fn list(
    folder: &Path,
    endings: &[&str],
    accepted: &str,
) -> Result<Vec<PathBuf>, DataError> {
    let mut found = entries(folder, accepted)?;
    found.retain(|path| {
        let ends = |known: &&str| {
            path.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case(known))
        };
        endings.iter().any(ends)
    });
    if found.is_empty() {
        return Err(broken(folder)(format!(
            "it holds no .{} file; accepted: {accepted}",
            endings.join(", .")
        )));
    }
    Ok(found)
}

/// Checks that a file is there. `accepted` is the layout, for the error.
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
    let file = open(path)?;
    let reader = open_classes(BufReader::new(file)).map_err(broken(path))?;
    Ok(reader.info().size())
}

/// Reads a PNG of class indices, which may be grey or have a palette, with 1 to 16 bits for each pixel.
pub(super) fn read_classes(path: &Path) -> Result<ClassMap, DataError> {
    let file = open(path)?;
    decode_classes(BufReader::new(file)).map_err(broken(path))
}

fn open_classes<R: BufRead + Seek>(mut png: R) -> Result<png::Reader<R>, String> {
    let begin = png.fill_buf().map_err(|e| e.to_string())?;
    if !begin.starts_with(b"\x89PNG") {
        return Err(no_png(begin));
    }
    let mut decoder = png::Decoder::new(png);
    decoder.set_transformations(png::Transformations::IDENTITY);
    let reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (color, _) = reader.output_color_type();
    if !matches!(color, png::ColorType::Grayscale | png::ColorType::Indexed) {
        return Err(format!(
            "its pixels are {color:?}; accepted: class indices, grey or with a palette"
        ));
    }
    let (width, height) = reader.info().size();
    match size_is_accepted(width, height) {
        true => Ok(reader),
        false => Err(format!(
            "it is {width}×{height} pixels; accepted: sides of 1 to {MAX_SIDE} and {MAX_PIXELS} pixels in all"
        )),
    }
}

/// Whether [`read_image`](crate::image::read_image) reads pictures of this size, in pixels. A mask is made for no other size,
/// which bounds its memory.
pub(super) fn size_is_accepted(width: u32, height: u32) -> bool {
    let pixels = u64::from(width) * u64::from(height);
    width <= MAX_SIDE && height <= MAX_SIDE && (1..=MAX_PIXELS).contains(&pixels)
}

/// Describes bytes that do not begin like a PNG, for an error.
fn no_png(begin: &[u8]) -> String {
    const ACCEPTED: &str = "accepted: a PNG, which keeps every pixel's number";
    match image::guess_format(begin) {
        _ if lfs::is_pointer(begin) => format!(
            "it is a Git LFS pointer, which stands for the file itself; {}",
            lfs::WAY_OUT
        ),
        Ok(format) => format!("it is a picture in {format:?}; {ACCEPTED}"),
        Err(_) if begin.is_empty() => format!("it is empty; {ACCEPTED}"),
        Err(_) => format!("it is no picture that is known; {ACCEPTED}"),
    }
}

/// Decodes a PNG of class indices.
///
/// A palette is not applied: it only gives the classes colours for a viewer (Mapillary Vistas has one).
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn decode_classes(png: impl BufRead + Seek) -> Result<ClassMap, String> {
    let mut reader = open_classes(png)?;
    let (width, height) = reader.info().size();
    let (_, depth) = reader.output_color_type();
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| "it is too large".to_owned())?;
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes).map_err(|e| e.to_string())?;
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
