//! The network's tensors while it is trained: most of them frozen, some of them variables.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Normal;

use super::TrainError;
use crate::weights::{LoraUse, ModelDir, Weights};

/// Tensors in a checkpoint that no loss of LISA reaches: the alternatives for ambiguous points, and the decoder's
/// own estimate of its quality.
const UNREACHED: [&str; 4] = [
    "output_hypernetworks_mlps.1.",
    "output_hypernetworks_mlps.2.",
    "output_hypernetworks_mlps.3.",
    "prompt_encoder.point_embeddings",
];

/// Names that begin so belong to the training alone (heads and prompts that are thrown away).
pub const AUXILIARY: &str = "aux.";

/// Low-rank adapters to add.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraSpec {
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
}

/// Every tensor by its checkpoint name. Variables are f32, whatever the computation runs in.
pub struct Parameters {
    frozen: HashMap<String, Tensor>,
    trained: BTreeMap<String, Var>,
    lora: Option<LoraSpec>,
    dtype: DType,
    device: Device,
}

impl Parameters {
    /// Reads a model directory; everything is frozen. Frozen tensors are held in `dtype`, in which the network computes.
    pub fn open(model: &ModelDir, dtype: DType, device: &Device) -> Result<Self, TrainError> {
        let weights = model.weights(dtype, device)?;
        let mut frozen = HashMap::new();
        for (name, shape) in weights.names() {
            frozen.insert(name.clone(), weights.get(shape, &name)?);
        }
        Ok(Self {
            frozen,
            trained: BTreeMap::new(),
            lora: None,
            dtype,
            device: device.clone(),
        })
    }

    /// Whether a tensor is trained whose name begins so.
    pub fn trains(&self, prefix: &str) -> bool {
        self.trained.keys().any(|name| name.starts_with(prefix))
    }

    /// An image's pixels as a batch of one, where and in what the network computes.
    pub fn input(&self, pixels: &Tensor) -> Result<Tensor, TrainError> {
        let pixels = pixels.unsqueeze(0)?.to_device(&self.device)?;
        Ok(pixels.to_dtype(self.dtype)?)
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Trains every tensor whose name contains one of `patterns`, as the reference chooses them, but for those that
    /// no gradient reaches: parts of their names are in `unreached`.
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
                    let var = Var::from_tensor(&tensor.to_dtype(DType::F32)?)?;
                    self.trained.insert(name, var);
                }
            }
        }
        Ok(())
    }

    /// Adds adapters to every linear layer of the language model whose name ends in one of `targets`: A normal with
    /// deviation 1/r, B zero, so that the network is the same at first.
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
                    let (output, input) = tensor.dims2().ok()?;
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

    /// Adds one trained tensor.
    pub fn add(&mut self, name: &str, value: &Tensor) -> Result<(), TrainError> {
        let value = value.to_device(&self.device)?.to_dtype(DType::F32)?;
        self.trained
            .insert(name.to_owned(), Var::from_tensor(&value)?);
        Ok(())
    }

    /// Overwrites a trained tensor.
    ///
    /// # Errors
    /// A name that is not trained, or another shape, by its name.
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

    pub fn lora(&self) -> Option<LoraSpec> {
        self.lora
    }

    /// The trained tensors, by name.
    pub fn trained(&self) -> &BTreeMap<String, Var> {
        &self.trained
    }

    /// The frozen tensors, by name.
    pub fn frozen(&self) -> &HashMap<String, Tensor> {
        &self.frozen
    }

    /// Everything as a source of weights: variables stay variables. `dropout_seed` is for training; without, LoRA's
    /// dropout is off.
    pub fn weights(&self, dropout_seed: Option<u64>) -> Weights {
        let mut tensors = self.frozen.clone();
        for (name, var) in &self.trained {
            tensors.insert(name.clone(), var.as_tensor().clone());
        }
        let weights = Weights::from_tensors(tensors, self.dtype, &self.device);
        match self.lora {
            Some(spec) => weights.with_lora(LoraUse {
                scale: spec.alpha / spec.rank as f64,
                dropout: dropout_seed.map(|seed| (spec.dropout, seed)),
            }),
            None => weights,
        }
    }
}

/// Normal around 0, the same on every machine.
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
