//! The forms that JSON files are expected to have, so that an error can say in words what is wrong and where in the file.
//!
//! The errors of serde name a line, a column and types of this program, which do not help somebody who made the file. So a
//! file that serde refuses is compared with its form.

use serde_json::Value;

use Need::{May, Must, OrNull};

/// The form of a value.
#[derive(Debug)]
pub(super) enum Form {
    /// Any value.
    Any,
    /// A string.
    Text,
    /// A whole number, 0 or more.
    Whole,
    /// `true` or `false`.
    Truth,
    /// A list of values of one form.
    List(&'static Form),
    /// An object with certain fields.
    Object(&'static [Field]),
}

/// A field of an object: its name, whether it has to be there, and its form. An object may have other fields as well.
#[derive(Debug)]
pub(super) struct Field(pub &'static str, pub Need, pub Form);

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
pub(super) const INSTANCES: Form = Form::Object(&[
    Field("images", Must, Form::List(&IMAGE)),
    Field("annotations", Must, Form::List(&ANNOTATION)),
]);
/// COCO's instances with their categories.
pub(super) const PARTS: Form = Form::Object(&[
    Field("images", Must, Form::List(&IMAGE)),
    Field("annotations", Must, Form::List(&PART)),
    Field("categories", Must, Form::List(&CATEGORY)),
]);
const IMAGE: Form = Form::Object(&[
    Field("id", Must, Form::Whole),
    Field("file_name", Must, Form::Text),
    Field("width", Must, Form::Whole),
    Field("height", Must, Form::Whole),
]);
const ANNOTATION: Form = Form::Object(&[
    Field("id", Must, Form::Whole),
    Field("image_id", Must, Form::Whole),
    Field("segmentation", OrNull, Form::Any),
]);
const PART: Form = Form::Object(&[
    Field("id", Must, Form::Whole),
    Field("image_id", Must, Form::Whole),
    Field("category_id", Must, Form::Whole),
    Field("segmentation", OrNull, Form::Any),
]);
const CATEGORY: Form = Form::Object(&[
    Field("id", Must, Form::Whole),
    Field("name", Must, Form::Text),
]);
/// ReasonSeg's explanations.
pub(super) const EXPLANATIONS: Form = Form::List(&Form::Object(&[
    Field("image", Must, Form::Text),
    Field("outputs", Must, Form::Text),
]));
/// Lists of items that show the same picture.
pub(super) const PICTURES: Form = Form::List(&NAMES);
/// Names of classes or attributes.
pub(super) const NAMES: Form = Form::List(&Form::Text);
/// LLaVA-Instruct's dialogues.
pub(super) const DIALOGUES: Form = Form::List(&Form::Object(&[
    Field("image", Must, Form::Text),
    Field("conversations", Must, Form::List(&MESSAGE)),
]));
const MESSAGE: Form = Form::Object(&[
    Field("from", Must, Form::Text),
    Field("value", Must, Form::Text),
]);
/// Mapillary Vistas' configuration.
pub(super) const MAPILLARY: Form = Form::Object(&[Field(
    "labels",
    Must,
    Form::List(&Form::Object(&[Field("readable", Must, Form::Text)])),
)]);
/// LabelMe's file with ReasonSeg's fields. `labelme` itself checks what is in the latter.
pub(super) const LABELS: Form = Form::Object(&[
    Field("question", OrNull, Form::Text),
    Field("history", May, Form::List(&TURN)),
    Field("text", Must, Form::Any),
    Field("is_sentence", Must, Form::Any),
    Field("shapes", Must, Form::Any),
]);
const TURN: Form = Form::Object(&[
    Field("question", Must, Form::Text),
    Field("answer", Must, Form::Text),
    Field("absent", May, Form::Truth),
]);
/// The picture in LabelMe's file.
pub(super) const IMAGE_DATA: Form = Form::Object(&[Field("imageData", OrNull, Form::Text)]);

impl Form {
    /// Describes the first place where a value has another form: the place, what stands there and what is accepted.
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
                fields.iter().find_map(|Field(name, need, form)| {
                    let within = match place {
                        "" => (*name).to_owned(),
                        place => format!("{place}.{name}"),
                    };
                    match (values.get(*name), need) {
                        (None, Must) => Some(format!(
                            "{named} has no {name}; accepted: {}",
                            form.accepted()
                        )),
                        (None, _) | (Some(Value::Null), OrNull) => None,
                        (Some(value), _) => form.fault_at(value, &within),
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
    fn what_is_of_another_form_is_told_by_its_place() {
        let image = |id: Value| json!({"id": id, "file_name": "a.jpg", "width": 6, "height": 4});
        for (form, value, said) in [
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
            assert_eq!(form.fault(&value).as_deref(), Some(said));
        }
        let whole = json!({"images": [image(1.into())], "annotations": [{"id": 1, "image_id": 1, "segmentation": null}]});
        assert_eq!(INSTANCES.fault(&whole), None);
        assert_eq!(IMAGE_DATA.fault(&json!({"imageData": null})), None);
    }
}
