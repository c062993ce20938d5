//! SAM's two-way transformer: prompt tokens and image embedding attend to each other.

use candle_core::Tensor;

use super::TRANSFORMER_EPS;
use crate::nn::Result;
use crate::nn::{attend, LayerNorm, Linear, Mlp};
use crate::weights::{Activation, SamConfig, Weights, WeightsError};

/// Layers of two-way attention, then a last attention of the tokens to the image.
pub(super) struct TwoWayTransformer {
    layers: Vec<TwoWayBlock>,
    final_attn_token_to_image: Attention,
    norm_final_attn: LayerNorm,
}

impl TwoWayTransformer {
    pub fn load(weights: &Weights, config: &SamConfig) -> Result<Self, WeightsError> {
        let layers = (0..config.decoder_depth)
            .map(|i| TwoWayBlock::load(&weights.pp("layers").pp(i), config, i == 0))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            layers,
            final_attn_token_to_image: Attention::load(
                &weights.pp("final_attn_token_to_image"),
                config,
                config.attention_downsample_rate,
            )?,
            norm_final_attn: LayerNorm::load(
                &weights.pp("norm_final_attn"),
                config.prompt_dim,
                TRANSFORMER_EPS,
            )?,
        })
    }

    /// Runs all layers.
    ///
    /// # Shapes
    /// image `(batch, cells, dim)`, its positions `(1, cells, dim)`, tokens `(batch, tokens, dim)` →
    /// tokens `(batch, tokens, dim)` and image `(batch, cells, dim)`.
    pub fn forward(
        &self,
        image: &Tensor,
        image_pe: &Tensor,
        tokens: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let (mut queries, mut keys) = (tokens.clone(), image.clone());
        for layer in &self.layers {
            (queries, keys) = layer.forward(&queries, &keys, tokens, image_pe)?;
        }
        let q = (&queries + tokens)?;
        let k = keys.broadcast_add(image_pe)?;
        let y = self.final_attn_token_to_image.forward(&q, &k, &keys)?;
        let queries = self.norm_final_attn.forward(&(queries + y)?)?;
        Ok((queries, keys))
    }
}

struct TwoWayBlock {
    self_attn: Attention,
    norm1: LayerNorm,
    cross_attn_token_to_image: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    norm3: LayerNorm,
    norm4: LayerNorm,
    cross_attn_image_to_token: Attention,
    /// Whether this is the first layer, whose queries are the tokens themselves. The tokens also serve as positions, and adding
    /// them there would double them.
    skip_first_layer_pe: bool,
}

impl TwoWayBlock {
    fn load(weights: &Weights, config: &SamConfig, first: bool) -> Result<Self, WeightsError> {
        let dim = config.prompt_dim;
        let norm = |name: &str| LayerNorm::load(&weights.pp(name), dim, TRANSFORMER_EPS);
        let cross = |name: &str| {
            Attention::load(&weights.pp(name), config, config.attention_downsample_rate)
        };
        let dims = [dim, config.decoder_mlp_dim, dim];
        Ok(Self {
            self_attn: Attention::load(&weights.pp("self_attn"), config, 1)?,
            norm1: norm("norm1")?,
            cross_attn_token_to_image: cross("cross_attn_token_to_image")?,
            norm2: norm("norm2")?,
            mlp: Mlp::load(
                &weights.pp("mlp"),
                &["lin1", "lin2"],
                &dims,
                Activation::Relu,
            )?,
            norm3: norm("norm3")?,
            norm4: norm("norm4")?,
            cross_attn_image_to_token: cross("cross_attn_image_to_token")?,
            skip_first_layer_pe: first,
        })
    }

    fn forward(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        query_pe: &Tensor,
        key_pe: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let queries = if self.skip_first_layer_pe {
            self.self_attn.forward(queries, queries, queries)?
        } else {
            let q = (queries + query_pe)?;
            (queries + self.self_attn.forward(&q, &q, queries)?)?
        };
        let queries = self.norm1.forward(&queries)?;

        let q = (&queries + query_pe)?;
        let k = keys.broadcast_add(key_pe)?;
        let y = self.cross_attn_token_to_image.forward(&q, &k, keys)?;
        let queries = self.norm2.forward(&(queries + y)?)?;

        let y = self.mlp.forward(&queries)?;
        let queries = self.norm3.forward(&(queries + y)?)?;

        let q = (&queries + query_pe)?;
        let y = self.cross_attn_image_to_token.forward(&k, &q, &queries)?;
        let keys = self.norm4.forward(&(keys + y)?)?;
        Ok((queries, keys))
    }
}

/// Attention whose inner width may be smaller than that of its input and output.
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

impl Attention {
    fn load(
        weights: &Weights,
        config: &SamConfig,
        downsample_rate: usize,
    ) -> Result<Self, WeightsError> {
        let (dim, inner) = (config.prompt_dim, config.prompt_dim / downsample_rate);
        Ok(Self {
            q_proj: Linear::load(&weights.pp("q_proj"), dim, inner)?,
            k_proj: Linear::load(&weights.pp("k_proj"), dim, inner)?,
            v_proj: Linear::load(&weights.pp("v_proj"), dim, inner)?,
            out_proj: Linear::load(&weights.pp("out_proj"), inner, dim)?,
            heads: config.decoder_heads,
        })
    }

    /// Lets `q` attend to `k` and `v`.
    ///
    /// # Shapes
    /// `q` `(batch, n, dim)`, `k` and `v` `(batch, m, dim)` → `(batch, n, dim)`.
    fn forward(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let split = |t: Tensor| -> Result<Tensor> {
            let (batch, n, inner) = t.dims3()?;
            t.reshape((batch, n, self.heads, inner / self.heads))?
                .transpose(1, 2)
        };
        let q = split(self.q_proj.forward(q)?)?;
        let k = split(self.k_proj.forward(k)?)?;
        let v = split(self.v_proj.forward(v)?)?;
        let (batch, heads, n, head_dim) = q.dims4()?;
        let y = attend(&q, &k, &v, (head_dim as f64).powf(-0.5))?;
        self.out_proj
            .forward(&y.transpose(1, 2)?.reshape((batch, n, heads * head_dim))?)
    }
}
