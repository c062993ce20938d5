//! Plans a conversion: where each tensor of the network comes from. The network is loaded from the result once, by shapes alone.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::DType as TensorType;

use super::check::{self, beyond, explain, Shapes};
use super::checkpoint::Checkpoint;
use super::lora::{self, TensorOrigin};
use super::options::ConvertOptions;
use super::published::Published;
use crate::weights::{DType, LisaConfig, Loaded, TensorSource, WeightsError, VISION_TOWER_PREFIX};

/// What will be written.
pub(super) struct Plan {
    pub config: LisaConfig,
    /// The tensors of the network, by their names in it.
    pub kept: BTreeMap<String, PlannedTensor>,
    pub left_out: Vec<String>,
    pub notes: Vec<String>,
}

/// A tensor of the network.
pub(super) struct PlannedTensor {
    pub source: SourceCheckpoint,
    pub origin: TensorOrigin,
    pub shape: Vec<usize>,
}

/// The checkpoint that a tensor is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceCheckpoint {
    Lisa,
    Clip,
}

const EMBED_TOKENS: &str = "model.embed_tokens.weight";
const LM_HEAD: &str = "lm_head.weight";

impl Plan {
    /// Makes the plan.
    ///
    /// # Errors
    /// A tensor that is missing, that the network has no place for, or that contradicts the configuration.
    pub fn new(
        lisa: &Checkpoint,
        clip: &Checkpoint,
        published: &Published,
        options: &ConvertOptions,
    ) -> Result<Self, WeightsError> {
        let mut notes = Vec::new();
        let (mut origins, merged) = lora::resolve(lisa, &options.lisa)?;
        if merged > 0 {
            notes.push(format!(
                "merged {merged} LoRA adapters, as adapter_config.json says"
            ));
        }
        tie(lisa, &mut origins, published, &mut notes)?;
        let mut planned: BTreeMap<String, PlannedTensor> = BTreeMap::new();
        let mut left_out = Vec::new();
        for (name, origin) in origins {
            // The reference leaves the vision tower out of its checkpoints. Where a checkpoint has it, it is frozen and equal to
            // CLIP's, which is taken.
            match name.contains("vision_tower.") {
                true => left_out.push(name),
                false => drop(planned.insert(
                    name,
                    PlannedTensor::new(SourceCheckpoint::Lisa, lisa, origin),
                )),
            }
        }
        for name in clip.names() {
            let origin = TensorOrigin::Stored(name.to_owned());
            let to = format!("{VISION_TOWER_PREFIX}.{name}");
            planned.insert(to, PlannedTensor::new(SourceCheckpoint::Clip, clip, origin));
        }

        let shapes: Shapes = planned
            .iter()
            .map(|(n, p)| (n.clone(), p.shape.clone()))
            .collect();
        let precision = precision(&planned, lisa, clip);
        let hint = |error: WeightsError| {
            let hint = hint(&error, lisa, published);
            explain(error, &lisa.path, &hint)
        };
        let config = published
            .config(options, &shapes, precision)
            .map_err(hint)?;
        let (asked, loaded) = check::network(shapes, &config);
        let of_lisa = asked.iter().filter_map(|name| planned.get(name));
        let of_lisa = of_lisa
            .filter(|p| p.source == SourceCheckpoint::Lisa)
            .map(|p| p.origin.base());
        check::floats(lisa, of_lisa)?;
        loaded.map_err(hint)?;
        notes.extend(published.check_rows(config.llama.vocab_size, &lisa.path)?);

        let mut kept = BTreeMap::new();
        for (name, planned) in planned {
            if asked.contains(&name) {
                kept.insert(name, planned);
            } else {
                if planned.source == SourceCheckpoint::Lisa {
                    check_superfluous(&name, &planned, lisa, &config)?;
                }
                left_out.push(planned.origin.base().to_owned());
            }
        }
        Ok(Self {
            config,
            kept,
            left_out,
            notes,
        })
    }

    /// The tensors of the plan, read from the two checkpoints.
    pub fn source<'a>(&'a self, lisa: &'a Checkpoint, clip: &'a Checkpoint) -> PlannedTensors<'a> {
        PlannedTensors {
            plan: self,
            lisa,
            clip,
        }
    }
}

/// A plan with its checkpoints.
pub(super) struct PlannedTensors<'a> {
    plan: &'a Plan,
    lisa: &'a Checkpoint,
    clip: &'a Checkpoint,
}

impl PlannedTensors<'_> {
    fn checkpoint(&self, planned: &PlannedTensor) -> &Checkpoint {
        match planned.source {
            SourceCheckpoint::Lisa => self.lisa,
            SourceCheckpoint::Clip => self.clip,
        }
    }
}

impl TensorSource for PlannedTensors<'_> {
    fn load(&self, name: &str) -> Result<Loaded, WeightsError> {
        let Some(planned) = self.plan.kept.get(name) else {
            return Err(WeightsError::MissingTensor {
                name: name.to_owned(),
            });
        };
        let tensor = planned.origin.load(self.checkpoint(planned))?;
        Ok(Loaded::Numbers(tensor))
    }

    fn path(&self, name: &str) -> &Path {
        let planned = self.plan.kept.get(name);
        &planned
            .map_or(self.lisa, |planned| self.checkpoint(planned))
            .path
    }
}

