//! [`BlockMatrix`]: a weight whose rows are stored in blocks of small integers, in ggml's formats.
//!
//! In a model directory such a weight is a tensor of bytes, `(rows, bytes of a row)`, whose name ends in the format:
//! `model.layers.0.mlp.up_proj.weight.q4_k`. So the file says by itself what is quantized and how, and any program that reads
//! safetensors can copy it. The blocks are those of GGUF files, byte for byte.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Tensor};
use cpu_kernels::BlockFormat;
use half::f16;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How a quantized weight may be stored: what `lisa convert --quantize` accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockType {
    /// 8 bits and a scale for every 32 numbers, 8.5 bits a number.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// 4 bits, and scales and offsets of two levels, 4.5 bits a number. Rows that are no multiple of 256 numbers are stored with a
    /// scale and an offset for every 32 numbers (Q4_1, 5 bits a number).
    #[serde(rename = "q4_k")]
    Q4K,
}

impl BlockType {
    /// The name, as it stands in `lisa.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
        }
    }

    /// Bytes of a number in the largest blocks of this type, with its share of what the block's numbers have in common.
    pub fn bytes_a_number(self) -> f64 {
        let format = match self {
            Self::Q8_0 => BlockFormat::Q8_0,
            Self::Q4K => BlockFormat::Q4K,
        };
        format.bytes() as f64 / format.numbers() as f64
    }

    /// The format for rows of so many numbers; `None` where no block fits.
    fn format(self, row: usize) -> Option<BlockFormat> {
        let formats: &[BlockFormat] = match self {
            Self::Q8_0 => &[BlockFormat::Q8_0],
            Self::Q4K => &[BlockFormat::Q4K, BlockFormat::Q4_1],
        };
        let fits = |format: &&BlockFormat| row > 0 && format.row_bytes(row).is_some();
        formats.iter().find(fits).copied()
    }
}

impl fmt::Display for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which weights of a model are quantized, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantization {
    /// The linear layers of the language model. Its output table is stored as q8_0 in any case, because every word is chosen by
    /// it, and its input table, of which a row a token is read, is not quantized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_model: Option<BlockType>,
    /// The linear layers of the two image encoders, CLIP's and SAM's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoders: Option<BlockType>,
}

/// What is to become of the weights of a model, part by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuantizationChange {
    /// As in [`Quantization`]: the type of the blocks, or `Some(None)` for none; `None` leaves this part as it is.
    pub language_model: Option<Option<BlockType>>,
    /// The same for the image encoders.
    pub encoders: Option<Option<BlockType>>,
}

impl QuantizationChange {
    /// How a model is stored then that is stored like `now`, in the form of `lisa.json`: nothing for one that is not quantized.
    pub(crate) fn of(self, now: Option<Quantization>) -> Option<Quantization> {
        let now = now.unwrap_or_default();
        let then = Quantization {
            language_model: self.language_model.unwrap_or(now.language_model),
            encoders: self.encoders.unwrap_or(now.encoders),
        };
        (then != Quantization::default()).then_some(then)
    }
}

const LM_HEAD: &str = "lm_head.weight";
const LANGUAGE_MODEL: &str = "model.layers.";
const IMAGE_ENCODERS: [(&str, &str); 2] = [
    (super::VISION_TOWER_PREFIX, ".encoder.layers."),
    (super::SAM_PREFIX, ".image_encoder.blocks."),
];

impl Quantization {
    /// The format in which a tensor is stored; `None` for one that keeps its numbers.
    pub(crate) fn format(&self, name: &str, shape: &[usize]) -> Option<BlockFormat> {
        let &[_, row] = shape else { return None };
        if !name.ends_with(".weight") {
            return None;
        }
        let encoder = |(prefix, layers): &(&str, &str)| {
            let rest = name.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.contains(layers))
        };
        let chosen = if name == LM_HEAD {
            self.language_model.map(|_| BlockType::Q8_0)
        } else if name.starts_with(LANGUAGE_MODEL) {
            self.language_model
        } else if IMAGE_ENCODERS.iter().any(encoder) {
            self.encoders
        } else {
            None
        };
        chosen?.format(row)
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("language model", self.language_model),
            ("image encoders", self.encoders),
        ];
        let mut said = parts
            .into_iter()
            .filter_map(|(part, blocks)| Some(format!("{part} in {}", blocks?)));
        match (said.next(), said.next()) {
            (Some(one), Some(other)) => write!(f, "{one}, {other}"),
            (Some(one), None) => f.write_str(&one),
            _ => f.write_str("not quantized"),
        }
    }
}

