//! [`Gguf`]: opens a language model in llama.cpp's file format, GGUF (specified in ggml's `docs/gguf.md`).
//!
//! A file holds metadata, from which [`LlamaConfig`] is read, and tensors, most of them quantized in blocks along their rows. Its
//! names are translated to those of the checkpoints, so that a network is loaded from it as from any other [`Weights`]. Layers take
//! the blocks as they are where they can compute with them; otherwise tensors are dequantized when they are asked for.
//!
//! llama.cpp turns neighbouring numbers of a head by the rotary embedding and the checkpoints turn those that lie half a head apart,
//! so its converter has moved the rows of the query and key projections. They are moved back here, which leaves blocks whole: a row's
//! blocks lie within the row.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Tensor};

use super::quantized::of_ggml;
use super::{BlockMatrix, DType, LlamaConfig, Weights, WeightsError};

/// An opened GGUF file of a language model of Llama's architecture.
pub struct Gguf {
    path: PathBuf,
    content: Content,
    /// Sizes of the language model. Those that no tensor shows are the metadata's.
    pub config: LlamaConfig,
}

/// Most positions of a language model.
const LONGEST_CONTEXT: usize = 1 << 20;

/// Translates the names of the tensors outside of the layers.
const NAMES: [(&str, &str); 3] = [
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];
/// Translates those of a layer: `model.layers.N.` here is `blk.N.` there.
const LAYER_NAMES: [(&str, &str); 9] = [
    ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.k_proj.weight", "attn_k.weight"),
    ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"),
    ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
    ("input_layernorm.weight", "attn_norm.weight"),
    ("post_attention_layernorm.weight", "ffn_norm.weight"),
];
/// The table from which the first layer reads, and the last one too where both are tied.
const EMBEDDINGS: &str = "token_embd.weight";

impl Gguf {
    /// Reads metadata and names; the tensors are read when they are asked for.
    ///
    /// # Errors
    /// [`WeightsError::Io`], [`WeightsError::Invalid`] where the file is no GGUF, is cut short or lacks a size, and
    /// [`WeightsError::Unsupported`] where it is of another architecture or scales its rotary embedding otherwise than linearly.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = File::open(path).map_err(|source| WeightsError::Io {
            path: path.to_owned(),
            source,
        })?;
        let invalid = |reason: String| WeightsError::Invalid {
            path: path.to_owned(),
            reason,
        };
        let length = file.metadata().map(|m| m.len()).unwrap_or_default();
        let content = Content::read(&mut BufReader::new(file))
            .map_err(|e| invalid(format!("it cannot be read as GGUF: {e}")))?;
        let end = content.tensor_infos.values().map(|info| {
            let blocks = info.shape.elem_count() / info.ggml_dtype.block_size();
            info.offset
                .saturating_add((blocks * info.ggml_dtype.type_size()) as u64)
        });
        let expected = end
            .max()
            .unwrap_or_default()
            .saturating_add(content.tensor_data_offset);
        if length < expected {
            return Err(WeightsError::Truncated {
                path: path.to_owned(),
                expected,
                found: length,
            });
        }
        let metadata = Metadata {
            path,
            content: &content,
        };
        let config = metadata.config()?;
        Ok(Self {
            path: path.to_owned(),
            config,
            content,
        })
    }

    /// The tensors under the checkpoints' names, as `dtype` on `device`.
    ///
    /// # Errors
    /// [`WeightsError::Io`] where the file cannot be opened again.
    pub fn weights(
        self,
        dtype: candle_core::DType,
        device: &Device,
    ) -> Result<Weights, WeightsError> {
        let file = File::open(&self.path).map_err(|source| WeightsError::Io {
            path: self.path.clone(),
            source,
        })?;
        let heads = (
            self.config.num_attention_heads,
            self.config.num_key_value_heads,
        );
        let mut names = BTreeMap::new();
        for (ours, theirs) in NAMES {
            names.insert(ours.to_owned(), theirs.to_owned());
        }
        for layer in 0..self.config.num_hidden_layers {
            for (ours, theirs) in LAYER_NAMES {
                names.insert(
                    format!("model.layers.{layer}.{ours}"),
                    format!("blk.{layer}.{theirs}"),
                );
            }
        }
        if !self.content.tensor_infos.contains_key("output.weight") {
            names.insert("lm_head.weight".to_owned(), EMBEDDINGS.to_owned());
        }
        let tensors = GgufTensors {
            file: Mutex::new(BufReader::new(file)),
            content: self.content,
            names,
            heads,
            tied: Mutex::default(),
        };
        Ok(Weights::from_gguf(tensors, dtype, device))
    }
}

