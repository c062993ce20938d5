//! The table of the node's parameters: what each is called, means, accepts and defaults to.

use std::ops::RangeInclusive;

use crate::node::{bounds, DEFAULT_MAX_NEW_TOKENS, MAX_CAMERAS};

/// A parameter's value, in one of the types that the node uses.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Texts(Vec<String>),
    /// A value of any other ROS type, by the type's name. It is never accepted, and named in the refusal.
    Other(&'static str),
}

impl Value {
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Bool(_) => "bool",
            Value::Int(_) => "integer",
            Value::Float(_) => "double",
            Value::Text(_) => "string",
            Value::Texts(_) => "string array",
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
            Value::Texts(v) => write!(f, "[{}]", v.join(", ")),
            Value::Other(name) => write!(f, "a {name}"),
        }
    }
}

/// Which values a parameter accepts.
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
    /// Any string; the text says what it stands for.
    Any(&'static str),
    /// The names of cameras.
    Cameras,
}

/// Numbers from the range's start to its end.
const fn float_in(range: &RangeInclusive<f64>) -> Accepts {
    Accepts::Float {
        min: *range.start(),
        max: *range.end(),
    }
}

/// When a parameter may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settable {
    /// At any time, and the new value counts from then on.
    AtRunTime,
    /// While the node is unconfigured, because it is read when the node is configured.
    Unconfigured,
    /// Only when the node is started.
    AtStart,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    pub name: &'static str,
    pub description: &'static str,
    pub accepts: Accepts,
    /// When it may be set.
    pub settable: Settable,
    default: Default,
}

/// A default value. [`Value`] owns its strings and cannot be part of a constant.
#[derive(Clone, Copy, Debug)]
enum Default {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
    Texts(&'static [&'static str]),
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
            settable: Settable::AtRunTime,
            default,
        }
    }

    const fn start_only(self) -> Self {
        Self {
            settable: Settable::AtStart,
            ..self
        }
    }

    const fn read_at_configure(self) -> Self {
        Self {
            settable: Settable::Unconfigured,
            ..self
        }
    }

    pub fn default(&self) -> Value {
        match self.default {
            Default::Bool(v) => Value::Bool(v),
            Default::Int(v) => Value::Int(v),
            Default::Float(v) => Value::Float(v),
            Default::Text(v) => Value::Text(v.to_owned()),
            Default::Texts(v) => Value::Texts(v.iter().map(|v| (*v).to_owned()).collect()),
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
            Accepts::Cameras => format!(
                "up to {MAX_CAMERAS} different namespaces, such as front or /robot1/arm: letters, digits and single underscores"
            ),
        }
    }
}

