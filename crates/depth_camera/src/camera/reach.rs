//! How far off its axis a lens model holds.

/// Angle off the optical axis up to which the models are looked at, radians (89.9°). At a right angle a ray has no point in
/// front of the camera.
const MAX_ANGLE: f64 = 1.569_051;

/// The angle, from 0 to [`MAX_ANGLE`], up to which `rises` holds, to a few digits. A polynomial that was fitted to the picture
/// falls again somewhere outside it, and folds the world beyond back into the picture.
pub(super) fn reach(rises: impl Fn(f64) -> bool) -> f64 {
    const STEPS: u32 = 2048;
    let at = |step: u32| MAX_ANGLE * f64::from(step) / f64::from(STEPS);
    let Some(first) = (1..=STEPS).find(|step| !rises(at(*step))) else {
        return MAX_ANGLE;
    };
    let (mut low, mut high) = (at(first - 1), at(first));
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        match rises(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
    low
}
