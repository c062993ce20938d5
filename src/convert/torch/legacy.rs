//! Files as `torch.save` wrote them before PyTorch 1.6, and still writes them with `_use_new_zipfile_serialization=False`.
//!
//! Five pickles follow each other: a magic number, the version of the format, the byte order of the machine that wrote it, the
//! object, and the keys of its storages. Then come the storages in the order of the keys, each as a count (8 bytes) and its
//! elements.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::locate::{locate, read_span, Span, Tensors};
use super::unpickler::{self, Pickle};
use super::value::TorchValue;

/// The magic number 0x1950a86a20f9469cfc6c as a pickle writes it, lowest byte first.
pub(super) const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The version of every such file.
const VERSION: i64 = 1001;

/// Finds the tensors of such a file.
///
/// # Errors
/// What is wrong with the file, in words for a person.
pub(super) fn read(mut file: &File) -> Result<Tensors, String> {
    let len = file.metadata().map_err(|e| e.to_string())?.len();
    let head = Span {
        at: 0,
        bytes: len.min(unpickler::LONGEST as u64),
    };
    let head = read_span(file, head, unpickler::LONGEST)?;
    if let Some(known) = foreign(&head) {
        return Err(known.to_owned());
    }
    let mut at = 0;
    let mut next = || -> Result<Pickle, String> {
        let pickle = unpickler::read(&head[at..]).map_err(|mut error| {
            error.at += at;
            error.to_string()
        })?;
        at += pickle.length;
        Ok(pickle)
    };
    if head.first() != Some(&0x80) {
        return Err(format!(
            "it is no file of torch.save: it begins with {:02x?}",
            &head[..head.len().min(8)]
        ));
    }
    match next()?.root() {
        TorchValue::Long(magic) if *magic == MAGIC => {}
        _ => {
            return Err("it is a pickle of its own, not a file of torch.save".to_owned());
        }
    }
    match next()?.root() {
        TorchValue::Int(VERSION) => {}
        other => return Err(format!("its version is {other:?}; accepted: {VERSION}")),
    }
    if !is_little_endian(&next()?) {
        return Err("its numbers are not little endian; save it again on another machine".into());
    }
    let object = next()?;
    let keys = next()?;
    let spans = spans(&object, &keys, at as u64, len, |at| {
        let mut count = [0; 8];
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut count))
            .map_err(|e| e.to_string())?;
        Ok(u64::from_le_bytes(count))
    })?;
    locate(&object, |key| {
        let missing = || format!("it has no storage {key}");
        spans.get(key).copied().ok_or_else(missing)
    })
}

fn is_little_endian(system: &Pickle) -> bool {
    let TorchValue::Dict(items) = system.root() else {
        return false;
    };
    items.iter().any(|(key, value)| {
        matches!((&system.values[*key], &system.values[*value]), (TorchValue::Text(key), TorchValue::Bool(true)) if key == "little_endian")
    })
}

/// Where each storage lies. The first count is at `at`, the file has `len` bytes, and `count_at` reads the count at an offset.
fn spans(
    object: &Pickle,
    keys: &Pickle,
    mut at: u64,
    len: u64,
    mut count_at: impl FnMut(u64) -> Result<u64, String>,
) -> Result<HashMap<String, Span>, String> {
    let mut sizes = HashMap::new();
    for node in &object.values {
        if let TorchValue::Storage(storage) = node {
            if let TorchValue::Text(key) = &object.values[storage.key] {
                sizes.insert(key.as_str(), storage.of.size() as u64);
            }
        }
    }
    let TorchValue::List(listed) = keys.root() else {
        return Err("it does not list its storages".to_owned());
    };
    let mut spans = HashMap::new();
    for key in listed {
        let TorchValue::Text(key) = &keys.values[*key] else {
            return Err("a storage's key is no text".to_owned());
        };
        let size = sizes.get(key.as_str());
        let size = size.ok_or_else(|| format!("no tensor says what storage {key} is made of"))?;
        let cut = || format!("its storage {key} is cut short; download it again");
        let begin = at.checked_add(8).filter(|begin| *begin <= len);
        let begin = begin.ok_or_else(cut)?;
        let bytes = count_at(at)?.checked_mul(*size).ok_or_else(cut)?;
        at = begin
            .checked_add(bytes)
            .filter(|end| *end <= len)
            .ok_or_else(cut)?;
        let span = Span { at: begin, bytes };
        spans.insert(key.clone(), span);
    }
    Ok(spans)
}

/// Says what a file is whose first bytes are those of another known format.
fn foreign(head: &[u8]) -> Option<&'static str> {
    let text = head
        .iter()
        .position(|b| !b.is_ascii_whitespace())
        .map(|at| &head[at..]);
    let text = text.unwrap_or_default();
    Some(match head {
        [] => "it is empty; download it again",
        [b'G', b'G', b'U', b'F', ..] => "it is a GGUF file, whose numbers are quantized; accepted: a file of torch.save, or safetensors",
        [0x1f, 0x8b, ..] => "it is packed by gzip; unpack it with `gzip -d`",
        [0x89, b'H', b'D', b'F', ..] => "it is an HDF5 file, of Keras or TensorFlow; accepted: a file of torch.save, or safetensors",
        _ if head.get(257..262) == Some(b"ustar") => "it is a tar archive, unpacked by `tar -xf`, or a file of PyTorch 0.1; accepted: a file of torch.save, or safetensors",
        _ if text.starts_with(b"<") => "it is a web page, perhaps the error message of a download; download it again",
        _ if text.starts_with(b"{") => "it is a text in JSON; accepted: a file of torch.save, or safetensors",
        _ => return None,
    })
}