/// The ends of the names of tensors of blocks.
const SUFFIXES: [(BlockFormat, &str); 3] = [
    (BlockFormat::Q8_0, ".q8_0"),
    (BlockFormat::Q4_1, ".q4_1"),
    (BlockFormat::Q4K, ".q4_k"),
];

/// The name in the file of a weight that is stored in blocks.
pub(crate) fn stored_name(name: &str, format: BlockFormat) -> String {
    let suffix = SUFFIXES.iter().find(|(f, _)| *f == format);
    format!("{name}{}", suffix.map_or("", |(_, suffix)| suffix))
}

/// The weight that a tensor of bytes stands for: its name, and its format. `None` for any other tensor.
pub(super) fn parse_stored_name(stored: &str) -> Option<(&str, BlockFormat)> {
    SUFFIXES.iter().find_map(|(format, suffix)| {
        let name = stored.strip_suffix(suffix)?;
        Some((name, *format))
    })
}

const fn ggml(format: BlockFormat) -> GgmlDType {
    match format {
        BlockFormat::Q8_0 => GgmlDType::Q8_0,
        BlockFormat::Q4_1 => GgmlDType::Q4_1,
        BlockFormat::Q4K => GgmlDType::Q4K,
    }
}

/// The block format of a tensor in a GGUF file, if it is one of those that the kernels compute with.
pub(super) fn of_ggml(dtype: GgmlDType) -> Option<BlockFormat> {
    let same = |(format, _): &&(BlockFormat, &str)| ggml(*format) == dtype;
    SUFFIXES.iter().find(same).map(|(format, _)| *format)
}

/// A matrix in blocks, `(rows, columns)`. It is cheap to clone.
#[derive(Clone)]
pub struct BlockMatrix {
    format: BlockFormat,
    rows: usize,
    columns: usize,
    bytes: Arc<Vec<u8>>,
}

impl fmt::Debug for BlockMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({}, {})", self.format, self.rows, self.columns)
    }
}

impl BlockMatrix {
    /// A matrix of blocks that were read.
    ///
    /// # Errors
    /// A number of bytes that does not belong to the shape.
    pub(super) fn new(
        format: BlockFormat,
        (rows, columns): (usize, usize),
        bytes: Vec<u8>,
    ) -> candle_core::Result<Self> {
        let expected = format.row_bytes(columns).map(|row| row * rows);
        if expected != Some(bytes.len()) {
            candle_core::bail!(
                "a matrix ({rows}, {columns}) in {format:?} does not have {} bytes",
                bytes.len()
            )
        }
        Ok(Self {
            format,
            rows,
            columns,
            bytes: Arc::new(bytes),
        })
    }

    /// Quantizes a matrix `(rows, columns)`, on all threads. Each number is rounded to the nearest that its block has.
    ///
    /// # Errors
    /// Another number of dimensions, or rows that blocks do not fit in.
    pub(crate) fn quantize(tensor: &Tensor, format: BlockFormat) -> candle_core::Result<Self> {
        let (rows, columns) = tensor.dims2()?;
        let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let tensor = tensor.contiguous()?;
        // Rows are quantized one by one in any case, so that pieces of the matrix give its very blocks.
        const PIECE: usize = 64;
        let starts: Vec<usize> = (0..rows).step_by(PIECE).collect();
        let pieces = starts.into_par_iter().map(|start| {
            // Copied, because candle's quantization takes a tensor's memory from its beginning, wherever the tensor begins in it.
            let piece = tensor
                .narrow(0, start, PIECE.min(rows - start))?
                .force_contiguous()?;
            let blocks = QTensor::quantize(&piece, ggml(format))?;
            Ok(blocks.data()?.into_owned())
        });
        let pieces = pieces.collect::<candle_core::Result<Vec<_>>>()?;
        Self::new(format, (rows, columns), pieces.concat())
    }

