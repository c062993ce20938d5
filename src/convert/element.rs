//! The types of the elements of stored tensors.

use std::fmt;

use candle_core::DType;
use safetensors::Dtype;

/// The type of the elements of a stored tensor. The four types that a network can be made of have their own variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    /// Any other type, such as integers, quantized numbers or truth values, by PyTorch's name for it.
    Other(String),
}

impl Element {
    /// The type as candle has it; `None` for a type that the network cannot be made of.
    pub fn float(&self) -> Option<DType> {
        match self {
            Self::F16 => Some(DType::F16),
            Self::Bf16 => Some(DType::BF16),
            Self::F32 => Some(DType::F32),
            Self::F64 => Some(DType::F64),
            Self::Other(_) => None,
        }
    }
}

impl From<Dtype> for Element {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::Bf16,
            Dtype::F32 => Self::F32,
            Dtype::F64 => Self::F64,
            Dtype::BOOL => Self::Other("bool".to_owned()),
            Dtype::I8 => Self::Other("int8".to_owned()),
            Dtype::U8 => Self::Other("uint8".to_owned()),
            Dtype::I16 => Self::Other("int16".to_owned()),
            Dtype::I32 => Self::Other("int32".to_owned()),
            Dtype::I64 => Self::Other("int64".to_owned()),
            Dtype::F8_E4M3 => Self::Other("float8_e4m3fn".to_owned()),
            Dtype::F8_E5M2 => Self::Other("float8_e5m2".to_owned()),
            other => Self::Other(format!("{other:?}")),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Other(name) => name,
        })
    }
}
