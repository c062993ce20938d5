//! The device on which a network computes and the number type it computes in, as people write them and as candle has them.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

/// A device or number type that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// A GPU was asked for by name, and the build or the machine has none.
    #[error("device {device} cannot be used: {reason}")]
    Device {
        /// The device that was asked for.
        device: DeviceSpec,
        /// Why it cannot be used, in words.
        reason: String,
    },
    /// The device does not compute in the number type that was asked for.
    #[error("dtype {dtype} cannot be computed on the {device}; accepted: {accepted}")]
    DType {
        /// The number type that was asked for.
        dtype: DTypeSpec,
        /// The kind of device, e.g. `CPU`.
        device: &'static str,
        /// What is accepted instead.
        accepted: &'static str,
    },
}

/// The device to compute on, written `auto`, `cpu`, `cuda` (the first GPU) or `cuda:N`; case does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceSpec {
    /// The first GPU if the program was built with CUDA and the machine has one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this ordinal, from 0.
    Cuda(usize),
}

/// The number type to compute in, written `auto`, `f32`, `f16` or `bf16`; case does not matter, and PyTorch's names
/// (`float32`, `float16`, `bfloat16`) are understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DTypeSpec {
    /// f32 on the CPU; on a GPU the type that the weights are stored in.
    #[default]
    Auto,
    /// 32 bits, IEEE 754 binary32.
    F32,
    /// 16 bits, IEEE 754 binary16.
    F16,
    /// 16 bits, the upper half of an f32.
    Bf16,
}

/// In which number types a network answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// Of what it computes with.
    pub computed: DType,
    /// The type to which the large weights are rounded, in which they are held in memory; `None` where nothing is rounded: they are
    /// then held in `computed`, or in 16 bits if they are stored so.
    pub held: Option<DType>,
}

impl Precision {
    /// The type that people asked for.
    pub fn name(self) -> &'static str {
        self.held.unwrap_or(self.computed).as_str()
    }
}

/// A word that names no device or number type.
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
    /// Opens the device.
    ///
    /// # Errors
    /// [`ComputeError::Device`] for a GPU that was asked for by name and is not there.
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
    /// Checks that a network can be trained in this type on `device`.
    ///
    /// # Errors
    /// [`ComputeError::DType`] for bf16 on the CPU, where candle has no matrix product of it.
    pub fn check_for_training(self, device: &Device) -> Result<(), ComputeError> {
        match self {
            Self::Bf16 if device.is_cpu() => Err(ComputeError::DType {
                dtype: self,
                device: "CPU",
                accepted: "auto, f32, f16, whatever the weights are stored as; or a GPU",
            }),
            _ => Ok(()),
        }
    }

    /// How to answer on `device`, where the weights are stored as `stored`.
    pub fn precision(self, stored: DType, device: &Device) -> Precision {
        let exact = |computed| Precision {
            computed,
            held: None,
        };
        match (self, device.is_cpu()) {
            (Self::Auto | Self::F32, true) | (Self::F32, false) => exact(DType::F32),
            // A CPU multiplies in f32 in any case. What 16 bits save there is memory.
            (Self::F16, true) => Precision {
                computed: DType::F32,
                held: Some(DType::F16),
            },
            (Self::Bf16, true) => Precision {
                computed: DType::F32,
                held: Some(DType::BF16),
            },
            (Self::F16, false) => exact(DType::F16),
            (Self::Bf16, false) => exact(DType::BF16),
            (Self::Auto, false) => exact(stored),
        }
    }

    /// The type to train in on `device`, where the weights are stored as `stored`. On a GPU `Auto` gives bf16 instead of f16:
    /// gradients leave the range of f16.
    pub fn resolve_for_training(self, stored: DType, device: &Device) -> DType {
        match (self, stored) {
            (Self::F32, _) => DType::F32,
            (Self::F16, _) => DType::F16,
            (Self::Bf16, _) => DType::BF16,
            (Self::Auto, _) if device.is_cpu() => DType::F32,
            (Self::Auto, DType::F16) => DType::BF16,
            (Self::Auto, stored) => stored,
        }
    }
}

/// Threads that this process computes with on a CPU: what `RAYON_NUM_THREADS` said when this was asked first, otherwise one for each
/// core.
pub fn threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| {
        let said = std::env::var("RAYON_NUM_THREADS").ok();
        let said = said.and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        said.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
    })
}

/// Lets the allocator keep large pieces of memory that are freed, for the next of them.
///
/// The GNU library asks the system for every piece above a few megabytes and gives it back when it is freed, and the system clears
/// each page again: a tenth of the time of SAM's encoder, whose layers pass tensors of 10 to 50 MB on. Programs that compute call
/// this once when they start; [`give_back_free_memory`] still gives everything back. Elsewhere nothing is done.
pub fn keep_freed_memory() {
    // SAFETY: mallopt takes numbers, and is called before there are other threads, as it asks.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}

/// Gives memory that was freed back to the system. The GNU library keeps what lies between pieces still in use for the next
/// allocations, which after a model are tens of megabytes to gigabytes; elsewhere nothing is done.
pub fn give_back_free_memory() {
    // SAFETY: the function takes the allocator's own locks, may be called at any time on any thread, and touches free memory only.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cpu_does_not_train_in_is_refused() {
        let refused = DTypeSpec::Bf16.check_for_training(&Device::Cpu);
        let error = refused.unwrap_err().to_string();
        assert!(
            error.contains("bf16") && error.contains("accepted: auto, f32, f16"),
            "{error}"
        );
        for dtype in [DTypeSpec::Auto, DTypeSpec::F32, DTypeSpec::F16] {
            dtype.check_for_training(&Device::Cpu).unwrap();
        }
    }

    #[test]
    fn a_cpu_computes_in_f32_and_holds_what_was_asked_for() {
        let on_cpu = |dtype: DTypeSpec| dtype.precision(DType::F16, &Device::Cpu);
        for (dtype, held) in [
            (DTypeSpec::Auto, None),
            (DTypeSpec::F32, None),
            (DTypeSpec::F16, Some(DType::F16)),
            (DTypeSpec::Bf16, Some(DType::BF16)),
        ] {
            let precision = on_cpu(dtype);
            assert_eq!((precision.computed, precision.held), (DType::F32, held));
        }
        assert_eq!(on_cpu(DTypeSpec::Bf16).name(), "bf16");
        assert_eq!(on_cpu(DTypeSpec::Auto).name(), "f32");
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
