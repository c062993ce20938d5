//! What a pickle's calls of PyTorch's functions give: storages and tensors.

use super::node::{Global, Id, Node, Storage, TensorAt};

/// Most dimensions of a tensor; those of a network have four at most.
const MOST_DIMENSIONS: usize = 8;

impl Storage {
    /// Reads a persistent id, `("storage", type, key, device, count)`, to which files from before PyTorch 0.4 append a view.
    pub fn read(nodes: &[Node], id: Id) -> Result<Self, String> {
        let wrong = || "BINPERSID of something else than a storage is refused".to_owned();
        let Node::Tuple(parts) = &nodes[id] else {
            return Err(wrong());
        };
        let (tag, of, key, count, view) = match parts[..] {
            [tag, of, key, _, count] => (tag, of, key, count, None),
            [tag, of, key, _, count, view] => (tag, of, key, count, Some(view)),
            _ => return Err(wrong()),
        };
        let (Node::Text(tag), Node::Global(Global::Type(of)), Node::Text(_)) =
            (&nodes[tag], &nodes[of], &nodes[key])
        else {
            return Err(wrong());
        };
        if tag != "storage" {
            return Err(wrong());
        }
        let skipped = match view.map(|view| &nodes[view]) {
            None | Some(Node::None) => 0,
            Some(Node::Tuple(view)) if view.len() == 3 => size(nodes, view[1])?,
            Some(_) => return Err(wrong()),
        };
        Ok(Self {
            of: *of,
            key,
            count: size(nodes, count)?,
            skipped,
        })
    }
}

/// The result of a call: a new value, or one of its arguments.
pub(super) enum Made {
    New(Node),
    Old(Id),
}

/// Calls `global`.
///
/// # Errors
/// Arguments that PyTorch does not write, in words for a person.
pub(super) fn call(global: Global, nodes: &[Node], arguments: &[Id]) -> Result<Made, String> {
    match (global, arguments) {
        (Global::RebuildTensor | Global::RebuildTensorTyped, _) => {
            tensor(global, nodes, arguments).map(Made::New)
        }
        (Global::RebuildParameter, [data, ..]) => match &nodes[*data] {
            Node::Tensor(_) => Ok(Made::Old(*data)),
            _ => Err("a parameter is no tensor".to_owned()),
        },
        (Global::RebuildFromType, [how, class, with, _]) => {
            match (&nodes[*how], &nodes[*class], &nodes[*with]) {
                (
                    Node::Global(how @ (Global::RebuildTensor | Global::RebuildTensorTyped)),
                    Node::Global(Global::TensorClass),
                    Node::Tuple(arguments),
                ) => tensor(*how, nodes, arguments).map(Made::New),
                _ => Err("a tensor of a class of its own is refused".to_owned()),
            }
        }
        (Global::OrderedDict, []) => Ok(Made::New(Node::Dict(Vec::new()))),
        (Global::Size, [sizes]) => match &nodes[*sizes] {
            Node::Tuple(_) => Ok(Made::Old(*sizes)),
            _ => Err("torch.Size of what is no tuple".to_owned()),
        },
        (Global::Device, _) => Ok(Made::New(Node::Other)),
        _ => Err(format!(
            "REDUCE of {global:?} with {} arguments is refused",
            arguments.len()
        )),
    }
}

fn tensor(global: Global, nodes: &[Node], arguments: &[Id]) -> Result<Node, String> {
    let [storage, offset, shape, strides, rest @ ..] = arguments else {
        return Err("a tensor lacks its place in its storage".to_owned());
    };
    let Node::Storage(place) = &nodes[*storage] else {
        return Err("a tensor is of something else than a storage".to_owned());
    };
    let of = match (global, rest) {
        (Global::RebuildTensorTyped, [_, _, of, ..]) => match nodes[*of] {
            Node::Global(Global::Type(of)) => of,
            _ => return Err("a tensor has no element type".to_owned()),
        },
        _ => place.of,
    };
    let (shape, strides) = (sizes(nodes, *shape)?, sizes(nodes, *strides)?);
    if shape.len() != strides.len() {
        return Err(format!(
            "a tensor has shape {shape:?} and strides {strides:?}"
        ));
    }
    let tensor = TensorAt {
        storage: *storage,
        of,
        offset: size(nodes, *offset)?,
        shape,
        strides,
    };
    Ok(Node::Tensor(tensor))
}

fn sizes(nodes: &[Node], id: Id) -> Result<Vec<usize>, String> {
    match &nodes[id] {
        Node::Tuple(items) if items.len() <= MOST_DIMENSIONS => {
            items.iter().map(|item| size(nodes, *item)).collect()
        }
        Node::Tuple(items) => Err(format!(
            "a tensor has {} dimensions; accepted: {MOST_DIMENSIONS} at most",
            items.len()
        )),
        _ => Err("a tensor's shape or strides are no tuple".to_owned()),
    }
}

fn size(nodes: &[Node], id: Id) -> Result<usize, String> {
    match nodes[id] {
        Node::Int(value) => usize::try_from(value)
            .map_err(|_| format!("a size or an offset is {value}; accepted: 0 or more")),
        _ => Err("a size or an offset is no number".to_owned()),
    }
}
