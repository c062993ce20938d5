//! The node's parameters: one table says what each is called, means and accepts; a [`ParamStore`] holds values that
//! have passed it; [`NodeParams`] is what the rest of the node reads.
//!
//! Raw values enter in two places only (overrides at start, the `set_parameters` services) and both go through
//! [`ParamStore::check`], so nothing deeper in the node ever meets a value out of range.

use std::path::PathBuf;

use crate::engine::{AnswerOptions, DTypeSpec, DeviceSpec};
use crate::image::ClipFit;

/// A parameter's value, in the four types the node uses.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Any other ROS type, by its name: never accepted, named in the refusal.
    Other(&'static str),
}

impl Value {
    fn type_name(&self) -> &'static str {
        match self {
            Value::Bool(_) => "bool",
            Value::Int(_) => "integer",
            Value::Float(_) => "double",
            Value::Text(_) => "string",
            Value::Other(name) => name,
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Bool(v) => write!(f, "{v}"),
            Value::Int(v) => write!(f, "{v}"),
            Value::Float(v) => write!(f, "{v}"),
            Value::Text(v) => write!(f, "'{v}'"),
            Value::Other(name) => write!(f, "a {name}"),
        }
    }
}

/// What values a parameter accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accepts {
    Flag,
    Int {
        min: i64,
        max: i64,
    },
    Float {
        min: f64,
        max: f64,
    },
    OneOf(&'static [&'static str]),
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    Device,
    /// Any string; the words say what it is.
    Any(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    pub name: &'static str,
    pub description: &'static str,
    pub accepts: Accepts,
    /// Read once, when the node starts.
    pub start_only: bool,
    default: Default,
}

/// A default that fits in a constant.
#[derive(Clone, Copy, Debug)]
enum Default {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
}

impl ParamSpec {
    const fn new(
        name: &'static str,
        default: Default,
        accepts: Accepts,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            description,
            accepts,
            start_only: false,
            default,
        }
    }

    const fn start_only(self) -> Self {
        Self {
            start_only: true,
            ..self
        }
    }

    pub fn default(&self) -> Value {
        match self.default {
            Default::Bool(v) => Value::Bool(v),
            Default::Int(v) => Value::Int(v),
            Default::Float(v) => Value::Float(v),
            Default::Text(v) => Value::Text(v.to_owned()),
        }
    }

    /// What is accepted, in words, for the descriptor and for refusals.
    pub fn constraints(&self) -> String {
        match self.accepts {
            Accepts::Flag => "true or false".to_owned(),
            Accepts::Int { min, max } => format!("an integer from {min} to {max}"),
            Accepts::Float { min, max } => format!("a number from {min} to {max}"),
            Accepts::OneOf(choices) => format!("one of: {}", choices.join(", ")),
            Accepts::Device => "auto, cpu, cuda or cuda:N".to_owned(),
            Accepts::Any(words) => words.to_owned(),
        }
    }
}

/// Longest answer that may be asked for, in tokens.
pub const MAX_NEW_TOKENS: usize = 2048;

