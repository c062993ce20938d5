//! Which pixels of a depth image show one surface, and how far that is where they meet.

/// How far apart the depths of two neighbouring pixels may be and still show one surface, as a part of the depth.
///
/// A surface that is turned by α changes its depth by tan α over the focal length from pixel to pixel. So 3 % keeps together what
/// is turned by up to 85° for a camera with a focal length of 400 pixels, and by up to 50° for one with 40, and it parts an
/// object from what is more than 2 cm behind it at 0.6 m.
pub const SAME_SURFACE: f64 = 0.03;

/// The inverse depths, 1/m, of the four pixels around a corner, NaN where there is none.
pub(super) type CornerNeighbours = [f64; 4];

/// The inverse depth of the corner where all that is around it is one surface; `None` where it is not, or where there is nothing.
pub(super) fn shared(around: &CornerNeighbours) -> Option<f64> {
    // The minimum and maximum of NaN and a number are the number.
    let low = around.iter().copied().fold(f64::NAN, f64::min);
    let high = around.iter().copied().fold(f64::NAN, f64::max);
    (high - low <= SAME_SURFACE * high).then(|| mean(around, low, high))
}

/// The inverse depth of the corner on the surface of the pixel with inverse depth `own`, which is one of those around it.
///
/// Surfaces are told apart by the gaps between the readings in their order, so all pixels of one surface agree on the corner's
/// depth, and their patches meet.
pub(super) fn own_surface(around: &CornerNeighbours, own: f64) -> f64 {
    let mut sorted = *around;
    sorted.sort_unstable_by(f64::total_cmp);
    let (mut low, mut high) = (own, own);
    // At most three others can join; from the reading outwards in both directions.
    for value in sorted {
        if value > high && value - high <= SAME_SURFACE * value {
            high = value;
        }
    }
    for value in sorted.into_iter().rev() {
        if value < low && low - value <= SAME_SURFACE * low {
            low = value;
        }
    }
    mean(around, low, high)
}

/// Over a plane, one over the depth is linear in the picture, so its mean is exact at the corner.
fn mean(around: &CornerNeighbours, low: f64, high: f64) -> f64 {
    let members = around.iter().filter(|value| (low..=high).contains(*value));
    let (sum, count) = members.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_surface_shares_its_mean() {
        assert_eq!(shared(&[1.0, 1.01, 1.02, 1.01]), Some(1.01));
        assert_eq!(shared(&[1.0, f64::NAN, 1.02, f64::NAN]), Some(1.01));
        assert_eq!(shared(&[0.0; 4]), Some(0.0));
        assert_eq!(shared(&[1.0, 2.0, 1.0, 1.0]), None);
        assert_eq!(shared(&[0.0, 0.0, 1.0, 1.0]), None);
        assert_eq!(shared(&[f64::NAN; 4]), None);
    }

    #[test]
    fn surfaces_part_at_gaps() {
        let around = [1.0, 2.0, 1.02, 2.02];
        for own in [1.0, 1.02] {
            assert_eq!(own_surface(&around, own), 1.01);
        }
        for own in [2.0, 2.02] {
            assert_eq!(own_surface(&around, own), 2.01);
        }
        // Links of a chain belong together however far its ends are apart, seen from each of them.
        let chain = [1.0, 1.02, 1.04, 1.06];
        for own in chain {
            assert!((own_surface(&chain, own) - 1.03).abs() < 1e-12);
        }
        assert_eq!(own_surface(&[f64::NAN, 0.0, 3.0, 0.0], 0.0), 0.0);
    }
}
