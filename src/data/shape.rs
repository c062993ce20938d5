//! Shapes of LabelMe as its files say them.

use std::io::Cursor;

use serde_json::Value;

use super::area::{Area, Point};
use super::files::decode_classes;
use super::json::base64;
use super::schema::shown;
use super::TruthMask;

/// One shape of a file of labels.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Its name, e.g. `target` or `ignore`.
    pub label: String,
    /// The pixels that it covers.
    pub area: Area,
}

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
}

fn unknown_kind(kind: &str) -> String {
    format!(
        " is of shape_type {kind}, which has no inside that is known here; \
        accepted: polygon, rectangle, circle, mask"
    )
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
    use super::super::testing::{png_base64, shape};
    use super::*;
    use serde_json::json;

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
                mask(json!(png_base64(5, 2, &[1; 10]))),
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
