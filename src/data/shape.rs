//! Shapes of LabelMe, and the pixels that they cover.

use std::io::Cursor;

use serde_json::Value;

use super::files::decode_classes;
use super::form::shown;
use super::json::base64;
use super::polygon::fill_polygon;
use super::{ClassMap, TruthMask};

/// One shape of a file of labels.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Its name, e.g. `target` or `ignore`.
    pub label: String,
    /// The pixels that it covers.
    pub area: Area,
}

/// An area in pixels of the picture that was labelled; whole numbers are the left and upper borders of pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Area {
    /// Three corners or more. The outline belongs to it, as the reference draws it.
    Polygon(Vec<(f64, f64)>),
    /// Two opposite corners.
    Rectangle([(f64, f64); 2]),
    /// A circle.
    Circle {
        /// Its centre.
        centre: (f64, f64),
        /// A point on its rim.
        rim: (f64, f64),
    },
    /// The pixels at which a map is not 0.
    Mask {
        /// Where the map's upper left pixel lies in the picture.
        at: (i64, i64),
        /// The map.
        map: ClassMap,
    },
}

type Point = (f64, f64);

impl Shape {
    /// Parses an entry of `shapes`. Gives `None` for one that the reference leaves out, which is one labelled "flag".
    ///
    /// # Errors
    /// What is wrong, in words that are to follow the shape's place in the list, e.g. `shapes[2]`.
    pub fn parse(value: &Value) -> Result<Option<Self>, String> {
        let Some(shape) = value.as_object() else {
            let value = shown(value);
            return Err(format!(
                " is {value}; accepted: an object with label and points"
            ));
        };
        let label = match shape.get("label") {
            Some(Value::String(label)) => label,
            None | Some(Value::Null) => return Err(" has no label; accepted: text".to_owned()),
            Some(other) => {
                let other = shown(other);
                return Err(format!(".label is {other}; accepted: text"));
            }
        };
        if label.to_lowercase() == "flag" {
            return Ok(None);
        }
        let named = |reason: String| format!(" ('{label}'){reason}");
        let area = Area::parse(shape).map_err(named)?;
        let label = label.to_owned();
        Ok(Some(Self { label, area }))
    }

    /// The value of a mask's pixels that the shape covers.
    pub fn value(&self) -> u8 {
        match self.label.to_lowercase().contains("ignore") {
            true => TruthMask::IGNORED,
            false => 1,
        }
    }
}

impl Area {
    fn parse(shape: &serde_json::Map<String, Value>) -> Result<Self, String> {
        let kind = match shape.get("shape_type") {
            // ReasonSeg's own files and those of LabelMe's oldest versions do not state the kind.
            None | Some(Value::Null) => "polygon",
            Some(Value::String(kind)) => kind.as_str(),
            Some(other) => return Err(unknown_kind(&shown(other))),
        };
        if ![
            "polygon",
            "rectangle",
            "circle",
            "mask",
            "rotation",
            "oriented_rectangle",
        ]
        .contains(&kind)
        {
            return Err(unknown_kind(kind));
        }
        let points = points(shape.get("points"))?;
        let wrong = |accepted: &str| {
            let count = points.len();
            let points = if count == 1 { "point" } else { "points" };
            Err(format!(
                " is a {kind} of {count} {points}; accepted: {accepted}"
            ))
        };
        // A click without moving the mouse leaves such a shape, which would be drawn as a dot or a line.
        let flat = |[a, b]: [Point; 2], accepted: &str| {
            let [a, b] = [a, b].map(|(x, y)| format!("[{x}, {y}]"));
            Err(format!(
                " is a {kind} from {a} to {b}, which has no inside; accepted: {accepted}"
            ))
        };
        match (kind, points.as_slice()) {
            ("rectangle", &[a, b]) if a.0 == b.0 || a.1 == b.1 => {
                flat([a, b], "two opposite corners")
            }
            ("rectangle", &[a, b]) => Ok(Self::Rectangle([a, b])),
            // Some tools write all four corners of a rectangle.
            ("rectangle", [_, _, _, _]) => Ok(Self::Polygon(points)),
            ("rectangle", _) => wrong("two opposite corners, or all four"),
            ("circle", &[centre, rim]) if centre == rim => {
                flat([centre, rim], "its centre and one point of its rim")
            }
            ("circle", &[centre, rim]) => Ok(Self::Circle { centre, rim }),
            ("circle", _) => wrong("two, the centre and one of its rim"),
            ("mask", &[from, to]) => Self::parse_mask(shape.get("mask"), from, to),
            ("mask", _) => wrong("two, the corners of the mask"),
            (_, [] | [_] | [_, _]) => wrong("three or more"),
            _ => Ok(Self::Polygon(points)),
        }
    }

