//! SAM's image encoder, F_enc in the paper: a ViT with windowed and global attention and decomposed relative positions.

use candle_core::Tensor;

use super::relative_position::DecomposedPositions;
use super::ENCODER_EPS;
use crate::model::stop::{check, ModelError, Stop};
use crate::nn::Result;
use crate::nn::{attend, resize_bilinear, softmax, Conv3x3, LayerNorm, Linear, Mlp, PatchEmbed};
use crate::weights::{Activation, SamConfig, Weights, WeightsError};

/// Image → image embedding, f in the paper.
pub struct ImageEncoder {
    patch_embed: PatchEmbed,
    pos_embed: Tensor, // (1, grid, grid, dim)
    blocks: Vec<Block>,
    neck: Neck,
}

impl ImageEncoder {
    /// Reads `patch_embed`, `pos_embed`, `blocks.…` and `neck.…` below `weights`.
    pub fn load(weights: &Weights, config: &SamConfig) -> Result<Self, WeightsError> {
        let dim = config.embed_dim;
        let blocks = (0..config.depth)
            .map(|i| Block::load(&weights.pp("blocks").pp(i), config, i))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            patch_embed: PatchEmbed::load(
                &weights.pp("patch_embed.proj"),
                config.patch_size,
                dim,
                true,
            )?,
            pos_embed: load_pos_embed(weights, config)?,
            blocks,
            neck: Neck::load(&weights.pp("neck"), config)?,
        })
    }

    /// Computes the image embedding; `stop` is asked several times in every layer.
    ///
    /// # Shapes
    /// normalised pixels `(batch, 3, size, size)` → `(batch, prompt_dim, grid, grid)`.
    pub fn forward(&self, pixels: &Tensor, stop: Stop<'_>) -> Result<Tensor, ModelError> {
        let mut x = self
            .patch_embed
            .forward(pixels)?
            .broadcast_add(&self.pos_embed)?;
        for block in &self.blocks {
            check(stop)?;
            x = block.forward(&x, stop)?;
        }
        Ok(self.neck.forward(&x)?)
    }
}

/// The learned positions, interpolated where the grid of the configuration is not the one that they were trained at.
fn load_pos_embed(weights: &Weights, config: &SamConfig) -> Result<Tensor, WeightsError> {
    let (name, grid, dim) = ("pos_embed", config.grid(), config.embed_dim);
    let learned = match weights.shape(name).as_deref() {
        Some([1, rows, columns, _]) if rows == columns => *rows,
        _ => grid,
    };
    let pos_embed = weights.get((1, learned, learned, dim), name)?;
    if learned == grid {
        return Ok(pos_embed);
    }
    let resized = resize_bilinear(&pos_embed.permute([0, 3, 1, 2])?, grid, grid)?;
    Ok(resized.permute([0, 2, 3, 1])?.contiguous()?)
}

struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    /// Side of the windows, in patches; `None` for attention to the whole grid.
    window: Option<usize>,
}

impl Block {
    fn load(weights: &Weights, config: &SamConfig, index: usize) -> Result<Self, WeightsError> {
        let dim = config.embed_dim;
        let global = config.global_attn_indexes.contains(&index);
        let window = (!global).then_some(config.window_size);
        let norm = |name: &str| LayerNorm::load(&weights.pp(name), dim, ENCODER_EPS);
        let dims = [dim, config.mlp_dim, dim];
        Ok(Self {
            norm1: norm("norm1")?,
            attention: Attention::load(
                &weights.pp("attn"),
                config,
                window.unwrap_or(config.grid()),
            )?,
            norm2: norm("norm2")?,
            mlp: Mlp::load(
                &weights.pp("mlp"),
                &["lin1", "lin2"],
                &dims,
                Activation::Gelu,
            )?,
            window,
        })
    }

    /// Applies attention and MLP, each with its norm and residual.
    ///
    /// # Shapes
    /// `(batch, h, w, dim)` → the same.
    fn forward(&self, x: &Tensor, stop: Stop<'_>) -> Result<Tensor, ModelError> {
        let y = self.norm1.forward(x)?;
        let y = match self.window {
            Some(window) => {
                let (_, h, w, _) = y.dims4()?;
                let windows = partition(&y, window)?;
                let windows = self.attention.forward(&windows, stop)?;
                unpartition(&windows, window, h, w)?
            }
            None => self.attention.forward(&y, stop)?,
        };
        let x = (x + y)?;
        check(stop)?;
        Ok(self.mlp.forward_onto(&self.norm2.forward(&x)?, Some(&x))?)
    }
}

