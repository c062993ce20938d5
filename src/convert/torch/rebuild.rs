//! What a pickle's calls of PyTorch's functions give: storages and tensors.

use super::value::{Global, Storage, TensorAt, TorchValue};
use crate::pickle::ValueId;

/// Most dimensions of a tensor; those of a network have four at most.
const MOST_DIMENSIONS: usize = 8;

impl Storage {
    /// Reads a persistent id, `("storage", type, key, device, count)`, to which files from before PyTorch 0.4 append a view.
    pub fn read(values: &[TorchValue], id: ValueId) -> Result<Self, String> {
        let wrong = || "BINPERSID of something else than a storage is refused".to_owned();
        let TorchValue::Tuple(parts) = &values[id] else {
            return Err(wrong());
        };
        let (tag, of, key, count, view) = match parts[..] {
            [tag, of, key, _, count] => (tag, of, key, count, None),
            [tag, of, key, _, count, view] => (tag, of, key, count, Some(view)),
            _ => return Err(wrong()),
        };
        let (TorchValue::Text(tag), TorchValue::Global(Global::Type(of)), TorchValue::Text(_)) =
            (&values[tag], &values[of], &values[key])
        else {
            return Err(wrong());
        };
        if tag != "storage" {
            return Err(wrong());
        }
        let skipped = match view.map(|view| &values[view]) {
            None | Some(TorchValue::None) => 0,
            Some(TorchValue::Tuple(view)) if view.len() == 3 => size(values, view[1])?,
            Some(_) => return Err(wrong()),
        };
        Ok(Self {
            of: *of,
            key,
            count: size(values, count)?,
            skipped,
        })
    }
}

/// The result of a call: a new value, or one of its arguments.
pub(super) enum Rebuilt {
    New(TorchValue),
    Old(ValueId),
}

/// Calls `global`.
///
/// # Errors
/// Arguments that PyTorch does not write, in words for a person.
pub(super) fn call(
    global: Global,
    values: &[TorchValue],
    arguments: &[ValueId],
) -> Result<Rebuilt, String> {
    match (global, arguments) {
        (Global::RebuildTensor | Global::RebuildTensorTyped, _) => {
            tensor(global, values, arguments).map(Rebuilt::New)
        }
        (Global::RebuildParameter, [data, ..]) => match &values[*data] {
            TorchValue::Tensor(_) => Ok(Rebuilt::Old(*data)),
            _ => Err("a parameter is no tensor".to_owned()),
        },
        (Global::RebuildFromType, [how, class, with, _]) => {
            match (&values[*how], &values[*class], &values[*with]) {
                (
                    TorchValue::Global(how @ (Global::RebuildTensor | Global::RebuildTensorTyped)),
                    TorchValue::Global(Global::TensorClass),
                    TorchValue::Tuple(arguments),
                ) => tensor(*how, values, arguments).map(Rebuilt::New),
                _ => Err("a tensor of a class of its own is refused".to_owned()),
            }
        }
        (Global::OrderedDict, []) => Ok(Rebuilt::New(TorchValue::Dict(Vec::new()))),
        (Global::Size, [sizes]) => match &values[*sizes] {
            TorchValue::Tuple(_) => Ok(Rebuilt::Old(*sizes)),
            _ => Err("torch.Size of what is no tuple".to_owned()),
        },
        (Global::Device, _) => Ok(Rebuilt::New(TorchValue::Other)),
        _ => Err(format!(
            "REDUCE of {global:?} with {} arguments is refused",
            arguments.len()
        )),
    }
}

fn tensor(
    global: Global,
    values: &[TorchValue],
    arguments: &[ValueId],
) -> Result<TorchValue, String> {
    let [storage, offset, shape, strides, rest @ ..] = arguments else {
        return Err("a tensor lacks its place in its storage".to_owned());
    };
    let TorchValue::Storage(place) = &values[*storage] else {
        return Err("a tensor is of something else than a storage".to_owned());
    };
    let of = match (global, rest) {
        (Global::RebuildTensorTyped, [_, _, of, ..]) => match values[*of] {
            TorchValue::Global(Global::Type(of)) => of,
            _ => return Err("a tensor has no element type".to_owned()),
        },
        _ => place.of,
    };
    let (shape, strides) = (sizes(values, *shape)?, sizes(values, *strides)?);
    if shape.len() != strides.len() {
        return Err(format!(
            "a tensor has shape {shape:?} and strides {strides:?}"
        ));
    }
    let tensor = TensorAt {
        storage: *storage,
        of,
        offset: size(values, *offset)?,
        shape,
        strides,
    };
    Ok(TorchValue::Tensor(tensor))
}

fn sizes(values: &[TorchValue], id: ValueId) -> Result<Vec<usize>, String> {
    match &values[id] {
        TorchValue::Tuple(items) if items.len() <= MOST_DIMENSIONS => {
            items.iter().map(|item| size(values, *item)).collect()
        }
        TorchValue::Tuple(items) => Err(format!(
            "a tensor has {} dimensions; accepted: {MOST_DIMENSIONS} at most",
            items.len()
        )),
        _ => Err("a tensor's shape or strides are no tuple".to_owned()),
    }
}

fn size(values: &[TorchValue], id: ValueId) -> Result<usize, String> {
    match values[id] {
        TorchValue::Int(value) => usize::try_from(value)
            .map_err(|_| format!("a size or an offset is {value}; accepted: 0 or more")),
        _ => Err("a size or an offset is no number".to_owned()),
    }
}
