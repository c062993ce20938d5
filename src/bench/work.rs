//! What a stage has to do at least: operations of its matrix products, or bytes of its weights.

use serde::Serialize;

use crate::weights::{BlockType, ClipConfig, LisaConfig, LlamaConfig, ProjectorKind, SamConfig};

/// What a stage has to do at least. Norms, softmax and activations are not counted, so that a share of what the machine can do is
/// below 1 even where every product runs at full speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// Additions and multiplications of its matrix products, in 10⁹; for stages that compute on many rows.
    pub gflop: Option<f64>,
    /// Bytes that have to be read from memory, in 10⁹; for stages that use every weight once.
    pub gbytes: Option<f64>,
}

impl Work {
    pub(super) fn compute(flop: f64) -> Self {
        Self {
            gflop: Some(flop / 1e9),
            gbytes: None,
        }
    }

    pub(super) fn read(bytes: f64) -> Self {
        Self {
            gflop: None,
            gbytes: Some(bytes / 1e9),
        }
    }

    /// CLIP's tower and the projector, for one image.
    pub fn clip(config: &LisaConfig) -> Self {
        let (clip, hidden) = (&config.clip, config.llama.hidden_size);
        let (features, dim) = (clip.num_features(), clip.hidden_size);
        let projector = match config.projector {
            ProjectorKind::Linear => product(features, dim, hidden),
            ProjectorKind::Mlp2xGelu => {
                product(features, dim, hidden) + product(features, hidden, hidden)
            }
        };
        Self::compute(tower(clip) + projector)
    }

    /// The language model over `new` positions that follow `known` ones, and the logits of the last.
    pub fn prefill(config: &LlamaConfig, new: usize, known: usize) -> Self {
        let (hidden, layers) = (config.hidden_size, config.num_hidden_layers as f64);
        // A position attends to those before it and itself: scores, and the sum of the values.
        let pairs = new * known + new * (new + 1) / 2;
        let attention = 2.0 * product(1, hidden, pairs);
        let linear = 2.0 * (new * layer_weights(config)) as f64;
        Self::compute(layers * (linear + attention) + product(1, hidden, config.vocab_size))
    }

    /// One token of the language model: its weights, each of `size` bytes.
    pub fn token(config: &LlamaConfig, size: usize) -> Self {
        let layers = config.num_hidden_layers * layer_weights(config);
        let head = config.hidden_size * config.vocab_size;
        Self::read(((layers + head) * size) as f64)
    }

    /// One token of a language model whose weights are stored in blocks.
    pub fn token_in_blocks(config: &LlamaConfig, blocks: BlockType) -> Self {
        let (layers, head) = (
            config.num_hidden_layers * layer_weights(config),
            config.hidden_size * config.vocab_size,
        );
        let bytes = layers as f64 * blocks.bytes_a_number()
            + head as f64 * BlockType::Q8_0.bytes_a_number();
        Self::read(bytes)
    }

    /// SAM's image encoder, for one image.
    pub fn sam(config: &SamConfig) -> Self {
        let (side, dim) = (config.grid(), config.embed_dim);
        let (cells, window) = (side * side, config.window_size);
        let embed = product(cells, 3 * config.patch_size.pow(2), dim);
        let layer = |index| {
            // Windows are filled up with zeros to the next whole one.
            let (rows, seen) = match config.global_attn_indexes.contains(&index) {
                true => (cells, cells),
                false => ((side.div_ceil(window) * window).pow(2), window * window),
            };
            let attention = product(rows, dim, 4 * dim) + 2.0 * product(rows, dim, seen);
            attention + 2.0 * product(cells, dim, config.mlp_dim)
        };
        let out = config.prompt_dim;
        let neck = product(cells, dim, out) + product(cells, 9 * out, out);
        Self::compute(embed + (0..config.depth).map(layer).sum::<f64>() + neck)
    }
}

/// Additions and multiplications of a product of `(rows, inner)` and `(inner, columns)`.
fn product(rows: usize, inner: usize, columns: usize) -> f64 {
    2.0 * rows as f64 * inner as f64 * columns as f64
}

fn tower(clip: &ClipConfig) -> f64 {
    let dim = clip.hidden_size;
    let patches = clip.embedded_grid().pow(2);
    let embed = product(patches, 3 * clip.patch_size.pow(2), dim);
    let (after, side) = clip
        .merge
        .map_or((usize::MAX, 1), |merge| (merge.after, merge.side));
    let layer = |index: usize| {
        let rows = 1 + if index < after {
            patches
        } else {
            patches / (side * side)
        };
        let attention = product(rows, dim, 4 * dim) + 2.0 * product(rows, dim, rows);
        attention + 2.0 * product(rows, dim, clip.intermediate_size)
    };
    embed + (0..clip.layers_needed()).map(layer).sum::<f64>()
}

/// Numbers in the linear layers of one layer.
fn layer_weights(config: &LlamaConfig) -> usize {
    let hidden = config.hidden_size;
    let kv = config.head_dim() * config.num_key_value_heads;
    2 * hidden * (hidden + kv) + 3 * hidden * config.intermediate_size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Shape;

    fn close(work: Work, gflop: f64) {
        let found = work.gflop.or(work.gbytes).unwrap();
        assert!((found / gflop - 1.0).abs() < 0.03, "{found}, not {gflop}");
    }

    /// Published counts of SAM's encoders, 371·10⁹ multiply-adds for ViT-B and 2736·10⁹ for ViT-H, are of its linear layers with
    /// windows as they are padded. Products of queries with keys and of weights with values come to 115·10⁹ and 241·10⁹. CLIP's
    /// ViT-L/14 has 81·10⁹ in its 24 layers, of which 23 are needed.
    #[test]
    fn published_networks_have_the_work_that_is_published() {
        let small = "small".parse::<Shape>().unwrap().config();
        close(Work::sam(&small.sam), 2.0 * (371.0 + 115.0));
        close(Work::clip(&small), 2.0 * 78.0);
        let large = "sam-h".parse::<Shape>().unwrap().config();
        close(Work::sam(&large.sam), 2.0 * (2736.0 + 241.0));
    }

    #[test]
    fn a_token_reads_every_weight_of_the_language_model_but_the_embeddings() {
        let llama = "lisa-7b".parse::<Shape>().unwrap().config().llama;
        // 6.74e9 parameters in all, of which 0.131e9 are embeddings.
        close(Work::token(&llama, 2), 2.0 * 6.607);
        close(
            Work::token_in_blocks(&llama, BlockType::Q4K),
            6.607 * 4.5 / 8.0 + 0.131 * 4.0 / 8.0,
        );
        // Two operations for each of them, and attention.
        close(Work::prefill(&llama, 1, 0), 2.0 * 6.607);
    }

    #[test]
    fn what_is_known_is_attended_to_and_not_computed() {
        let llama = "small".parse::<Shape>().unwrap().config().llama;
        let gflop = |new, known| Work::prefill(&llama, new, known).gflop.unwrap();
        let whole = gflop(300, 0);
        let parts = gflop(250, 0) + gflop(50, 250);
        let head = product(1, llama.hidden_size, llama.vocab_size) / 1e9;
        assert!((parts - head - whole).abs() / whole < 1e-9);
    }
}
