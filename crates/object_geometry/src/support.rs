//! The surface that an object stands on, found beside its mask, and the points of the mask that are of that surface.

use glam::{DMat3, DVec3};

use crate::boxes::covariance;
use crate::eigen::symmetric_eigen;
use crate::reject::Continuity;
use crate::{OrientedBox, PixelPoint};

/// Points within this many standard deviations of the plane may be of it.
const DEVIATIONS: f64 = 3.0;
/// The least tolerance, metres: the rounding of millimetres, and what is left of registration.
const LEAST_TOLERANCE: f64 = 2e-3;
/// A plane holds this share of the points beside the mask at least.
const LEAST_SHARE: f64 = 0.3;
/// At most this many points are tried, and this many triples of them.
const TRIED_POINTS: usize = 400;
const TRIED_TRIPLES: usize = 150;
/// Fewer points beside the mask than this say nothing.
const FEWEST: usize = 20;
/// A mask of which a smaller share stands out of the plane is of something flat, and is left as it is.
const STANDS_OUT: f64 = 0.25;
/// A box that ends above the plane by this many tolerances or less stands on it.
const STANDS_ON: f64 = 2.0;
/// The cosine of the angle up to which a plane is level (15°).
const LEVEL: f64 = 0.966;

/// A plane: `normal · p = offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plane {
    /// Of length 1, to the side where the camera is.
    pub normal: DVec3,
    /// Metres from the frame's origin along the normal.
    pub offset: f64,
}

impl Plane {
    /// How far a point lies before the plane, metres; negative behind it.
    pub fn height(&self, point: DVec3) -> f64 {
        self.normal.dot(point) - self.offset
    }
}

/// How far from a plane a point may be measured that is on it, metres.
fn tolerance(point: DVec3, camera: DVec3, continuity: &Continuity) -> f64 {
    (DEVIATIONS * continuity.deviation(point.distance(camera))).max(LEAST_TOLERANCE)
}

/// The plane that holds most of the points beside a mask; `None` where no plane holds three tenths of them.
pub(crate) fn supporting_plane(
    beside: &[PixelPoint],
    camera: DVec3,
    continuity: &Continuity,
) -> Option<Plane> {
    let measured = || {
        let points = beside.iter().map(|point| point.position);
        points.filter(|p| p.is_finite() && p.distance(camera) < 1e5)
    };
    let count = measured().count();
    let step = count.div_ceil(TRIED_POINTS).max(1);
    let tried: Vec<DVec3> = measured().step_by(step).collect();
    if tried.len() < FEWEST {
        return None;
    }
    let is_on =
        |plane: &Plane, p: &DVec3| plane.height(*p).abs() <= tolerance(*p, camera, continuity);
    let best = triples(tried.len())
        .filter_map(|[a, b, c]| Plane::through([tried[a], tried[b], tried[c]], camera))
        .map(|plane| (tried.iter().filter(|p| is_on(&plane, p)).count(), plane))
        .max_by_key(|(count, _)| *count)?;
    let (count, mut plane) = best;
    if (count as f64) < LEAST_SHARE * tried.len() as f64 {
        return None;
    }
    // Once more with those that the first fit finds: three points are as noisy as one.
    for _ in 0..3 {
        let on: Vec<DVec3> = tried.iter().filter(|p| is_on(&plane, p)).copied().collect();
        plane = Plane::fitted(&on, camera)?;
    }
    Some(plane)
}

/// The same triples of different numbers below `count` each time, spread by a congruential generator (Knuth's MMIX).
fn triples(count: usize) -> impl Iterator<Item = [usize; 3]> {
    let mut state = 1u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % count
    };
    (0..TRIED_TRIPLES)
        .map(move |_| [next(), next(), next()])
        .filter(|[a, b, c]| a != b && b != c && a != c)
}

impl Plane {
    fn through([a, b, c]: [DVec3; 3], camera: DVec3) -> Option<Self> {
        let normal = (b - a).cross(c - a).try_normalize()?;
        Some(Self::facing(normal, a, camera))
    }

    /// By least squares.
    fn fitted(points: &[DVec3], camera: DVec3) -> Option<Self> {
        if points.len() < 3 {
            return None;
        }
        let count = points.len() as f64;
        let mean = points.iter().sum::<DVec3>() / count;
        let spread: DMat3 = covariance(points.iter().map(|p| *p - mean), count);
        let (_, axes) = symmetric_eigen(spread);
        Some(Self::facing(axes.z_axis.try_normalize()?, mean, camera))
    }

    fn facing(normal: DVec3, point: DVec3, camera: DVec3) -> Self {
        let normal = match normal.dot(camera - point) < 0.0 {
            true => -normal,
            false => normal,
        };
        Self {
            normal,
            offset: normal.dot(point),
        }
    }
}

/// Which points are of the object: all but those at the mask's rim that lie in the plane.
///
/// `None` where little stands out of the plane: a sheet of paper lies in the table's plane as far as the camera can tell, and taking
/// its rim away would only make it smaller.
pub(crate) fn standing_out(
    points: &[PixelPoint],
    is_rim: impl Fn(usize) -> bool,
    plane: &Plane,
    camera: DVec3,
    continuity: &Continuity,
) -> Option<Vec<bool>> {
    let lies_in = |p: DVec3| plane.height(p).abs() <= tolerance(p, camera, continuity);
    let in_plane: Vec<bool> = points.iter().map(|point| lies_in(point.position)).collect();
    let has_depth = |point: &&PixelPoint| point.position.distance(camera) > 1e-3;
    let with_depth = points.iter().filter(has_depth).count();
    let (mut out, mut kept) = (0, Vec::with_capacity(points.len()));
    for (k, (point, in_plane)) in points.iter().zip(in_plane).enumerate() {
        out += usize::from(!in_plane && has_depth(&point));
        kept.push(!(in_plane && is_rim(k)));
    }
    (out as f64 >= STANDS_OUT * with_depth as f64).then_some(kept)
}

/// Brings a box that stands upright down to a level plane just below it. The lowest points of what stands on a plane cannot be told
/// from the plane, and the box ends above them.
pub(crate) fn stand_on(
    found: &mut OrientedBox,
    plane: &Plane,
    up: DVec3,
    camera: DVec3,
    continuity: &Continuity,
) {
    if plane.normal.dot(up) < LEVEL {
        return;
    }
    let bottom = found.center - up * (found.size.z / 2.0);
    // Along up, from the plane to the middle of the box's bottom.
    let gap = plane.height(bottom) / plane.normal.dot(up);
    if gap > 0.0 && gap <= STANDS_ON * tolerance(bottom, camera, continuity) {
        found.size.z += gap;
        found.center -= up * (gap / 2.0);
    }
}
