//! The golden data of the reference, for the tests of this folder.

use ::image::RgbImage;

use crate::testing::golden_dir;

/// The picture that the golden data were computed from.
pub(super) fn image() -> RgbImage {
    super::read_image(golden_dir().join("image.png")).unwrap()
}

/// Shape and values of a float tensor of `expected.safetensors`.
pub(super) fn tensor(name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(golden_dir().join("expected.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32);
    let values = tensor.data().chunks_exact(4);
    let values = values.map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    (tensor.shape().to_vec(), values.collect())
}

/// ‖a − b‖ / ‖b‖
pub(super) fn relative_l2<'a>(a: impl IntoIterator<Item = &'a f32>, b: &[f32]) -> f64 {
    let a: Vec<f32> = a.into_iter().copied().collect();
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(a - b))).sum();
    let norm: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm).sqrt()
}
