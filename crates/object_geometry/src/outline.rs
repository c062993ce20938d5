//! The outline of points in a plane: convex hull, and rotating calipers around it.

use glam::DVec2;

/// The calipers in one position: two of their sides lie on an edge of the hull and opposite to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Caliper {
    /// Along the edge, of length 1.
    pub along: DVec2,
    /// How far the hull reaches along the edge, metres.
    pub length: f64,
    /// How far it reaches across, metres.
    pub width: f64,
}

impl Caliper {
    pub fn area(&self) -> f64 {
        self.length * self.width
    }
}

/// The convex hull, counterclockwise, without points on its edges (Andrew's monotone chain). One point if all are the same,
/// two if all lie on a line.
pub(crate) fn convex_hull(points: &[DVec2]) -> Vec<DVec2> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    sorted.dedup();
    if sorted.len() < 3 {
        return sorted;
    }
    let mut hull: Vec<DVec2> = Vec::new();
    let mut half = |points: &mut dyn Iterator<Item = &DVec2>| {
        let base = hull.len();
        for &point in points {
            while let [.., a, b] = hull[base..] {
                if (b - a).perp_dot(point - b) > 0.0 {
                    break;
                }
                hull.pop();
            }
            hull.push(point);
        }
        // The last one begins the other half.
        hull.pop();
    };
    half(&mut sorted.iter());
    half(&mut sorted.iter().rev());
    hull
}

/// The calipers on each edge of a hull, all around. On a line there is one position, along it; of one point, one along x.
///
/// The smallest rectangle around a convex polygon has a side on one of its edges (Freeman and Shapira 1975), and so has the
/// narrowest strip; the three points where the calipers touch go around with the edge (Toussaint 1983), which makes this linear.
pub(crate) fn calipers(hull: &[DVec2]) -> Vec<Caliper> {
    let count = hull.len();
    if count < 3 {
        let line = match hull {
            [a, b] => *b - *a,
            _ => DVec2::ZERO,
        };
        return vec![Caliper {
            along: line.try_normalize().unwrap_or(DVec2::X),
            length: line.length(),
            width: 0.0,
        }];
    }
    let at = |k: usize| hull[k % count];
    // Goes on from a point while the next one lies farther in a direction, once around at most.
    let farthest = |from: usize, direction: DVec2| {
        (from..from + count)
            .find(|&k| direction.dot(at(k + 1) - at(k)) <= 0.0)
            .unwrap_or(from)
    };
    let (mut right, mut far, mut left) = (1, 1, 1);
    (0..count)
        .filter_map(|edge| {
            let along = (at(edge + 1) - at(edge)).try_normalize()?;
            right = farthest(right.max(edge + 1), along);
            far = farthest(far.max(right), along.perp());
            left = farthest(left.max(far), -along);
            Some(Caliper {
                along,
                length: along.dot(at(right) - at(left)),
                width: along.perp().dot(at(far) - at(edge)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whole numbers give many points on lines and many equal ones.
    fn points() -> impl Strategy<Value = Vec<DVec2>> {
        let whole = (-4..5i32, -4..5i32).prop_map(|(x, y)| DVec2::new(x.into(), y.into()));
        let any = (-4.0..4.0f64, -4.0..4.0f64).prop_map(|(x, y)| DVec2::new(x, y));
        prop_oneof![
            proptest::collection::vec(whole, 1..30),
            proptest::collection::vec(any, 1..30)
        ]
    }

    fn reach(points: &[DVec2], direction: DVec2) -> f64 {
        let along = points.iter().map(|p| p.dot(direction));
        let most = along.clone().fold(f64::NEG_INFINITY, f64::max);
        most - along.fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #[test]
        fn the_hull_is_convex_and_holds_all_points(points in points()) {
            let hull = convex_hull(&points);
            prop_assert!(hull.iter().all(|p| points.contains(p)));
            if hull.len() > 2 {
                for k in 0..hull.len() {
                    let (a, b) = (hull[k], hull[(k + 1) % hull.len()]);
                    prop_assert!(points.iter().all(|p| (b - a).perp_dot(*p - a) >= -1e-12));
                    prop_assert!((b - a).perp_dot(hull[(k + 2) % hull.len()] - b) > 0.0);
                }
            }
        }

        #[test]
        fn the_calipers_measure_what_projecting_all_points_gives(points in points()) {
            let hull = convex_hull(&points);
            let calipers = calipers(&hull);
            prop_assert_eq!(calipers.len(), if hull.len() < 3 { 1 } else { hull.len() });
            for caliper in calipers {
                prop_assert!((reach(&points, caliper.along) - caliper.length).abs() < 1e-12);
                prop_assert!((reach(&points, caliper.along.perp()) - caliper.width).abs() < 1e-12);
            }
        }

        /// No rectangle at any of 180 angles is smaller.
        #[test]
        fn the_smallest_rectangle_is_among_them(points in points()) {
            let area = |c: &Caliper| c.area();
            let least = calipers(&convex_hull(&points)).iter().map(area).fold(f64::INFINITY, f64::min);
            for degree in 0..180 {
                let along = DVec2::from_angle(f64::from(degree).to_radians());
                prop_assert!(least <= reach(&points, along) * reach(&points, along.perp()) + 1e-9);
            }
        }
    }
}
