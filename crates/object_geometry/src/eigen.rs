//! Eigenvalues of a symmetric 3×3 matrix, by Jacobi's rotations.
//!
//! glam has no eigenvalues. The crate glam_matrix_extras 0.4 has them for 32 bits only, and takes each matrix as diagonal whose
//! other entries are below 10⁻⁵, which is what the covariance of a cup looks like. Jacobi's rotations need no such bound, find
//! orthogonal vectors for equal eigenvalues too, and cannot divide by zero (Golub and Van Loan, Matrix Computations, 8.5).

use glam::{DMat3, DVec3};

/// Rotations go over all three pairs this often at most; five sweeps are enough for 64 bits.
const MOST_SWEEPS: usize = 16;

/// The eigenvalues, descending, and their vectors as columns: orthogonal, of length 1 and right-handed.
///
/// The matrix is symmetric and of finite numbers.
pub(crate) fn symmetric_eigen(matrix: DMat3) -> (DVec3, DMat3) {
    let (mut matrix, mut vectors) = (matrix, DMat3::IDENTITY);
    for _ in 0..MOST_SWEEPS {
        let before = matrix;
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            let rotation = jacobi(&matrix, p, q);
            matrix = rotation.transpose() * matrix * rotation;
            vectors *= rotation;
        }
        if matrix == before {
            break;
        }
    }
    let values = matrix.diagonal();
    let mut order = [0, 1, 2];
    order.sort_by(|a: &usize, b: &usize| values[*b].total_cmp(&values[*a]));
    let (first, second) = (vectors.col(order[0]).normalize(), vectors.col(order[1]));
    let second = (second - first * first.dot(second)).normalize();
    let sorted = DVec3::from_array(order.map(|k| values[k]));
    (sorted, DMat3::from_cols(first, second, first.cross(second)))
}

/// The rotation that makes the entry at (p, q) zero, or none where it is zero already.
fn jacobi(matrix: &DMat3, p: usize, q: usize) -> DMat3 {
    let off = matrix.col(q)[p];
    let scale = matrix.col(p)[p].abs() + matrix.col(q)[q].abs();
    let mut rotation = DMat3::IDENTITY;
    if off.abs() <= f64::EPSILON * f64::EPSILON * scale || off == 0.0 {
        return rotation;
    }
    let theta = (matrix.col(q)[q] - matrix.col(p)[p]) / (2.0 * off);
    let tangent = 1.0_f64.copysign(theta) / (theta.abs() + theta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    rotation.col_mut(p)[p] = cosine;
    rotation.col_mut(q)[q] = cosine;
    rotation.col_mut(q)[p] = sine;
    rotation.col_mut(p)[q] = -sine;
    rotation
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symmetric(m: [f64; 6]) -> DMat3 {
        let [a, b, c, d, e, f] = m;
        DMat3::from_cols_array(&[a, b, c, b, d, e, c, e, f])
    }

    #[test]
    fn a_matrix_computed_by_hand() {
        // Eigenvalues 3, 1 and 0.5: the first two lie on the diagonals of x and y.
        let (values, vectors) = symmetric_eigen(symmetric([2.0, 1.0, 0.0, 2.0, 0.0, 0.5]));
        assert!(values.distance(DVec3::new(3.0, 1.0, 0.5)) < 1e-14);
        let half = std::f64::consts::FRAC_1_SQRT_2;
        assert!(vectors.x_axis.cross(DVec3::new(half, half, 0.0)).length() < 1e-14);
        assert!(vectors.y_axis.cross(DVec3::new(half, -half, 0.0)).length() < 1e-14);
    }

    proptest! {
        /// Whatever the scale, equal eigenvalues and zeros included.
        #[test]
        fn the_vectors_are_orthogonal_and_give_the_matrix_back(
            entries in proptest::array::uniform6(prop_oneof![Just(0.0), Just(1.0), -1.0..1.0f64]),
            scale in -12..12i32,
        ) {
            let scale = 10.0f64.powi(scale);
            let matrix = symmetric(entries) * scale;
            let (values, vectors) = symmetric_eigen(matrix);
            prop_assert!(values.x >= values.y && values.y >= values.z);
            let again = vectors * DMat3::from_diagonal(values) * vectors.transpose();
            prop_assert!(again.abs_diff_eq(matrix, 1e-13 * scale));
            prop_assert!((vectors.transpose() * vectors).abs_diff_eq(DMat3::IDENTITY, 1e-13));
            prop_assert!((vectors.determinant() - 1.0).abs() < 1e-13);
        }
    }
}
