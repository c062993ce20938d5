//! The values that a pickle of `torch.save` is made of: plain data, PyTorch's own names, storages and tensors.

use crate::convert::element::Element;
use crate::pickle::ValueId;

/// A value of a pickle. Values refer to each other by their [`ValueId`].
#[derive(Debug)]
pub(super) enum TorchValue {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits, as its bytes, lowest first.
    Long(Vec<u8>),
    /// A value that nothing here needs, such as a float, bytes or a device.
    Other,
    Text(String),
    Tuple(Vec<ValueId>),
    List(Vec<ValueId>),
    Dict(Vec<(ValueId, ValueId)>),
    Global(Global),
    Storage(Storage),
    Tensor(TensorAt),
}

/// The names that a pickle may import. With these PyTorch describes tensors and the dict that holds them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// `_rebuild_tensor`, `_rebuild_tensor_v2`; called with storage, offset, size, stride, and more that is not needed.
    RebuildTensor,
    /// `_rebuild_tensor_v3`; the same, with the type of the elements as the seventh argument.
    RebuildTensorTyped,
    /// `_rebuild_parameter`, `_rebuild_parameter_with_state`; called with the tensor, and more that is not needed.
    RebuildParameter,
    /// `_rebuild_from_type_v2`; called with a function, a class, the arguments of the function, and a state.
    RebuildFromType,
    /// `collections.OrderedDict`, called without arguments.
    OrderedDict,
    /// `torch.Size`, called with a tuple.
    Size,
    /// `torch.device`, which says where a tensor was.
    Device,
    /// A class of tensors, which is an argument and is never called.
    TensorClass,
    /// The type of a storage or of an element.
    Type(StorageType),
}

/// The type of the elements of a storage; `Bytes` where the storage has none, as that of newer files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum StorageType {
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

impl StorageType {
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

    /// Finds the type by the name of a storage class (`FloatStorage`) or of an element type (`float32`).
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
            ("torch" | "torch.cuda" | "torch.storage", name) => {
                Self::Type(StorageType::find(name)?)
            }
            _ => return None,
        })
    }
}

/// A storage as the pickle names it, before its place in the file is known.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub of: StorageType,
    /// The text that names it.
    pub key: ValueId,
    /// Number of elements.
    pub count: usize,
    /// Elements before the first one, for a view of a storage. Only files from before PyTorch 0.4 have such views.
    pub skipped: usize,
}

/// A tensor as the pickle names it.
#[derive(Clone, Debug)]
pub(super) struct TensorAt {
    /// The value that is its storage.
    pub storage: ValueId,
    pub of: StorageType,
    /// Elements of the storage before the tensor's first. Offset and strides count elements.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}
