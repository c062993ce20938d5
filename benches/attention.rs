//! Softmax and SAM's attention on the CPU, ours beside candle's: `cargo bench --bench attention`.
//!
//! The shapes are those of one block of queries in SAM ViT-H's global attention: 16 heads, 32 queries, 64×64 keys.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

use candle_core::{Device, Tensor};
use lisa::nn::{softmax, softmax_biased};

fn main() {
    divan::main();
}

const HEADS: usize = 16;
const QUERIES: usize = 32;
const SIDE: usize = 64;
const HEAD_DIM: usize = 80;

fn random(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap()
}

#[divan::bench]
fn softmax_ours(bencher: divan::Bencher<'_, '_>) {
    let x = random(&[HEADS, QUERIES, SIDE * SIDE]);
    bencher.bench(|| softmax(&x).unwrap());
}

#[divan::bench]
fn softmax_candle(bencher: divan::Bencher<'_, '_>) {
    let x = random(&[HEADS, QUERIES, SIDE * SIDE]);
    bencher.bench(|| candle_nn::ops::softmax_last_dim(&x).unwrap());
}

/// Scores with positions added inside the softmax.
#[divan::bench]
fn positions_fused(bencher: divan::Bencher<'_, '_>) {
    let (q, k) = (
        random(&[1, HEADS, QUERIES, HEAD_DIM]),
        random(&[1, HEADS, HEAD_DIM, SIDE * SIDE]),
    );
    let bias = random(&[1, HEADS, QUERIES, SIDE]);
    bencher.bench(|| softmax_biased(&q.matmul(&k).unwrap(), &bias, &bias).unwrap());
}

/// Scores with positions folded into wider queries and keys.
#[divan::bench]
fn positions_folded(bencher: divan::Bencher<'_, '_>) {
    let wide = HEAD_DIM + 2 * SIDE;
    let (q, k) = (
        random(&[1, HEADS, QUERIES, wide]),
        random(&[1, HEADS, wide, SIDE * SIDE]),
    );
    bencher.bench(|| softmax(&q.matmul(&k).unwrap()).unwrap());
}

/// Scores with positions added as the reference does, by candle's own operations.
#[divan::bench]
fn positions_added(bencher: divan::Bencher<'_, '_>) {
    let (q, k) = (
        random(&[HEADS, QUERIES, HEAD_DIM]),
        random(&[HEADS, HEAD_DIM, SIDE * SIDE]),
    );
    let bias = random(&[HEADS, QUERIES, SIDE]);
    bencher.bench(|| {
        let scores = q
            .matmul(&k)
            .unwrap()
            .reshape((HEADS, QUERIES, SIDE, SIDE))
            .unwrap();
        let scores = scores.broadcast_add(&bias.unsqueeze(3).unwrap()).unwrap();
        let scores = scores.broadcast_add(&bias.unsqueeze(2).unwrap()).unwrap();
        let scores = scores.reshape((HEADS, QUERIES, SIDE * SIDE)).unwrap();
        candle_nn::ops::softmax_last_dim(&scores).unwrap()
    });
}
