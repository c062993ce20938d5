//! Llama: embeddings in, hidden states out. Logits are computed only for the rows that they are asked for.

use candle_core::{DType, Device, Tensor};

use super::stop::{check, ModelError, Stop};
use crate::nn::Result;
use crate::nn::{
    attend_visible, After, Causal, Embedding, KvCache, Linear, RmsNorm, RotaryEmbedding, Rotation,
    Visible,
};
use crate::weights::{Activation, GuidedHead, LlamaConfig, Weights, WeightsError};

/// The language model, F in the paper.
pub struct Llama {
    embed_tokens: Embedding,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    lm_head: Linear,
    rope: RotaryEmbedding,
    max_positions: usize,
}

/// The keys and values of every layer for one sequence.
#[derive(Debug)]
pub struct LlamaCache {
    layers: Vec<KvCache>,
}

impl LlamaCache {
    /// Number of positions held.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, KvCache::len)
    }

    /// Whether no position is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets position `len` and everything after it.
    pub fn truncate(&mut self, len: usize) {
        self.layers.iter_mut().for_each(|layer| layer.truncate(len));
    }
}

/// The positions of the rows of a sequence and which rows each may attend to; the same for all layers.
#[derive(Clone, Debug)]
pub struct Sequence {
    rotation: Rotation,
    mask: Tensor,
}

/// A request for the attention scores of one head in some rows, which are returned beside the hidden states.
#[derive(Clone, Debug)]
pub struct AttentionQuery {
    guided_head: GuidedHead,
    rows: Tensor,
}

