//! The network's tensors while it is trained: most of them frozen, some of them variables.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Normal;

use super::TrainError;
use crate::model::{Encoders, Lisa};
use crate::weights::{
    BlockMatrix, LisaConfig, LoraUse, ModelDir, Weights, WeightsError, IMAGE_ENCODER_PREFIX,
    VISION_TOWER_PREFIX,
};

/// Parts of the names of tensors that no loss of LISA depends on: those for clicked points, which LISA does not use, and those
/// of the masks that the decoder offers as alternatives for an ambiguous point.
const UNREACHED: [&str; 4] = [
    "output_hypernetworks_mlps.1.",
    "output_hypernetworks_mlps.2.",
    "output_hypernetworks_mlps.3.",
    "prompt_encoder.point_embeddings",
];

/// Beginning of the names of tensors that only the training needs: heads and prompts that no model directory gets.
pub const AUXILIARY: &str = "aux.";

/// The kind of low-rank adapters to add. Ranges and defaults: [`LoraConfig`](super::LoraConfig).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraSpec {
    /// Rank r of each adapter.
    pub rank: usize,
    /// α: what an adapter adds is scaled by α / r.
    pub alpha: f64,
    /// Share of an adapter's inputs that are zeroed while it is trained, 0 to below 1.
    pub dropout: f64,
}

/// A tensor that is not trained.
#[derive(Clone)]
enum Frozen {
    Numbers(Tensor),
    /// As it is stored. Gradients go through it, and an adapter beside it is trained in its memory (QLoRA, Dettmers et al. 2023,
    /// arXiv 2305.14314).
    Blocks(BlockMatrix),
}

impl Frozen {
    /// Outputs and inputs of a linear layer's weight; `None` for other tensors.
    fn matrix(&self) -> Option<(usize, usize)> {
        match self {
            Self::Numbers(tensor) => tensor.dims2().ok(),
            Self::Blocks(blocks) => Some(blocks.shape()),
        }
    }

    fn elem_count(&self) -> usize {
        match self {
            Self::Numbers(tensor) => tensor.elem_count(),
            Self::Blocks(blocks) => blocks.shape().0 * blocks.shape().1,
        }
    }

    /// The numbers in f32, to be trained.
    fn numbers(&self, device: &Device) -> candle_core::Result<Tensor> {
        match self {
            Self::Numbers(tensor) => tensor.to_dtype(DType::F32),
            Self::Blocks(blocks) => blocks.dequantize()?.to_device(device),
        }
    }
}

/// Every tensor of the network by its name in the checkpoint. Variables are f32 whatever the network computes in, since a
/// learning rate's small steps would be lost in the rounding of bf16.
pub struct Parameters {
    frozen: HashMap<String, Frozen>,
    /// Frozen encoders that are loaded already, whose tensors are not in `frozen` any more.
    encoders: Encoders,
    /// How many numbers they have.
    encoder_numbers: usize,
    trained: BTreeMap<String, Var>,
    lora: Option<LoraSpec>,
    dtype: DType,
    device: Device,
}

