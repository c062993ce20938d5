//! SAM's mask decoder, F_dec in the paper: one mask for each prompt.

use candle_core::Tensor;

use super::two_way_transformer::TwoWayTransformer;
use super::{PromptEncoder, ENCODER_EPS};
use crate::nn::Result;
use crate::nn::{gelu, LayerNorm, Mlp, Upsample2x};
use crate::weights::{Activation, SamConfig, Weights, WeightsError};

/// Prompts and image embedding → mask logits and predicted IoU.
///
/// Only the hypernetwork of the single-mask token is loaded, because the reference calls SAM with `multimask_output=False`. Those
/// of the three alternative masks are in the checkpoint and are not used.
pub struct MaskDecoder {
    transformer: TwoWayTransformer,
    output_tokens: Tensor, // (1 + num_mask_tokens, dim): IoU token, mask tokens
    upscale1: Upsample2x,
    upscale_norm: LayerNorm,
    upscale2: Upsample2x,
    hypernetwork: Mlp,
    iou_prediction_head: Mlp,
}

/// Output of the mask decoder.
#[derive(Clone, Debug)]
pub struct DecodedMasks {
    /// The mask logits, `(objects, 4·grid, 4·grid)`.
    pub logits: Tensor,
    /// The decoder's own estimate of the IoU of each mask, `(objects)`.
    pub iou: Tensor,
}

impl MaskDecoder {
    /// Reads the tensors of `mask_decoder.…`, which is where the names of `weights` begin.
    pub fn load(weights: &Weights, config: &SamConfig) -> Result<Self, WeightsError> {
        let dim = config.prompt_dim;
        let iou_token = weights.get((1, dim), "iou_token.weight")?;
        let mask_tokens = weights.get((config.num_mask_tokens, dim), "mask_tokens.weight")?;
        let upscaling = weights.pp("output_upscaling");
        let hypernetwork = weights.pp("output_hypernetworks_mlps").pp(0).pp("layers");
        let names: Vec<String> = (0..config.iou_head_depth).map(|i| i.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut iou_dims = vec![config.iou_head_hidden_dim; config.iou_head_depth + 1];
        if let (Some(first), n) = (iou_dims.first_mut(), config.iou_head_depth) {
            *first = dim;
            iou_dims[n] = config.num_mask_tokens;
        }
        Ok(Self {
            transformer: TwoWayTransformer::load(&weights.pp("transformer"), config)?,
            output_tokens: Tensor::cat(&[iou_token, mask_tokens], 0)?,
            upscale1: Upsample2x::load(&upscaling.pp(0), dim, dim / 4)?,
            upscale_norm: LayerNorm::load(&upscaling.pp(1), dim / 4, ENCODER_EPS)?,
            upscale2: Upsample2x::load(&upscaling.pp(3), dim / 4, dim / 8)?,
            hypernetwork: Mlp::load(
                &hypernetwork,
                &["0", "1", "2"],
                &[dim, dim, dim, dim / 8],
                Activation::Relu,
            )?,
            iou_prediction_head: Mlp::load(
                &weights.pp("iou_prediction_head").pp("layers"),
                &names,
                &iou_dims,
                Activation::Relu,
            )?,
        })
    }

    /// Decodes one mask for each prompt, all on the same image.
    ///
    /// # Shapes
    /// `image_embedding` `(1, dim, grid, grid)`, `text_embeds` `(objects, dim)`.
    pub fn forward(
        &self,
        image_embedding: &Tensor,
        prompts: &PromptEncoder,
        text_embeds: &Tensor,
    ) -> Result<DecodedMasks> {
        let (objects, dim) = text_embeds.dims2()?;
        let (_, _, h, w) = image_embedding.dims4()?;
        let (outputs, _) = self.output_tokens.dims2()?;
        let cells = |t: &Tensor| t.flatten_from(2)?.transpose(1, 2)?.contiguous(); // (1, h·w, dim)

        let outputs_once = self.output_tokens.broadcast_as((objects, outputs, dim))?;
        let tokens = Tensor::cat(
            &[&outputs_once.contiguous()?, &text_embeds.unsqueeze(1)?],
            1,
        )?;
        let image = cells(&image_embedding.broadcast_add(prompts.dense_embedding())?)?;
        let image = image.broadcast_as((objects, h * w, dim))?.contiguous()?;
        let (tokens, image) =
            self.transformer
                .forward(&image, &cells(prompts.dense_pe())?, &tokens)?;

        let x = image.reshape((objects, h, w, dim))?;
        let x = gelu(&self.upscale_norm.forward(&self.upscale1.forward(&x)?)?)?;
        let x = gelu(&self.upscale2.forward(&x)?)?; // (objects, 4h, 4w, dim / 8)
        let iou_token = tokens.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        let mask_token = tokens.narrow(1, 1, 1)?.squeeze(1)?.contiguous()?;
        let hyper = self.hypernetwork.forward(&mask_token)?; // (objects, dim / 8)
        let logits = x
            .reshape((objects, 16 * h * w, dim / 8))?
            .matmul(&hyper.unsqueeze(2)?)?
            .reshape((objects, 4 * h, 4 * w))?;
        let iou = self
            .iou_prediction_head
            .forward(&iou_token)?
            .narrow(1, 0, 1)?
            .squeeze(1)?;
        Ok(DecodedMasks { logits, iou })
    }
}
