//! Files of `torch.save`: a pickle that names tensors, and their numbers beside it.
//!
//! | file | how it is laid out |
//! |---|---|
//! | since PyTorch 1.6 | a zip archive, nothing in it compressed: `NAME/data.pkl`, and `NAME/data/KEY` for each storage |
//! | before | five pickles one after the other, then the storages ([`legacy`]) |
//!
//! Nothing in a file is run, and nothing it says makes this program take more memory than the file itself is large, but for
//! tensors that repeat their own numbers ([`MOST_REPEATED`]).

mod legacy;
mod pickle;
mod rebuild;
mod strided;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use zip::{CompressionMethod, ZipArchive};

use self::pickle::{Node, Pickle};
use self::strided::Strided;
use super::element::Element;
use crate::weights::WeightsError;

/// A tensor that is larger than its storage (`expand`) may have so many elements.
const MOST_REPEATED: usize = 1 << 24;
/// Names of tensors are shorter.
const LONGEST_NAME: usize = 512;

/// An opened file: where each of its tensors lies.
pub(super) struct TorchFile {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<String, Located>,
}

/// A tensor of a file.
pub(super) struct Located {
    pub element: Element,
    /// Bytes of an element.
    size: usize,
    /// Byte of the file at which its storage begins.
    storage_at: u64,
    place: Strided,
}

impl Located {
    pub fn shape(&self) -> &[usize] {
        &self.place.shape
    }
}

/// Where a storage lies in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    at: u64,
    bytes: u64,
}

impl TorchFile {
    /// Reads what is in the file, and no numbers.
    ///
    /// # Errors
    /// What is not a dict of tensors as `torch.save` writes it, by name and by byte.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let io = |source| WeightsError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(io)?;
        let mut begin = [0; 4];
        let tensors = match file.read(&mut begin).map_err(io)? {
            4 if begin == *b"PK\x03\x04" => zipped(&file),
            _ => legacy::read(&file),
        };
        let tensors = tensors.map_err(|reason| WeightsError::Invalid {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            tensors,
        })
    }

    pub fn tensors(&self) -> &BTreeMap<String, Located> {
        &self.tensors
    }

    /// Reads a tensor of floating-point numbers, on the CPU; `None` where there is none of that name.
    pub fn load(&self, name: &str) -> Result<Option<Tensor>, WeightsError> {
        let Some(located) = self.tensors.get(name) else {
            return Ok(None);
        };
        let Some(dtype) = located.element.float() else {
            return Ok(None);
        };
        let read = || -> std::io::Result<Vec<u8>> {
            let (first, count) = located.place.reach();
            let size = located.size;
            let mut bytes = vec![0; count * size];
            let mut file = &self.file;
            file.seek(SeekFrom::Start(located.storage_at + (first * size) as u64))?;
            file.read_exact(&mut bytes)?;
            Ok(located.place.gather(bytes, size))
        };
        let bytes = read().map_err(|source| WeightsError::Io {
            path: self.path.clone(),
            source,
        })?;
        Tensor::from_raw_buffer(&bytes, dtype, located.shape(), &Device::Cpu)
            .map(Some)
            .map_err(|source| WeightsError::Tensor {
                name: name.to_owned(),
                source,
            })
    }
}

type Tensors = BTreeMap<String, Located>;

/// The archive that PyTorch has written since 1.6.
fn zipped(file: &File) -> Result<Tensors, String> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| {
        format!(
            "it is a zip archive that cannot be read ({e}); it may be cut short: download it again"
        )
    })?;
    let mut members = BTreeMap::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(|e| e.to_string())?;
        let name = member.name().map_err(|e| e.to_string())?.into_owned();
        let stored = member.compression() == CompressionMethod::Stored
            && member.size() == member.compressed_size()
            && !member.encrypted();
        let span = member.data_start().filter(|_| stored).map(|at| Span {
            at,
            bytes: member.size(),
        });
        members.insert(name, span);
    }
    let mut pickles = members
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = match (pickles.next(), pickles.next()) {
        (Some(folder), None) => folder.to_owned(),
        (None, _) => {
            return Err(
                "it is a zip archive without a data.pkl; accepted: a file of torch.save".into(),
            )
        }
        _ => return Err("it is a zip archive with more than one data.pkl".to_owned()),
    };
    let scripted = |name: &String| {
        let name = name.strip_prefix(&folder).unwrap_or_default();
        name == "constants.pkl" || name.starts_with("code/")
    };
    if members.keys().any(scripted) {
        return Err("it is a TorchScript archive, which holds a program; accepted: a file of torch.save(model.state_dict(), …)".to_owned());
    }
    let len = file.metadata().map_err(|e| e.to_string())?.len();
    let find = |name: &str| -> Result<Option<Span>, String> {
        let name = format!("{folder}{name}");
        match members.get(&name) {
            None => Ok(None),
            Some(Some(span)) if span.at.checked_add(span.bytes).is_some_and(|end| end <= len) => {
                Ok(Some(*span))
            }
            Some(Some(_)) => Err(format!("its member {name} is cut short; download it again")),
            Some(None) => Err(format!(
                "its member {name} is compressed or encrypted, which torch.save never does; unpack the archive and zip it with `zip -0`"
            )),
        }
    };
    if let Some(order) = find("byteorder")? {
        if read_span(file, order, 16)? != b"little" {
            return Err(
                "its numbers are not little endian; save it again on another machine".into(),
            );
        }
    }
    let data = find("data.pkl")?.ok_or("it has no data.pkl")?;
    let pickle =
        pickle::read(&read_span(file, data, pickle::LONGEST)?).map_err(|e| e.to_string())?;
    locate(&pickle, |key| {
        find(&format!("data/{key}"))?.ok_or_else(|| format!("it has no member data/{key}"))
    })
}

