//! [`Weights`]: named tensors, whether they lie in a file, in memory, or are made when they are asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Shape, Tensor};

use super::gguf::GgufTensors;
use super::quantized::BlockMatrix;
use super::tensor_file::TensorFile;
use super::WeightsError;

/// Named tensors, and a place in the tree of their names.
///
/// It is cheap to clone. All tensors come out in one dtype and on one device, whatever they are stored as. A source made
/// [from tensors](Weights::from_tensors) hands out the very tensors it was given where dtype and device agree,
/// so variables stay variables: that is how a model is built to be trained.
#[derive(Clone)]
pub struct Weights {
    source: Arc<Source>,
    prefix: String,
    dtype: DType,
    device: Device,
    lora: Option<LoraUse>,
    inference: bool,
    held: Option<DType>,
}

/// How linear layers use the LoRA tensors that stand beside their weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraUse {
    /// What the product of the two matrices is multiplied with, α / r.
    pub scale: f64,
    /// The dropout while training: the share of the inputs that are zeroed (0 to below 1), and the seed of the draw.
    pub dropout: Option<(f64, u64)>,
}

enum Source {
    File(TensorFile),
    Gguf(GgufTensors),
    Tensors {
        tensors: HashMap<String, Tensor>,
        blocks: HashMap<String, BlockMatrix>,
    },
    Made {
        make: Box<MakeTensor>,
        make_blocks: Option<Box<MakeBlocks>>,
        made: Mutex<HashMap<String, Made>>,
    },
    Listed {
        shapes: BTreeMap<String, Vec<usize>>,
        asked: Mutex<BTreeSet<String>>,
    },
}

/// Most elements of a tensor that a [listed](Weights::listed) source allocates. The tables of positions that loading interpolates
/// stay below it.
const LARGEST_TABLE: usize = 1 << 23;

/// A function that makes the tensor of a name and shape.
type MakeTensor = dyn Fn(&str, &[usize]) -> candle_core::Result<Tensor> + Send + Sync;

/// A function that makes a matrix in blocks; `None` where the matrix of that name is made of numbers.
type MakeBlocks =
    dyn Fn(&str, (usize, usize)) -> candle_core::Result<Option<BlockMatrix>> + Send + Sync;

/// A tensor that was made.
struct Made {
    shape: Vec<usize>,
    /// Kept for the next one who asks, but where only [inference](Weights::for_inference) does, which asks once and stores it
    /// otherwise.
    tensor: Option<Tensor>,
}

impl Weights {
    pub(super) fn from_file(file: TensorFile, dtype: DType, device: &Device) -> Self {
        Self::new(Source::File(file), dtype, device)
    }

    pub(super) fn from_gguf(tensors: GgufTensors, dtype: DType, device: &Device) -> Self {
        Self::new(Source::Gguf(tensors), dtype, device)
    }

    /// A source of tensors in memory, by their full names.
    pub fn from_tensors(tensors: HashMap<String, Tensor>, dtype: DType, device: &Device) -> Self {
        Self::from_parts(tensors, HashMap::new(), dtype, device)
    }

    /// [`from_tensors`](Self::from_tensors), and weights in blocks, by their full names.
    pub(crate) fn from_parts(
        tensors: HashMap<String, Tensor>,
        blocks: HashMap<String, BlockMatrix>,
        dtype: DType,
        device: &Device,
    ) -> Self {
        Self::new(Source::Tensors { tensors, blocks }, dtype, device)
    }

    /// A source that makes every tensor it is asked for. Loading a network from it gives a new network, and [`Weights::names`]
    /// then lists all tensors of that network.
    pub fn made_by(
        make: impl Fn(&str, &[usize]) -> candle_core::Result<Tensor> + Send + Sync + 'static,
        dtype: DType,
        device: &Device,
    ) -> Self {
        Self::made(Box::new(make), None, dtype, device)
    }

    /// [`made_by`](Self::made_by), where `make_blocks` makes the matrices that are stored in blocks.
    pub(crate) fn made_in_blocks_by(
        make: impl Fn(&str, &[usize]) -> candle_core::Result<Tensor> + Send + Sync + 'static,
        make_blocks: impl Fn(&str, (usize, usize)) -> candle_core::Result<Option<BlockMatrix>>
            + Send
            + Sync
            + 'static,
        dtype: DType,
        device: &Device,
    ) -> Self {
        Self::made(Box::new(make), Some(Box::new(make_blocks)), dtype, device)
    }