impl PlannedTensor {
    fn new(source: SourceCheckpoint, checkpoint: &Checkpoint, origin: TensorOrigin) -> Self {
        Self {
            source,
            shape: checkpoint.shape(origin.base()).unwrap_or_default().to_vec(),
            origin,
        }
    }
}

/// Fills in the output table, which a model with tied embeddings does not store, and checks it where the model does.
fn tie(
    lisa: &Checkpoint,
    origins: &mut BTreeMap<String, TensorOrigin>,
    published: &Published,
    notes: &mut Vec<String>,
) -> Result<(), WeightsError> {
    if !published.tied {
        return Ok(());
    }
    let Some(table) = origins.get(EMBED_TOKENS).cloned() else {
        return Ok(()); // the missing table is reported when the network asks for it
    };
    let Some(head) = origins.get(LM_HEAD) else {
        notes.push(format!(
            "{LM_HEAD} is {EMBED_TOKENS}, as config.json says (tie_word_embeddings)"
        ));
        origins.insert(LM_HEAD.to_owned(), table);
        return Ok(());
    };
    let (a, b) = (table.load(lisa)?, head.load(lisa)?);
    let equal = || -> candle_core::Result<bool> {
        if a.dims() != b.dims() || a.dtype() != b.dtype() {
            return Ok(false);
        }
        Ok(a.ne(&b)?.flatten_all()?.max(0)?.to_scalar::<u8>()? == 0)
    };
    match equal()? {
        true => Ok(()),
        false => Err(WeightsError::Invalid {
            path: lisa.path.clone(),
            reason: format!("{LM_HEAD} and {EMBED_TOKENS} differ, and config.json says that they are one (tie_word_embeddings); accepted: equal tables, or tie_word_embeddings: false"),
        }),
    }
}

/// The floating-point type that most elements of both checkpoints have.
fn precision(
    planned: &BTreeMap<String, PlannedTensor>,
    lisa: &Checkpoint,
    clip: &Checkpoint,
) -> DType {
    let mut elements: HashMap<DType, usize> = HashMap::new();
    for planned in planned.values() {
        let checkpoint = if planned.source == SourceCheckpoint::Lisa {
            lisa
        } else {
            clip
        };
        let float = checkpoint
            .element(planned.origin.base())
            .and_then(|e| e.float());
        let dtype = match float {
            Some(TensorType::F16) => DType::F16,
            Some(TensorType::BF16) => DType::Bf16,
            Some(_) => DType::F32,
            None => continue,
        };
        *elements.entry(dtype).or_default() += planned.shape.iter().product::<usize>();
    }
    let most = elements.into_iter().max_by_key(|(_, n)| *n);
    most.map_or(DType::F32, |(dtype, _)| dtype)
}

/// Says what it most likely means that a tensor is missing.
fn hint(error: &WeightsError, lisa: &Checkpoint, published: &Published) -> String {
    let WeightsError::MissingTensor { name } = error else {
        return String::new();
    };
    let holds = |part: &str| lisa.names().any(|name| name.contains(part));
    if holds(".qweight") || holds(".quant_state") || holds(".weight_packed") {
        "its numbers are quantized (GPTQ, AWQ, 4 bits): take the checkpoint it was made of, in f16, bf16 or f32".into()
    } else if name == LM_HEAD {
        format!(
            "where it is the same table as {EMBED_TOKENS}, {} says tie_word_embeddings: true",
            published.path.display()
        )
    } else if name.contains("text_hidden_fcs") || name.contains("visual_model") {
        "LISA's own checkpoints have it; a LLaVA or a Llama, and weights of which only a part was saved, do not".into()
    } else {
        "config.json beside it asks for it; is it a LISA checkpoint, and whole?".into()
    }
}

/// Parts of the names of tensors that are computed and not learned.
const DERIVED: [&str; 2] = ["rotary_emb.", "position_ids"];

/// Parts of SAM that LISA does not use: prompts of points, boxes and masks, and the alternative masks.
const UNUSED: [&str; 2] = [
    "model.visual_model.prompt_encoder.",
    "model.visual_model.mask_decoder.output_hypernetworks_mlps.",
];

/// Checks that a tensor that the network did not ask for can be left out: it is not learned, or known to be of no use.
fn check_superfluous(
    name: &str,
    planned: &PlannedTensor,
    lisa: &Checkpoint,
    config: &LisaConfig,
) -> Result<(), WeightsError> {
    let learned = lisa
        .element(planned.origin.base())
        .is_some_and(|e| e.float().is_some());
    let known =
        DERIVED.iter().any(|d| name.contains(d)) || UNUSED.iter().any(|u| name.starts_with(u));
    if !learned || known {
        return Ok(());
    }
    let layers = config.llama.num_hidden_layers;
    let reason = match beyond(name, "model.layers.", layers) {
        true => format!("it holds {name}, and config.json says num_hidden_layers is {layers}; they do not belong together"),
        false => format!("it holds {name}, for which the network that config.json describes has no place; is it a LISA checkpoint?"),
    };
    Err(WeightsError::Invalid {
        path: lisa.path.clone(),
        reason,
    })
}
