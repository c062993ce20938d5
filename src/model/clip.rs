//! CLIP's vision tower, up to the hidden state that is the feature.

use candle_core::Tensor;

use super::stop::{check, ModelError, Stop};
use crate::nn::Result;
use crate::nn::{attend, After, LayerNorm, Linear, Mlp, PatchEmbed};
use crate::weights::{Activation, ClipConfig, FeatureSelection, PatchMerge, Weights, WeightsError};

/// Image → vision features.
///
/// Only the layers up to the selected hidden state are loaded. With `select_layer` −2 that leaves out the last layer.
pub struct ClipVisionTower {
    patch_embedding: PatchEmbed,
    class_embedding: Tensor,
    position_embedding: Tensor,
    pre_layernorm: LayerNorm,
    layers: Vec<EncoderLayer>,
    merge: Option<Merge>,
    select_feature: FeatureSelection,
}

/// Makes one patch of several; see [`PatchMerge`].
struct Merge {
    after: usize,
    side: usize,
    linear: Linear,
}

struct EncoderLayer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    mlp: Mlp,
    heads: usize,
}

impl ClipVisionTower {
    /// Reads the tensors of `vision_model.…` below `weights`.
    pub fn load(weights: &Weights, config: &ClipConfig) -> Result<Self, WeightsError> {
        let weights = weights.pp("vision_model");
        let embeddings = weights.pp("embeddings");
        let dim = config.hidden_size;
        let layers = (0..config.layers_needed())
            .map(|i| EncoderLayer::load(&weights.pp("encoder.layers").pp(i), config))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            patch_embedding: PatchEmbed::load(
                &embeddings.pp("patch_embedding"),
                config.patch_size,
                dim,
                false,
            )?,
            class_embedding: embeddings.get(dim, "class_embedding")?,
            position_embedding: embeddings.get(
                (config.embedded_grid().pow(2) + 1, dim),
                "position_embedding.weight",
            )?,
            // The tensor's name is misspelt so in every published checkpoint.
            pre_layernorm: LayerNorm::load(
                &weights.pp("pre_layrnorm"),
                dim,
                config.layer_norm_eps,
            )?,
            layers,
            merge: config
                .merge
                .map(|merge| Merge::load(&weights.pp("merge"), merge, dim))
                .transpose()?,
            select_feature: config.select_feature,
        })
    }

    /// Computes the features; `stop` is asked before every layer.
    ///
    /// # Shapes
    /// normalised pixels `(batch, 3, size, size)` → `(batch, features, hidden)`.
    pub fn forward(&self, pixels: &Tensor, stop: Stop<'_>) -> Result<Tensor, ModelError> {
        let patches = self.patch_embedding.forward(pixels)?; // (batch, rows, columns, dim)
        let (batch, rows, columns, dim) = patches.dims4()?;
        let patches = patches.reshape((batch, rows * columns, dim))?;
        let mut grid = (rows, columns);
        let class = self
            .class_embedding
            .reshape((1, 1, dim))?
            .broadcast_as((batch, 1, dim))?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.position_embedding)?;
        let mut x = self.pre_layernorm.forward(&x)?;
        for (done, layer) in self.layers.iter().enumerate() {
            check(stop)?;
            if let Some(merge) = self.merge.as_ref().filter(|merge| merge.after == done) {
                (x, grid) = merge.forward(&x, grid)?;
            }
            x = layer.forward(&x)?;
        }
        Ok(match self.select_feature {
            FeatureSelection::Patch => x.narrow(1, 1, grid.0 * grid.1)?.contiguous()?,
            FeatureSelection::ClsPatch => x,
        })
    }
}

impl Merge {
    fn load(weights: &Weights, merge: PatchMerge, dim: usize) -> Result<Self, WeightsError> {
        let PatchMerge { after, side } = merge;
        Ok(Self {
            after,
            side,
            linear: Linear::load(weights, side * side * dim, dim)?,
        })
    }

