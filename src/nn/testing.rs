//! Compares a fused operation with its plain composition, for unit tests.

use std::cell::RefCell;

use candle_core::{DType, Device, Shape, Tensor, Var};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Result;

thread_local! {
    static RNG: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(0));
}

/// A tensor of normal random numbers. Every call gives other numbers, and every run gives the same: a test that failed once in a
/// thousand runs could not be repeated.
pub fn random(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let values: Vec<f32> = RNG.with_borrow_mut(|rng| {
        let count = shape.elem_count();
        StandardNormal.sample_iter(rng).take(count).collect()
    });
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// ‖a − b‖ / ‖b‖, or ‖a − b‖ where b is zero.
pub fn relative_error(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    assert!(b.elem_count() > 0, "nothing to compare");
    let (a, b) = (
        a.to_dtype(DType::F32).unwrap(),
        b.to_dtype(DType::F32).unwrap(),
    );
    let norm = |t: &Tensor| {
        t.sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
            .sqrt()
    };
    let difference = norm(&(&a - &b).unwrap());
    match norm(&b) {
        0.0 => difference,
        n => difference / n,
    }
}

/// Checks that both functions have the same value, and the same gradients of a random weighting of it with respect to every
/// input. Gradients may differ by ten times `tolerance`.
pub fn assert_same_forward_and_gradient(
    inputs: &[Tensor],
    fast: impl Fn(&[Tensor]) -> Result<Tensor>,
    plain: impl Fn(&[Tensor]) -> Result<Tensor>,
    tolerance: f32,
) {
    let vars: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(t).unwrap())
        .collect();
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (a, b) = (fast(&tracked).unwrap(), plain(&tracked).unwrap());
    assert!(
        relative_error(&a, &b) <= tolerance,
        "forward: {}",
        relative_error(&a, &b)
    );
    let untracked = fast(inputs).unwrap();
    assert!(
        relative_error(&untracked, &b) <= tolerance,
        "untracked forward differs"
    );

    let weight = random(b.shape());
    let ga = (a * &weight)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    let gb = (b * &weight)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    for (i, var) in vars.iter().enumerate() {
        let (a, b) = (
            ga.get(var).expect("a gradient"),
            gb.get(var).expect("a gradient"),
        );
        let error = relative_error(a, b);
        assert!(error <= tolerance * 10.0, "gradient of input {i}: {error}");
    }
}