    fn made(
        make: Box<MakeTensor>,
        make_blocks: Option<Box<MakeBlocks>>,
        dtype: DType,
        device: &Device,
    ) -> Self {
        let source = Source::Made {
            make,
            make_blocks,
            made: Mutex::default(),
        };
        Self::new(source, dtype, device)
    }

    /// A source that has names and shapes but no numbers: its tensors are zeros in f32. Loading a network from it shows whether a
    /// network can be loaded from tensors of these shapes, and takes next to no memory.
    pub fn listed(shapes: BTreeMap<String, Vec<usize>>, device: &Device) -> Self {
        let source = Source::Listed {
            shapes,
            asked: Mutex::default(),
        };
        Self::new(source, DType::F32, device)
    }

    /// Full names of the tensors that a [listed](Weights::listed) source was asked for, whether it has them or not; none of
    /// other sources.
    pub fn asked(&self) -> BTreeSet<String> {
        match &*self.source {
            Source::Listed { asked, .. } => lock(asked).clone(),
            _ => BTreeSet::new(),
        }
    }

    fn new(source: Source, dtype: DType, device: &Device) -> Self {
        Self {
            source: Arc::new(source),
            prefix: String::new(),
            dtype,
            device: device.clone(),
            lora: None,
            inference: false,
            held: None,
        }
    }

    /// Lets layers round their large weights to this type of 16 bits and hold them in it, though they compute in another one. `None`
    /// rounds nothing.
    pub(crate) fn held_in(self, held: Option<DType>) -> Self {
        Self { held, ..self }
    }

    /// What [`held_in`](Self::held_in) was given.
    pub(crate) fn held(&self) -> Option<DType> {
        self.held
    }

    /// Lets layers store their weights in the order in which they compute fastest. They then have no gradient, and the tensors
    /// cannot be read back.
    pub fn for_inference(self) -> Self {
        Self {
            inference: true,
            ..self
        }
    }

    pub(crate) fn is_for_inference(&self) -> bool {
        self.inference
    }

    /// Lets linear layers use the `lora_A` and `lora_B` that stand beside their weights. Without this call they are ignored.
    pub fn with_lora(self, lora: LoraUse) -> Self {
        Self {
            lora: Some(lora),
            ..self
        }
    }

    pub(crate) fn lora(&self) -> Option<LoraUse> {
        self.lora
    }

    /// The prefix of names at this place, without a dot at its end.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The subtree `name` below this place; the name is that of candle's `VarBuilder::pp`, "push prefix".
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

    /// The type that tensors come out in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device that tensors come out on.
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

    /// The full names and shapes of all tensors, sorted by name. A source that makes its tensors has those that it has made so
    /// far.
    pub fn names(&self) -> Vec<(String, Vec<usize>)> {
        let mut names: Vec<(String, Vec<usize>)> = match &*self.source {
            Source::File(file) => file.shapes().collect(),
            Source::Gguf(tensors) => tensors.shapes(),
            Source::Tensors { tensors, blocks } => {
                let blocks = blocks.iter().map(|(name, b)| (name.clone(), dims(b)));
                shapes(tensors).into_iter().chain(blocks).collect()
            }
            Source::Made { made, .. } => {
                let made = lock(made);
                made.iter()
                    .map(|(name, m)| (name.clone(), m.shape.clone()))
                    .collect()
            }
            Source::Listed { shapes, .. } => shapes.clone().into_iter().collect(),
        };
        names.sort();
        names
    }

