//! The pixels that a shape of LabelMe covers.

use super::polygon::fill_polygon;
use super::ClassMap;

/// An area in pixels of the picture that was labelled; whole numbers are the left and upper borders of pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Area {
    /// Three corners or more. The outline belongs to it, as the reference draws it.
    Polygon(Vec<Point>),
    /// Two opposite corners.
    Rectangle([Point; 2]),
    /// A circle.
    Circle {
        /// Its centre.
        centre: Point,
        /// A point on its rim.
        rim: Point,
    },
    /// The pixels at which a map is not 0.
    Mask {
        /// Where the map's upper left pixel lies in the picture.
        at: (i64, i64),
        /// The map.
        map: ClassMap,
    },
}

/// A position as (x, y), in pixels.
pub(super) type Point = (f64, f64);

impl Area {
    /// Sets the pixels that the area covers to `value`. `scale` has the factors in x and y from the picture that was labelled to
    /// this one.
    pub fn draw(&self, scale: Point, pixels: &mut [u8], (width, height): (u32, u32), value: u8) {
        let scaled = |p: &Point| (p.0 * scale.0, p.1 * scale.1);
        let w = width as usize;
        match self {
            // Fractions of pixels are cut off, as in the reference.
            Self::Polygon(corners) => {
                let whole = |p: &Point| {
                    let (x, y) = scaled(p);
                    (x as i32, y as i32)
                };
                let corners: Vec<(i32, i32)> = corners.iter().map(whole).collect();
                fill_polygon(pixels, width, height, &corners, value);
            }
            Self::Rectangle(corners) => {
                let [(ax, ay), (bx, by)] = corners.map(|p| scaled(&p));
                let rows = within(ay.min(by).trunc(), ay.max(by).trunc(), height);
                let columns = within(ax.min(bx).trunc(), ax.max(bx).trunc(), width);
                for y in rows {
                    pixels[y * w..][columns.clone()].fill(value);
                }
            }
            Self::Circle { centre, rim } => {
                let (centre, rim) = (scaled(centre), scaled(rim));
                let radius = (centre.0 - rim.0).hypot(centre.1 - rim.1);
                // The pixels whose middles are at most `reach` away.
                let near = |middle: f64, reach: f64, most: u32| {
                    let (from, to) = (middle - reach - 0.5, middle + reach - 0.5);
                    within(from.ceil(), to.floor(), most)
                };
                for y in near(centre.1, radius, height) {
                    let dy = y as f64 + 0.5 - centre.1;
                    let reach = (radius * radius - dy * dy).max(0.0).sqrt();
                    pixels[y * w..][near(centre.0, reach, width)].fill(value);
                }
                // A circle covers at least the pixel of its centre.
                let (x, y) = (centre.0.floor(), centre.1.floor());
                for y in within(y, y, height) {
                    pixels[y * w..][within(x, x, width)].fill(value);
                }
            }
            Self::Mask { at, map } => {
                let side = |at: i64, length: u32, scale: f64, most: u32| {
                    let (from, to) = (at as f64, at as f64 + f64::from(length));
                    within((from * scale).floor(), (to * scale).ceil(), most)
                };
                // The pixel of the mask on which the middle of a pixel of the picture falls.
                let source = |to: usize, scale: f64, at: i64, length: u32| {
                    let from = ((to as f64 + 0.5) / scale).floor() as i64 - at;
                    usize::try_from(from).ok().filter(|i| *i < length as usize)
                };
                for y in side(at.1, map.height, scale.1, height) {
                    let Some(v) = source(y, scale.1, at.1, map.height) else {
                        continue;
                    };
                    for x in side(at.0, map.width, scale.0, width) {
                        let inside = source(x, scale.0, at.0, map.width)
                            .is_some_and(|u| map.pixels[v * map.width as usize + u] != 0);
                        if inside {
                            pixels[y * w + x] = value;
                        }
                    }
                }
            }
        }
    }