/// Every parameter of the node, in the order `ros2 param list` is read best.
pub const PARAMS: [ParamSpec; 17] = [
    ParamSpec::new(
        "model",
        Default::Text(""),
        Accepts::Any("the path of a model directory, as `lisa convert` writes it"),
        "Model directory the node answers with.",
    )
    .start_only(),
    ParamSpec::new("device", Default::Text("auto"), Accepts::Device, "Where the model runs; auto takes a GPU where there is one.").start_only(),
    ParamSpec::new(
        "dtype",
        Default::Text("auto"),
        Accepts::OneOf(&["auto", "f32", "f16", "bf16"]),
        "Number type of the computation; auto is f32 on a CPU and as stored on a GPU.",
    )
    .start_only(),
    ParamSpec::new(
        "image_transport",
        Default::Text("raw"),
        Accepts::OneOf(&["raw", "compressed"]),
        "raw subscribes to image (sensor_msgs/Image), compressed to image/compressed (sensor_msgs/CompressedImage).",
    )
    .start_only(),
    ParamSpec::new(
        "image_reliability",
        Default::Text("best_effort"),
        Accepts::OneOf(&["best_effort", "reliable"]),
        "What the image subscription asks for; best_effort matches every publisher, reliable only reliable ones.",
    )
    .start_only(),
    ParamSpec::new(
        "mode",
        Default::Text("on_instruction"),
        Accepts::OneOf(&["on_instruction", "continuous"]),
        "on_instruction answers each instruction once; continuous repeats the last one on every new frame, at most max_rate_hz.",
    ),
    ParamSpec::new("max_rate_hz", Default::Float(2.0), Accepts::Float { min: 0.01, max: 60.0 }, "Answers a second at most in mode continuous."),
    ParamSpec::new("max_new_tokens", Default::Int(128), Accepts::Int { min: 1, max: MAX_NEW_TOKENS as i64 }, "An answer stops after this many tokens."),
    ParamSpec::new(
        "temperature",
        Default::Float(0.0),
        Accepts::Float { min: 0.0, max: 2.0 },
        "0 takes the likeliest token and repeats itself exactly; above 0 samples.",
    ),
    ParamSpec::new(
        "mask_threshold",
        Default::Float(0.5),
        Accepts::Float { min: 0.01, max: 0.99 },
        "A pixel belongs to the object where its probability is above this.",
    ),
    ParamSpec::new(
        "min_mask_area",
        Default::Int(1),
        Accepts::Int { min: 0, max: 100_000_000 },
        "Objects with fewer pixels than this, at the camera's size, count as empty.",
    ),
    ParamSpec::new(
        "max_pending",
        Default::Int(8),
        Accepts::Int { min: 1, max: 1000 },
        "Instructions that may wait; one more is answered OVERLOADED at once.",
    ),
    ParamSpec::new(
        "sync_slop_s",
        Default::Float(0.1),
        Accepts::Float { min: 0.0, max: 10.0 },
        "A stamped instruction takes the frame nearest its stamp, at most this many seconds away.",
    ),
    ParamSpec::new("publish_overlay", Default::Bool(true), Accepts::Flag, "Draw ~/overlay while someone subscribes to it."),
    ParamSpec::new("overlay_alpha", Default::Float(0.5), Accepts::Float { min: 0.0, max: 1.0 }, "Opacity of the masks in ~/overlay."),
    ParamSpec::new(
        "clip_fit",
        Default::Text("crop"),
        Accepts::OneOf(&["crop", "pad", "squash"]),
        "How a frame that is not square meets the vision tower's square input; crop is what the published models were trained with.",
    ),
    ParamSpec::new("use_sim_time", Default::Bool(false), Accepts::Flag, "Take the time from /clock.").start_only(),
];

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParamError {
    #[error("there is no parameter '{name}'; there are: {}", PARAMS.map(|p| p.name).join(", "))]
    Unknown { name: String },
    #[error("'{name}' is read when the node starts; restart it with -p {name}:=…")]
    StartOnly { name: &'static str },
    #[error("'{name}' is {value}, a {found}; accepted: {accepted}")]
    Type {
        name: &'static str,
        value: String,
        found: &'static str,
        accepted: String,
    },
    #[error("'{name}' is {value}; accepted: {accepted}")]
    Range {
        name: &'static str,
        value: String,
        accepted: String,
    },
    #[error("parameter 'model' is empty: give a model directory with -p model:=DIR (`lisa convert` makes one)")]
    NoModel,
}

/// Values of all parameters, each of which has passed its row of the table.
#[derive(Clone, Debug)]
pub struct ParamStore {
    values: Vec<Value>,
}

impl std::default::Default for ParamStore {
    fn default() -> Self {
        Self {
            values: PARAMS.iter().map(ParamSpec::default).collect(),
        }
    }
}

impl ParamStore {
    /// Defaults, then the overrides of the command line and parameter files.
    ///
    /// # Errors
    /// The first override that its row refuses. Names the node does not have are not an error, because a parameter file
    /// may serve several nodes: they come back second, to be warned about.
    pub fn with_overrides(
        overrides: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(Self, Vec<String>), ParamError> {
        let mut store = Self::default();
        let mut unknown = Vec::new();
        for (name, value) in overrides {
            match index_of(&name) {
                Some(i) => store.values[i] = check_value(&PARAMS[i], value)?,
                None => unknown.push(name),
            }
        }
        Ok((store, unknown))
    }

    /// The value of a parameter, where the node has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        index_of(name).map(|i| &self.values[i])
    }

    /// What the store would hold if this were set while the node runs.
    ///
    /// # Errors
    /// [`ParamError`], in words fit for `ros2 param set`.
    pub fn check(&self, name: &str, value: Value) -> Result<Value, ParamError> {
        let i = index_of(name).ok_or_else(|| ParamError::Unknown {
            name: name.to_owned(),
        })?;
        let value = check_value(&PARAMS[i], value)?;
        // Setting a start-only parameter to what it is already changes nothing and harms nobody: parameter files are
        // loaded into running nodes that way.
        if PARAMS[i].start_only && value != self.values[i] {
            return Err(ParamError::StartOnly {
                name: PARAMS[i].name,
            });
        }
        Ok(value)
    }

    /// Sets a run-time parameter; returns whether it changed.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn set(&mut self, name: &str, value: Value) -> Result<bool, ParamError> {
        let value = self.check(name, value)?;
        let i = index_of(name).ok_or_else(|| ParamError::Unknown {
            name: name.to_owned(),
        })?;
        let changed = self.values[i] != value;
        self.values[i] = value;
        Ok(changed)
    }

    /// The typed view.
    pub fn params(&self) -> NodeParams {
        NodeParams {
            model: PathBuf::from(self.text("model")),
            device: self.text("device").parse().unwrap_or_default(),
            dtype: self.text("dtype").parse().unwrap_or_default(),
            compressed: self.text("image_transport") == "compressed",
            reliable: self.text("image_reliability") == "reliable",
            continuous: self.text("mode") == "continuous",
            max_rate_hz: self.float("max_rate_hz"),
            answer: AnswerOptions {
                max_new_tokens: self.int("max_new_tokens") as usize,
                temperature: self.float("temperature"),
                mask_threshold: self.float("mask_threshold") as f32,
                min_mask_area: self.int("min_mask_area") as usize,
                clip_fit: clip_fit(self.text("clip_fit")),
                ..AnswerOptions::default()
            },
            max_pending: self.int("max_pending") as usize,
            sync_slop_s: self.float("sync_slop_s"),
            publish_overlay: self.flag("publish_overlay"),
            overlay_alpha: self.float("overlay_alpha") as f32,
            use_sim_time: self.flag("use_sim_time"),
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(v)) => v,
            _ => "",
        }
    }

    fn int(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Int(v)) => *v,
            _ => 0,
        }
    }

    fn float(&self, name: &str) -> f64 {
        match self.get(name) {
            Some(Value::Float(v)) => *v,
            _ => 0.0,
        }
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(true)))
    }
}