    /// The stored shape of the tensor of that name below this place; `None` where there is none.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let path = self.path(name);
        match &*self.source {
            Source::File(file) => file.shape(&path),
            Source::Gguf(tensors) => tensors.shape(&path),
            Source::Tensors { tensors, blocks } => {
                let tensor = tensors.get(&path).map(|t| t.dims().to_vec());
                tensor.or_else(|| blocks.get(&path).map(dims))
            }
            Source::Made { made, .. } => lock(made).get(&path).map(|made| made.shape.clone()),
            Source::Listed { shapes, .. } => shapes.get(&path).cloned(),
        }
    }

    /// The tensor of that name below this place.
    ///
    /// # Errors
    /// [`WeightsError::MissingTensor`], [`WeightsError::Shape`] with both shapes, or [`WeightsError::Tensor`] where it cannot be
    /// read or converted.
    pub fn get(&self, shape: impl Into<Shape>, name: &str) -> Result<Tensor, WeightsError> {
        self.get_as(Some(self.dtype), shape.into(), name)
    }

    /// [`get`](Self::get) in the type that the tensor is stored in.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_as_stored(
        &self,
        shape: impl Into<Shape>,
        name: &str,
    ) -> Result<Tensor, WeightsError> {
        self.get_as(None, shape.into(), name)
    }

    fn get_as(
        &self,
        dtype: Option<DType>,
        shape: Shape,
        name: &str,
    ) -> Result<Tensor, WeightsError> {
        let path = self.path(name);
        self.make(&path, &shape)
            .map_err(|source| WeightsError::Tensor {
                name: path.clone(),
                source,
            })?;
        if let Source::Listed { asked, .. } = &*self.source {
            lock(asked).insert(path.clone());
        }
        let found = self
            .shape(name)
            .ok_or_else(|| WeightsError::MissingTensor { name: path.clone() })?;
        if shape.dims() != found {
            return Err(WeightsError::Shape {
                name: path,
                expected: shape.into_dims(),
                found,
            });
        }
        let converted = |tensor: Tensor| match dtype {
            Some(dtype) => tensor.to_dtype(dtype),
            None => Ok(tensor),
        };
        let load = || match &*self.source {
            Source::File(file) => converted(file.load(&path, &self.device)?),
            Source::Gguf(tensors) => tensors.load(&path, self.dtype, &self.device),
            Source::Tensors { tensors, blocks } => match (tensors.get(&path), blocks.get(&path)) {
                (Some(tensor), _) => converted(tensor.to_device(&self.device)?),
                (None, Some(blocks)) => converted(blocks.dequantize()?.to_device(&self.device)?),
                (None, None) => candle_core::bail!("no such tensor"),
            },
            Source::Made { make, made, .. } => {
                let kept = lock(made).get(&path).and_then(|made| made.tensor.clone());
                let tensor = match kept {
                    Some(tensor) => tensor,
                    None => make(&path, shape.dims())?,
                };
                converted(tensor.to_device(&self.device)?)
            }
            // A large tensor is one zero that is broadcast. Small ones are allocated, because loading computes with some of them,
            // which needs contiguous memory.
            Source::Listed { .. } if shape.elem_count() > LARGEST_TABLE => {
                Tensor::zeros((), self.dtype, &self.device)?.broadcast_as(&shape)
            }
            Source::Listed { .. } => Tensor::zeros(&shape, self.dtype, &self.device),
        };
        load().map_err(|source| WeightsError::Tensor { name: path, source })
    }

    /// The weight of that name below this place as the blocks in which it is stored; `None` where it is not stored in blocks.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_blocks(
        &self,
        (rows, columns): (usize, usize),
        name: &str,
    ) -> Result<Option<BlockMatrix>, WeightsError> {
        let path = self.path(name);
        let found = match &*self.source {
            Source::File(file) => file.load_blocks(&path),
            Source::Gguf(tensors) => tensors.load_blocks(&path),
            Source::Tensors { blocks, .. } => Ok(blocks.get(&path).cloned()),
            Source::Made {
                make_blocks: Some(make),
                made,
                ..
            } => make(&path, (rows, columns)).inspect(|blocks| {
                if blocks.is_some() {
                    let shape = vec![rows, columns];
                    let noted = Made {
                        shape,
                        tensor: None,
                    };
                    lock(made).insert(path.clone(), noted);
                }
            }),
            Source::Made { .. } | Source::Listed { .. } => Ok(None),
        };
        let found = found.map_err(|source| WeightsError::Tensor {
            name: path.clone(),
            source,
        })?;
        match found {
            Some(blocks) if blocks.shape() != (rows, columns) => Err(WeightsError::Shape {
                name: path,
                expected: vec![rows, columns],
                found: dims(&blocks),
            }),
            found => Ok(found),
        }
    }

    /// Notes the shape of the tensor if this source makes its tensors, and makes it if it is to be kept.
    fn make(&self, path: &str, shape: &Shape) -> candle_core::Result<()> {
        if let Source::Made { make, made, .. } = &*self.source {
            if !lock(made).contains_key(path) {
                let tensor = match self.inference {
                    true => None,
                    false => Some(make(path, shape.dims())?),
                };
                let shape = shape.dims().to_vec();
                lock(made).insert(path.to_owned(), Made { shape, tensor });
            }
        }
        Ok(())
    }
}

fn shapes(tensors: &HashMap<String, Tensor>) -> Vec<(String, Vec<usize>)> {
    tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor.dims().to_vec()))
        .collect()
}

fn dims(blocks: &BlockMatrix) -> Vec<usize> {
    let (rows, columns) = blocks.shape();
    vec![rows, columns]
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic in another thread leaves the map usable: an entry is inserted whole or not at all.
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
