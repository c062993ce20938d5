//! An answer as JSON.

use ::image::GrayImage;
use coco_rle::Rle;
use rosbag2::Header;
use serde_json::{json, Map, Value};

use super::form::MaskFormat;
use super::pictures::Picture;
use super::running::CompleteAnswer;
use crate::engine::{AttentionMap, ObjectMask};
use crate::image::{encode_png, union_masks, Pixels};
use crate::node::{FoundObject, PlacedObject};

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

    /// An object: its box and mask in pixels of the picture, and where there is depth its place in metres, or why there is none.
    pub fn object(&self, found: &FoundObject) -> Value {
        let (object, roi) = (&*found.mask, found.mask.roi);
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
        match (&found.place, &self.picture.taken) {
            (Some(Ok(placed)), Some(taken)) => place(&mut written, placed, &taken.header),
            (Some(Err(why)), _) => {
                let (code, reason) = (why.code().name(), why.to_string());
                written["not_located"] = json!({"code": code, "reason": reason});
            }
            (Some(Ok(_)) | None, _) => {}
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
    pub fn answer(&self, complete: &CompleteAnswer) -> Value {
        let CompleteAnswer { answer, objects } = complete;
        let objects: Vec<Value> = objects.iter().map(|found| self.object(found)).collect();
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

/// Adds where an object is: the pose and the size of its box, and the share of its mask that depth covers.
fn place(written: &mut Value, placed: &PlacedObject, picture: &Header) {
    let (pose, header, located) = (placed.pose(), placed.header(picture), &placed.located);
    let (at, turn) = (pose.position, pose.orientation);
    let size = located.bounding_box.size;
    written["pose"] = json!({
        "position": {"x": at.x, "y": at.y, "z": at.z},
        "orientation": {"x": turn.x, "y": turn.y, "z": turn.z, "w": turn.w},
        "frame_id": header.frame_id,
        "stamp": {"sec": header.stamp.sec, "nanosec": header.stamp.nanosec},
    });
    written["size"] = json!({"x": size.x, "y": size.y, "z": size.z});
    written["depth_coverage"] = json!(located.depth_coverage);
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
