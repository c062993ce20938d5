//! The names a checkpoint's pickle may use, and the tensors that come of them.

use super::pickle::{Id, Made, Node};
use crate::convert::element::Element;

/// Dimensions a tensor may have; a network's has four at most.
const MOST_DIMENSIONS: usize = 8;

/// Names that a pickle may import. All of them are PyTorch's own way to say a tensor, or its dict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// `_rebuild_tensor`, `_rebuild_tensor_v2`: storage, offset, size, stride, …
    RebuildTensor,
    /// `_rebuild_tensor_v3`: the same, with the element's type as its seventh argument.
    RebuildTensorTyped,
    /// `_rebuild_parameter`, `_rebuild_parameter_with_state`: the tensor, …
    RebuildParameter,
    /// `_rebuild_from_type_v2`: how, which class, with what, state.
    RebuildFromType,
    OrderedDict,
    /// `torch.Size`: a tuple.
    Size,
    /// `torch.device`, which says where a tensor was.
    Device,
    /// The classes of tensors, which are named and never called.
    TensorClass,
    /// A storage's or an element's type.
    Type(Known),
}

/// Type of a storage's elements, or that it has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Known {
    Bytes,
    Float(Float),
    Other { name: &'static str, size: usize },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

impl Known {
    pub fn element(self) -> Element {
        match self {
            Self::Bytes => Element::Other("bytes".to_owned()),
            Self::Float(Float::F16) => Element::F16,
            Self::Float(Float::Bf16) => Element::Bf16,
            Self::Float(Float::F32) => Element::F32,
            Self::Float(Float::F64) => Element::F64,
            Self::Other { name, .. } => Element::Other(name.to_owned()),
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::Bytes => 1,
            Self::Float(Float::F16 | Float::Bf16) => 2,
            Self::Float(Float::F32) => 4,
            Self::Float(Float::F64) => 8,
            Self::Other { size, .. } => size,
        }
    }

    /// Storage classes (`FloatStorage`) and element types (`float32`).
    fn find(name: &str) -> Option<Self> {
        let other = |name, size| Some(Self::Other { name, size });
        match name {
            "UntypedStorage" | "_UntypedStorage" => Some(Self::Bytes),
            "HalfStorage" | "float16" | "half" => Some(Self::Float(Float::F16)),
            "BFloat16Storage" | "bfloat16" => Some(Self::Float(Float::Bf16)),
            "FloatStorage" | "float32" | "float" => Some(Self::Float(Float::F32)),
            "DoubleStorage" | "float64" | "double" => Some(Self::Float(Float::F64)),
            "BoolStorage" | "bool" => other("bool", 1),
            "CharStorage" | "int8" => other("int8", 1),
            "ByteStorage" | "uint8" => other("uint8", 1),
            "ShortStorage" | "int16" | "short" => other("int16", 2),
            "IntStorage" | "int32" | "int" => other("int32", 4),
            "LongStorage" | "int64" | "long" => other("int64", 8),
            "uint16" => other("uint16", 2),
            "uint32" => other("uint32", 4),
            "uint64" => other("uint64", 8),
            "float8_e4m3fn" => other("float8_e4m3fn", 1),
            "float8_e4m3fnuz" => other("float8_e4m3fnuz", 1),
            "float8_e5m2" => other("float8_e5m2", 1),
            "float8_e5m2fnuz" => other("float8_e5m2fnuz", 1),
            "float8_e8m0fnu" => other("float8_e8m0fnu", 1),
            "ComplexFloatStorage" | "complex64" => other("complex64", 8),
            "ComplexDoubleStorage" | "complex128" => other("complex128", 16),
            "QInt8Storage" => other("qint8", 1),
            "QUInt8Storage" => other("quint8", 1),
            "QInt32Storage" => other("qint32", 4),
            _ => None,
        }
    }
}

impl Global {
    pub fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTensorTyped,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Self::RebuildParameter
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Self::RebuildFromType,
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            ("torch", "Tensor")
            | ("torch._tensor", "Tensor")
            | ("torch.nn.parameter", "Parameter")
            | ("torch.nn", "Parameter") => Self::TensorClass,
            ("torch" | "torch.cuda" | "torch.storage", name) => Self::Type(Known::find(name)?),
            _ => return None,
        })
    }
}

/// Where numbers lie, before it is known where in the file that is.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub of: Known,
    /// Which of the pickle's texts names it.
    pub key: Id,
    /// Elements.
    pub count: usize,
    /// Elements of it that come before; only files before PyTorch 0.4 have views of storages.
    pub skipped: usize,
}

impl Storage {
    /// Of a persistent id, `("storage", type, key, where it was, count)`, which old files follow by a view.
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

/// A tensor's place in its storage.
#[derive(Clone, Debug)]
pub(super) struct TensorAt {
    /// Which of the pickle's values is the storage.
    pub storage: Id,
    pub of: Known,
    /// All in elements.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// What calling `global` gives.
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
