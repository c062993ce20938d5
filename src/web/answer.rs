//! An answer as JSON.

use ::image::GrayImage;
use coco_rle::Rle;
use serde_json::{json, Map, Value};

use super::form::MaskFormat;
use super::pictures::Picture;
use crate::engine::{Answer, AttentionMap, ObjectMask};
use crate::image::{encode_png, union_masks, Pixels};

/// Writes the answer to one question.
pub struct AnswerWriter {
    pub picture: Picture,
    pub instruction: String,
    pub conversation: Option<String>,
    pub masks: MaskFormat,
}

impl AnswerWriter {
    /// What is known before the first word: the picture's id and size.
    pub fn accepted(&self) -> Value {
        json!({"picture": self.picture()})
    }

    fn picture(&self) -> Value {
        let (width, height) = self.picture.frame.pixels().dimensions();
        json!({"id": self.picture.id, "width": width, "height": height})
    }

    /// An object; boxes and masks in pixels of the picture.
    pub fn object(&self, object: &ObjectMask) -> Value {
        let roi = object.roi;
        let mut written = json!({
            "id": object.index,
            "label": object.label,
            "score": object.score,
            "box": {"x": roi.x, "y": roi.y, "width": roi.width, "height": roi.height},
            "area": object.area,
        });
        if self.masks != MaskFormat::None {
            // Run lengths of a large picture take some milliseconds, during which other requests go on.
            written["mask"] = tokio::task::block_in_place(|| self.mask(object));
        }
        written
    }

    fn mask(&self, object: &ObjectMask) -> Value {
        let (width, height) = self.picture.frame.pixels().dimensions();
        let whole: GrayImage = union_masks(width, height, [(object.roi, &*object.mask)]);
        match self.masks {
            MaskFormat::None => Value::Null,
            MaskFormat::Rle => {
                let inside: Vec<bool> = whole.as_raw().iter().map(|pixel| *pixel > 0).collect();
                // A picture within the limits has fewer pixels than run lengths can count, and numbers and text are always JSON.
                let rle = Rle::encode(width, height, &inside).ok();
                rle.and_then(|rle| serde_json::to_value(rle).ok())
                    .unwrap_or_default()
            }
            MaskFormat::Png => {
                let png = encode_png(&Pixels::Gray(whole)).ok();
                png.map(|png| json!(base64::encode(png)))
                    .unwrap_or_default()
            }
        }
    }

    /// The whole answer.
    pub fn answer(&self, answer: &Answer) -> Value {
        let objects: Vec<Value> = answer.objects.iter().map(|o| self.object(o)).collect();
        let seconds: Map<String, Value> = answer
            .timings
            .named_seconds()
            .map(|(name, seconds)| (name.to_owned(), json!(seconds)))
            .collect();
        json!({
            "instruction": self.instruction,
            "status": answer.status.name(),
            "answer": answer.text,
            "objects": objects,
            "picture": self.picture(),
            "conversation": self.conversation,
            "attention": answer.attention.as_ref().map(attention),
            "tokens": answer.tokens,
            "truncated": answer.truncated,
            "notes": answer.notes,
            "seconds": seconds,
        })
    }
}

/// Where the model looked: the weights of a grid of tokens, row by row, and where the grid lies on the picture.
fn attention(map: &AttentionMap) -> Value {
    let view = map.view;
    json!({
        "on_image": map.on_image(),
        "on_s": map.sink,
        "grid": map.grid,
        "weights": map.weights,
        "view": {"x": view.left, "y": view.top, "width": view.width, "height": view.height},
    })
}
