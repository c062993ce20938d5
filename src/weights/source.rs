//! Named tensors, wherever they live.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Shape, Tensor};

use super::WeightsError;

/// Named tensors and a place in their tree of names.
///
/// Cheap to clone. Tensors come out in one dtype, on one device, whatever they are stored as. A source made
/// [from tensors](Weights::from_tensors) hands out the very tensors it was given where dtype and device agree,
/// so variables stay variables: that is how a model is built to be trained.
#[derive(Clone)]
pub struct Weights {
    source: Arc<Source>,
    prefix: String,
    dtype: DType,
    device: Device,
}

enum Source {
    Mapped(MmapedSafetensors),
    Tensors(HashMap<String, Tensor>),
}

impl Weights {
    pub(super) fn from_mapped(mapped: MmapedSafetensors, dtype: DType, device: &Device) -> Self {
        Self::new(Source::Mapped(mapped), dtype, device)
    }

    pub fn from_tensors(tensors: HashMap<String, Tensor>, dtype: DType, device: &Device) -> Self {
        Self::new(Source::Tensors(tensors), dtype, device)
    }

    fn new(source: Source, dtype: DType, device: &Device) -> Self {
        Self {
            source: Arc::new(source),
            prefix: String::new(),
            dtype,
            device: device.clone(),
        }
    }

    /// The subtree `name` below this place.
    pub fn pp(&self, name: impl std::fmt::Display) -> Self {
        let prefix = if self.prefix.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.prefix)
        };
        Self {
            prefix,
            ..self.clone()
        }
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    /// Shape of the tensor as stored, if there is one of that name.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let path = self.path(name);
        match &*self.source {
            Source::Mapped(mapped) => mapped.get(&path).ok().map(|view| view.shape().to_vec()),
            Source::Tensors(tensors) => tensors.get(&path).map(|t| t.dims().to_vec()),
        }
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// [`WeightsError::MissingTensor`], or [`WeightsError::Shape`] with both shapes.
    pub fn get(&self, shape: impl Into<Shape>, name: &str) -> Result<Tensor, WeightsError> {
        let path = self.path(name);
        let found = self
            .shape(name)
            .ok_or_else(|| WeightsError::MissingTensor { name: path.clone() })?;
        let expected = shape.into();
        if expected.dims() != found {
            return Err(WeightsError::Shape {
                name: path,
                expected: expected.into_dims(),
                found,
            });
        }
        let load = || match &*self.source {
            Source::Mapped(mapped) => mapped.load(&path, &self.device)?.to_dtype(self.dtype),
            Source::Tensors(tensors) => match tensors.get(&path) {
                Some(tensor) => tensor.to_device(&self.device)?.to_dtype(self.dtype),
                None => candle_core::bail!("no such tensor"),
            },
        };
        load().map_err(|source| WeightsError::Tensor { name: path, source })
    }
}