    /// # Shapes
    /// `(batch, 1 + rows·columns, dim)` → `(batch, 1 + rows·columns / side², dim)` and the new rows and columns. The class token
    /// stays as it is.
    fn forward(
        &self,
        x: &Tensor,
        (rows, columns): (usize, usize),
    ) -> Result<(Tensor, (usize, usize))> {
        let (batch, _, dim) = x.dims3()?;
        let side = self.side;
        let grid = (rows / side, columns / side);
        let class = x.narrow(1, 0, 1)?;
        let patches = x
            .narrow(1, 1, rows * columns)?
            .reshape(vec![batch, grid.0, side, grid.1, side, dim])?
            .permute(vec![0, 1, 3, 2, 4, 5])?
            .reshape((batch, grid.0 * grid.1, side * side * dim))?;
        let merged = self.linear.forward(&patches)?;
        Ok((Tensor::cat(&[&class, &merged], 1)?, grid))
    }
}

impl EncoderLayer {
    fn load(weights: &Weights, config: &ClipConfig) -> Result<Self, WeightsError> {
        let (dim, eps) = (config.hidden_size, config.layer_norm_eps);
        let attention = |name: &str| Linear::load(&weights.pp("self_attn").pp(name), dim, dim);
        Ok(Self {
            layer_norm1: LayerNorm::load(&weights.pp("layer_norm1"), dim, eps)?,
            q_proj: attention("q_proj")?,
            k_proj: attention("k_proj")?,
            v_proj: attention("v_proj")?,
            out_proj: attention("out_proj")?,
            layer_norm2: LayerNorm::load(&weights.pp("layer_norm2"), dim, eps)?,
            mlp: load_mlp(weights, config)?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, seq, dim) = x.dims3()?;
        let head_dim = dim / self.heads;
        let split = |t: Tensor| -> Result<Tensor> {
            t.reshape((batch, seq, self.heads, head_dim))?
                .transpose(1, 2)
        };
        let y = self.layer_norm1.forward(x)?;
        let q = split(self.q_proj.forward(&y)?)?; // (batch, heads, seq, head_dim)
        let k = split(self.k_proj.forward(&y)?)?;
        let v = split(self.v_proj.forward(&y)?)?;
        let y = attend(&q, &k, &v, (head_dim as f64).powf(-0.5))?;
        let y = y.transpose(1, 2)?.reshape((batch, seq, dim))?;
        let onto = After {
            residual: Some(x),
            ..After::default()
        };
        let x = self.out_proj.forward_then(&y, onto)?;
        self.mlp
            .forward_onto(&self.layer_norm2.forward(&x)?, Some(&x))
    }
}

fn load_mlp(weights: &Weights, config: &ClipConfig) -> Result<Mlp, WeightsError> {
    let dims = [
        config.hidden_size,
        config.intermediate_size,
        config.hidden_size,
    ];
    let activation: Activation = config.hidden_act;
    Mlp::load(&weights.pp("mlp"), &["fc1", "fc2"], &dims, activation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{random, relative_error};

    /// Each merged patch is the linear layer of its own four neighbours, row by row, and the class token stays.
    #[test]
    fn a_merged_patch_is_made_of_its_neighbours() {
        let (rows, columns, dim) = (4, 6, 8);
        let (weight, bias) = (random((dim, 4 * dim)), random(dim));
        let merge = Merge {
            after: 1,
            side: 2,
            linear: Linear::new(weight.clone(), Some(bias.clone())),
        };
        let x = random((2, 1 + rows * columns, dim));
        let (merged, grid) = merge.forward(&x, (rows, columns)).unwrap();
        assert_eq!(grid, (2, 3));
        assert_eq!(merged.dims(), [2, 1 + 6, dim]);
        for image in 0..2 {
            let x = x.get(image).unwrap();
            let merged = merged.get(image).unwrap();
            let class = relative_error(&merged.get(0).unwrap(), &x.get(0).unwrap());
            assert_eq!(class, 0.0);
            for (row, column) in (0..2).flat_map(|row| (0..3).map(move |column| (row, column))) {
                let neighbours = [(0, 0), (0, 1), (1, 0), (1, 1)];
                let neighbours = neighbours.map(|(down, right)| {
                    let at = (2 * row + down) * columns + 2 * column + right;
                    x.get(1 + at).unwrap()
                });
                let stacked = Tensor::cat(&neighbours, 0).unwrap();
                let stacked = stacked.reshape((4 * dim, 1)).unwrap();
                let by_hand = weight.matmul(&stacked).unwrap().reshape(dim).unwrap();
                let by_hand = (by_hand + &bias).unwrap();
                let ours = merged.get(1 + 3 * row + column).unwrap();
                assert!(relative_error(&ours, &by_hand) < 1e-5);
            }
        }
    }
}