/// All parameters of the node.
pub const PARAMS: [ParamSpec; 37] = [
    ParamSpec::new(
        "model",
        Default::Text(""),
        Accepts::Any("the path of a model directory, as `lisa convert` writes it"),
        "Model directory the node answers with; empty: lisa-mini, which comes with the package.",
    )
    .read_at_configure(),
    ParamSpec::new("device", Default::Text("auto"), Accepts::Device, "Where the model runs; auto takes a GPU where there is one.").read_at_configure(),
    ParamSpec::new(
        "dtype",
        Default::Text("auto"),
        Accepts::OneOf(&["auto", "f32", "f16", "bf16"]),
        "Number type; auto is f32 on a CPU and as stored on a GPU. A CPU computes in f32 and holds large weights in the type that is named.",
    )
    .read_at_configure(),
    ParamSpec::new(
        "unload_after",
        Default::Float(0.0),
        float_in(&bounds::UNLOAD_AFTER_S),
        "Give the model's memory back after so many seconds without a question; the next one loads it again. 0 never does.",
    ),
    ParamSpec::new(
        "autostart",
        Default::Bool(true),
        Accepts::Flag,
        "Load the model and answer at once. With false a supervisor does both, by the transitions configure and activate.",
    )
    .start_only(),
    ParamSpec::new(
        "cameras",
        Default::Texts(&[]),
        Accepts::Cameras,
        "Cameras that share the node's model, by the namespaces of their topics, services and actions: front has front/image and front/lisa/result. None: one camera, image and ~/result.",
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
    ParamSpec::new("max_new_tokens", Default::Int(DEFAULT_MAX_NEW_TOKENS as i64), Accepts::Int { min: *bounds::MAX_NEW_TOKENS.start() as i64, max: *bounds::MAX_NEW_TOKENS.end() as i64 }, "An answer stops after this many tokens."),
    ParamSpec::new(
        "temperature",
        Default::Float(0.0),
        float_in(&bounds::TEMPERATURE),
        "0 takes the likeliest token and repeats itself exactly; above 0 samples.",
    ),
    ParamSpec::new(
        "mask_threshold",
        Default::Float(0.5),
        float_in(&bounds::MASK_THRESHOLD),
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
        float_in(&bounds::SYNC_SLOP_S),
        "A stamped instruction takes the frame nearest its stamp, at most this many seconds away.",
    ),
    ParamSpec::new("publish_overlay", Default::Bool(true), Accepts::Flag, "Draw ~/overlay while someone subscribes to it."),
    ParamSpec::new(
        "publish_attention",
        Default::Bool(true),
        Accepts::Flag,
        "Draw ~/attention while someone subscribes to it, of a model with a guided head.",
    ),
    ParamSpec::new(
        "overlay_alpha",
        Default::Float(0.5),
        float_in(&bounds::OVERLAY_ALPHA),
        "Opacity of the masks in ~/overlay and of the heat in ~/attention.",
    ),
    ParamSpec::new(
        "clip_fit",
        Default::Text("model"),
        Accepts::OneOf(&["model", "crop", "pad", "squash"]),
        "How a frame that is not square meets the vision tower's square input; model is how the model was trained: crop for the published ones.",
    ),
    ParamSpec::new(
        "depth.transport",
        Default::Text("off"),
        Accepts::OneOf(&["off", "raw", "compressedDepth"]),
        "off: objects have masks only. raw subscribes to depth (sensor_msgs/Image), compressedDepth to depth/compressedDepth; both also to camera_info, depth/camera_info and /tf.",
    )
    .start_only(),
    ParamSpec::new(
        "depth.max_offset",
        Default::Float(0.05),
        float_in(&bounds::DEPTH_MAX_OFFSET),
        "How far apart the stamps of a frame and of its depth image may be, in seconds.",
    ),
    ParamSpec::new(
        "depth.timeout",
        Default::Float(0.5),
        float_in(&bounds::SPACE_TIMEOUT),
        "How long an object waits for the depth image of its frame, in seconds; then it is published without a place.",
    ),
    ParamSpec::new(
        "target_frame",
        Default::Text(""),
        Accepts::Any("the name of a frame on /tf, or nothing"),
        "The frame in which objects are placed; empty: the camera's own optical frame.",
    ),
    ParamSpec::new(
        "fixed_frame",
        Default::Text("odom"),
        Accepts::Any("the name of a frame on /tf"),
        "A frame in which the world stands still, for a camera that moves between the stamps of a frame and of its depth image.",
    ),
    ParamSpec::new(
        "tf_timeout",
        Default::Float(0.2),
        float_in(&bounds::SPACE_TIMEOUT),
        "How long an object waits for transforms at the stamp of its frame, in seconds.",
    ),
    ParamSpec::new(
        "box.orientation",
        Default::Text("principal"),
        Accepts::OneOf(&["principal", "gravity"]),
        "principal: boxes lie along the principal axes of the object. gravity: they stand upright, z of gravity_frame is up.",
    ),
    ParamSpec::new(
        "gravity_frame",
        Default::Text("base_link"),
        Accepts::Any("the name of a frame on /tf"),
        "The frame whose z axis points up, where box.orientation is gravity.",
    ),
    ParamSpec::new(
        "image_rectified",
        Default::Bool(false),
        Accepts::Flag,
        "The pictures are rectified (image_rect): P of camera_info holds, not K and D.",
    ),
    ParamSpec::new(
        "follow.patience",
        Default::Float(2.0),
        float_in(&bounds::FOLLOW_PATIENCE_S),
        "An object of ~/follow that was not found for so many seconds is reported as LOST.",
    ),
    ParamSpec::new(
        "follow.min_score",
        Default::Float(0.85),
        float_in(&bounds::SHARE),
        "The model is asked again for what ~/follow follows where the mask's score is below this and its overlap below follow.min_overlap.",
    ),
    ParamSpec::new(
        "follow.min_overlap",
        Default::Float(0.3),
        float_in(&bounds::SHARE),
        "As follow.min_score, for the IoU of the mask with the one that is expected from the object's motion.",
    ),
    ParamSpec::new(
        "web.enable",
        Default::Bool(false),
        Accepts::Flag,
        "Serve a page for a browser with the camera's picture, and an HTTP interface (docs/WEB.md).",
    )
    .start_only(),
    ParamSpec::new(
        "web.address",
        Default::Text("127.0.0.1"),
        Accepts::Any("an IP address; one that other computers reach needs web.token"),
        "Where the page is served; 0.0.0.0 is every address of the computer, and needs a token.",
    )
    .start_only(),
    ParamSpec::new("web.port", Default::Int(8080), Accepts::Int { min: 1, max: 65535 }, "Port of the page.").start_only(),
    ParamSpec::new(
        "web.token",
        Default::Text(""),
        Accepts::Any("16 to 256 letters, digits and signs, or nothing"),
        "What callers of the page have to know; empty: LISA_WEB_TOKEN of the environment, which, unlike a parameter, nobody on the ROS graph can read.",
    )
    .start_only(),
    ParamSpec::new("use_sim_time", Default::Bool(false), Accepts::Flag, "Take the time from /clock.").start_only(),
];