struct DecoderLayer {
    input_layernorm: RmsNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    post_attention_layernorm: RmsNorm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Llama {
    /// Reads `model.…` and `lm_head.…` below `weights`.
    pub fn load(weights: &Weights, config: &LlamaConfig) -> Result<Self, WeightsError> {
        let model = weights.pp("model");
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let layers = (0..config.num_hidden_layers)
            .map(|i| DecoderLayer::load(&model.pp("layers").pp(i), config))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            embed_tokens: Embedding::load(&model.pp("embed_tokens"), vocab, hidden)?,
            layers,
            norm: RmsNorm::load(&model.pp("norm"), hidden, config.rms_norm_eps)?,
            lm_head: Linear::load_no_bias(&weights.pp("lm_head"), hidden, vocab)?,
            rope: RotaryEmbedding::new(
                config.head_dim(),
                config.max_position_embeddings,
                config.rope_theta,
                config.rope_scale,
                config.rope_table_dtype.into(),
                weights.dtype(),
                weights.device(),
            )?,
            max_positions: config.max_position_embeddings,
        })
    }

    /// Number of positions that the model was trained for.
    pub fn max_positions(&self) -> usize {
        self.max_positions
    }

    /// An empty cache for a new sequence.
    pub fn new_cache(&self) -> LlamaCache {
        LlamaCache {
            layers: self.layers.iter().map(|_| KvCache::default()).collect(),
        }
    }

    /// Looks up the embeddings of token ids.
    ///
    /// # Shapes
    /// ids → `(ids, hidden)`.
    pub fn embed(&self, ids: &[u32], device: &Device) -> Result<Tensor> {
        self.embed_tokens
            .forward(&Tensor::from_slice(ids, ids.len(), device)?)
    }

    /// Runs the layers over new positions that follow those in `cache`, which then holds them too. Without a cache the sequence
    /// begins at position 0, and gradients flow.
    ///
    /// # Errors
    /// [`ModelError::Stopped`], after which the cache is as it was, and [`ModelError::Candle`].
    ///
    /// # Shapes
    /// `(batch, new, hidden)` → `(batch, new, hidden)`, after the final norm. With a cache the batch is 1.
    pub fn forward(
        &self,
        embeddings: &Tensor,
        cache: Option<&mut LlamaCache>,
        stop: Stop<'_>,
    ) -> Result<Tensor, ModelError> {
        Ok(self.forward_with_scores(embeddings, cache, None, stop)?.0)
    }

    /// [`forward`](Self::forward), and the scores that `query` asks for.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward); scores `(rows, keys)`, f32, scaled, before mask and softmax. The keys are those of the
    /// cache and the new ones.
    pub fn forward_with_scores(
        &self,
        embeddings: &Tensor,
        mut cache: Option<&mut LlamaCache>,
        query: Option<&AttentionQuery>,
        stop: Stop<'_>,
    ) -> Result<(Tensor, Option<Tensor>), ModelError> {
        let start = cache.as_ref().map_or(0, |c| c.len());
        let (_, new, _) = embeddings.dims3()?;
        let rotation = self.rope.at(start, new)?;
        let causal = Causal::new(new, start);
        let mut x = embeddings.clone();
        let mut scores = None;
        for (i, layer) in self.layers.iter().enumerate() {
            if let Err(stopped) = check(stop) {
                // The layers that ran have appended to their caches and the others have not, so all go back to the old length.
                if let Some(cache) = cache {
                    cache.truncate(start);
                }
                return Err(stopped);
            }
            let kv = cache.as_mut().map(|c| &mut c.layers[i]);
            let query = query.filter(|query| query.guided_head.layer == i);
            let found;
            (x, found) = layer.forward(&x, &rotation, Visible::Causal(&causal), kv, query)?;
            scores = scores.or(found);
        }
        Ok((self.norm.forward(&x)?, scores))
    }

    /// Describes a sequence without a cache: the position of each row, and which rows each may attend to.
    ///
    /// # Shapes
    /// `positions` has one entry for each row; `mask` is `(rows, rows)`, 0 where a row may attend to another and −∞ where not.
    pub fn sequence(&self, positions: &[u32], mask: Tensor) -> Result<Sequence> {
        Ok(Sequence {
            rotation: self.rope.select(positions)?,
            mask,
        })
    }

    /// A request for the scores of `guided_head` in the given rows, which count from 0 at the first row that is computed.
    ///
    /// # Errors
    /// The model has no such head.
    pub fn attention_query(&self, guided_head: GuidedHead, rows: &[u32]) -> Result<AttentionQuery> {
        let heads = self
            .layers
            .get(guided_head.layer)
            .map_or(0, |layer| layer.heads);
        if guided_head.head >= heads {
            candle_core::bail!(
                "there is no head {} in layer {}",
                guided_head.head,
                guided_head.layer
            );
        }
        let device = self.embed_tokens.device();
        Ok(AttentionQuery {
            guided_head,
            rows: Tensor::from_slice(rows, rows.len(), device)?,
        })
    }

    /// Number of transformer layers.
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// Runs one layer over a whole sequence; gradients flow.
    ///
    /// # Shapes
    /// `(1, rows, hidden)` → the same.
    pub fn layer(&self, index: usize, x: &Tensor, sequence: &Sequence) -> Result<Tensor> {
        Ok(self.layer_with_scores(index, x, sequence, None)?.0)
    }

    /// [`layer`](Self::layer), and the scores that `query` asks for if its head is in this layer.
    ///
    /// # Shapes
    /// Scores `(rows of query, rows)`, f32, scaled, before mask and softmax; gradients flow through them too.
    pub fn layer_with_scores(
        &self,
        index: usize,
        x: &Tensor,
        sequence: &Sequence,
        query: Option<&AttentionQuery>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let query = query.filter(|query| query.guided_head.layer == index);
        let (rotation, visible) = (&sequence.rotation, Visible::Mask(&sequence.mask));
        self.layers[index].forward(x, rotation, visible, None, query)
    }

    /// Applies the norm after the last layer.
    pub fn final_norm(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(x)
    }

    /// The logits of the next token, from hidden states after the final norm.
    ///
    /// # Shapes
    /// `(n, hidden)` → `(n, vocab)`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(hidden)
    }
}

impl Sequence {
    /// The rows of the mask that `query` asks about: 0 where they may attend, −∞ where not.
    ///
    /// # Shapes
    /// `(rows of query, rows)`, f32.
    pub fn visible(&self, query: &AttentionQuery) -> Result<Tensor> {
        self.mask.index_select(&query.rows, 0)?.to_dtype(DType::F32)
    }
}

