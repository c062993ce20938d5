//! `lisa convert`: a checkpoint as published, and the CLIP folder it names, become one model directory.
//!
//! Tensors stream: one is in memory at a time. The directory appears under its name only when it is whole.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use candle_core::{DType as TensorType, Tensor};
use safetensors::tensor::View;
use safetensors::Dtype;

use super::checkpoint::Checkpoint;
use super::published;
use super::save::{cannot_write, replace, staging_folder, write_texts};
use super::{DType, LisaConfig, WeightsError, VISION_TOWER_PREFIX};
use crate::text::Template;

/// What to convert, and how.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// LISA checkpoint folder.
    pub lisa: PathBuf,
    /// CLIP folder: weights, `config.json`, `preprocessor_config.json`.
    pub clip: PathBuf,
    /// The model directory to make. An existing one is replaced.
    pub out: PathBuf,
    /// Storage of floating-point tensors; `None` keeps what the checkpoint has.
    pub dtype: Option<DType>,
    pub template: Template,
    /// Side of SAM's input; `None` is what the weights were trained at.
    pub sam_image_size: Option<usize>,
}

impl ConvertOptions {
    /// The checkpoint's own dtype, template `llava_v1`, SAM's own size.
    pub fn new(
        lisa: impl Into<PathBuf>,
        clip: impl Into<PathBuf>,
        out: impl Into<PathBuf>,
    ) -> Self {
        Self {
            lisa: lisa.into(),
            clip: clip.into(),
            out: out.into(),
            dtype: None,
            template: Template::LlavaV1,
            sam_image_size: None,
        }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct ConvertReport {
    pub config: LisaConfig,
    pub tensors: usize,
    pub bytes: u64,
    /// Tensors of the checkpoint the network has no use for.
    pub left_out: Vec<String>,
}

/// Tensors of a checkpoint that are computed, not learned.
const DERIVED: [&str; 2] = ["rotary_emb.inv_freq", "position_ids"];

/// Converts; `progress(done_bytes, total_bytes, tensor)` is called after each tensor.
///
/// # Errors
/// The file or tensor that is missing or not understood. Nothing is left behind on an error.
pub fn convert(
    options: &ConvertOptions,
    progress: impl FnMut(u64, u64, &str),
) -> Result<ConvertReport, WeightsError> {
    let lisa = Checkpoint::open(&options.lisa)?;
    let clip = Checkpoint::open(&options.clip)?;
    let tokenizer = published::tokenizer(&options.lisa)?;
    let plan = plan(&lisa, &clip);
    let precision = majority_dtype(&plan);
    let config = published::config(options, &lisa, &tokenizer.tokenizer, precision)?;

    let staging = staging_folder(&options.out)?;
    let result = write_all(&staging, &plan, &config, &tokenizer.json, progress);
    let bytes = match result.and_then(|bytes| replace(&staging, &options.out).map(|()| bytes)) {
        Ok(bytes) => bytes,
        Err(error) => {
            // The error that matters is the first; a staging folder that stays is only untidy.
            let _ = std::fs::remove_dir_all(&staging);
            return Err(error);
        }
    };
    Ok(ConvertReport {
        config,
        tensors: plan.kept.len(),
        bytes,
        left_out: plan.left_out,
    })
}

/// Which tensor goes where.
struct Plan<'a> {
    kept: BTreeMap<String, (&'a Checkpoint, String)>,
    left_out: Vec<String>,
}

fn plan<'a>(lisa: &'a Checkpoint, clip: &'a Checkpoint) -> Plan<'a> {
    let mut kept = BTreeMap::new();
    let mut left_out = Vec::new();
    for name in lisa.names() {
        // The reference leaves the vision tower out of its checkpoints; where it is there, CLIP's own is the same.
        let derived = DERIVED.iter().any(|d| name.ends_with(d));
        if derived || name.contains("vision_tower.") {
            left_out.push(name.to_owned());
        } else {
            kept.insert(name.to_owned(), (lisa, name.to_owned()));
        }
    }
    for name in clip.names() {
        let derived = DERIVED.iter().any(|d| name.ends_with(d));
        // A whole CLIP holds a text tower too.
        if derived || !name.starts_with("vision_model.") {
            left_out.push(name.to_owned());
        } else {
            kept.insert(
                format!("{VISION_TOWER_PREFIX}.{name}"),
                (clip, name.to_owned()),
            );
        }
    }
    Plan { kept, left_out }
}

/// The floating-point type most of the checkpoint's bytes have.
fn majority_dtype(plan: &Plan<'_>) -> DType {
    let mut bytes: HashMap<DType, usize> = HashMap::new();
    for (checkpoint, name) in plan.kept.values() {
        let dtype = match checkpoint.dtype(name) {
            Some(TensorType::F32 | TensorType::F64) => DType::F32,
            Some(TensorType::F16) => DType::F16,
            Some(TensorType::BF16) => DType::Bf16,
            _ => continue,
        };
        let elements: usize = checkpoint.shape(name).unwrap_or_default().iter().product();
        *bytes.entry(dtype).or_default() += elements;
    }
    bytes
        .into_iter()
        .max_by_key(|(_, n)| *n)
        .map_or(DType::F32, |(d, _)| d)
}

fn write_all(
    staging: &Path,
    plan: &Plan<'_>,
    config: &LisaConfig,
    tokenizer_json: &str,
    progress: impl FnMut(u64, u64, &str),
) -> Result<u64, WeightsError> {
    write_texts(staging, config, tokenizer_json)?;
    write_tensors(
        &staging.join("model.safetensors"),
        plan,
        config.dtype.into(),
        progress,
    )
}

fn write_tensors(
    path: &Path,
    plan: &Plan<'_>,
    dtype: TensorType,
    progress: impl FnMut(u64, u64, &str),
) -> Result<u64, WeightsError> {
    let total = plan
        .kept
        .values()
        .map(|(c, n)| c.shape(n).unwrap_or_default().iter().product::<usize>() as u64)
        .sum::<u64>()
        * dtype.size_in_bytes() as u64;
    let shared = Rc::new(Shared {
        state: RefCell::new(State {
            done: 0,
            error: None,
            progress: Box::new(progress),
        }),
        total,
    });
    let views = plan.kept.iter().map(|(name, (checkpoint, source))| {
        let view = Streamed {
            name: name.clone(),
            checkpoint,
            source,
            shape: checkpoint.shape(source).unwrap_or_default().to_vec(),
            dtype,
            shared: Rc::clone(&shared),
        };
        (name.as_str(), view)
    });
    let written = safetensors::serialize_to_file(views, None, path);
    if let Some(error) = shared.state.borrow_mut().error.take() {
        return Err(error);
    }
    written.map_err(|e| cannot_write(path, e))?;
    std::fs::metadata(path)
        .map(|m| m.len())
        .map_err(|e| cannot_write(path, e))
}

struct Shared<'p> {
    state: RefCell<State<'p>>,
    total: u64,
}

/// Called with the bytes done, the bytes in all, and the tensor.
type Progress<'p> = Box<dyn FnMut(u64, u64, &str) + 'p>;

struct State<'p> {
    done: u64,
    error: Option<WeightsError>,
    progress: Progress<'p>,
}

