//! The labels of a picture: LabelMe's JSON, with `text` and `is_sentence` as ReasonSeg adds them.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::files::broken;
use super::json::{base64, read_json};
use super::schema::{shown, IMAGE_DATA, LABELS};
use super::shape::Shape;
use super::{DataError, TruthMask};

/// What a file of labels says: what is asked about a picture, and where that is in it.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    /// What is asked for, in one or more wordings.
    pub text: Vec<String>,
    /// Whether the text is a sentence and not a name.
    pub is_sentence: bool,
    /// The question word for word, which is asked instead of the template half of the time. ReasonSeg has no such field.
    pub question: Option<String>,
    /// Earlier turns of the conversation. ReasonSeg has no such field.
    pub history: Vec<HistoryTurn>,
    size: LabelledSize,
    /// The shapes, each with its place in the file's list.
    shapes: Vec<(usize, Shape)>,
}

/// The size in pixels of the picture that was labelled, as far as the file states it.
#[derive(Clone, Copy, Debug)]
struct LabelledSize {
    width: Option<f64>,
    height: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct HistoryTurn {
    pub question: String,
    pub answer: String,
    /// Whether the answer says that what was asked for is not in the picture.
    #[serde(default)]
    pub absent: bool,
}

/// The file's fields. Those that people often get wrong are any value here, so that our own error can name the place.
#[derive(Deserialize)]
struct LabelMeFile {
    #[serde(default)]
    text: Value,
    #[serde(default)]
    is_sentence: Value,
    #[serde(default)]
    shapes: Value,
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    history: Vec<HistoryTurn>,
    #[serde(default, rename = "imageWidth")]
    width: Value,
    #[serde(default, rename = "imageHeight")]
    height: Value,
}

impl Labels {
    /// Reads a file of labels.
    ///
    /// # Errors
    /// A file that is missing or wrong, by its path and the place in it.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let written: LabelMeFile = read_json(path, &LABELS)?;
        Self::new(written).map_err(broken(path))
    }

    fn new(written: LabelMeFile) -> Result<Self, String> {
        let texts = "text: what is asked for, as [\"the cup I drink from\"]";
        let text: Vec<String> = match written.text {
            Value::Null => Err(format!("it has no text; accepted: {texts}")),
            value => serde_json::from_value(value.clone())
                .map_err(|_| format!("its text is {}; accepted: {texts}", shown(&value))),
        }?;
        if text.is_empty() || text.iter().any(|t| t.trim().is_empty()) {
            return Err("it has no text, or an empty one".to_owned());
        }
        let sentence = "is_sentence: true where the text is a sentence, false where it is a name";
        let is_sentence = match written.is_sentence {
            Value::Bool(is) => is,
            Value::Null => return Err(format!("it has no is_sentence; accepted: {sentence}")),
            value => {
                let value = shown(&value);
                return Err(format!("its is_sentence is {value}; accepted: {sentence}"));
            }
        };
        let shapes = match written.shapes {
            Value::Array(shapes) => shapes,
            Value::Null => return Err("it has no shapes; accepted: a list of them".to_owned()),
            value => {
                let value = shown(&value);
                return Err(format!("its shapes are {value}; accepted: a list of them"));
            }
        };
        let shapes = shapes.iter().enumerate().filter_map(|(i, value)| {
            let named = |reason| format!("shapes[{i}]{reason}");
            let shape = Shape::parse(value).map_err(named).transpose()?;
            Some(shape.map(|shape| (i, shape)))
        });
        let size = LabelledSize {
            width: side("imageWidth", &written.width)?,
            height: side("imageHeight", &written.height)?,
        };
        Ok(Self {
            text,
            is_sentence,
            question: written.question,
            history: written.history,
            size,
            shapes: shapes.collect::<Result<_, _>>()?,
        })
    }