    /// Why the area covers no pixel of a picture of this size, in words.
    pub fn why_unseen(&self, scale: Point, (width, height): (u32, u32)) -> String {
        let points: Vec<Point> = match self {
            Self::Polygon(corners) => corners.clone(),
            Self::Rectangle(corners) => corners.to_vec(),
            Self::Circle { centre, .. } => vec![*centre],
            Self::Mask { map, .. } if map.pixels.iter().all(|p| *p == 0) => {
                return "covers no pixel: its mask is empty".to_owned()
            }
            Self::Mask { at, map } => {
                let (x, y) = (at.0 as f64, at.1 as f64);
                vec![
                    (x, y),
                    (x + f64::from(map.width), y + f64::from(map.height)),
                ]
            }
        };
        let range = |side: fn(&Point) -> f64, scale: f64| {
            let sides = points.iter().map(|p| side(p) * scale);
            let (least, most) = sides.fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
            format!("{least:.0} to {most:.0}")
        };
        let (x, y) = (range(|p| p.0, scale.0), range(|p| p.1, scale.1));
        format!("lies outside of the picture: x {x} and y {y} of {width}×{height} pixels")
    }
}

/// The whole numbers from `from` to `to`, both included, that are at least 0 and less than `most`.
fn within(from: f64, to: f64, most: u32) -> std::ops::Range<usize> {
    let most = f64::from(most);
    let from = from.clamp(0.0, most) as usize;
    let to = (to + 1.0).clamp(0.0, most) as usize;
    from..to.max(from)
}

#[cfg(test)]
mod tests {
    use super::super::shape::Shape;
    use super::super::testing::{png_base64, shape};
    use super::Point;
    use serde_json::{json, Value};

    fn rows(shape: Value, scale: Point, (width, height): (u32, u32)) -> Vec<String> {
        let shape = Shape::parse(&shape).unwrap().unwrap();
        let mut pixels = vec![0; (width * height) as usize];
        shape.area.draw(scale, &mut pixels, (width, height), 1);
        let row = |row: &[u8]| row.iter().map(|p| [".", "#"][usize::from(*p)]).collect();
        pixels.chunks(width as usize).map(row).collect()
    }

    #[test]
    fn a_rectangle_is_filled_from_corner_to_corner() {
        let want = ["......", "..###.", "..###.", "......"];
        for points in [
            json!([[2, 1], [4, 2]]),
            json!([[4.9, 2.5], [2.3, 1.2]]),
            json!([[2, 1], [4, 1], [4, 2], [2, 2]]),
        ] {
            assert_eq!(rows(shape("rectangle", points), (1.0, 1.0), (6, 4)), want);
        }
        let beyond = shape("rectangle", json!([[-1e9, 2.0], [1e9, 1e30]]));
        assert_eq!(
            rows(beyond, (1.0, 1.0), (3, 4)),
            ["...", "...", "###", "###"]
        );
    }

    #[test]
    fn a_circle_is_round_and_as_large_as_it_is() {
        let disc = rows(
            shape("circle", json!([[3.5, 3.5], [3.5, 6.0]])),
            (1.0, 1.0),
            (7, 7),
        );
        assert_eq!(
            disc,
            [".......", "..###..", ".#####.", ".#####.", ".#####.", "..###..", "......."]
        );
        let large = rows(
            shape("circle", json!([[100, 100], [180, 160]])),
            (1.0, 1.0),
            (200, 200),
        );
        let area = large.concat().matches('#').count() as f64;
        let round = std::f64::consts::PI * 100.0 * 100.0;
        assert!((area / round - 1.0).abs() < 0.01, "{area} of {round}");
        let dot = rows(
            shape("circle", json!([[1.2, 0.9], [1.2, 1.0]])),
            (1.0, 1.0),
            (3, 2),
        );
        assert_eq!(dot, [".#.", "..."]);
        let cut = rows(
            shape("circle", json!([[-1, 1], [2, 1]])),
            (1.0, 1.0),
            (4, 3),
        );
        assert_eq!(cut, ["##.."; 3]);
    }

    #[test]
    fn a_mask_is_placed_where_its_corners_are() {
        let mut mask = shape("mask", json!([[1, 1], [3, 2]]));
        mask["mask"] = png_base64(3, 2, &[1, 0, 1, 255, 1, 0]).into();
        let want = [".....", ".#.#.", ".##..", "....."];
        assert_eq!(rows(mask.clone(), (1.0, 1.0), (5, 4)), want);
        let twice = rows(mask.clone(), (2.0, 2.0), (10, 8));
        let double = |row: &str| row.chars().flat_map(|c| [c, c]).collect::<String>();
        let doubled: Vec<String> = want
            .iter()
            .flat_map(|row| [double(row), double(row)])
            .collect();
        assert_eq!(twice, doubled);
        mask["points"] = json!([[4, 3], [6, 4]]);
        assert_eq!(
            rows(mask, (1.0, 1.0), (5, 4)),
            [".....", ".....", ".....", "....#"]
        );
    }
}
