//! Writes the tensors of a plan, one after the other.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType as TensorType, Tensor};
use safetensors::tensor::View;
use safetensors::Dtype;

use super::checkpoint::Checkpoint;
use super::plan::{Plan, PlannedTensor};
use crate::weights::{write_safetensors, WeightsError};

/// Writes `model.safetensors` into `folder` and returns its size in bytes.
pub(super) fn tensors(
    folder: &Path,
    plan: &Plan,
    lisa: &Checkpoint,
    clip: &Checkpoint,
    stop: &AtomicBool,
    progress: impl FnMut(u64, u64, &str),
) -> Result<u64, WeightsError> {
    let path = folder.join("model.safetensors");
    let dtype: TensorType = plan.config.dtype.into();
    let elements = plan
        .kept
        .values()
        .map(|p| p.shape.iter().product::<usize>() as u64);
    let shared = Rc::new(Shared {
        total: elements.sum::<u64>() * dtype.size_in_bytes() as u64,
        state: RefCell::new(State {
            done: 0,
            error: None,
            progress: Box::new(progress),
        }),
        stop,
    });
    let views = plan.kept.iter().map(|(name, planned)| {
        let view = Streamed {
            name,
            checkpoint: plan.checkpoint(planned, lisa, clip),
            planned,
            dtype,
            shared: Rc::clone(&shared),
        };
        (name.as_str(), view)
    });
    let written = write_safetensors(&path, views);
    let failed = shared.state.borrow_mut().error.take();
    failed.map_or(written, Err)
}

struct Shared<'p> {
    state: RefCell<State<'p>>,
    total: u64,
    stop: &'p AtomicBool,
}

/// A callback that is called with the bytes done, the bytes in all, and the name of the tensor.
type Progress<'p> = Box<dyn FnMut(u64, u64, &str) + 'p>;

struct State<'p> {
    done: u64,
    error: Option<WeightsError>,
    progress: Progress<'p>,
}

/// A tensor that is read when the writer of the file reaches it.
struct Streamed<'a, 'p> {
    name: &'a str,
    checkpoint: &'a Checkpoint,
    planned: &'a PlannedTensor,
    dtype: TensorType,
    shared: Rc<Shared<'p>>,
}

impl Streamed<'_, '_> {
    fn read(&self) -> Result<Vec<u8>, WeightsError> {
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(WeightsError::Interrupted);
        }
        let tensor = self.planned.origin.load(self.checkpoint)?;
        let bytes = |tensor: Tensor| -> candle_core::Result<Vec<u8>> {
            let tensor = tensor.to_dtype(self.dtype)?.flatten_all()?;
            // The bytes are those of candle's own view, which has the byte order of the format.
            Ok(View::data(&&tensor).into_owned())
        };
        let bytes = bytes(tensor).map_err(|source| WeightsError::Tensor {
            name: self.name.to_owned(),
            source,
        })?;
        match is_finite(&bytes, self.dtype) {
            true => Ok(bytes),
            false => Err(WeightsError::Invalid {
                path: self.checkpoint.path.clone(),
                reason: format!(
                    "tensor {} holds numbers that are not finite in {}; accepted: --dtype f32 or bf16, which reach further than f16, if it is whole",
                    self.name,
                    self.dtype.as_str()
                ),
            }),
        }
    }
}

/// Whether all of these little-endian numbers are finite. An infinite number and NaN have an exponent of ones only.
fn is_finite(bytes: &[u8], dtype: TensorType) -> bool {
    let halves = |exponent: u16| {
        bytes
            .chunks_exact(2)
            .all(|b| u16::from_le_bytes([b[0], b[1]]) & exponent != exponent)
    };
    match dtype {
        TensorType::F16 => halves(0x7c00),
        TensorType::BF16 => halves(0x7f80),
        _ => bytes
            .chunks_exact(4)
            .all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite()),
    }
}

impl View for Streamed<'_, '_> {
    fn dtype(&self) -> Dtype {
        match self.dtype {
            TensorType::F16 => Dtype::F16,
            TensorType::BF16 => Dtype::BF16,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.planned.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut state = self.shared.state.borrow_mut();
        // The writer cannot be told of an error. The first one is kept, and nothing more is read.
        let failed = state.error.is_some();
        match if failed { Ok(Vec::new()) } else { self.read() } {
            Ok(bytes) => {
                if !failed {
                    state.done += bytes.len() as u64;
                    let (done, total) = (state.done, self.shared.total);
                    (state.progress)(done, total, self.name);
                }
                Cow::Owned(bytes)
            }
            Err(error) => {
                state.error = Some(error);
                Cow::Owned(Vec::new())
            }
        }
    }

    fn data_len(&self) -> usize {
        self.planned.shape.iter().product::<usize>() * self.dtype.size_in_bytes()
    }
}
