//! What JSON files are expected to hold, so that an error can say in words what is wrong and where in the file.
//!
//! The errors of serde name a line, a column and types of this program, which do not help somebody who made the file. So a
//! file that serde refuses is compared with its schema.

use serde_json::Value;

use Need::{May, Must, OrNull};

/// The schema of a value.
#[derive(Debug)]
pub(super) enum Schema {
    /// Any value.
    Any,
    /// A string.
    Text,
    /// A whole number, 0 or more.
    Whole,
    /// `true` or `false`.
    Truth,
    /// A list of values of one schema.
    List(&'static Schema),
    /// An object with certain fields.
    Object(&'static [Field]),
}

/// A field of an object: its name, whether it has to be there, and its schema. An object may have other fields as well.
#[derive(Debug)]
pub(super) struct Field(pub &'static str, pub Need, pub Schema);

/// Whether a field has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It has to be there.
    Must,
    /// It may be missing.
    May,
    /// It may be missing or null.
    OrNull,
}

/// COCO's instances, as the refer datasets have them.
pub(super) const INSTANCES: Schema = Schema::Object(&[
    Field("images", Must, Schema::List(&IMAGE)),
    Field("annotations", Must, Schema::List(&ANNOTATION)),
]);
/// COCO's instances with their categories.
pub(super) const PARTS: Schema = Schema::Object(&[
    Field("images", Must, Schema::List(&IMAGE)),
    Field("annotations", Must, Schema::List(&PART)),
    Field("categories", Must, Schema::List(&CATEGORY)),
]);
const IMAGE: Schema = Schema::Object(&[
    Field("id", Must, Schema::Whole),
    Field("file_name", Must, Schema::Text),
    Field("width", Must, Schema::Whole),
    Field("height", Must, Schema::Whole),
]);
const ANNOTATION: Schema = Schema::Object(&[
    Field("id", Must, Schema::Whole),
    Field("image_id", Must, Schema::Whole),
    Field("segmentation", OrNull, Schema::Any),
]);
const PART: Schema = Schema::Object(&[
    Field("id", Must, Schema::Whole),
    Field("image_id", Must, Schema::Whole),
    Field("category_id", Must, Schema::Whole),
    Field("segmentation", OrNull, Schema::Any),
]);
const CATEGORY: Schema = Schema::Object(&[
    Field("id", Must, Schema::Whole),
    Field("name", Must, Schema::Text),
]);
/// ReasonSeg's explanations.
pub(super) const EXPLANATIONS: Schema = Schema::List(&Schema::Object(&[
    Field("image", Must, Schema::Text),
    Field("outputs", Must, Schema::Text),
]));
/// Lists of items that show the same picture.
pub(super) const PICTURES: Schema = Schema::List(&NAMES);
/// Names of classes or attributes.
pub(super) const NAMES: Schema = Schema::List(&Schema::Text);
/// LLaVA-Instruct's dialogues.
pub(super) const DIALOGUES: Schema = Schema::List(&Schema::Object(&[
    Field("image", Must, Schema::Text),
    Field("conversations", Must, Schema::List(&MESSAGE)),
]));
const MESSAGE: Schema = Schema::Object(&[
    Field("from", Must, Schema::Text),
    Field("value", Must, Schema::Text),
]);
/// Mapillary Vistas' configuration.
pub(super) const MAPILLARY: Schema = Schema::Object(&[Field(
    "labels",
    Must,
    Schema::List(&Schema::Object(&[Field("readable", Must, Schema::Text)])),
)]);
/// LabelMe's file with ReasonSeg's fields. `labelme` itself checks what is in the latter.
pub(super) const LABELS: Schema = Schema::Object(&[
    Field("question", OrNull, Schema::Text),
    Field("history", May, Schema::List(&TURN)),
    Field("text", Must, Schema::Any),
    Field("is_sentence", Must, Schema::Any),
    Field("shapes", Must, Schema::Any),
]);
const TURN: Schema = Schema::Object(&[
    Field("question", Must, Schema::Text),
    Field("answer", Must, Schema::Text),
    Field("absent", May, Schema::Truth),
]);
/// The picture in LabelMe's file.
pub(super) const IMAGE_DATA: Schema = Schema::Object(&[Field("imageData", OrNull, Schema::Text)]);

impl Schema {
    /// Describes the first place where a value has another schema: the place, what stands there and what is accepted.
    pub fn fault(&self, value: &Value) -> Option<String> {
        self.fault_at(value, "")
    }

    fn fault_at(&self, value: &Value, place: &str) -> Option<String> {
        let named = if place.is_empty() { "it" } else { place };
        let wrong = || {
            let (value, accepted) = (shown(value), self.accepted());
            Some(format!("{named} is {value}; accepted: {accepted}"))
        };
        match (self, value) {
            (Self::Any, _) | (Self::Text, Value::String(_)) | (Self::Truth, Value::Bool(_)) => None,
            (Self::Whole, value) if value.is_u64() => None,
            (Self::List(item), Value::Array(values)) => values
                .iter()
                .enumerate()
                .find_map(|(i, value)| item.fault_at(value, &format!("{place}[{i}]"))),
            (Self::Object(fields), Value::Object(values)) => {
                fields.iter().find_map(|Field(name, need, schema)| {
                    let within = match place {
                        "" => (*name).to_owned(),
                        place => format!("{place}.{name}"),
                    };
                    match (values.get(*name), need) {
                        (None, Must) => Some(format!(
                            "{named} has no {name}; accepted: {}",
                            schema.accepted()
                        )),
                        (None, _) | (Some(Value::Null), OrNull) => None,
                        (Some(value), _) => schema.fault_at(value, &within),
                    }
                })
            }
            _ => wrong(),
        }
    }

    fn accepted(&self) -> String {
        match self {
            Self::Any => "a value".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Whole => "a whole number".to_owned(),
            Self::Truth => "true or false".to_owned(),
            Self::List(Self::Text) => "a list of texts".to_owned(),
            Self::List(Self::Object(fields)) => format!("a list of objects{}", with(fields)),
            Self::List(_) => "a list of lists".to_owned(),
            Self::Object(fields) => format!("an object{}", with(fields)),
        }
    }
}

/// A text like ` with a, b and c` that lists the fields that have to be there or, if none has to, those that may.
fn with(fields: &[Field]) -> String {
    let of = |needs: fn(Need) -> bool| -> Vec<&str> {
        let fields = fields.iter().filter(|Field(_, need, _)| needs(*need));
        fields.map(|Field(name, ..)| *name).collect()
    };
    let mut names = of(|need| need == Must);
    if names.is_empty() {
        names = of(|_| true);
    }
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => format!(" with {only}"),
        Some((last, others)) => format!(" with {} and {last}", others.join(", ")),
    }
}

/// A value as errors show it, cut to a length that people read.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_of_another_schema_is_told_by_its_place() {
        let image = |id: Value| json!({"id": id, "file_name": "a.jpg", "width": 6, "height": 4});
        for (schema, value, said) in [
            (
                &INSTANCES,
                json!([]),
                "it is []; accepted: an object with images and annotations",
            ),
            (
                &INSTANCES,
                json!({"annotations": []}),
                "it has no images; accepted: a list of objects with id, file_name, width and height",
            ),
            (
                &INSTANCES,
                json!({"images": [image(1.into()), image("2".into())], "annotations": []}),
                "images[1].id is \"2\"; accepted: a whole number",
            ),
            (
                &INSTANCES,
                json!({"images": [], "annotations": [{"id": 1, "image_id": -1}]}),
                "annotations[0].image_id is -1; accepted: a whole number",
            ),
            (
                &EXPLANATIONS,
                json!({}),
                "it is {}; accepted: a list of objects with image and outputs",
            ),
            (
                &EXPLANATIONS,
                json!([{"image": "a.jpg"}]),
                "[0] has no outputs; accepted: text",
            ),
            (
                &PICTURES,
                json!([["a.jpg"], [3]]),
                "[1][0] is 3; accepted: text",
            ),
            (
                &PICTURES,
                json!({"a": 1}),
                "it is {\"a\":1}; accepted: a list of lists",
            ),
            (
                &LABELS,
                json!({"history": [{"question": "a?", "answer": "b", "absent": 1}]}),
                "history[0].absent is 1; accepted: true or false",
            ),
            (
                &IMAGE_DATA,
                json!([]),
                "it is []; accepted: an object with imageData",
            ),
        ] {
            assert_eq!(schema.fault(&value).as_deref(), Some(said));
        }
        let whole = json!({"images": [image(1.into())], "annotations": [{"id": 1, "image_id": 1, "segmentation": null}]});
        assert_eq!(INSTANCES.fault(&whole), None);
        assert_eq!(IMAGE_DATA.fault(&json!({"imageData": null})), None);
    }
}