/// Cuts an image into windows; the image is padded with zeros at the right and at the bottom.
///
/// # Shapes
/// `(batch, h, w, dim)` → `(batch · windows, window, window, dim)`.
fn partition(x: &Tensor, window: usize) -> Result<Tensor> {
    let (batch, h, w, dim) = x.dims4()?;
    let (rows, columns) = (h.div_ceil(window), w.div_ceil(window));
    x.pad_with_zeros(1, 0, rows * window - h)?
        .pad_with_zeros(2, 0, columns * window - w)?
        .reshape(&[batch, rows, window, columns, window, dim][..])?
        .permute([0, 1, 3, 2, 4, 5])?
        .reshape((batch * rows * columns, window, window, dim))
}

/// The inverse of [`partition`] for an image of `h` × `w`.
fn unpartition(x: &Tensor, window: usize, h: usize, w: usize) -> Result<Tensor> {
    let (windows, _, _, dim) = x.dims4()?;
    let (rows, columns) = (h.div_ceil(window), w.div_ceil(window));
    let batch = windows / (rows * columns);
    x.reshape(&[batch, rows, columns, window, window, dim][..])?
        .permute([0, 1, 3, 2, 4, 5])?
        .reshape((batch, rows * window, columns * window, dim))?
        .narrow(1, 0, h)?
        .narrow(2, 0, w)?
        .contiguous()
}

struct Attention {
    qkv: Linear,
    proj: Linear,
    positions: DecomposedPositions,
    heads: usize,
}

/// Most scores that are held at once: 2²¹, which are 8 MiB in f32. Global attention of ViT-H has 16 × 4096² scores, a gigabyte,
/// so queries go through in blocks whose scores stay in the processor's cache.
const MAX_SCORES: usize = 1 << 21;

impl Attention {
    fn load(weights: &Weights, config: &SamConfig, side: usize) -> Result<Self, WeightsError> {
        let (dim, heads) = (config.embed_dim, config.num_heads);
        let table = |name: &str| {
            // The table may be learned for another grid, so any length is accepted, and only the width is checked.
            let entries = match weights.shape(name).as_deref() {
                Some([entries, _]) => *entries,
                _ => 2 * side - 1,
            };
            weights.get((entries, dim / heads), name)
        };
        Ok(Self {
            qkv: Linear::load(&weights.pp("qkv"), dim, 3 * dim)?,
            proj: Linear::load(&weights.pp("proj"), dim, dim)?,
            positions: DecomposedPositions::new(&table("rel_pos_h")?, &table("rel_pos_w")?, side)?
                .prepared_for(weights)?,
            heads,
        })
    }

    /// Attends within each image or window of the batch.
    ///
    /// # Shapes
    /// `(batch, side, side, dim)` → the same.
    fn forward(&self, x: &Tensor, stop: Stop<'_>) -> Result<Tensor, ModelError> {
        let (batch, h, w, dim) = x.dims4()?;
        let (n, head_dim) = (h * w, dim / self.heads);
        let qkv = self.qkv.forward(x)?;
        if let Some(y) = self.positions.attend(&qkv, self.heads, stop)? {
            return Ok(self.proj.forward(&y)?);
        }
        let qkv = qkv
            .reshape(&[batch, n, 3, self.heads, head_dim][..])?
            .permute([2, 0, 3, 1, 4])?; // (3, batch, heads, n, head_dim)
        let part = |i: usize| qkv.get(i)?.contiguous();
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let scale = (head_dim as f64).powf(-0.5);
        let y = if q.track_op() {
            let (q, k) = self.positions.fold(&q, &k, scale)?;
            attend(&q, &k, &v, 1.0)?
        } else {
            self.in_blocks(&q, &k, &v, scale, stop)?
        };
        let y = y.transpose(1, 2)?.reshape((batch, h, w, dim))?; // (batch, n, heads·head_dim)
        Ok(self.proj.forward(&y)?)
    }

