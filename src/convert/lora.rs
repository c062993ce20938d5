//! LoRA adapters that PEFT left in a checkpoint. They are merged where it is certain how, and refused otherwise.
//!
//! | name | what it is |
//! |---|---|
//! | `L.base_layer.weight` | W, as it was before training |
//! | `L.lora_A.weight`, `L.lora_A.default.weight` | A, (r, in) |
//! | `L.lora_B.weight`, `L.lora_B.default.weight` | B, (out, r) |
//! | `M.modules_to_save.default.…`, `M.original_module.…` | a part that was trained as a whole, and the same before |
//!
//! The layer is `W + α / r · B A`; `adapter_config.json` says α.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor};
use serde::Deserialize;

use super::checkpoint::Checkpoint;
use super::folder::read_json;
use crate::weights::WeightsError;

/// Where a tensor of the network comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TensorOrigin {
    /// A tensor of the checkpoint as it is, by its name there.
    Stored(String),
    /// The sum `W + scale · B A` of three tensors of the checkpoint, by their names.
    Merged {
        weight: String,
        a: String,
        b: String,
        scale: f64,
    },
}

impl TensorOrigin {
    /// The stored tensor whose shape it has.
    pub fn base(&self) -> &str {
        match self {
            Self::Stored(name) | Self::Merged { weight: name, .. } => name,
        }
    }

    /// Reads the tensor; one that is merged comes out in f32.
    pub fn load(&self, checkpoint: &Checkpoint) -> Result<Tensor, WeightsError> {
        let Self::Merged {
            weight,
            a,
            b,
            scale,
        } = self
        else {
            return checkpoint.load(self.base());
        };
        let load = |name: &str| checkpoint.load(name);
        let (w, a, b) = (load(weight)?, load(a)?, load(b)?);
        let merge = || -> candle_core::Result<Tensor> {
            let (a, b) = (a.to_dtype(DType::F32)?, b.to_dtype(DType::F32)?);
            w.to_dtype(DType::F32)? + (b.matmul(&a)? * *scale)?
        };
        merge().map_err(|source| WeightsError::Tensor {
            name: weight.clone(),
            source,
        })
    }
}

/// The fields of PEFT's `adapter_config.json` that say how adapters are merged.
#[derive(Deserialize)]
struct AdapterJson {
    peft_type: Option<String>,
    r: Option<usize>,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: Option<bool>,
    #[serde(default)]
    use_dora: Option<bool>,
    #[serde(default)]
    fan_in_fan_out: Option<bool>,
    #[serde(default)]
    rank_pattern: Option<BTreeMap<String, usize>>,
    #[serde(default)]
    alpha_pattern: Option<BTreeMap<String, f64>>,
}

const MERGE: &str = "merge them first, by model.merge_and_unload().save_pretrained(OUT) of PEFT or by merge_lora_weights_and_save_hf_model.py of the LISA repository, and convert OUT";

/// Finds where each tensor of the network comes from, and the number of adapters that have to be merged.
///
/// # Errors
/// Adapters of which it is not certain whether and how they are to be merged; the message says how to merge them with PEFT.
pub(super) fn resolve(
    checkpoint: &Checkpoint,
    folder: &Path,
) -> Result<(BTreeMap<String, TensorOrigin>, usize), WeightsError> {
    let refuse = |reason: String| WeightsError::Invalid {
        path: checkpoint.path.clone(),
        reason,
    };
    for beside in ["adapter_model.safetensors", "adapter_model.bin"] {
        if folder.join(beside).exists() {
            return Err(refuse(format!(
                "{beside} lies beside it, and nothing says whether it is merged into it already; accepted: move it elsewhere if so, otherwise {MERGE}"
            )));
        }
    }
    let mut layers: BTreeMap<&str, Adapter<'_>> = BTreeMap::new();
    let mut origins = BTreeMap::new();
    let mut replaced = Vec::new();
    for name in checkpoint.names() {
        match AdapterNamePart::of(name) {
            AdapterNamePart::Plain => drop(origins.insert(name.to_owned(), TensorOrigin::Stored(name.to_owned()))),
            AdapterNamePart::Base(layer, "weight") => layers.entry(layer).or_default().weight = Some(name),
            AdapterNamePart::Base(layer, rest) => {
                let to = format!("{layer}.{rest}");
                origins.insert(to, TensorOrigin::Stored(name.to_owned()));
            }
            AdapterNamePart::A(layer, adapter) => {
                layers.entry(layer).or_default().a.push((adapter, name));
            }
            AdapterNamePart::B(layer, adapter) => {
                layers.entry(layer).or_default().b.push((adapter, name));
            }
            AdapterNamePart::Saved(to) => replaced.push((to, name)),
            AdapterNamePart::Original(to) => {
                origins.entry(to).or_insert_with(|| TensorOrigin::Stored(name.to_owned()));
            }
            AdapterNamePart::Unknown => {
                return Err(refuse(format!("it holds {name}, of an adapter that is not read; accepted: plain LoRA, or a merged model: {MERGE}")))
            }
        }
    }
    if layers.is_empty() && replaced.is_empty() {
        return Ok((origins, 0));
    }
    if let Some(layer) = layers
        .keys()
        .find(|l| origins.contains_key(&format!("{l}.weight")))
    {
        return Err(refuse(format!(
            "it holds {layer}.weight and adapters of it, and nothing says whether they are merged into it already; {MERGE}"
        )));
    }
    let config = folder.join("adapter_config.json");
    if !config.is_file() {
        let first = layers
            .keys()
            .next()
            .copied()
            .or(replaced.first().map(|(_, name)| *name));
        return Err(refuse(format!(
            "it holds LoRA adapters that are not merged ({} and others), and no adapter_config.json lies beside it to say how; {MERGE}",
            first.unwrap_or_default()
        )));
    }
    let json = AdapterJson::read(&config)?;
    for (to, name) in replaced {
        origins.insert(to, TensorOrigin::Stored(name.to_owned()));
    }
    let merged = layers.len();
    for (layer, adapter) in layers {
        let origin = adapter.origin(layer, checkpoint, &json).map_err(refuse)?;
        origins.insert(format!("{layer}.weight"), origin);
    }
    Ok((origins, merged))
}