/// A tensor that is read when the file's writer reaches it.
struct Streamed<'a, 'p> {
    name: String,
    checkpoint: &'a Checkpoint,
    source: &'a str,
    shape: Vec<usize>,
    dtype: TensorType,
    shared: Rc<Shared<'p>>,
}

impl Streamed<'_, '_> {
    fn read(&self) -> Result<Vec<u8>, WeightsError> {
        let tensor = self.checkpoint.load(self.source)?;
        let bytes = |tensor: Tensor| -> candle_core::Result<Vec<u8>> {
            let tensor = tensor.to_dtype(self.dtype)?.flatten_all()?;
            // Through the view's own serialisation, so that byte order is the format's business.
            Ok(View::data(&&tensor).into_owned())
        };
        bytes(tensor).map_err(|source| WeightsError::Tensor {
            name: self.name.clone(),
            source,
        })
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
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut state = self.shared.state.borrow_mut();
        // The writer has no way to hear of an error: the first one is kept, and nothing more is read.
        let failed = state.error.is_some();
        match if failed { Ok(Vec::new()) } else { self.read() } {
            Ok(bytes) => {
                state.done += bytes.len() as u64;
                let (done, total) = (state.done, self.shared.total);
                (state.progress)(done, total, &self.name);
                Cow::Owned(bytes)
            }
            Err(error) => {
                state.error = Some(error);
                Cow::Owned(Vec::new())
            }
        }
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size_in_bytes()
    }
}