/// Bytes of a file, as many as are accepted.
fn read_span(mut file: &File, span: Span, most: usize) -> Result<Vec<u8>, String> {
    let length = usize::try_from(span.bytes).unwrap_or(usize::MAX);
    if length > most {
        return Err(format!(
            "it says what it holds in {length} bytes; accepted: {most} at most, and the numbers elsewhere"
        ));
    }
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(span.at))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// Keys below which training scripts put a model's tensors.
const BELOW: [&str; 4] = ["state_dict", "model_state_dict", "module", "model"];

/// The tensors that a pickle's root names, where `find` says each storage is.
fn locate(pickle: &Pickle, find: impl Fn(&str) -> Result<Span, String>) -> Result<Tensors, String> {
    let mut named = entries(pickle, pickle.root())?;
    let is_tensor = |id: &usize| matches!(pickle.nodes[*id], Node::Tensor(_));
    if !named.values().any(is_tensor) {
        if let Some(inner) = BELOW.iter().find_map(|key| named.get(key)) {
            named = entries(pickle, &pickle.nodes[*inner])?;
        }
    }
    let mut tensors = BTreeMap::new();
    for (name, id) in named {
        let Node::Tensor(tensor) = &pickle.nodes[id] else {
            continue; // a number of steps, the arguments of a run
        };
        let Node::Storage(storage) = &pickle.nodes[tensor.storage] else {
            return Err(format!("tensor {name} has no storage"));
        };
        let Node::Text(key) = &pickle.nodes[storage.key] else {
            return Err(format!("tensor {name} has a storage without a name"));
        };
        let span = find(key)?;
        let size = tensor.of.size();
        let said = (storage.count as u64).saturating_mul(storage.of.size() as u64);
        let held = usize::try_from(span.bytes.min(said)).unwrap_or(usize::MAX) / size;
        let place = Strided {
            offset: tensor
                .offset
                .checked_add(storage.skipped)
                .ok_or("an offset has more than 64 bits")?,
            shape: tensor.shape.clone(),
            strides: tensor.strides.clone(),
        };
        place
            .check(held, MOST_REPEATED)
            .map_err(|reason| format!("tensor {name} {reason}"))?;
        let located = Located {
            element: tensor.of.element(),
            size,
            storage_at: span.at,
            place,
        };
        tensors.insert(name.to_owned(), located);
    }
    if tensors.is_empty() {
        return Err(
            "it holds no dict of tensors; accepted: a file of torch.save(model.state_dict(), …)"
                .into(),
        );
    }
    Ok(tensors)
}

/// A dict's values by its texts; of two with one key the later counts, as in Python.
fn entries<'a>(pickle: &'a Pickle, node: &Node) -> Result<BTreeMap<&'a str, usize>, String> {
    let Node::Dict(items) = node else {
        return Err(
            "it holds no dict; accepted: a file of torch.save(model.state_dict(), …)".into(),
        );
    };
    let mut entries = BTreeMap::new();
    for (key, value) in items {
        match &pickle.nodes[*key] {
            Node::Text(text) if text.len() > LONGEST_NAME => {
                return Err(format!(
                    "it names a tensor in {} bytes; accepted: {LONGEST_NAME} at most",
                    text.len()
                ))
            }
            Node::Text(text) => drop(entries.insert(text.as_str(), *value)),
            _ => {}
        }
    }
    Ok(entries)
}