/// What a name says about adapters.
enum AdapterNamePart<'n> {
    Plain,
    /// A tensor of the layer under an adapter: the layer, and the rest of the name.
    Base(&'n str, &'n str),
    /// A matrix of an adapter: the layer, and the name of the adapter, which may be empty.
    A(&'n str, &'n str),
    B(&'n str, &'n str),
    /// A tensor of a part that was trained as a whole, by its name in the network.
    Saved(String),
    Original(String),
    Unknown,
}

impl<'n> AdapterNamePart<'n> {
    fn of(name: &'n str) -> Self {
        let between = |inner: &str| name.split_once(inner);
        if let Some((layer, rest)) = between(".base_layer.") {
            Self::Base(layer, rest)
        } else if let Some((layer, rest)) = between(".lora_A.") {
            adapter(rest).map_or(Self::Unknown, |adapter| Self::A(layer, adapter))
        } else if let Some((layer, rest)) = between(".lora_B.") {
            adapter(rest).map_or(Self::Unknown, |adapter| Self::B(layer, adapter))
        } else if let Some((module, rest)) = between(".modules_to_save.") {
            // The rest is the name of the adapter, then that of the tensor in the module.
            let rest = rest.split_once('.').map_or(rest, |(_, of)| of);
            Self::Saved(format!("{module}.{rest}"))
        } else if let Some((module, rest)) = between(".original_module.") {
            Self::Original(format!("{module}.{rest}"))
        } else if name.contains(".lora_") {
            Self::Unknown
        } else {
            Self::Plain
        }
    }
}

/// The name of the adapter in "weight" (empty) or "default.weight"; `None` for anything else.
fn adapter(rest: &str) -> Option<&str> {
    match rest.strip_suffix("weight")? {
        "" => Some(""),
        name => name.strip_suffix('.').filter(|name| !name.contains('.')),
    }
}

#[derive(Default)]
struct Adapter<'n> {
    weight: Option<&'n str>,
    a: Vec<(&'n str, &'n str)>,
    b: Vec<(&'n str, &'n str)>,
}

impl Adapter<'_> {
    fn origin(
        &self,
        layer: &str,
        checkpoint: &Checkpoint,
        json: &AdapterJson,
    ) -> Result<TensorOrigin, String> {
        let (weight, a, b) = match (self.weight, &self.a[..], &self.b[..]) {
            (Some(weight), [(of_a, a)], [(of_b, b)]) if of_a == of_b => (weight, *a, *b),
            (Some(_), [_, _, ..], _) => {
                return Err(format!("{layer} has several adapters; accepted: one"))
            }
            _ => {
                return Err(format!(
                    "of {layer} it lacks one of base_layer.weight, lora_A and lora_B; {MERGE}"
                ))
            }
        };
        let shape = |name: &str| checkpoint.shape(name).unwrap_or_default().to_vec();
        let (w_shape, a_shape, b_shape) = (shape(weight), shape(a), shape(b));
        let rank = match (&w_shape[..], &a_shape[..], &b_shape[..]) {
            ([output, input], [r, a_in], [b_out, b_r])
                if input == a_in && output == b_out && r == b_r && *r > 0 =>
            {
                *r
            }
            _ => {
                return Err(format!(
                    "{layer} has shape {w_shape:?}, its adapter A {a_shape:?} and B {b_shape:?}; accepted: (out, in), (r, in) and (out, r)"
                ))
            }
        };
        let by_layer = json.rank_pattern.as_ref().is_some_and(|p| !p.is_empty());
        if let Some(r) = json.r.filter(|r| *r != rank && !by_layer) {
            return Err(format!(
                "{layer} has an adapter of rank {rank}, and adapter_config.json says r is {r}; they do not belong together"
            ));
        }
        let rank = rank as f64;
        let scale = match json.use_rslora {
            Some(true) => json.lora_alpha / rank.sqrt(),
            _ => json.lora_alpha / rank,
        };
        Ok(TensorOrigin::Merged {
            weight: weight.to_owned(),
            a: a.to_owned(),
            b: b.to_owned(),
            scale,
        })
    }
}

impl AdapterJson {
    fn read(path: &Path) -> Result<Self, WeightsError> {
        let json: Self = read_json(path)?;
        let wrong = |name, found: String, accepted| {
            Err(WeightsError::Unsupported {
                path: path.to_owned(),
                name,
                found,
                accepted,
            })
        };
        match json.peft_type.as_deref() {
            None | Some("LORA") => {}
            Some(other) => return wrong("peft_type", other.to_owned(), "LORA"),
        }
        for (name, is) in [
            ("use_dora", json.use_dora),
            ("fan_in_fan_out", json.fan_in_fan_out),
        ] {
            if is == Some(true) {
                return wrong(name, "true".to_owned(), "false");
            }
        }
        if json.alpha_pattern.as_ref().is_some_and(|p| !p.is_empty()) {
            let accepted = "none, or a model that PEFT has merged";
            return wrong("alpha_pattern", "one for each layer".to_owned(), accepted);
        }
        if !json.lora_alpha.is_finite() {
            return wrong("lora_alpha", json.lora_alpha.to_string(), "a number");
        }
        Ok(json)
    }
}
