//! Infers the sizes of SAM from the shapes of its tensors, which works for ViT-B, L, H and any other size.

use super::check::Shapes;
use crate::weights::{SamConfig, WeightsError, SAM_PREFIX};

/// Heads of SAM's two-way transformer: 8 in every published size. The shapes do not say it.
const DECODER_HEADS: usize = 8;

/// Infers the sizes.
///
/// # Errors
/// A tensor that is missing or has another number of dimensions.
pub(super) fn infer(shapes: &Shapes) -> Result<SamConfig, WeightsError> {
    let shape = |name: &str, rank: usize| -> Result<Vec<usize>, WeightsError> {
        let name = format!("{SAM_PREFIX}.{name}");
        let found = shapes
            .get(&name)
            .ok_or_else(|| WeightsError::MissingTensor { name: name.clone() })?;
        if found.len() != rank {
            return Err(WeightsError::Shape {
                name,
                expected: vec![0; rank],
                found: found.clone(),
            });
        }
        Ok(found.clone())
    };
    let count = |pattern: &dyn Fn(usize) -> String| {
        (0..)
            .take_while(|i| shapes.contains_key(&format!("{SAM_PREFIX}.{}", pattern(*i))))
            .count()
    };

    let patch = shape("image_encoder.patch_embed.proj.weight", 4)?;
    let (embed_dim, patch_size) = (patch[0], patch[3]);
    let grid = shape("image_encoder.pos_embed", 4)?[1];
    let depth = count(&|i| format!("image_encoder.blocks.{i}.attn.qkv.weight"));
    let mlp_dim = shape("image_encoder.blocks.0.mlp.lin1.weight", 2)?[0];

    // A table of relative positions has 2·side − 1 rows, where side is that of the grid in global layers and of the window in
    // others.
    let mut head_dim = embed_dim;
    let mut window_size = grid;
    let mut global_attn_indexes = Vec::new();
    for i in 0..depth {
        let table = shape(&format!("image_encoder.blocks.{i}.attn.rel_pos_h"), 2)?;
        head_dim = table[1].max(1);
        let side = table[0].div_ceil(2);
        if side >= grid {
            global_attn_indexes.push(i);
        } else {
            window_size = side;
        }
    }

    let prompt_dim = shape("image_encoder.neck.0.weight", 4)?[0];
    let decoder = "mask_decoder.transformer.layers";
    let internal = shape(
        &format!("{decoder}.0.cross_attn_token_to_image.q_proj.weight"),
        2,
    )?[0];
    Ok(SamConfig {
        image_size: grid.saturating_mul(patch_size),
        patch_size,
        embed_dim,
        depth,
        num_heads: embed_dim / head_dim.max(1),
        mlp_dim,
        window_size,
        global_attn_indexes,
        prompt_dim,
        decoder_depth: count(&|i| format!("{decoder}.{i}.self_attn.q_proj.weight")),
        decoder_heads: DECODER_HEADS,
        decoder_mlp_dim: shape(&format!("{decoder}.0.mlp.lin1.weight"), 2)?[0],
        attention_downsample_rate: prompt_dim / internal.max(1),
        num_mask_tokens: shape("mask_decoder.mask_tokens.weight", 2)?[0],
        iou_head_depth: count(&|i| format!("mask_decoder.iou_prediction_head.layers.{i}.weight")),
        iou_head_hidden_dim: shape("mask_decoder.iou_prediction_head.layers.0.weight", 2)?[0],
    })
}