impl DecoderLayer {
    fn load(weights: &Weights, config: &LlamaConfig) -> Result<Self, WeightsError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let kv = config.head_dim() * config.num_key_value_heads;
        let (attention, mlp) = (weights.pp("self_attn"), weights.pp("mlp"));
        let norm = |name: &str| RmsNorm::load(&weights.pp(name), hidden, config.rms_norm_eps);
        Ok(Self {
            input_layernorm: norm("input_layernorm")?,
            q_proj: Linear::load_no_bias(&attention.pp("q_proj"), hidden, hidden)?,
            k_proj: Linear::load_no_bias(&attention.pp("k_proj"), hidden, kv)?,
            v_proj: Linear::load_no_bias(&attention.pp("v_proj"), hidden, kv)?,
            o_proj: Linear::load_no_bias(&attention.pp("o_proj"), hidden, hidden)?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            gate_proj: Linear::load_no_bias(&mlp.pp("gate_proj"), hidden, inner)?,
            up_proj: Linear::load_no_bias(&mlp.pp("up_proj"), hidden, inner)?,
            down_proj: Linear::load_no_bias(&mlp.pp("down_proj"), inner, hidden)?,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim(),
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        rotation: &Rotation,
        visible: Visible<'_>,
        cache: Option<&mut KvCache>,
        query: Option<&AttentionQuery>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let onto = |residual| After {
            residual: Some(residual),
            ..After::default()
        };
        let y = self.input_layernorm.forward(x)?;
        let (y, scores) = self.attention(&y, rotation, visible, cache, query)?;
        let x = self.o_proj.forward_then(&y, onto(x))?;
        let y = self.post_attention_layernorm.forward(&x)?;
        let up = self.up_proj.forward(&y)?;
        let gated = After {
            activation: Some(Activation::Silu),
            factor: Some(&up),
            residual: None,
        };
        let y = self.gate_proj.forward_then(&y, gated)?;
        Ok((self.down_proj.forward_then(&y, onto(&x))?, scores))
    }

    /// The attention of all heads side by side, before the projection `o_proj`.
    fn attention(
        &self,
        x: &Tensor,
        rotation: &Rotation,
        visible: Visible<'_>,
        cache: Option<&mut KvCache>,
        query: Option<&AttentionQuery>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let (batch, new, _) = x.dims3()?;
        let split = |t: Tensor, heads: usize| -> Result<Tensor> {
            t.reshape((batch, new, heads, self.head_dim))?
                .transpose(1, 2)?
                .contiguous()
        };
        let q = rotation.apply(&split(self.q_proj.forward(x)?, self.heads)?)?;
        let k = rotation.apply(&split(self.k_proj.forward(x)?, self.kv_heads)?)?;
        let v = split(self.v_proj.forward(x)?, self.kv_heads)?;
        let (k, v) = match cache {
            Some(cache) => cache.append(&k, &v)?,
            None => (k, v),
        };
        let scores = match query {
            Some(query) => Some(self.scores(&q, &k, query)?),
            None => None,
        };
        let scale = (self.head_dim as f64).powf(-0.5);
        let y = attend_visible(&q, &k, &v, scale, visible)?;
        let y = y.transpose(1, 2)?;
        let y = y.reshape((batch, new, self.heads * self.head_dim))?;
        Ok((y, scores))
    }

    /// The scaled products of the queries of one head with its keys, in some rows, for a batch of one.
    ///
    /// # Shapes
    /// `q` `(1, heads, new, d)`, `k` `(1, kv_heads, total, d)` → `(rows, total)`, f32.
    fn scores(&self, q: &Tensor, k: &Tensor, query: &AttentionQuery) -> Result<Tensor> {
        let head = query.guided_head.head;
        let q = q.get(0)?.get(head)?.index_select(&query.rows, 0)?;
        let k = k.get(0)?.get(head * self.kv_heads / self.heads)?;
        let (q, k) = (q.to_dtype(DType::F32)?, k.to_dtype(DType::F32)?);
        q.matmul(&k.t()?)? * (self.head_dim as f64).powf(-0.5)
    }
}
