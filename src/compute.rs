//! On which device a network computes, and in which numbers: words that people write, and what they come to.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

/// Why there is no computing so.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    #[error("device {device} cannot be used: {reason}")]
    Device { device: DeviceSpec, reason: String },
    #[error("dtype {dtype} cannot be computed on the {device}; accepted: {accepted}")]
    DType {
        dtype: DTypeSpec,
        device: &'static str,
        accepted: &'static str,
    },
}

/// `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceSpec {
    /// A GPU where the build and the machine have one, otherwise the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
}

/// `auto`, `f32`, `f16` or `bf16`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DTypeSpec {
    /// f32 on the CPU; on a GPU as the weights are stored.
    #[default]
    Auto,
    F32,
    F16,
    Bf16,
}

/// A word that names no device or dtype.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?} is unknown; accepted: {accepted}")]
pub struct SpecError {
    what: &'static str,
    found: String,
    accepted: &'static str,
}

impl FromStr for DeviceSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let error = || SpecError {
            what: "device",
            found: text.to_owned(),
            accepted: "auto, cpu, cuda, cuda:N",
        };
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => match other.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(ordinal)) => Ok(Self::Cuda(ordinal)),
                _ => Err(error()),
            },
        }
    }
}

impl TryFrom<String> for DeviceSpec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

impl From<DeviceSpec> for String {
    fn from(device: DeviceSpec) -> Self {
        device.to_string()
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl DeviceSpec {
    /// # Errors
    /// A GPU that was asked for by name and is not there.
    pub fn open(self) -> Result<Device, ComputeError> {
        let failed = |reason: String| ComputeError::Device {
            device: self,
            reason,
        };
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto if !cfg!(feature = "cuda") => Ok(Device::Cpu),
            Self::Auto => Ok(Device::new_cuda(0).unwrap_or(Device::Cpu)),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(failed(
                "this program was built without CUDA; build with `--features cuda` (colcon: -DLISA_CUDA=ON) or use cpu".into(),
            )),
            Self::Cuda(ordinal) => Device::new_cuda(ordinal).map_err(|e| failed(e.to_string())),
        }
    }
}

impl FromStr for DTypeSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "f32" | "float32" => Ok(Self::F32),
            "f16" | "float16" => Ok(Self::F16),
            "bf16" | "bfloat16" => Ok(Self::Bf16),
            _ => Err(SpecError {
                what: "dtype",
                found: text.to_owned(),
                accepted: "auto, f32, f16, bf16",
            }),
        }
    }
}

impl TryFrom<String> for DTypeSpec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

impl From<DTypeSpec> for String {
    fn from(dtype: DTypeSpec) -> Self {
        dtype.to_string()
    }
}

impl fmt::Display for DTypeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl DTypeSpec {
    /// Whether `device` computes in it.
    ///
    /// # Errors
    /// [`ComputeError::DType`]: there are no products of bf16 on the CPU.
    pub fn check(self, device: &Device) -> Result<(), ComputeError> {
        match self {
            Self::Bf16 if device.is_cpu() => Err(ComputeError::DType {
                dtype: self,
                device: "CPU",
                accepted: "auto, f32, f16, whatever the weights are stored as; or a GPU",
            }),
            _ => Ok(()),
        }
    }

    /// The type to answer in on `device`, with weights stored as `stored`.
    pub fn resolve(self, stored: DType, device: &Device) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
            Self::Auto if device.is_cpu() => DType::F32,
            Self::Auto => stored,
        }
    }

    /// The type to train in on `device`, with weights stored as `stored`: as [`Self::resolve`], but bf16 where that is f16, whose
    /// range gradients leave.
    pub fn resolve_for_training(self, stored: DType, device: &Device) -> DType {
        match (self, self.resolve(stored, device)) {
            (Self::Auto, DType::F16) => DType::BF16,
            (_, dtype) => dtype,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cpu_does_not_compute_in_is_refused() {
        let error = DTypeSpec::Bf16.check(&Device::Cpu).unwrap_err().to_string();
        assert!(
            error.contains("bf16") && error.contains("accepted: auto, f32, f16"),
            "{error}"
        );
        for dtype in [DTypeSpec::Auto, DTypeSpec::F32, DTypeSpec::F16] {
            dtype.check(&Device::Cpu).unwrap();
        }
    }

    #[test]
    fn words_round_trip_and_others_are_refused() {
        for word in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(word.parse::<DeviceSpec>().unwrap().to_string(), word);
        }
        for word in ["auto", "f32", "f16", "bf16"] {
            assert_eq!(word.parse::<DTypeSpec>().unwrap().to_string(), word);
        }
        let error = "cuda:x".parse::<DeviceSpec>().unwrap_err().to_string();
        assert!(
            error.contains("cuda:x") && error.contains("cuda:N"),
            "{error}"
        );
        assert!("int8".parse::<DTypeSpec>().is_err());
    }
}
