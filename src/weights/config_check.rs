//! Which sizes in `lisa.json` a network can be built of.

use super::LisaConfig;

/// Largest side of an encoder's input, in pixels.
const LARGEST_SIDE: usize = 4096;
/// Most patches along a side of SAM's input; published models have 64.
const LARGEST_GRID: usize = 256;
/// Most positions of the language model.
const LONGEST_CONTEXT: usize = 1 << 20;
/// Largest number that a norm adds to a variance; models have 1e-6 or 1e-5.
const LARGEST_EPS: f64 = 0.01;
/// Largest width of a hidden state.
const LARGEST_WIDTH: usize = 1 << 20;

impl LisaConfig {
    /// Checks that a network of these sizes can be built.
    ///
    /// # Errors
    /// A message that names the field, its value and what is accepted.
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = [
            ("clip.image_size", self.clip.image_size),
            ("clip.hidden_size", self.clip.hidden_size),
            ("clip.num_attention_heads", self.clip.num_attention_heads),
            ("clip.patch_size", self.clip.patch_size),
            ("clip_preprocess.crop", self.clip_preprocess.crop),
            ("llama.hidden_size", self.llama.hidden_size),
            ("llama.num_attention_heads", self.llama.num_attention_heads),
            ("llama.num_key_value_heads", self.llama.num_key_value_heads),
            (
                "llama.max_position_embeddings",
                self.llama.max_position_embeddings,
            ),
            ("sam.patch_size", self.sam.patch_size),
            ("sam.num_heads", self.sam.num_heads),
            ("sam.window_size", self.sam.window_size),
            ("sam.decoder_heads", self.sam.decoder_heads),
            (
                "sam.attention_downsample_rate",
                self.sam.attention_downsample_rate,
            ),
            ("sam.num_mask_tokens", self.sam.num_mask_tokens),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} is 0; it must be 1 or more"));
        }
        // Loading allocates tables of positions that grow with these sizes, before the shape of any tensor could contradict them.
        let bounded = [
            ("clip.image_size", self.clip.image_size, LARGEST_SIDE),
            ("sam.image_size", self.sam.image_size, LARGEST_SIDE),
            (
                "patches along a side of sam.image_size",
                self.sam.grid(),
                LARGEST_GRID,
            ),
            ("sam.window_size", self.sam.window_size, LARGEST_GRID),
            (
                "llama.max_position_embeddings",
                self.llama.max_position_embeddings,
                LONGEST_CONTEXT,
            ),
            ("clip.hidden_size", self.clip.hidden_size, LARGEST_WIDTH),
            ("llama.hidden_size", self.llama.hidden_size, LARGEST_WIDTH),
            ("sam.embed_dim", self.sam.embed_dim, LARGEST_WIDTH),
        ];
        if let Some((name, value, most)) = bounded.iter().find(|(_, value, most)| value > most) {
            return Err(format!("{name} is {value}; accepted: {most} at most"));
        }
        let divides = [
            (
                "clip.hidden_size",
                self.clip.hidden_size,
                "clip.num_attention_heads",
                self.clip.num_attention_heads,
            ),
            (
                "clip.image_size",
                self.clip.image_size,
                "clip.patch_size",
                self.clip.patch_size,
            ),
            (
                "llama.hidden_size",
                self.llama.hidden_size,
                "llama.num_attention_heads",
                self.llama.num_attention_heads,
            ),
            (
                "llama.num_attention_heads",
                self.llama.num_attention_heads,
                "llama.num_key_value_heads",
                self.llama.num_key_value_heads,
            ),
            (
                "sam.image_size",
                self.sam.image_size,
                "sam.patch_size",
                self.sam.patch_size,
            ),
            (
                "sam.embed_dim",
                self.sam.embed_dim,
                "sam.num_heads",
                self.sam.num_heads,
            ),
            (
                "sam.prompt_dim",
                self.sam.prompt_dim,
                "sam.decoder_heads",
                self.sam.decoder_heads,
            ),
        ];
        for (a, x, b, y) in divides {
            if x < y || x % y != 0 {
                return Err(format!("{a} is {x}, which is not a multiple of {b}, {y}"));
            }
        }
        if self.llama.head_dim() % 2 != 0 {
            return Err(format!(
                "llama.hidden_size is {} and llama.num_attention_heads is {}, so each head is {} wide; \
                accepted: an even width, whose numbers rotary embeddings turn in pairs",
                self.llama.hidden_size,
                self.llama.num_attention_heads,
                self.llama.head_dim()
            ));
        }
        for (name, eps) in [
            ("llama.rms_norm_eps", self.llama.rms_norm_eps),
            ("clip.layer_norm_eps", self.clip.layer_norm_eps),
        ] {
            if !(0.0..=LARGEST_EPS).contains(&eps) {
                return Err(format!("{name} is {eps:?}; accepted: 0 to {LARGEST_EPS}"));
            }
        }
        let states = self.clip.hidden_states();
        if !states.contains(&self.clip.select_layer) {
            return Err(format!(
                "clip.select_layer is {}, and clip.num_hidden_layers is {}; accepted: {} to {}",
                self.clip.select_layer,
                self.clip.num_hidden_layers,
                states.start(),
                states.end()
            ));
        }
        if let Some(merge) = self.clip.merge {
            let (grid, layers) = (self.clip.embedded_grid(), self.clip.layers_needed());
            if merge.after == 0 || merge.after >= layers {
                return Err(format!(
                    "clip.merge.after is {}, and {layers} layers run; accepted: 1 to {}",
                    merge.after,
                    layers.saturating_sub(1)
                ));
            }
            if merge.side < 2 || grid % merge.side != 0 {
                return Err(format!(
                    "clip.merge.side is {}, and a side has {grid} patches; accepted: 2 or more that divides them",
                    merge.side
                ));
            }
        }
        if self.clip_preprocess.crop != self.clip.image_size {
            return Err(format!(
                "clip_preprocess.crop is {}, and clip.image_size is {}; they must be equal",
                self.clip_preprocess.crop, self.clip.image_size
            ));
        }
        if self.out_dim != self.sam.prompt_dim {
            return Err(format!(
                "out_dim is {}, and sam.prompt_dim is {}; they must be equal",
                self.out_dim, self.sam.prompt_dim
            ));
        }
        if let Some(head) = self.guided_head {
            head.check(&self.llama, "guided_head.")?;
        }
        Ok(())
    }
}