    /// Whether there is no shape.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// The mask in a picture of this size, in pixels. The largest shape is drawn first, so that it does not cover one that lies
    /// within it.
    ///
    /// # Errors
    /// Shapes that lie outside of the picture, or labels that were made for another picture; in words.
    pub fn mask(&self, width: u32, height: u32) -> Result<TruthMask, String> {
        let (scale, size) = (self.scale(width, height)?, (width, height));
        let mut pixels = vec![0; width as usize * height as usize];
        let mut by_area: Vec<(usize, &Shape)> = Vec::with_capacity(self.shapes.len());
        for (place, shape) in &self.shapes {
            pixels.fill(0);
            shape.area.draw(scale, &mut pixels, size, 1);
            let area = pixels.iter().filter(|p| **p == 1).count();
            if area == 0 {
                // Without this error the model would learn that a labelled object is not there.
                let why = shape.area.why_unseen(scale, size);
                return Err(format!("shapes[{place}] ('{}') {why}", shape.label));
            }
            by_area.push((area, shape));
        }
        // Of shapes with equal areas the later one is drawn first, since the reference reverses a stable sort.
        by_area.sort_by_key(|(area, _)| *area);
        by_area.reverse();
        pixels.fill(0);
        for (_, shape) in by_area {
            shape.area.draw(scale, &mut pixels, size, shape.value());
        }
        Ok(TruthMask {
            width,
            height,
            pixels,
        })
    }

    /// The factors in x and y from the picture that was labelled to the picture as it is now.
    fn scale(&self, width: u32, height: u32) -> Result<(f64, f64), String> {
        let (w, h) = (f64::from(width), f64::from(height));
        let (was_w, was_h) = match (self.size.width, self.size.height) {
            (Some(was_w), Some(was_h)) if (was_w, was_h) != (w, h) => (was_w, was_h),
            (Some(was), None) if was != w => {
                return Err(one_side("imageWidth", was, width, height))
            }
            (None, Some(was)) if was != h => {
                return Err(one_side("imageHeight", was, width, height))
            }
            _ => return Ok((1.0, 1.0)),
        };
        // Resizing a picture rounds at least one of its sides.
        let kept = (was_h * w / was_w - h).abs() <= 1.0 || (was_w * h / was_h - w).abs() <= 1.0;
        match kept {
            true => Ok((w / was_w, h / was_h)),
            false => Err(format!(
                "it labels a picture of {was_w}×{was_h}, and the picture is {width}×{height}, so it was cropped or turned; \
                accepted: the picture that was labelled, of any size"
            )),
        }
    }
}

/// A side of the picture that was labelled, if the file states it.
fn side(name: &str, value: &Value) -> Result<Option<f64>, String> {
    match value.as_f64() {
        _ if value.is_null() => Ok(None),
        Some(side) if side >= 1.0 && side.is_finite() => Ok(Some(side)),
        _ => Err(format!(
            "its {name} is {}; accepted: a number of pixels, 1 or more",
            shown(value)
        )),
    }
}

/// The error if only one side is stated and it differs: a resized picture then looks like a cropped one.
fn one_side(name: &str, was: f64, width: u32, height: u32) -> String {
    format!(
        "its {name} is {was}, and the picture is {width}×{height}; \
        accepted: imageWidth and imageHeight both, to which its labels are scaled, or the picture that was labelled"
    )
}

/// The picture that LabelMe keeps in its file, as the bytes of a picture file.
///
/// # Errors
/// A file without `imageData`, or with one that is not base64.
pub(super) fn image_data(labels: &Path) -> Result<Vec<u8>, DataError> {
    #[derive(Deserialize)]
    struct ImageData {
        #[serde(default, rename = "imageData")]
        data: Option<String>,
    }
    let held: ImageData = read_json(labels, &IMAGE_DATA)?;
    let data = held.data.ok_or_else(|| {
        broken(labels)("there is no picture of its name, and it has no imageData".to_owned())
    })?;
    base64(&data).map_err(|e| broken(labels)(format!("its imageData is no base64: {e}")))
}