    /// Attention without a gradient and without the kernel, with the scores of one block of queries at a time.
    fn in_blocks(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        scale: f64,
        stop: Stop<'_>,
    ) -> Result<Tensor, ModelError> {
        let (batch, heads, n, _) = q.dims4()?;
        let (q, k) = self.positions.fold(q, k, scale)?;
        let k = k.t()?;
        let rows = (MAX_SCORES / (batch * heads * n)).clamp(1, n);
        let mut parts = Vec::with_capacity(n.div_ceil(rows));
        for start in (0..n).step_by(rows) {
            check(stop)?;
            let q = q.narrow(2, start, rows.min(n - start))?.contiguous()?;
            parts.push(softmax(&q.matmul(&k)?)?.matmul(v)?);
        }
        Ok(match parts.as_slice() {
            [whole] => whole.clone(),
            parts => Tensor::cat(parts, 2)?,
        })
    }
}

/// The neck, which brings the hidden state to the width of the image embedding: 1×1 convolution, norm, 3×3 convolution, norm.
struct Neck {
    reduce: Linear,
    norm1: LayerNorm,
    smooth: Conv3x3,
    norm2: LayerNorm,
}

impl Neck {
    fn load(weights: &Weights, config: &SamConfig) -> Result<Self, WeightsError> {
        let (dim, out) = (config.embed_dim, config.prompt_dim);
        // A 1×1 convolution over channels-last pixels is a linear layer.
        let reduce = weights
            .get((out, dim, 1, 1), "0.weight")?
            .reshape((out, dim))?;
        Ok(Self {
            reduce: Linear::new(reduce, None).prepared_for(weights)?,
            norm1: LayerNorm::load(&weights.pp(1), out, ENCODER_EPS)?,
            smooth: Conv3x3::load(&weights.pp(2), out, out)?,
            norm2: LayerNorm::load(&weights.pp(3), out, ENCODER_EPS)?,
        })
    }

    /// Maps the hidden state to the image embedding.
    ///
    /// # Shapes
    /// `(batch, h, w, dim)` → `(batch, out, h, w)`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.norm1.forward(&self.reduce.forward(x)?)?;
        let x = self
            .smooth
            .forward(&x.permute([0, 3, 1, 2])?.contiguous()?)?;
        let x = self.norm2.forward(&x.permute([0, 2, 3, 1])?)?;
        x.permute([0, 3, 1, 2])?.contiguous()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::testing::{random, relative_error};

    /// An attention layer with weights for inference gives what it gives with weights that could be trained.
    #[test]
    fn attention_by_the_kernel_equals_the_plain_one() {
        let config: SamConfig = serde_json::from_value(serde_json::json!({
            "image_size": 64, "patch_size": 4, "embed_dim": 24, "depth": 1, "num_heads": 3, "mlp_dim": 24, "window_size": 5,
            "global_attn_indexes": [0], "prompt_dim": 8, "decoder_depth": 1, "decoder_heads": 1, "decoder_mlp_dim": 8,
            "attention_downsample_rate": 1, "num_mask_tokens": 4, "iou_head_depth": 1, "iou_head_hidden_dim": 8
        }))
        .unwrap();
        // The same tensors for both, and tables that were learned for another side.
        let made = Weights::made_by(
            |name, shape| match name {
                "rel_pos_h" | "rel_pos_w" => Ok(random((9, 8))),
                _ => Ok(random(shape)),
            },
            DType::F32,
            &Device::Cpu,
        );
        for side in [5, 16] {
            let x = random((2, side, side, 24));
            let plain = Attention::load(&made, &config, side).unwrap();
            let fast = Attention::load(&made.clone().for_inference(), &config, side).unwrap();
            let (plain, fast) = (plain.forward(&x, &|| false), fast.forward(&x, &|| false));
            assert!(relative_error(&fast.unwrap(), &plain.unwrap()) < 2e-6);
        }
    }

    #[test]
    fn unpartition_undoes_partition() {
        for (h, w, window) in [(8, 8, 4), (9, 7, 4), (3, 5, 14)] {
            let x = random((2, h, w, 6));
            let back = unpartition(&partition(&x, window).unwrap(), window, h, w).unwrap();
            assert_eq!(relative_error(&back, &x), 0.0);
        }
    }
}