/// The tensors of an opened file, by the checkpoints' names.
pub(super) struct GgufTensors {
    file: Mutex<BufReader<File>>,
    content: Content,
    /// Their names in the file.
    names: BTreeMap<String, String>,
    /// Heads of queries, and of keys and values.
    heads: (usize, usize),
    /// The embeddings as they were handed out, which the last layer shares where both are one tensor in the file.
    tied: Mutex<Option<Tensor>>,
}

impl GgufTensors {
    /// Shapes of all tensors that the file has.
    pub(super) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let shape = |name: &String| Some((name.clone(), self.shape(name)?));
        self.names.keys().filter_map(shape).collect()
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let info = self.content.tensor_infos.get(self.names.get(name)?)?;
        Some(info.shape.dims().to_vec())
    }

    /// The tensor, dequantized, with its rows in the checkpoints' order.
    pub(super) fn load(
        &self,
        name: &str,
        dtype: candle_core::DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let Some(theirs) = self.names.get(name) else {
            candle_core::bail!("no such tensor");
        };
        // A poisoned lock guards a position in a file, which every read sets anew, or a tensor that is whole.
        let mut tied = self.tied.lock().unwrap_or_else(|p| p.into_inner());
        if let (EMBEDDINGS, Some(tensor)) = (theirs.as_str(), tied.as_ref()) {
            return tensor.to_device(device)?.to_dtype(dtype);
        }
        let mut file = self.file.lock().unwrap_or_else(|p| p.into_inner());
        let tensor = self.content.tensor(&mut *file, theirs, &Device::Cpu)?;
        let tensor = tensor.dequantize(&Device::Cpu)?;
        let tensor = match self.heads_of(name) {
            Some(heads) => rows_as_in_checkpoints(&tensor, heads)?,
            None => tensor,
        };
        let tensor = tensor.to_dtype(dtype)?.to_device(device)?;
        if theirs == EMBEDDINGS {
            *tied = Some(tensor.clone());
        }
        Ok(tensor)
    }

    /// The weight in the blocks in which the file has it, with its rows in the checkpoints' order; `None` where they are of a format
    /// that no kernel computes with.
    pub(super) fn load_blocks(&self, name: &str) -> candle_core::Result<Option<BlockMatrix>> {
        let theirs = self.names.get(name);
        let found = theirs.and_then(|name| Some((name, self.content.tensor_infos.get(name)?)));
        let Some((theirs, info)) = found else {
            return Ok(None);
        };
        let (Some(format), &[rows, columns]) = (of_ggml(info.ggml_dtype), info.shape.dims()) else {
            return Ok(None);
        };
        let mut file = self.file.lock().unwrap_or_else(|p| p.into_inner());
        let tensor = self.content.tensor(&mut *file, theirs, &Device::Cpu)?;
        let mut bytes = tensor.data()?.into_owned();
        if let Some(heads) = self.heads_of(name) {
            // A row of blocks is moved as a row of bytes.
            let row_bytes = bytes.len() / rows.max(1);
            let moved = Tensor::from_vec(bytes, (rows, row_bytes), &Device::Cpu)?;
            let moved = rows_as_in_checkpoints(&moved, heads)?;
            bytes = moved.flatten_all()?.to_vec1()?;
        }
        BlockMatrix::new(format, (rows, columns), bytes).map(Some)
    }

    /// The number of heads of a projection whose rows llama.cpp's converter has moved.
    fn heads_of(&self, name: &str) -> Option<usize> {
        if name.ends_with("q_proj.weight") {
            Some(self.heads.0)
        } else if name.ends_with("k_proj.weight") {
            Some(self.heads.1)
        } else {
            None
        }
    }
}

/// Moves rows that lie beside each other to places half a head apart.
///
/// # Shapes
/// `(heads · head_dim, in)` → the same.
fn rows_as_in_checkpoints(weight: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
    let (rows, columns) = weight.dims2()?;
    weight
        .reshape((heads, rows / heads / 2, 2, columns))?
        .transpose(1, 2)?
        .reshape((rows, columns))
}

/// A file's metadata, whose keys begin with the name of the architecture.
struct Metadata<'a> {
    path: &'a Path,
    content: &'a Content,
}

