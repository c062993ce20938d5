//! Products, activations and norms beside plain sums in f64.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

use cpu_kernels::{linear, normalise_rows, Activation, Epilogue, Norm, Packed, Source};
use half::{bf16, f16};
use proptest::prelude::*;
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

/// Φ is the normal distribution, whose error function is summed as a series.
fn exact(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::None => x,
        Activation::Gelu => {
            let z = x / 2f64.sqrt();
            let (mut term, mut sum) = (z, z);
            for n in 1..200 {
                term *= -z * z / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            let erf = match z.abs() < 4.0 {
                true => 2.0 / std::f64::consts::PI.sqrt() * sum,
                false => z.signum(), // within 2e-8, and the series loses all its digits
            };
            x * 0.5 * (1.0 + erf)
        }
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Silu => x * sigmoid(x),
        Activation::Relu => x.max(0.0),
    }
}

const ACTIVATIONS: [Activation; 5] = [
    Activation::None,
    Activation::Gelu,
    Activation::QuickGelu,
    Activation::Silu,
    Activation::Relu,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Sizes on both sides of every edge of a tile: rows of the micro-kernel, width of a panel, slice of the depth, task.
    #[test]
    fn a_layer_is_its_sums(
        rows in prop_oneof![1usize..20, 90usize..110],
        depth in prop_oneof![1usize..40, 380usize..390, 760usize..800],
        columns in prop_oneof![1usize..40, 250usize..260],
        seed in any::<u64>(),
    ) {
        prop_assume!(cpu_kernels::available());
        let (x, w) = (numbers(rows * depth, seed), numbers(columns * depth, !seed));
        let (bias, factor, residual) = (
            numbers(columns, seed ^ 1),
            numbers(rows * columns, seed ^ 2),
            numbers(rows * columns, seed ^ 3),
        );
        // Numbers that 16 bits hold exactly, in each of the types.
        let w: Vec<f32> = w.into_iter().map(|w| (w * 64.0).round() / 64.0).collect();
        let (half, brain): (Vec<f16>, Vec<bf16>) = w.iter().map(|w| (f16::from_f32(*w), bf16::from_f32(*w))).unzip();
        let source = [Source::F32(&w), Source::F16(&half), Source::Bf16(&brain)][seed as usize / 8 % 3];
        let packed = Packed::transposed(source, columns, depth);
        let epilogue = Epilogue {
            bias: Some(&bias),
            activation: ACTIVATIONS[seed as usize % ACTIVATIONS.len()],
            factor: Some(&factor),
            residual: Some(&residual),
        };
        let y = linear(&x, &packed, &epilogue);
        for row in 0..rows {
            for column in 0..columns {
                let terms = || (0..depth).map(|k| f64::from(x[row * depth + k]) * f64::from(w[column * depth + k]));
                let at = row * columns + column;
                let sum = terms().sum::<f64>() + f64::from(bias[column]);
                let exact = exact(epilogue.activation, sum) * f64::from(factor[at]) + f64::from(residual[at]);
                let scale = terms().map(f64::abs).sum::<f64>() + 1.0;
                let error = (f64::from(y[at]) - exact).abs() / scale;
                prop_assert!(error < 1e-6, "{} of {:?}: {error}", y[at], epilogue.activation);
            }
        }
    }

    #[test]
    fn a_norm_is_its_formula(rows in 1usize..9, columns in 1usize..300, seed in any::<u64>()) {
        prop_assume!(cpu_kernels::available());
        let x = numbers(rows * columns, seed);
        let (weight, bias) = (numbers(columns, !seed), numbers(columns, seed ^ 1));
        let eps = 1e-5f32;
        let layer = normalise_rows(&x, &Norm::Layer { weight: &weight, bias: &bias, eps });
        let rms = normalise_rows(&x, &Norm::Rms { weight: &weight, eps });
        for (row, x) in x.chunks_exact(columns).enumerate() {
            let mean_of = |f: &dyn Fn(f64) -> f64| x.iter().map(|v| f(f64::from(*v))).sum::<f64>() / columns as f64;
            let mean = mean_of(&|v| v);
            let deviation = (mean_of(&|v| (v - mean).powi(2)) + f64::from(eps)).sqrt();
            let root = (mean_of(&|v| v * v) + f64::from(eps)).sqrt();
            for (i, v) in x.iter().enumerate() {
                let (v, w, b) = (f64::from(*v), f64::from(weight[i]), f64::from(bias[i]));
                let at = row * columns + i;
                let scale = 1.0 / deviation;
                prop_assert!((f64::from(layer[at]) - ((v - mean) / deviation * w + b)).abs() < 2e-6 * scale);
                prop_assert!((f64::from(rms[at]) - v / root * w).abs() < 2e-6 * scale);
            }
        }
    }
}

/// The sum of an element is taken in an order that depends on the depth alone: not on the threads, nor on the rows beside it.
#[test]
fn an_element_does_not_depend_on_threads_or_neighbours() {
    if !available("an_element_does_not_depend_on_threads_or_neighbours") {
        return;
    }
    let (rows, depth, columns) = (211, 1000, 333);
    let (x, w) = (numbers(rows * depth, 1), numbers(columns * depth, 2));
    let packed = Packed::transposed(Source::F32(&w), columns, depth);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| linear(&x, &packed, &Epilogue::default()))
    };
    let all = with(1);
    assert_eq!(all, with(3));
    for (row, x) in x.chunks_exact(depth).enumerate() {
        let alone = linear(x, &packed, &Epilogue::default());
        assert_eq!(alone, all[row * columns..][..columns]);
    }
}

/// Far from zero every activation is what it tends to, and NaN stays NaN, so that a fault stays visible.
#[test]
fn extremes_stay_what_they_are() {
    if !available("extremes_stay_what_they_are") {
        return;
    }
    let packed = Packed::transposed(Source::F32(&[1.0]), 1, 1);
    let x = [-1e4, -200.0, 0.0, 200.0, 1e4, f32::NAN];
    for activation in ACTIVATIONS {
        let epilogue = Epilogue {
            activation,
            ..Epilogue::default()
        };
        let y = linear(&x, &packed, &epilogue);
        let low = if activation == Activation::None {
            x[0]
        } else {
            0.0
        };
        assert!((y[0] - low).abs() < 1e-30, "{activation:?}: {}", y[0]);
        assert_eq!(y[2], 0.0, "{activation:?}");
        assert_eq!((y[3], y[4]), (x[3], x[4]), "{activation:?}");
        assert!(
            y[5].is_nan() || activation == Activation::Relu,
            "{activation:?}"
        );
    }
}
