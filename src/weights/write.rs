//! Writes the tensors of a model, one after the other, so that one of them is in memory at a time.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType as TensorType, Tensor};
use cpu_kernels::BlockFormat;
use safetensors::tensor::View;
use safetensors::Dtype;

use super::quantized::stored_name;
use super::save::write_safetensors;
use super::{BlockMatrix, DType, Quantization, WeightsError};

/// Where the tensors of a model are taken from.
pub(crate) trait TensorSource {
    /// The tensor of that name.
    ///
    /// # Errors
    /// One that cannot be read.
    fn load(&self, name: &str) -> Result<Loaded, WeightsError>;

    /// The file or folder that it comes from, which an error names.
    fn path(&self, name: &str) -> &Path;
}

/// A tensor that was read.
pub(crate) enum Loaded {
    Numbers(Tensor),
    Blocks(BlockMatrix),
}

/// How the tensors of a model are stored.
#[derive(Clone, Copy)]
pub(crate) struct Storage {
    /// The type of all that is not quantized.
    pub dtype: DType,
    pub quantization: Quantization,
}

/// Writes a safetensors file of the tensors of these names and shapes, and returns its size in bytes.
/// `progress(done_bytes, total_bytes, tensor)` is called after each tensor.
///
/// # Errors
/// [`WeightsError::Interrupted`] once `stop` is set, numbers that are not finite, and what `source` and the disk say.
pub(crate) fn write_tensors(
    path: &Path,
    shapes: &BTreeMap<String, Vec<usize>>,
    storage: Storage,
    source: &dyn TensorSource,
    stop: &AtomicBool,
    progress: impl FnMut(u64, u64, &str),
) -> Result<u64, WeightsError> {
    let stored: Vec<(String, Stored)> = shapes
        .iter()
        .map(
            |(name, shape)| match storage.quantization.format(name, shape) {
                Some(format) => (stored_name(name, format), Stored::Blocks(format)),
                None => (name.clone(), Stored::Numbers(storage.dtype.into())),
            },
        )
        .collect();
    let sizes = shapes.values().zip(&stored);
    let sizes = sizes.map(|(shape, (_, stored))| stored.bytes(shape) as u64);
    let shared = Rc::new(Shared {
        total: sizes.sum(),
        state: RefCell::new(State {
            done: 0,
            error: None,
            progress: Box::new(progress),
        }),
        stop,
    });
    let views = shapes.iter().zip(&stored);
    let views = views.map(|((name, shape), (stored_name, stored))| {
        let view = Streamed {
            name,
            source,
            stored: *stored,
            shape: stored.shape(shape),
            shared: Rc::clone(&shared),
        };
        (stored_name.as_str(), view)
    });
    let written = write_safetensors(path, views);
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

/// How a tensor is stored.
#[derive(Clone, Copy)]
enum Stored {
    Numbers(TensorType),
    Blocks(BlockFormat),
}

impl Stored {
    /// The shape in the file of a tensor of this shape. A row of blocks is a row of bytes.
    fn shape(self, shape: &[usize]) -> Vec<usize> {
        let mut stored = shape.to_vec();
        if let (Self::Blocks(format), Some(row)) = (self, stored.last_mut()) {
            *row = format.row_bytes(*row).unwrap_or_default();
        }
        stored
    }

    fn bytes(self, shape: &[usize]) -> usize {
        self.shape(shape).iter().product::<usize>() * self.size()
    }

    /// Bytes of an element in the file.
    fn size(self) -> usize {
        match self {
            Self::Numbers(dtype) => dtype.size_in_bytes(),
            Self::Blocks(_) => 1,
        }
    }

    /// The type in which the numbers are checked before they are stored.
    fn dtype(self) -> TensorType {
        match self {
            Self::Numbers(dtype) => dtype,
            Self::Blocks(_) => TensorType::F32,
        }
    }
}

/// A tensor that is read when the writer of the file reaches it.
struct Streamed<'a, 'p> {
    name: &'a str,
    source: &'a dyn TensorSource,
    stored: Stored,
    /// In the file.
    shape: Vec<usize>,
    shared: Rc<Shared<'p>>,
}

impl Streamed<'_, '_> {
    fn read(&self) -> Result<Vec<u8>, WeightsError> {
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(WeightsError::Interrupted);
        }
        let failed = |source| WeightsError::Tensor {
            name: self.name.to_owned(),
            source,
        };
        let numbers = match (self.source.load(self.name)?, self.stored) {
            // Rounding them once more could only lose.
            (Loaded::Blocks(blocks), Stored::Blocks(format)) if blocks.format() == format => {
                return Ok(blocks.bytes().to_vec());
            }
            (Loaded::Blocks(blocks), _) => blocks.dequantize().map_err(failed)?,
            (Loaded::Numbers(numbers), _) => numbers,
        };
        let dtype = self.stored.dtype();
        let tensor = numbers.to_dtype(dtype).map_err(failed)?;
        let bytes = |tensor: &Tensor| -> candle_core::Result<Vec<u8>> {
            let tensor = tensor.flatten_all()?;
            // The bytes are those of candle's own view, which has the byte order of the format.
            Ok(View::data(&&tensor).into_owned())
        };
        let numbers = bytes(&tensor).map_err(failed)?;
        if !is_finite(&numbers, dtype) {
            return Err(WeightsError::Invalid {
                path: self.source.path(self.name).to_owned(),
                reason: format!(
                    "tensor {} holds numbers that are not finite in {}; accepted: --dtype f32 or bf16, which reach further than f16, if it is whole",
                    self.name,
                    dtype.as_str()
                ),
            });
        }
        match self.stored {
            Stored::Numbers(_) => Ok(numbers),
            Stored::Blocks(format) => {
                let blocks = BlockMatrix::quantize(&tensor, format).map_err(failed)?;
                Ok(blocks.bytes().to_vec())
            }
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
        match self.stored {
            Stored::Numbers(TensorType::F16) => Dtype::F16,
            Stored::Numbers(TensorType::BF16) => Dtype::BF16,
            Stored::Numbers(_) => Dtype::F32,
            Stored::Blocks(_) => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
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
        self.shape.iter().product::<usize>() * self.stored.size()
    }
}
