//! An exponential that the compiler can vectorise. That of the C library is a call for every element.

/// eˣ, with an error of 2 units in the last place and without a branch or a call. x is split into n · ln 2 + r; 2ⁿ is
/// written into the exponent bits, and eʳ is a polynomial with the coefficients of Cephes' expf. Below −87 the result is 0, above
/// 88 it is that of 88, and NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // 1.5 · 2²³: adding it to a number rounds the number to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // The comparisons are false for NaN, so that NaN stays.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let clamped = if clamped > 88.0 { 88.0 } else { clamped };
    let n = clamped * std::f32::consts::LOG2_E + ROUND;
    let exponent = (n.to_bits() << 23).wrapping_add(127 << 23);
    let n = n - ROUND;
    let r = clamped - n * 0.693_359_4;
    let r = r - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let p = p * r * r + r + 1.0;
    let y = p * f32::from_bits(exponent);
    if x < -87.0 {
        0.0
    } else {
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.5e-7, "exp({x}): {error}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::INFINITY) > 1e38);
        assert!(exp(f32::NAN).is_nan());
    }
}