    /// Parses a mask: a PNG in base64 of the pixels from one corner to the other, both included.
    fn parse_mask(mask: Option<&Value>, from: Point, to: Point) -> Result<Self, String> {
        let Some(text) = mask.and_then(Value::as_str) else {
            return Err(" is a mask without its pixels; accepted: a PNG in base64".to_owned());
        };
        let png = base64(text).map_err(|e| format!(".mask is no base64: {e}"))?;
        let map = decode_classes(Cursor::new(png)).map_err(|e| format!(".mask: {e}"))?;
        let size = [to.0 - from.0, to.1 - from.1].map(|side| side.trunc() + 1.0);
        let close = |side: f64, pixels: u32| (side - f64::from(pixels)).abs() <= 1.0;
        if !close(size[0], map.width) || !close(size[1], map.height) {
            return Err(format!(
                ".mask is {}×{} pixels, and its points are the corners of {}×{}",
                map.width, map.height, size[0], size[1]
            ));
        }
        let at = (from.0 as i64, from.1 as i64);
        Ok(Self::Mask { at, map })
    }

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

fn unknown_kind(kind: &str) -> String {
    format!(
        " is of shape_type {kind}, which has no inside that is known here; \
        accepted: polygon, rectangle, circle, mask"
    )
}

/// The whole numbers from `from` to `to`, both included, that are at least 0 and less than `most`.
fn within(from: f64, to: f64, most: u32) -> std::ops::Range<usize> {
    let most = f64::from(most);
    let from = from.clamp(0.0, most) as usize;
    let to = (to + 1.0).clamp(0.0, most) as usize;
    from..to.max(from)
}

fn points(value: Option<&Value>) -> Result<Vec<Point>, String> {
    let Some(Value::Array(points)) = value else {
        let value = value.map_or("missing".to_owned(), shown);
        return Err(format!(".points is {value}; accepted: a list of [x, y]"));
    };
    let point = |(i, value): (usize, &Value)| {
        let numbers = value.as_array().map(|n| n.as_slice());
        match numbers {
            Some([x, y]) => x.as_f64().zip(y.as_f64()),
            _ => None,
        }
        .ok_or_else(|| {
            let value = shown(value);
            format!(".points[{i}] is {value}; accepted: [x, y], two numbers")
        })
    };
    points.iter().enumerate().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(shape: Value, scale: Point, (width, height): (u32, u32)) -> Vec<String> {
        let shape = Shape::parse(&shape).unwrap().unwrap();
        let mut pixels = vec![0; (width * height) as usize];
        shape.area.draw(scale, &mut pixels, (width, height), 1);
        let row = |row: &[u8]| row.iter().map(|p| [".", "#"][usize::from(*p)]).collect();
        pixels.chunks(width as usize).map(row).collect()
    }

    fn shape(kind: &str, points: Value) -> Value {
        json!({"label": "mug", "points": points, "shape_type": kind, "group_id": null, "flags": {"occluded": true}})
    }

    fn png(width: u32, height: u32, pixels: &[u8]) -> String {
        let image = image::GrayImage::from_raw(width, height, pixels.to_vec()).unwrap();
        let mut png = Cursor::new(Vec::new());
        image.write_to(&mut png, image::ImageFormat::Png).unwrap();
        base64::encode(png.into_inner())
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
        mask["mask"] = png(3, 2, &[1, 0, 1, 255, 1, 0]).into();
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

    #[test]
    fn a_flag_is_left_out_whatever_it_is() {
        for flag in [
            json!({"label": "flag"}),
            json!({"label": "Flag", "points": [[1]], "shape_type": "line"}),
        ] {
            assert!(Shape::parse(&flag).unwrap().is_none());
        }
    }

    #[test]
    fn what_has_no_inside_or_is_written_wrong_is_named() {
        let mask = |text: Value| {
            let mut mask = shape("mask", json!([[1, 1], [3, 2]]));
            mask["mask"] = text;
            mask
        };
        for (value, said) in [
            (shape("linestrip", json!([[1, 1], [3, 2]])), "linestrip"),
            (shape("line", json!([[1, 1], [3, 2]])), "shape_type line"),
            (shape("point", json!([[1, 1]])), "shape_type point"),
            (shape("points", json!([[1, 1]])), "shape_type points"),
            (shape("rectangle", json!([[1, 1]])), "rectangle of 1 point;"),
            (shape("circle", json!([])), "circle of 0 points"),
            (shape("polygon", json!([])), "polygon of 0 points"),
            (
                shape("polygon", json!([[1, 1], [2, 2], [1, 2, 3]])),
                "points[2] is [1,2,3]; accepted: [x, y]",
            ),
            (
                shape("polygon", json!([[1, 1], ["2", 2]])),
                "points[1] is [\"2\",2]",
            ),
            (
                shape("polygon", json!([1, 1, 2, 2])),
                "points[0] is 1; accepted: [x, y]",
            ),
            (shape("polygon", json!(null)), "points is null"),
            (json!({"label": "mug"}), "points is missing"),
            (json!({"points": []}), "has no label"),
            (
                json!({"label": 3, "points": []}),
                ".label is 3; accepted: text",
            ),
            (
                shape("polygon", json!([[1, 1]])),
                "('mug') is a polygon of 1 point; accepted: three or more",
            ),
            (
                shape("polygon", json!([[1, 1], [3, 2]])),
                "('mug') is a polygon of 2 points; accepted: three or more",
            ),
            (
                shape("rectangle", json!([[5, 3], [5, 3]])),
                "('mug') is a rectangle from [5, 3] to [5, 3], which has no inside",
            ),
            (
                shape("rectangle", json!([[1.5, 3], [5, 3]])),
                "a rectangle from [1.5, 3] to [5, 3]",
            ),
            (
                shape("circle", json!([[5, 3], [5, 3]])),
                "('mug') is a circle from [5, 3] to [5, 3], which has no inside",
            ),
            (json!("mug"), "is \"mug\"; accepted: an object"),
            (json!({"label": "mug", "shape_type": 3}), "shape_type 3"),
            (mask(json!(null)), "accepted: a PNG in base64"),
            (mask(json!("&&&")), ".mask is no base64"),
            (
                mask(json!("aGVsbG8=")),
                ".mask: it is no picture that is known; accepted: a PNG",
            ),
            (
                mask(json!("/9j/4AAQSkZJRgABAQAAAQABAAD/2Q==")),
                ".mask: it is a picture in Jpeg; accepted: a PNG",
            ),
            (
                mask(json!(png(5, 2, &[1; 10]))),
                "5×2 pixels, and its points are the corners of 3×2",
            ),
        ] {
            let refused = Shape::parse(&value).unwrap_err();
            assert!(
                refused.contains(said) && !refused.contains('\n'),
                "{refused}"
            );
        }
    }
}
