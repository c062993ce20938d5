//! Finds where in a file the numbers of each tensor lie. The pickle names the storage of each tensor, and the layout of the file
//! says where the storages are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::strided::Strided;
use super::unpickler::Pickle;
use super::value::TorchValue;
use crate::convert::element::Element;

/// Most elements of a tensor that has more elements than its storage, as `expand` makes it.
const MOST_REPEATED: usize = 1 << 24;
/// Longest name of a tensor, in bytes.
const LONGEST_NAME: usize = 512;

/// Where a storage lies in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// Offset of its first byte.
    pub at: u64,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// A tensor of a file, of which the place is known.
pub(in crate::convert) struct Located {
    pub element: Element,
    /// Bytes of an element.
    pub(super) size: usize,
    /// Offset in the file at which its storage begins.
    pub(super) storage_at: u64,
    pub(super) place: Strided,
}

impl Located {
    pub fn shape(&self) -> &[usize] {
        &self.place.shape
    }
}

/// Tensors by name.
pub(super) type Tensors = BTreeMap<String, Located>;

/// Reads a span of a file.
///
/// # Errors
/// The span is longer than `most` bytes, or cannot be read; the message is in words for a person.
pub(super) fn read_span(mut file: &File, span: Span, most: usize) -> Result<Vec<u8>, String> {
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

/// Keys below which training scripts put the tensors of a model.
const BELOW: [&str; 4] = ["state_dict", "model_state_dict", "module", "model"];

/// Finds the tensors that the root of a pickle names. `find` says where the storage of a key lies.
///
/// # Errors
/// What is wrong with a tensor or the whole, in words for a person.
pub(super) fn locate(
    pickle: &Pickle,
    find: impl Fn(&str) -> Result<Span, String>,
) -> Result<Tensors, String> {
    let mut named = entries(pickle, pickle.root())?;
    let is_tensor = |id: &usize| matches!(pickle.values[*id], TorchValue::Tensor(_));
    if !named.values().any(is_tensor) {
        if let Some(inner) = BELOW.iter().find_map(|key| named.get(key)) {
            named = entries(pickle, &pickle.values[*inner])?;
        }
    }
    let mut tensors = BTreeMap::new();
    for (name, id) in named {
        let TorchValue::Tensor(tensor) = &pickle.values[id] else {
            continue; // another value, such as the number of steps or the arguments of a run
        };
        let TorchValue::Storage(storage) = &pickle.values[tensor.storage] else {
            return Err(format!("tensor {name} has no storage"));
        };
        let TorchValue::Text(key) = &pickle.values[storage.key] else {
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

/// The values of a dict by its keys that are texts. Of two values with one key the later one counts, as in Python.
fn entries<'a>(pickle: &'a Pickle, node: &TorchValue) -> Result<BTreeMap<&'a str, usize>, String> {
    let TorchValue::Dict(items) = node else {
        return Err(
            "it holds no dict; accepted: a file of torch.save(model.state_dict(), …)".into(),
        );
    };
    let mut entries = BTreeMap::new();
    for (key, value) in items {
        match &pickle.values[*key] {
            TorchValue::Text(text) if text.len() > LONGEST_NAME => {
                return Err(format!(
                    "it names a tensor in {} bytes; accepted: {LONGEST_NAME} at most",
                    text.len()
                ))
            }
            TorchValue::Text(text) => drop(entries.insert(text.as_str(), *value)),
            _ => {}
        }
    }
    Ok(entries)
}
