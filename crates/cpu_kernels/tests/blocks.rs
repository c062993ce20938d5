//! Quantized weights beside the same weights in f32, taken apart by the definitions of ggml's formats.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

use cpu_kernels::{linear, BlockFormat, Epilogue, Packed, Source};
use half::f16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FORMATS: [BlockFormat; 3] = [BlockFormat::Q8_0, BlockFormat::Q4_1, BlockFormat::Q4K];

/// Random blocks: any integers, and scales between −2 and 2, some of them below the smallest normal number of f16.
fn random_blocks(format: BlockFormat, count: usize, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = vec![0; count * format.bytes()];
    rng.fill(&mut bytes[..]);
    let halves = if format == BlockFormat::Q8_0 { 1 } else { 2 };
    for block in bytes.chunks_exact_mut(format.bytes()) {
        for half in block[..2 * halves].chunks_exact_mut(2) {
            let scale = match rng.random_range(0..4) {
                0 => rng.random_range(-3e-5..3e-5),
                _ => rng.random_range(-2.0f32..2.0),
            };
            half.copy_from_slice(&f16::from_f32(scale).to_le_bytes());
        }
    }
    bytes
}

/// The numbers of a block.
fn numbers(format: BlockFormat, block: &[u8]) -> Vec<f32> {
    let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    match format {
        BlockFormat::Q8_0 => {
            let quants = block[2..].iter().map(|q| f32::from(*q as i8));
            quants.map(|q| half(0) * q).collect()
        }
        BlockFormat::Q4_1 => {
            let low = block[4..].iter().map(|byte| byte & 15);
            let high = block[4..].iter().map(|byte| byte >> 4);
            low.chain(high)
                .map(|q| half(0) * f32::from(q) + half(2))
                .collect()
        }
        BlockFormat::Q4K => {
            let packed = &block[4..16];
            // Twelve bytes hold eight scales and eight offsets of six bits.
            let scale_and_offset = |part: usize| match part < 4 {
                true => (packed[part] & 63, packed[part + 4] & 63),
                false => (
                    (packed[part + 4] & 15) | ((packed[part - 4] >> 6) << 4),
                    (packed[part + 4] >> 4) | ((packed[part] >> 6) << 4),
                ),
            };
            let mut all = Vec::new();
            for part in 0..8 {
                let (s, m) = scale_and_offset(part);
                let (scale, offset) = (half(0) * f32::from(s), half(2) * f32::from(m));
                for byte in &block[16 + part / 2 * 32..][..32] {
                    let q = if part % 2 == 0 { byte & 15 } else { byte >> 4 };
                    all.push(scale * f32::from(q) - offset);
                }
            }
            all
        }
    }
}

#[test]
fn a_quantized_layer_is_the_layer_of_its_numbers() {
    if !cpu_kernels::available() {
        println!("SKIPPED: a_quantized_layer_is_the_layer_of_its_numbers: this processor has neither AVX2 with FMA nor NEON");
        return;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for format in FORMATS {
        for (blocks, columns, rows) in [
            (1, 1, 1),
            (2, 16, 7),
            (3, 33, 2),
            (5, 40, 100),
            (13, 300, 1),
        ] {
            let depth = blocks * format.numbers();
            let bytes = random_blocks(format, blocks * columns, &mut rng);
            let wide: Vec<f32> = bytes
                .chunks_exact(format.bytes())
                .flat_map(|block| numbers(format, block))
                .collect();
            let x: Vec<f32> = (0..rows * depth)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect();
            let quantized = Packed::transposed(Source::Blocks(format, &bytes), columns, depth);
            let plain = Packed::transposed(Source::F32(&wide), columns, depth);
            let y = |packed| linear(&x, packed, &Epilogue::default());
            assert_eq!(y(&quantized), y(&plain), "{format:?}, {depth} x {columns}");
            assert!(quantized.bytes() * 2 < plain.bytes());
        }
    }
}

#[test]
fn rows_that_do_not_fill_blocks_have_no_length() {
    assert_eq!(BlockFormat::Q8_0.row_bytes(64), Some(68));
    assert_eq!(BlockFormat::Q4K.row_bytes(512), Some(288));
    assert_eq!(BlockFormat::Q4K.row_bytes(288), None);
    assert_eq!(BlockFormat::Q4_1.row_bytes(33), None);
}
