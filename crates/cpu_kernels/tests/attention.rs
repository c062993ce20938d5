//! Attention beside plain sums in f64.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

use cpu_kernels::{attention, Bias, DecomposedBias, Heads, Sizes};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Whether the kernels run here; says so where they do not.
fn available(test: &str) -> bool {
    let available = cpu_kernels::available();
    if !available {
        println!("SKIPPED: {test}: this processor has neither AVX2 with FMA nor NEON");
    }
    available
}

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Queries, keys and values side by side in each row, as a joint projection gives them.
fn joint(data: &[f32], sizes: Sizes, width: usize) -> (Heads<'_>, Heads<'_>, Heads<'_>) {
    let (q, kv) = (
        sizes.heads * sizes.head_dim,
        sizes.kv_heads * sizes.head_dim,
    );
    let part = |offset: usize| Heads {
        data: &data[offset..],
        batch_stride: sizes.queries * width,
        head_stride: sizes.head_dim,
        stride: width,
    };
    (part(0), part(q), part(q + kv))
}

/// The same in f64; `added(head of q, query, key)` is the bias.
fn exact(
    (q, k, v): (Heads<'_>, Heads<'_>, Heads<'_>),
    sizes: Sizes,
    scale: f64,
    added: impl Fn(&[f32], usize, usize) -> f64,
) -> Vec<f64> {
    let row = |x: Heads<'_>, batch: usize, head: usize, position: usize| -> Vec<f32> {
        let at = batch * x.batch_stride + head * x.head_stride + position * x.stride;
        x.data[at..at + sizes.head_dim].to_vec()
    };
    let mut out = Vec::new();
    for batch in 0..sizes.batch {
        for query in 0..sizes.queries {
            for head in 0..sizes.heads {
                let shared = head * sizes.kv_heads / sizes.heads;
                let q = row(q, batch, head, query);
                let scores: Vec<f64> = (0..sizes.keys)
                    .map(|key| {
                        let k = row(k, batch, shared, key);
                        let dot: f64 = q
                            .iter()
                            .zip(&k)
                            .map(|(a, b)| f64::from(*a) * f64::from(*b))
                            .sum();
                        (dot * scale + added(&q, query, key)).exp()
                    })
                    .collect();
                let total: f64 = scores.iter().sum();
                for i in 0..sizes.head_dim {
                    let sum: f64 = scores
                        .iter()
                        .enumerate()
                        .map(|(key, s)| s * f64::from(row(v, batch, shared, key)[i]))
                        .sum();
                    out.push(sum / total);
                }
            }
        }
    }
    out
}

fn assert_close(ours: &[f32], exact: &[f64]) {
    assert_eq!(ours.len(), exact.len());
    for (ours, exact) in ours.iter().zip(exact) {
        // Values are within ±1, and so are their means.
        assert!((f64::from(*ours) - exact).abs() < 1e-5, "{ours} {exact}");
    }
}

#[test]
fn plain_and_causal_attention_are_their_sums() {
    if !available("plain_and_causal_attention_are_their_sums") {
        return;
    }
    for (heads, kv_heads, queries) in [(4, 2, 9), (2, 2, 49), (1, 1, 300)] {
        let sizes = Sizes {
            batch: 2,
            heads,
            kv_heads,
            queries,
            keys: queries,
            head_dim: 10,
        };
        let width = (heads + 2 * kv_heads) * 10;
        let data = numbers(2 * queries * width, 3);
        let qkv = joint(&data, sizes, width);
        let ours = attention(qkv, sizes, 0.5, Bias::None, &|| false).unwrap();
        assert_close(&ours, &exact(qkv, sizes, 0.5, |_, _, _| 0.0));
        let ours = attention(qkv, sizes, 0.5, Bias::Causal { first: 0 }, &|| false).unwrap();
        let later = |_: &[f32], query, key| if key > query { f64::NEG_INFINITY } else { 0.0 };
        assert_close(&ours, &exact(qkv, sizes, 0.5, later));
    }
}

/// Sides of a window and of a larger grid: the small one goes to the threads by heads, the large one by blocks of queries.
#[test]
fn decomposed_positions_are_their_sums() {
    if !available("decomposed_positions_are_their_sums") {
        return;
    }
    for side in [5, 15] {
        let (heads, head_dim) = (2, 12);
        let patches = side * side;
        let sizes = Sizes {
            batch: 2,
            heads,
            kv_heads: heads,
            queries: patches,
            keys: patches,
            head_dim,
        };
        let width = 3 * heads * head_dim;
        let data = numbers(2 * patches * width, 5);
        let (rows, columns) = (
            numbers(side * side * head_dim, 6),
            numbers(side * side * head_dim, 7),
        );
        let bias = DecomposedBias::new(&rows, &columns, side, head_dim);
        let qkv = joint(&data, sizes, width);
        let ours = attention(qkv, sizes, 0.3, Bias::Decomposed(&bias), &|| false).unwrap();
        let dot = |q: &[f32], table: &[f32], from: usize, to: usize| -> f64 {
            let entry = &table[(from * side + to) * head_dim..][..head_dim];
            q.iter()
                .zip(entry)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum()
        };
        let positions = |q: &[f32], query: usize, key: usize| {
            dot(q, &rows, query / side, key / side) + dot(q, &columns, query % side, key % side)
        };
        assert_close(&ours, &exact(qkv, sizes, 0.3, positions));
    }
}

/// A stop that comes ends the work without a result, whenever it comes.
#[test]
fn a_stop_is_heard() {
    if !available("a_stop_is_heard") {
        return;
    }
    for queries in [9, 300] {
        let sizes = Sizes {
            batch: 3,
            heads: 2,
            kv_heads: 2,
            queries,
            keys: queries,
            head_dim: 8,
        };
        let width = 3 * 2 * 8;
        let data = numbers(3 * queries * width, 3);
        let qkv = joint(&data, sizes, width);
        for after in 0..3 {
            let asked = std::cell::Cell::new(0);
            let stop = || asked.replace(asked.get() + 1) == after;
            assert!(attention(qkv, sizes, 1.0, Bias::None, &stop).is_none());
        }
    }
}