impl Metadata<'_> {
    fn config(&self) -> Result<LlamaConfig, WeightsError> {
        let unsupported = |name, found, accepted| WeightsError::Unsupported {
            path: self.path.to_owned(),
            name,
            found,
            accepted,
        };
        let architecture = match self.content.metadata.get("general.architecture") {
            Some(Value::String(name)) => name.clone(),
            _ => return Err(self.invalid("its metadata has no general.architecture")),
        };
        if architecture != "llama" {
            return Err(unsupported("general.architecture", architecture, "llama"));
        }
        let embeddings = self.content.tensor_infos.get(EMBEDDINGS);
        let Some([vocab_size, hidden_size]) = embeddings.map(|info| info.shape.dims()) else {
            return Err(self.invalid("it has no table of embeddings, token_embd.weight"));
        };
        let num_attention_heads = self.needed("llama.attention.head_count")?;
        let head_dim = hidden_size / num_attention_heads.max(1);
        if let Some(length) = self.number("llama.attention.key_length") {
            if length != head_dim as u64 {
                return Err(unsupported(
                    "llama.attention.key_length",
                    length.to_string(),
                    "the width of a hidden state by the number of heads",
                ));
            }
        }
        let mut rope_scale = 1.0;
        match self.content.metadata.get("llama.rope.scaling.type") {
            Some(Value::String(kind)) if kind == "linear" => {
                rope_scale = self.real("llama.rope.scaling.factor").unwrap_or(1.0);
            }
            Some(Value::String(kind)) if kind != "none" => {
                return Err(unsupported(
                    "llama.rope.scaling.type",
                    kind.clone(),
                    "none, linear",
                ));
            }
            _ => {}
        }
        if self.content.tensor_infos.contains_key("rope_freqs.weight") {
            return Err(unsupported(
                "rope_freqs.weight",
                "there".into(),
                "a model without it",
            ));
        }
        let num_key_value_heads = match self.number("llama.attention.head_count_kv") {
            Some(count) => count as usize,
            None => num_attention_heads,
        };
        let config = LlamaConfig {
            vocab_size: *vocab_size,
            hidden_size: *hidden_size,
            intermediate_size: self.needed("llama.feed_forward_length")?,
            num_hidden_layers: self.needed("llama.block_count")?,
            num_attention_heads,
            num_key_value_heads,
            rms_norm_eps: self
                .real("llama.attention.layer_norm_rms_epsilon")
                .ok_or_else(|| {
                    self.invalid("its metadata has no llama.attention.layer_norm_rms_epsilon")
                })?,
            rope_theta: self.real("llama.rope.freq_base").unwrap_or(10000.0),
            rope_scale,
            max_position_embeddings: self.needed("llama.context_length")?,
            rope_table_dtype: DType::F32,
        };
        match self.contradiction(&config) {
            Some(reason) => Err(self.invalid(&reason)),
            None => Ok(config),
        }
    }

    /// What is wrong with sizes of which no network can be built.
    fn contradiction(&self, config: &LlamaConfig) -> Option<String> {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        let (kv_heads, context) = (config.num_key_value_heads, config.max_position_embeddings);
        if heads == 0 || hidden % (2 * heads) != 0 {
            return Some(format!(
                "llama.attention.head_count is {heads}, and the embeddings are {hidden} wide; accepted: heads of an equal, even width"
            ));
        }
        if kv_heads == 0 || heads % kv_heads != 0 {
            return Some(format!(
                "llama.attention.head_count_kv is {kv_heads}, and llama.attention.head_count {heads}; accepted: a divisor of it"
            ));
        }
        // Tables of positions and names of tensors are made before a tensor could contradict these numbers.
        if !(1..=LONGEST_CONTEXT).contains(&context) {
            return Some(format!(
                "llama.context_length is {context}; accepted: 1 to {LONGEST_CONTEXT}"
            ));
        }
        let (layers, tensors) = (config.num_hidden_layers, self.content.tensor_infos.len());
        (layers == 0 || layers > tensors)
            .then(|| format!("llama.block_count is {layers}, and the file has {tensors} tensors"))
    }

    fn invalid(&self, reason: &str) -> WeightsError {
        WeightsError::Invalid {
            path: self.path.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// A whole number of any width; `None` where there is none or it is negative.
    fn number(&self, key: &str) -> Option<u64> {
        match self.content.metadata.get(key)? {
            Value::I8(n) => u64::try_from(*n).ok(),
            Value::I16(n) => u64::try_from(*n).ok(),
            Value::I32(n) => u64::try_from(*n).ok(),
            Value::I64(n) => u64::try_from(*n).ok(),
            value => value.to_u64().ok(),
        }
    }

    fn needed(&self, key: &str) -> Result<usize, WeightsError> {
        let found = self.number(key).and_then(|n| usize::try_from(n).ok());
        found.ok_or_else(|| self.invalid(&format!("its metadata has no {key}")))
    }

    fn real(&self, key: &str) -> Option<f64> {
        match self.content.metadata.get(key)? {
            Value::F32(x) => Some(f64::from(*x)),
            Value::F64(x) => Some(*x),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "gguf_tests.rs"]
mod tests;