impl Parameters {
    /// Reads a model directory; every tensor is frozen at first. Frozen tensors are held in `dtype`, in which the network
    /// computes, or in the blocks in which they are stored.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn open(model: &ModelDir, dtype: DType, device: &Device) -> Result<Self, TrainError> {
        let weights = model.weights(dtype, device)?;
        let mut frozen = HashMap::new();
        for (name, shape) in weights.names() {
            let blocks = match shape.as_slice() {
                &[rows, columns] => weights.get_blocks((rows, columns), &name)?,
                _ => None,
            };
            let tensor = match blocks {
                Some(blocks) => Frozen::Blocks(blocks),
                None => Frozen::Numbers(weights.get(shape, &name)?),
            };
            frozen.insert(name, tensor);
        }
        Ok(Self {
            frozen,
            encoders: Encoders::default(),
            encoder_numbers: 0,
            trained: BTreeMap::new(),
            lora: None,
            dtype,
            device: device.clone(),
        })
    }

    /// Loads the encoders that are frozen, as for inference: in the order in which the kernels compute fastest, and in the type that
    /// the model is stored in where they can. Their tensors leave [`frozen`](Self::frozen), and none of them can be trained any
    /// more. Without this call they compute as what is trained does.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn load_frozen_encoders(&mut self, model: &ModelDir) -> Result<(), TrainError> {
        let weights = model.weights(self.dtype, &self.device)?.for_inference();
        if self.take_frozen(IMAGE_ENCODER_PREFIX) {
            let encoder = Encoders::load_image_encoder(&weights, &model.config)?;
            self.encoders.image_encoder = Some(encoder);
        }
        if self.take_frozen(VISION_TOWER_PREFIX) {
            let tower = Encoders::load_vision_tower(&weights, &model.config)?;
            self.encoders.vision_tower = Some(tower);
        }
        Ok(())
    }

    /// Drops the frozen tensors below `prefix`; does nothing, and says so, if any of these is trained.
    fn take_frozen(&mut self, prefix: &str) -> bool {
        if self.trains(prefix) {
            return false;
        }
        let numbers = &mut self.encoder_numbers;
        self.frozen.retain(|name, tensor| {
            let stays = !name.starts_with(prefix);
            *numbers += if stays { 0 } else { tensor.elem_count() };
            stays
        });
        true
    }

    /// The network of these tensors; variables stay variables, so that gradients reach them. `dropout_seed` turns the adapters'
    /// dropout on, for training.
    ///
    /// # Errors
    /// The first tensor that is missing or has another shape than the configuration leads to.
    pub fn network(
        &self,
        config: &LisaConfig,
        dropout_seed: Option<u64>,
    ) -> Result<Lisa, WeightsError> {
        Lisa::load_with(&self.weights(dropout_seed), config, &self.encoders)
    }

    /// Whether any trained tensor's name begins with `prefix`.
    pub fn trains(&self, prefix: &str) -> bool {
        self.trained.keys().any(|name| name.starts_with(prefix))
    }

    /// An image's pixels as a batch of one, on the device and in the number format in which the network computes.
    pub fn input(&self, pixels: &Tensor) -> Result<Tensor, TrainError> {
        let pixels = pixels.unsqueeze(0)?.to_device(&self.device)?;
        Ok(pixels.to_dtype(self.dtype)?)
    }

    /// The device on which the network computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The number format in which the network computes.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Makes a variable of every tensor whose name contains one of `patterns`, which is how the reference chooses them. Left
    /// out are tensors that no gradient reaches: those whose name contains one of `unreached`, and some that LISA never uses.
    ///
    /// # Errors
    /// A pattern that no tensor's name contains.
    pub fn train(&mut self, patterns: &[String], unreached: &[&str]) -> Result<(), TrainError> {
        for pattern in patterns {
            let names: Vec<String> = self
                .frozen
                .keys()
                .filter(|name| name.contains(pattern.as_str()))
                .cloned()
                .collect();
            if names.is_empty() && !self.trained.keys().any(|name| name.contains(pattern)) {
                return Err(TrainError::Unusable(format!(
                    "trainable: no tensor's name contains '{pattern}'; `lisa train --inspect` lists them"
                )));
            }
            for name in names {
                let mut never = UNREACHED.iter().chain(unreached);
                if never.any(|part| name.contains(part)) {
                    continue;
                }
                if let Some(tensor) = self.frozen.remove(&name) {
                    let var = Var::from_tensor(&tensor.numbers(&self.device)?)?;
                    self.trained.insert(name, var);
                }
            }
        }
        Ok(())
    }

    /// Adds adapters to every linear layer of the language model whose name ends in one of `targets`. A is drawn from a normal
    /// distribution with deviation 1/r and B is zero, so that the network computes the same as before at first.
    ///
    /// # Errors
    /// A target that no layer's name ends in.
    pub fn add_lora(
        &mut self,
        targets: &[String],
        spec: LoraSpec,
        seed: u64,
    ) -> Result<(), TrainError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for target in targets {
            let suffix = format!("{target}.weight");
            let mut layers: Vec<(String, usize, usize)> = self
                .frozen
                .iter()
                .filter(|(name, _)| name.starts_with("model.layers.") && name.ends_with(&suffix))
                .filter_map(|(name, tensor)| {
                    let (output, input) = tensor.matrix()?;
                    Some((name.trim_end_matches(".weight").to_owned(), output, input))
                })
                .collect();
            if layers.is_empty() {
                return Err(TrainError::Unusable(format!(
                    "lora.targets: no layer of the language model is called '{target}'; accepted: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
                )));
            }
            layers.sort();
            for (layer, output, input) in layers {
                let a = normal(&mut rng, (spec.rank, input), 1.0 / spec.rank as f64)?;
                let b = Tensor::zeros((output, spec.rank), DType::F32, &Device::Cpu)?;
                for (name, tensor) in [("lora_A", a), ("lora_B", b)] {
                    self.add(&format!("{layer}.{name}.weight"), &tensor)?;
                }
            }
        }
        self.lora = Some(spec);
        Ok(())
    }

    /// Adds one trained tensor, which becomes f32.
    ///
    /// # Errors
    /// There is not enough memory on the device.
    pub fn add(&mut self, name: &str, value: &Tensor) -> Result<(), TrainError> {
        let value = value.to_device(&self.device)?.to_dtype(DType::F32)?;
        self.trained
            .insert(name.to_owned(), Var::from_tensor(&value)?);
        Ok(())
    }

    /// Overwrites a trained tensor.
    ///
    /// # Errors
    /// A name that is not among the trained ones, or a value of another shape.
    pub fn set(&self, name: &str, value: &Tensor) -> Result<(), TrainError> {
        let var = self.trained.get(name).ok_or_else(|| {
            TrainError::Unusable(format!("'{name}' is not among the trained tensors"))
        })?;
        if var.dims() != value.dims() {
            return Err(TrainError::Unusable(format!(
                "{name} is {:?} in the model and {:?} in the checkpoint: they do not belong together",
                var.dims(),
                value.dims()
            )));
        }
        Ok(var.set(&value.to_device(&self.device)?.to_dtype(DType::F32)?)?)
    }

    /// The kind of adapters that were added; `None` without any.
    pub fn lora(&self) -> Option<LoraSpec> {
        self.lora
    }

    /// The trained tensors, by name.
    pub fn trained(&self) -> &BTreeMap<String, Var> {
        &self.trained
    }

    /// How many numbers are frozen, those of the encoders included that are loaded already.
    pub fn frozen_numbers(&self) -> usize {
        let held: usize = self.frozen.values().map(Frozen::elem_count).sum();
        held + self.encoder_numbers
    }

    /// Names of the frozen tensors, without those of encoders that are loaded already, in no particular order.
    pub fn frozen_names(&self) -> impl Iterator<Item = &str> {
        self.frozen.keys().map(String::as_str)
    }

    /// All tensors as the source from which the network is built, without those of encoders that are loaded already; variables stay
    /// variables, so that gradients reach them.
    /// `dropout_seed` turns the adapters' dropout on, for training.
    pub fn weights(&self, dropout_seed: Option<u64>) -> Weights {
        let (mut tensors, mut blocks) = (HashMap::new(), HashMap::new());
        for (name, frozen) in self.frozen.clone() {
            match frozen {
                Frozen::Numbers(tensor) => drop(tensors.insert(name, tensor)),
                Frozen::Blocks(matrix) => drop(blocks.insert(name, matrix)),
            }
        }
        for (name, var) in &self.trained {
            tensors.insert(name.clone(), var.as_tensor().clone());
        }
        let weights = Weights::from_parts(tensors, blocks, self.dtype, &self.device);
        match self.lora {
            Some(spec) => weights.with_lora(LoraUse {
                scale: spec.alpha / spec.rank as f64,
                dropout: dropout_seed.map(|seed| (spec.dropout, seed)),
            }),
            None => weights,
        }
    }
}

/// A tensor drawn from a normal distribution around 0, on the CPU and equal on every machine.
pub(super) fn normal(
    rng: &mut ChaCha8Rng,
    shape: impl Into<candle_core::Shape>,
    deviation: f64,
) -> Result<Tensor, TrainError> {
    let shape = shape.into();
    let normal = Normal::new(0.0f32, deviation as f32)
        .map_err(|e| TrainError::Unusable(format!("a deviation of {deviation}: {e}")))?;
    let values: Vec<f32> = rng.sample_iter(normal).take(shape.elem_count()).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}