/// The parameters, parsed once: every value here is in range.
#[derive(Clone, Debug)]
pub struct NodeParams {
    /// Model directory; empty where nobody gave one.
    pub model: PathBuf,
    pub device: DeviceSpec,
    pub dtype: DTypeSpec,
    /// `image/compressed` instead of `image`.
    pub compressed: bool,
    /// Ask the image publisher for reliable delivery.
    pub reliable: bool,
    /// Mode `continuous` instead of `on_instruction`.
    pub continuous: bool,
    pub max_rate_hz: f64,
    /// How requests are answered.
    pub answer: AnswerOptions,
    pub max_pending: usize,
    pub sync_slop_s: f64,
    pub publish_overlay: bool,
    pub overlay_alpha: f32,
    pub use_sim_time: bool,
}

fn index_of(name: &str) -> Option<usize> {
    PARAMS.iter().position(|p| p.name == name)
}

fn clip_fit(name: &str) -> ClipFit {
    match name {
        "pad" => ClipFit::Pad,
        "squash" => ClipFit::Squash,
        _ => ClipFit::Crop,
    }
}

/// The value in the parameter's own type, where its row accepts it. An integer serves as a double: `ros2 param set` and
/// YAML write 1 for 1.0.
fn check_value(spec: &ParamSpec, value: Value) -> Result<Value, ParamError> {
    let type_error = |value: Value| ParamError::Type {
        name: spec.name,
        found: value.type_name(),
        value: value.to_string(),
        accepted: spec.constraints(),
    };
    let accepted = match (spec.accepts, &value) {
        (Accepts::Flag, Value::Bool(_)) => true,
        (Accepts::Int { min, max }, Value::Int(v)) => (min..=max).contains(v),
        (Accepts::Float { min, max }, Value::Float(v)) => (min..=max).contains(v),
        (Accepts::Float { .. }, Value::Int(v)) => {
            return check_value(spec, Value::Float(*v as f64))
        }
        (Accepts::OneOf(choices), Value::Text(v)) => choices.contains(&v.as_str()),
        (Accepts::Device, Value::Text(v)) => v.parse::<DeviceSpec>().is_ok(),
        (Accepts::Any(_), Value::Text(_)) => true,
        _ => return Err(type_error(value)),
    };
    if accepted {
        return Ok(value);
    }
    Err(ParamError::Range {
        name: spec.name,
        value: value.to_string(),
        accepted: spec.constraints(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn defaults_pass_their_own_rows() {
        for spec in &PARAMS {
            assert_eq!(
                check_value(spec, spec.default()),
                Ok(spec.default()),
                "{}",
                spec.name
            );
            assert!(!spec.description.is_empty());
        }
        let params = ParamStore::default().params();
        assert_eq!(params.answer.max_new_tokens, 128);
        assert_eq!(params.answer.clip_fit, ClipFit::Crop);
        assert_eq!(params.max_rate_hz, 2.0);
        assert!(!params.continuous && !params.compressed && !params.reliable);
    }

    #[test]
    fn overrides_are_typed_ranged_and_unknown_ones_are_named() {
        let text = |v: &str| Value::Text(v.to_owned());
        let (store, unknown) = ParamStore::with_overrides([
            ("device".to_owned(), text("cuda:1")),
            ("temperature".to_owned(), Value::Int(1)),
            ("modle".to_owned(), text("x")),
        ])
        .unwrap();
        assert_eq!(store.params().device, DeviceSpec::Cuda(1));
        assert_eq!(store.get("temperature"), Some(&Value::Float(1.0)));
        assert_eq!(unknown, ["modle"]);
        let err = ParamStore::with_overrides([("device".to_owned(), text("gpu"))]).unwrap_err();
        assert_eq!(
            err.to_string(),
            "'device' is 'gpu'; accepted: auto, cpu, cuda or cuda:N"
        );
    }

    #[test]
    fn refusals_say_what_was_wrong_and_what_is_accepted() {
        let mut store = ParamStore::default();
        let refuse = |store: &mut ParamStore, name: &str, value| {
            store.set(name, value).unwrap_err().to_string()
        };
        assert_eq!(
            refuse(&mut store, "max_pending", Value::Int(0)),
            "'max_pending' is 0; accepted: an integer from 1 to 1000"
        );
        assert_eq!(
            refuse(&mut store, "temperature", Value::Text("hot".into())),
            "'temperature' is 'hot', a string; accepted: a number from 0 to 2"
        );
        assert_eq!(
            refuse(&mut store, "mode", Value::Text("often".into())),
            "'mode' is 'often'; accepted: one of: on_instruction, continuous"
        );
        assert!(refuse(&mut store, "model", Value::Text("/m".into()))
            .contains("restart it with -p model:="));
        assert!(refuse(&mut store, "nope", Value::Int(1))
            .contains("there is no parameter 'nope'; there are: model, device"));
        assert!(refuse(&mut store, "max_rate_hz", Value::Float(f64::NAN)).contains("NaN"));
    }

    proptest! {
        #[test]
        fn a_set_value_is_read_back_and_stays_in_range(v in -10.0..10.0f64) {
            let mut store = ParamStore::default();
            let before = store.get("temperature").cloned();
            match store.set("temperature", Value::Float(v)) {
                Ok(changed) => {
                    prop_assert!((0.0..=2.0).contains(&v));
                    prop_assert_eq!(changed, v != 0.0);
                    prop_assert_eq!(store.params().answer.temperature, v);
                }
                Err(_) => {
                    prop_assert!(!(0.0..=2.0).contains(&v));
                    prop_assert_eq!(store.get("temperature").cloned(), before);
                }
            }
        }
    }
}