    /// Random blocks, whose numbers have about the deviation of a new network's. Drawing them is much faster than quantizing random
    /// numbers.
    pub(crate) fn random(
        format: BlockFormat,
        (rows, columns): (usize, usize),
        seed: u64,
    ) -> candle_core::Result<Self> {
        const DEVIATION: f32 = 0.02;
        // Integers of 8 bits have a deviation of 73 around 0, those of 4 bits 4.6 around 7.5; multiples of 6 bits are 32 on average.
        let (scale, offset) = match format {
            BlockFormat::Q8_0 => (DEVIATION / 73.0, None),
            BlockFormat::Q4_1 => (DEVIATION / 4.6, Some(-7.5)),
            BlockFormat::Q4K => (DEVIATION / 4.6 / 32.0, Some(7.5)),
        };
        let mut bytes = vec![0; format.row_bytes(columns).unwrap_or_default() * rows];
        ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        for block in bytes.chunks_exact_mut(format.bytes()) {
            block[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
            if let Some(offset) = offset {
                block[2..4].copy_from_slice(&f16::from_f32(scale * offset).to_le_bytes());
            }
        }
        Self::new(format, (rows, columns), bytes)
    }

    /// How the blocks are stored.
    pub(crate) fn format(&self) -> BlockFormat {
        self.format
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The blocks, row by row.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The blocks as candle computes with them, on a device.
    pub(crate) fn tensor(&self, device: &Device) -> candle_core::Result<QTensor> {
        let storage = QStorage::from_data(Cow::Borrowed(&self.bytes), device, ggml(self.format))?;
        QTensor::new(storage, (self.rows, self.columns))
    }

    /// The numbers, `(rows, columns)`, in f32 on the CPU.
    pub(crate) fn dequantize(&self) -> candle_core::Result<Tensor> {
        self.tensor(&Device::Cpu)?.dequantize(&Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rows: usize, columns: usize) -> Tensor {
        crate::nn::testing::random((rows, columns))
    }

    /// The largest difference of a block is half a step, and a step is the block's range by the number of integers.
    #[test]
    fn numbers_are_rounded_to_the_nearest_of_their_block() {
        for (format, columns, steps) in [
            (BlockFormat::Q8_0, 96, 254.0),
            (BlockFormat::Q4_1, 96, 15.0),
        ] {
            let tensor = random(130, columns);
            let matrix = BlockMatrix::quantize(&tensor, format).unwrap();
            let back = matrix.dequantize().unwrap();
            let rows = tensor.to_vec2::<f32>().unwrap();
            for (row, back) in rows.iter().zip(back.to_vec2::<f32>().unwrap()) {
                for (block, back) in row.chunks(32).zip(back.chunks(32)) {
                    let largest = block.iter().fold(0f32, |a, b| a.max(b.abs()));
                    let step = 2.0 * largest / steps;
                    for (a, b) in block.iter().zip(back) {
                        // Scales are f16 themselves, which adds one part in 2048 of the number.
                        assert!((a - b).abs() <= 0.5 * step + largest / 1024.0, "{a} {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn pieces_are_the_whole() {
        let tensor = random(150, 256);
        let pieces = BlockMatrix::quantize(&tensor, BlockFormat::Q4K).unwrap();
        let whole = QTensor::quantize(&tensor, GgmlDType::Q4K).unwrap();
        assert_eq!(pieces.bytes(), &*whole.data().unwrap());
    }

    #[test]
    fn what_is_quantized_and_how() {
        let both = Quantization {
            language_model: Some(BlockType::Q4K),
            encoders: Some(BlockType::Q8_0),
        };
        let of = |name: &str, shape: &[usize]| both.format(name, shape);
        let q_proj = "model.layers.0.self_attn.q_proj.weight";
        assert_eq!(of(q_proj, &[512, 512]), Some(BlockFormat::Q4K));
        assert_eq!(of(q_proj, &[512, 192]), Some(BlockFormat::Q4_1));
        assert_eq!(of(q_proj, &[512, 190]), None);
        assert_eq!(of("lm_head.weight", &[100, 512]), Some(BlockFormat::Q8_0));
        assert_eq!(of("model.embed_tokens.weight", &[100, 512]), None);
        assert_eq!(of("model.layers.0.input_layernorm.weight", &[512]), None);
        let tower = format!(
            "{}.vision_model.encoder.layers.1.mlp.fc1.weight",
            super::super::VISION_TOWER_PREFIX
        );
        assert_eq!(of(&tower, &[64, 64]), Some(BlockFormat::Q8_0));
        assert_eq!(
            of(
                "model.visual_model.image_encoder.blocks.2.attn.qkv.weight",
                &[64, 64]
            ),
            Some(BlockFormat::Q8_0)
        );
        assert_eq!(
            of(
                "model.visual_model.mask_decoder.iou_token.weight",
                &[1, 256]
            ),
            None
        );
        assert_eq!(Quantization::default().format(q_proj, &[512, 512]), None);
        for (format, _) in SUFFIXES {
            let stored = stored_name(q_proj, format);
            assert_eq!(parse_stored_name(&stored), Some((q_proj, format)));
        }
        assert_eq!(
            both.to_string(),
            "language model in q4_k, image encoders in q8_0"
        );
    }
}
