//! A new model: random weights of any dimensions, and a tokenizer trained on the texts it will learn.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::parameters::normal;
use super::TrainError;
use crate::model::Lisa;
use crate::seed::seed_of;
use crate::text::{train_tokenizer, LisaTokenizer};
use crate::weights::{save_model_dir, LisaConfig, Weights};

/// Writes a new model directory to `out`: weights drawn at random by `seed`, and a tokenizer of at most `vocab_size` tokens
/// trained on `texts`.
///
/// The vocabulary size and the special tokens of `config` are replaced by those of that tokenizer.
///
/// # Errors
/// Too few texts for a tokenizer, or a place that cannot be written.
pub fn new_model<'a>(
    config: &LisaConfig,
    texts: impl Iterator<Item = &'a str>,
    vocab_size: usize,
    seed: u64,
    out: &Path,
) -> Result<(), TrainError> {
    let json = train_tokenizer(texts, vocab_size)?;
    let tokenizer = LisaTokenizer::from_bytes(json.as_bytes())?;
    let mut config = config.clone();
    config.llama.vocab_size = tokenizer.vocab_size();
    config.tokens.bos = tokenizer.bos_id();
    config.tokens.eos = tokenizer.eos_id();
    config.tokens.seg = tokenizer.seg_id()?;
    config.tokens.im_start = Some(tokenizer.im_start_id()?);
    config.tokens.im_end = Some(tokenizer.im_end_id()?);
    save_model_dir(out, &config, &json, &random_weights(&config, seed)?)?;
    Ok(())
}

/// Every tensor that the network consists of, each drawn from its own stream of random numbers.
///
/// # Errors
/// Sizes of which no network can be built.
pub fn random_weights(
    config: &LisaConfig,
    seed: u64,
) -> Result<BTreeMap<String, Tensor>, TrainError> {
    let weights = Weights::made_by(
        move |name, shape| initial(name, shape, seed),
        DType::F32,
        &Device::Cpu,
    );
    Lisa::load(&weights, config)?;
    let mut tensors = BTreeMap::new();
    for (name, shape) in weights.names() {
        tensors.insert(name.clone(), weights.get(shape, &name)?);
    }
    Ok(tensors)
}

/// Parts of the names of layers whose result is added to a residual. They begin small, so that the sum over many layers does not
/// grow.
const RESIDUAL: [&str; 7] = [
    "o_proj.",
    "down_proj.",
    "attn.proj.",
    "mlp.lin2.",
    "out_proj.",
    "fc2.",
    "mlp.2.",
];

/// A new tensor of the network, f32 on the CPU: random numbers of a deviation that suits its place, or the ones and zeros that a
/// norm begins with. Name, shape and seed decide its numbers.
///
/// # Errors
/// A shape that no tensor of this name has.
pub fn initial(name: &str, shape: &[usize], seed: u64) -> candle_core::Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed_of(seed, name));
    let mut draw = |deviation: f64| {
        normal(&mut rng, shape, deviation).map_err(|e| candle_core::Error::Msg(e.to_string()))
    };
    let (zeros, ones) = (
        || Tensor::zeros(shape, DType::F32, &Device::Cpu),
        || Tensor::ones(shape, DType::F32, &Device::Cpu),
    );
    if name.ends_with("pos_embed") || name.ends_with("position_embedding.weight") {
        return positions(name, shape);
    }
    if name.contains("rel_pos_") || name.ends_with(".bias") {
        return zeros();
    }
    if name.contains("gaussian_matrix") {
        return draw(1.0);
    }
    if name.contains("embed_tokens") {
        return draw(0.3);
    }
    if ["_token", "_embed", "class_embedding", "lm_head"]
        .iter()
        .any(|part| name.contains(part))
    {
        return draw(0.02);
    }
    match shape {
        // The scale of a norm.
        [_] => ones(),
        // In a transposed convolution with stride 2 no pixel of the result is a sum over several kernel positions, so its
        // inputs are the channels alone.
        [input, _, 2, 2] => draw(1.0 / (*input as f64).sqrt()),
        [_, rest @ ..] => {
            let fan_in: usize = rest.iter().product();
            let small = RESIDUAL.iter().any(|part| name.contains(part));
            draw(if small { 0.4 } else { 0.8 } / (fan_in as f64).sqrt())
        }
        [] => zeros(),
    }
}

/// Positions as sines and cosines of rows and columns, so that a small model need not learn where its patches lie.
fn positions(name: &str, shape: &[usize]) -> candle_core::Result<Tensor> {
    // (1, grid, grid, dim), or (1 + grid², dim) with the class token first.
    let (cells, dim, class) = match shape {
        [1, rows, columns, dim] => (rows * columns, *dim, 0),
        [entries, dim] if name.ends_with("position_embedding.weight") => (entries - 1, *dim, 1),
        _ => candle_core::bail!("{name}: positions of shape {shape:?}"),
    };
    let grid = (cells as f64).sqrt().round() as usize;
    let quarter = dim / 4;
    let mut values = vec![0f32; class * dim];
    for cell in 0..cells {
        let at = [(cell / grid) as f64, (cell % grid) as f64];
        let mut row = vec![0f32; dim];
        for k in 0..quarter {
            let frequency = (-(k as f64) / quarter as f64 * 100f64.ln()).exp();
            for (axis, position) in at.iter().enumerate() {
                let angle = position * frequency;
                row[2 * axis * quarter + k] = 0.3 * angle.sin() as f32;
                row[(2 * axis + 1) * quarter + k] = 0.3 * angle.cos() as f32;
            }
        }
        values.extend(row);
    }
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Opens the tokenizer of a model directory.
pub fn open_tokenizer(model: &Path) -> Result<Arc<LisaTokenizer>, TrainError> {
    Ok(Arc::new(LisaTokenizer::from_file(
        &model.join("tokenizer.json"),
    )?))
}
