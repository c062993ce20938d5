//! The node's parameters: [`PARAMS`] says what each is called, means and accepts; a [`ParamStore`] holds values that have
//! passed it; [`NodeParams`] is what the rest of the node reads.
//!
//! Raw values enter in two places only (overrides at start, the `set_parameters` services) and both go through
//! [`ParamStore::check`], so nothing deeper in the node ever meets a value out of range.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::param_table::{Accepts, ParamSpec, Settable, Value, PARAMS};
use super::web::WebParams;
use crate::engine::{AnswerOptions, DTypeSpec, DeviceSpec};
use crate::node::{
    are_camera_names, compressed, topics, BoxOrientation, FollowSettings, Settings, SpaceSettings,
};
use crate::weights::find_model;

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParamError {
    #[error("there is no parameter '{name}'; there are: {}", PARAMS.map(|p| p.name).join(", "))]
    Unknown { name: String },
    #[error("'{name}' is read when the node starts; restart it with -p {name}:=…")]
    StartOnly { name: &'static str },
    #[error("'{name}' is read when the node is configured, so it can be set only while the node is unconfigured: deactivate it and clean it up before, or restart it with -p {name}:=…")]
    Configured { name: &'static str },
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
    #[error("'{name}' is {value}; accepted: {accepted}")]
    Qos {
        name: String,
        value: String,
        accepted: &'static str,
    },
    #[error("'{name}' is read when the topic is opened; restart the node with -p {name}:=…")]
    QosReadOnly { name: String },
    #[error("parameter 'model' is empty, and the project's own model is not installed: give a model directory with -p model:=DIR (`lisa convert` makes one)")]
    NoModel,
}

/// The values of all parameters, each of which its row of the table accepts, and the typed view of them.
#[derive(Clone, Debug)]
pub struct ParamStore {
    values: Vec<Value>,
    /// Whether the node is unconfigured, so that what is read when it is configured may be set.
    unconfigured: bool,
    params: Arc<NodeParams>,
}

impl Default for ParamStore {
    fn default() -> Self {
        Self::new(PARAMS.iter().map(ParamSpec::default).collect())
    }
}

impl ParamStore {
    fn new(values: Vec<Value>) -> Self {
        let params = Arc::new(Values(&values).params());
        Self {
            values,
            unconfigured: false,
            params,
        }
    }

    /// Defaults, then the overrides of the command line and parameter files.
    ///
    /// # Errors
    /// The first override that its row refuses. Names that the node does not have are not an error, because a parameter file
    /// may serve several nodes: they come back second, to be warned about.
    pub fn with_overrides(
        overrides: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(Self, Vec<String>), ParamError> {
        let mut values = Self::default().values;
        let mut unknown = Vec::new();
        for (name, value) in overrides {
            match index_of(&name) {
                Some(i) => values[i] = check_value(&PARAMS[i], value)?,
                None => unknown.push(name),
            }
        }
        Ok((Self::new(values), unknown))
    }

    /// Takes the model `shipped` if no model was named.
    ///
    /// # Errors
    /// [`ParamError::NoModel`] if that is `None`.
    pub fn complete_model(&mut self, shipped: Option<PathBuf>) -> Result<(), ParamError> {
        let unnamed = Values(&self.values).text("model").is_empty();
        if let (Some(i), true) = (index_of("model"), unnamed) {
            let shipped = shipped.ok_or(ParamError::NoModel)?;
            self.put(i, Value::Text(shipped.to_string_lossy().into_owned()));
        }
        Ok(())
    }

    /// Says whether the node is unconfigured.
    pub fn set_unconfigured(&mut self, unconfigured: bool) {
        self.unconfigured = unconfigured;
    }

    /// The value of a parameter; `None` if the node has no parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        index_of(name).map(|i| &self.values[i])
    }

    /// What the store would hold if this were set while the node runs.
    ///
    /// # Errors
    /// [`ParamError`], whose text `ros2 param set` shows.
    pub fn check(&self, name: &str, value: Value) -> Result<Value, ParamError> {
        let i = index_of(name).ok_or_else(|| ParamError::Unknown {
            name: name.to_owned(),
        })?;
        let value = check_value(&PARAMS[i], value)?;
        let name = PARAMS[i].name;
        match PARAMS[i].settable {
            // The value that it has is always accepted, because parameter files are loaded into running nodes that way.
            _ if value == self.values[i] => Ok(value),
            Settable::Unconfigured if !self.unconfigured => Err(ParamError::Configured { name }),
            Settable::AtStart => Err(ParamError::StartOnly { name }),
            Settable::AtRunTime | Settable::Unconfigured => Ok(value),
        }
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
        if changed {
            self.put(i, value);
        }
        Ok(changed)
    }

    fn put(&mut self, index: usize, value: Value) {
        self.values[index] = value;
        self.params = Arc::new(Values(&self.values).params());
    }

    /// The typed view of these values; a change makes a new one.
    pub fn params(&self) -> Arc<NodeParams> {
        Arc::clone(&self.params)
    }
}

/// Access to values by the names of their parameters.
struct Values<'v>(&'v [Value]);

impl Values<'_> {
    fn params(&self) -> NodeParams {
        NodeParams {
            model: find_model(self.text("model").as_ref()),
            device: self.text("device").parse().unwrap_or_default(),
            dtype: self.text("dtype").parse().unwrap_or_default(),
            cameras: self.texts("cameras").to_vec(),
            compressed: self.text("image_transport") == "compressed",
            reliable: self.text("image_reliability") == "reliable",
            settings: Arc::new(Settings {
                answer: AnswerOptions {
                    max_new_tokens: self.int("max_new_tokens") as usize,
                    temperature: self.float("temperature"),
                    mask_threshold: self.float("mask_threshold") as f32,
                    min_mask_area: self.int("min_mask_area") as usize,
                    clip_fit: self.text("clip_fit").parse().ok(),
                    ..AnswerOptions::default()
                },
                max_pending: self.int("max_pending") as usize,
                sync_slop_s: self.float("sync_slop_s"),
                continuous: self.text("mode") == "continuous",
                max_rate_hz: self.float("max_rate_hz"),
                publish_overlay: self.flag("publish_overlay"),
                publish_attention: self.flag("publish_attention"),
                overlay_alpha: self.float("overlay_alpha") as f32,
                space: self.space(),
                follow: FollowSettings {
                    patience_s: self.float("follow.patience"),
                    min_score: self.float("follow.min_score"),
                    min_overlap: self.float("follow.min_overlap"),
                },
            }),
            depth: self.depth(),
            use_sim_time: self.flag("use_sim_time"),
            autostart: self.flag("autostart"),
            web: self.flag("web.enable").then(|| WebParams {
                address: self.text("web.address").to_owned(),
                // Its row of the table accepts ports only.
                port: u16::try_from(self.int("web.port")).unwrap_or_default(),
                token: self.text("web.token").to_owned(),
            }),
            unload_after: Duration::try_from_secs_f64(self.float("unload_after"))
                .ok()
                .filter(|after| !after.is_zero()),
        }
    }

    fn depth(&self) -> DepthTransport {
        match self.text("depth.transport") {
            "raw" => DepthTransport::Raw,
            "compressedDepth" => DepthTransport::Compressed,
            _ => DepthTransport::Off,
        }
    }

    fn space(&self) -> SpaceSettings {
        SpaceSettings {
            enabled: self.depth() != DepthTransport::Off,
            max_offset_s: self.float("depth.max_offset"),
            depth_timeout_s: self.float("depth.timeout"),
            target_frame: self.text("target_frame").to_owned(),
            fixed_frame: self.text("fixed_frame").to_owned(),
            tf_timeout_s: self.float("tf_timeout"),
            orientation: match self.text("box.orientation") {
                "gravity" => BoxOrientation::Gravity,
                _ => BoxOrientation::Principal,
            },
            gravity_frame: self.text("gravity_frame").to_owned(),
            rectified: self.flag("image_rectified"),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        index_of(name).map(|i| &self.0[i])
    }

    fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(v)) => v,
            _ => "",
        }
    }

    fn texts(&self, name: &str) -> &[String] {
        match self.get(name) {
            Some(Value::Texts(v)) => v,
            _ => &[],
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
    /// The model directory; empty if none was named.
    pub model: PathBuf,
    pub device: DeviceSpec,
    pub dtype: DTypeSpec,
    /// The names of the cameras that share the model; empty for the only camera.
    pub cameras: Vec<String>,
    /// `image/compressed` instead of `image`.
    pub compressed: bool,
    /// Ask the image publisher for reliable delivery.
    pub reliable: bool,
    /// What the state machine depends on.
    pub settings: Arc<Settings>,
    /// How depth images come, if they do.
    pub depth: DepthTransport,
    pub use_sim_time: bool,
    /// Configure and activate the node as soon as it has started.
    pub autostart: bool,
    /// Where the page for a browser is served; `None`: nowhere.
    pub web: Option<WebParams>,
    /// Give the model's memory back after so long without a question; `None` never does.
    pub unload_after: Option<Duration>,
}

/// How depth images come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthTransport {
    /// They do not.
    Off,
    /// As `sensor_msgs/Image`.
    Raw,
    /// As `sensor_msgs/CompressedImage` of `compressed_depth_image_transport`.
    Compressed,
}

