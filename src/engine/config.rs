//! What the engine opens, on which device, and the bounds it keeps.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use candle_core::{DType, Device};

use crate::weights::WeightsError;

/// What the engine opens and the bounds it keeps.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Model directory, as `lisa convert` writes it.
    pub model: PathBuf,
    pub device: DeviceSpec,
    pub dtype: DTypeSpec,
    /// Requests that may wait; one more is [`RequestError::Overloaded`](super::RequestError::Overloaded). Default 8.
    pub max_pending: usize,
    /// Conversations remembered; the one longest unused leaves first. Default 16.
    pub max_conversations: usize,
    /// Turns remembered in a conversation; the oldest leave first, and the answer's notes say so. Default 8.
    pub max_turns: usize,
    /// Frames whose embeddings are kept. Default 4.
    pub max_frames: usize,
    /// Answer one throw-away request before reporting ready. Default true.
    pub warm_up: bool,
}

impl EngineConfig {
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            device: DeviceSpec::Auto,
            dtype: DTypeSpec::Auto,
            max_pending: 8,
            max_conversations: 16,
            max_turns: 8,
            max_frames: 4,
            warm_up: true,
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("device {device} cannot be used: {reason}")]
    Device { device: DeviceSpec, reason: String },
    #[error("dtype {dtype} cannot be computed on the {device}; accepted: {accepted}")]
    DType {
        dtype: DTypeSpec,
        device: &'static str,
        accepted: &'static str,
    },
    #[error("the first, throw-away request failed: {0}")]
    WarmUp(super::RequestError),
    #[error("cannot start the model thread: {0}")]
    Thread(std::io::Error),
    #[error("loading the model panicked: {0}")]
    Panicked(String),
}

/// `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceSpec {
    /// A GPU where the build and the machine have one, otherwise the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
}

/// `auto`, `f32`, `f16` or `bf16`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    pub(super) fn open(self) -> Result<Device, EngineError> {
        let failed = |reason: String| EngineError::Device {
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
    /// [`EngineError::DType`]: there are no products of bf16 on the CPU.
    pub(super) fn check(self, device: &Device) -> Result<(), EngineError> {
        match self {
            Self::Bf16 if device.is_cpu() => Err(EngineError::DType {
                dtype: self,
                device: "CPU",
                accepted: "auto, f32, f16, whatever the weights are stored as; or a GPU",
            }),
            _ => Ok(()),
        }
    }

    /// The type to compute in on `device`, for weights stored as `stored`.
    pub(super) fn resolve(self, stored: DType, device: &Device) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
            Self::Auto if device.is_cpu() => DType::F32,
            Self::Auto => stored,
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