impl DepthTransport {
    /// The topic that the node subscribes to, before remapping.
    pub fn topic(self) -> &'static str {
        match self {
            DepthTransport::Compressed => topics::DEPTH_COMPRESSED,
            DepthTransport::Off | DepthTransport::Raw => topics::DEPTH,
        }
    }
}

impl NodeParams {
    /// The topic of images that the node subscribes to, before remapping.
    pub fn image_topic(&self) -> String {
        match self.compressed {
            true => compressed(topics::IMAGE),
            false => topics::IMAGE.to_owned(),
        }
    }
}

fn index_of(name: &str) -> Option<usize> {
    PARAMS.iter().position(|p| p.name == name)
}

/// Returns the value in the parameter's own type if its row accepts it. An integer is accepted as a double, because `ros2 param
/// set` and YAML write 1 for 1.0.
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
        (Accepts::Cameras, Value::Texts(v)) => are_camera_names(v),
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
        assert!(!params.compressed && !params.reliable);
        // A replay uses `Settings::default()`, which therefore has to agree with the node's parameters.
        assert_eq!(*params.settings, Settings::default());
        assert_eq!(params.settings.answer.max_new_tokens, 128);
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
    fn cameras_are_a_list_of_different_namespaces() {
        let texts = |names: &[&str]| Value::Texts(names.iter().map(|v| (*v).to_owned()).collect());
        let given = |value| ParamStore::with_overrides([("cameras".to_owned(), value)]);
        assert!(ParamStore::default().params().cameras.is_empty());
        let (store, _) = given(texts(&["front", "arm"])).unwrap();
        assert_eq!(store.params().cameras, ["front", "arm"]);
        let refused = given(texts(&["front", "front"])).unwrap_err().to_string();
        let expected = "'cameras' is [front, front]; accepted: up to 64 different namespaces";
        assert!(refused.starts_with(expected), "{refused}");
        let refused = given(Value::Text("front".into())).unwrap_err().to_string();
        assert!(
            refused.contains("a string; accepted: up to 64"),
            "{refused}"
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

    #[test]
    fn what_the_model_depends_on_is_set_while_the_node_is_unconfigured() {
        let mut store = ParamStore::default();
        let text = |v: &str| Value::Text(v.to_owned());
        let values = [("model", "/m"), ("device", "cpu"), ("dtype", "f16")];
        for (name, value) in values {
            let refused = store.set(name, text(value)).unwrap_err().to_string();
            assert!(
                refused.contains("only while the node is unconfigured"),
                "{refused}"
            );
            assert!(
                refused.contains(&format!("restart it with -p {name}:=")),
                "{refused}"
            );
        }
        store.set_unconfigured(true);
        for (name, value) in values {
            assert_eq!(store.set(name, text(value)), Ok(true), "{name}");
        }
        assert_eq!(store.params().model, PathBuf::from("/m"));
        let still = store.set("image_transport", text("compressed"));
        assert!(
            matches!(still, Err(ParamError::StartOnly { .. })),
            "{still:?}"
        );
        store.set_unconfigured(false);
        assert_eq!(
            store.set("model", text("/m")),
            Ok(false),
            "what it has is accepted"
        );
        assert!(store.set("model", text("/other")).is_err());
    }

    #[test]
    fn zero_never_unloads() {
        let mut store = ParamStore::default();
        assert_eq!(store.params().unload_after, None);
        assert_eq!(store.set("unload_after", Value::Int(2)), Ok(true));
        assert_eq!(store.params().unload_after, Some(Duration::from_secs(2)));
    }

    #[test]
    fn the_shipped_model_answers_where_none_is_named() {
        let mut store = ParamStore::default();
        assert!(matches!(
            store.complete_model(None),
            Err(ParamError::NoModel)
        ));
        store.complete_model(Some("/own".into())).unwrap();
        assert_eq!(store.params().model, PathBuf::from("/own"));
        store.complete_model(None).unwrap();
        assert_eq!(store.params().model, PathBuf::from("/own"));
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
                    prop_assert_eq!(store.params().settings.answer.temperature, v);
                }
                Err(_) => {
                    prop_assert!(!(0.0..=2.0).contains(&v));
                    prop_assert_eq!(store.get("temperature").cloned(), before);
                }
            }
        }
    }
}
