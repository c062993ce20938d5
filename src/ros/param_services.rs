//! The six parameter services of a ROS 2 node, and `/parameter_events`.
//!
//! r2r's own handler is not used: its descriptors carry no ranges, it has no read-only parameters, and it does not announce
//! changes. QoS overrides ([`qos`](super::qos)) are listed and described like the others. Everything here is answered within
//! microseconds, on the thread that spins the node.

use std::sync::{Arc, PoisonError};

use r2r::rcl_interfaces::msg::{
    FloatingPointRange, IntegerRange, ListParametersResult, Parameter, ParameterDescriptor,
    ParameterEvent, ParameterType, ParameterValue, SetParametersResult,
};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters,
    SetParametersAtomically,
};
use r2r::{Node, Publisher, QosProfile, ServiceRequest};

use super::clock::RosClock;
use super::param_table::{Accepts, ParamSpec, Settable, Value, PARAMS};
use super::params::{ParamError, ParamStore};
use super::qos::{QosOverrides, QosParam};
use super::r2r_ext::send;
use super::r2r_ext::{drain, r2r_stream, reply, R2rStream};
use super::shared::Shared;
use crate::node::ros_text;

/// The node's side of the services.
pub struct ParamServices {
    shared: Arc<Shared>,
    clock: RosClock,
    node_name: String,
    /// How many of the QoS parameters were announced.
    announced: usize,
    events: Publisher<ParameterEvent>,
    get: R2rStream<ServiceRequest<GetParameters::Service>>,
    types: R2rStream<ServiceRequest<GetParameterTypes::Service>>,
    list: R2rStream<ServiceRequest<ListParameters::Service>>,
    describe: R2rStream<ServiceRequest<DescribeParameters::Service>>,
    set: R2rStream<ServiceRequest<SetParameters::Service>>,
    set_atomically: R2rStream<ServiceRequest<SetParametersAtomically::Service>>,
}

impl ParamServices {
    /// Opens the services and announces every parameter as new.
    ///
    /// # Errors
    /// The middleware refuses a service.
    pub fn create(node: &mut Node, shared: Arc<Shared>, clock: RosClock) -> r2r::Result<Self> {
        let qos = QosProfile::parameters();
        let mut services = Self {
            clock,
            node_name: node.fully_qualified_name()?,
            announced: 0,
            events: shared.qos.create_publisher(
                node,
                "/parameter_events",
                QosProfile::parameter_events(),
            )?,
            get: r2r_stream(node.create_service("~/get_parameters", qos.clone())?),
            types: r2r_stream(node.create_service("~/get_parameter_types", qos.clone())?),
            list: r2r_stream(node.create_service("~/list_parameters", qos.clone())?),
            describe: r2r_stream(node.create_service("~/describe_parameters", qos.clone())?),
            set: r2r_stream(node.create_service("~/set_parameters", qos.clone())?),
            set_atomically: r2r_stream(node.create_service("~/set_parameters_atomically", qos)?),
            shared,
        };
        let mut all: Vec<_> = PARAMS.iter().map(|p| services.parameter(p.name)).collect();
        all.extend(services.new_qos_parameters());
        services.announce(all, Vec::new());
        Ok(services)
    }

    /// Answers all requests that have arrived. Returns whether a parameter changed.
    pub fn serve(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let made = self.new_qos_parameters();
        if !made.is_empty() {
            self.announce(made, Vec::new());
        }
        let read = || shared.params.read().unwrap_or_else(PoisonError::into_inner);
        drain(&mut self.get, |request| {
            let store = read();
            let values = request
                .message
                .names
                .iter()
                .map(|n| message_value(value_of(&store, &shared.qos, n).as_ref()))
                .collect();
            reply(request, GetParameters::Response { values });
        });
        drain(&mut self.types, |request| {
            let store = read();
            let types = request
                .message
                .names
                .iter()
                .map(|n| message_value(value_of(&store, &shared.qos, n).as_ref()).type_)
                .collect();
            reply(request, GetParameterTypes::Response { types });
        });
        drain(&mut self.list, |request| {
            let own = PARAMS.iter().map(|p| p.name.to_owned());
            let qos = shared.qos.params(0).into_iter().map(|p| p.name);
            let result = list(own.chain(qos), &request.message);
            reply(request, ListParameters::Response { result });
        });
        drain(&mut self.describe, |request| {
            let descriptors = request
                .message
                .names
                .iter()
                .map(|n| descriptor(n, &shared.qos))
                .collect();
            reply(request, DescribeParameters::Response { descriptors });
        });
        let mut changed = Vec::new();
        drain(&mut self.set, |request| {
            let parameters = request.message.parameters.clone();
            let results = parameters
                .into_iter()
                .map(|p| set_all(&shared, vec![p], &mut changed))
                .collect();
            reply(request, SetParameters::Response { results });
        });
        drain(&mut self.set_atomically, |request| {
            let result = set_all(&shared, request.message.parameters.clone(), &mut changed);
            reply(request, SetParametersAtomically::Response { result });
        });
        if changed.is_empty() {
            return false;
        }
        self.announce(
            Vec::new(),
            changed.iter().map(|name| self.parameter(name)).collect(),
        );
        true
    }

    /// The QoS parameters of what was made since the last call.
    fn new_qos_parameters(&mut self) -> Vec<Parameter> {
        let new = self.shared.qos.params(self.announced);
        self.announced += new.len();
        let parameter = |made: QosParam| Parameter {
            value: message_value(Some(&made.value)),
            name: made.name,
        };
        new.into_iter().map(parameter).collect()
    }

    fn parameter(&self, name: &str) -> Parameter {
        let store = self
            .shared
            .params
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Parameter {
            name: name.to_owned(),
            value: message_value(store.get(name)),
        }
    }

    fn announce(&self, new_parameters: Vec<Parameter>, changed_parameters: Vec<Parameter>) {
        let event = ParameterEvent {
            stamp: self.clock.now(),
            node: self.node_name.clone(),
            new_parameters,
            changed_parameters,
            deleted_parameters: Vec::new(),
        };
        send(&self.events, &event);
    }
}

/// Sets all of the parameters or none. The names of those that changed are added to `changed`.
fn set_all(
    shared: &Shared,
    parameters: Vec<Parameter>,
    changed: &mut Vec<String>,
) -> SetParametersResult {
    let mut store = shared
        .params
        .write()
        .unwrap_or_else(PoisonError::into_inner);
    let mut next: ParamStore = store.clone();
    let mut names = Vec::new();
    for parameter in parameters {
        let (name, value) = (&parameter.name, from_message(&parameter.value));
        let set = match shared.qos.get(name) {
            Some(made) if made.value == value => Ok(false),
            Some(made) => Err(ParamError::QosReadOnly { name: made.name }),
            None => next.set(name, value),
        };
        match set {
            Ok(true) => names.push(parameter.name),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!("parameter refused: {error}");
                return SetParametersResult {
                    successful: false,
                    reason: ros_text(&error.to_string()),
                };
            }
        }
    }
    for name in &names {
        if let Some(value) = next.get(name) {
            tracing::info!("parameter '{name}' is now {value}");
        }
    }
    *store = next;
    changed.append(&mut names);
    SetParametersResult {
        successful: true,
        reason: String::new(),
    }
}

/// What a list request asks for of all `names`, by the rules of rclcpp: a prefix stands for the name itself and for what follows it
/// and a dot, and `depth` bounds the number of parts in that, where 0 is no bound.
fn list(
    names: impl Iterator<Item = String>,
    request: &ListParameters::Request,
) -> ListParametersResult {
    let is_shallow =
        |rest: &str| request.depth == 0 || (rest.matches('.').count() as u64) < request.depth;
    let below = |name: &str, prefix: &str| {
        let rest = name.strip_prefix(prefix)?;
        Some(rest.is_empty() || is_shallow(rest.strip_prefix('.')?))
    };
    let wanted = |name: &String| match request.prefixes.as_slice() {
        [] => is_shallow(name),
        prefixes => prefixes.iter().any(|p| below(name, p) == Some(true)),
    };
    let names: Vec<String> = names.filter(wanted).collect();
    let mut prefixes: Vec<String> = Vec::new();
    for (prefix, _) in names.iter().filter_map(|name| name.rsplit_once('.')) {
        if !prefixes.iter().any(|known| known == prefix) {
            prefixes.push(prefix.to_owned());
        }
    }
    ListParametersResult { names, prefixes }
}

fn value_of(store: &ParamStore, qos: &QosOverrides, name: &str) -> Option<Value> {
    let own = store.get(name).cloned();
    own.or_else(|| qos.get(name).map(|made| made.value))
}

fn descriptor(name: &str, qos: &QosOverrides) -> ParameterDescriptor {
    let blank = ParameterDescriptor {
        name: ros_text(name),
        ..ParameterDescriptor::default()
    };
    if let Some(spec) = PARAMS.iter().find(|p| p.name == name) {
        return describe(spec, blank);
    }
    match qos.get(name) {
        Some(made) => ParameterDescriptor {
            type_: message_value(Some(&made.value)).type_,
            description: made.description,
            additional_constraints: format!(
                "{}; read when the topic is opened",
                made.policy.accepted()
            ),
            read_only: true,
            ..blank
        },
        None => blank,
    }
}

fn describe(spec: &ParamSpec, blank: ParameterDescriptor) -> ParameterDescriptor {
    let words = match spec.settable {
        Settable::AtStart => format!("{}; read when the node starts", spec.constraints()),
        Settable::Unconfigured => format!(
            "{}; read when the node is configured, and set only while it is unconfigured",
            spec.constraints()
        ),
        Settable::AtRunTime => spec.constraints(),
    };
    let mut d = ParameterDescriptor {
        type_: message_value(Some(&spec.default())).type_,
        description: spec.description.to_owned(),
        additional_constraints: words,
        read_only: spec.settable == Settable::AtStart,
        ..blank
    };
    match spec.accepts {
        Accepts::Int { min, max } => {
            d.integer_range = vec![IntegerRange {
                from_value: min,
                to_value: max,
                step: 0,
            }]
        }
        Accepts::Float { min, max } => {
            d.floating_point_range = vec![FloatingPointRange {
                from_value: min,
                to_value: max,
                step: 0.0,
            }];
        }
        Accepts::Flag
        | Accepts::OneOf(_)
        | Accepts::Device
        | Accepts::Any(_)
        | Accepts::Cameras => {}
    }
    d
}

/// A value as a message. `None` stands for a parameter that the node does not have, whose type is "not set".
fn message_value(value: Option<&Value>) -> ParameterValue {
    let mut m = ParameterValue::default();
    match value {
        Some(Value::Bool(v)) => (m.type_, m.bool_value) = (ParameterType::PARAMETER_BOOL as u8, *v),
        Some(Value::Int(v)) => {
            (m.type_, m.integer_value) = (ParameterType::PARAMETER_INTEGER as u8, *v)
        }
        Some(Value::Float(v)) => {
            (m.type_, m.double_value) = (ParameterType::PARAMETER_DOUBLE as u8, *v)
        }
        Some(Value::Text(v)) => {
            (m.type_, m.string_value) = (ParameterType::PARAMETER_STRING as u8, v.clone())
        }
        Some(Value::Texts(v)) => {
            m.type_ = ParameterType::PARAMETER_STRING_ARRAY as u8;
            m.string_array_value.clone_from(v);
        }
        Some(Value::Other(_)) | None => {}
    }
    m
}

fn from_message(m: &ParameterValue) -> Value {
    match m.type_ {
        1 => Value::Bool(m.bool_value),
        2 => Value::Int(m.integer_value),
        3 => Value::Float(m.double_value),
        4 => Value::Text(m.string_value.clone()),
        0 => Value::Other("value that is not set"),
        5 => Value::Other("byte array"),
        6 => Value::Other("bool array"),
        7 => Value::Other("integer array"),
        8 => Value::Other("double array"),
        9 => Value::Texts(m.string_array_value.clone()),
        _ => Value::Other("value of unknown type"),
    }
}

/// An override as r2r read it from the command line or a parameter file.
pub fn from_override(value: &r2r::ParameterValue) -> Value {
    match value {
        r2r::ParameterValue::Bool(v) => Value::Bool(*v),
        r2r::ParameterValue::Integer(v) => Value::Int(*v),
        r2r::ParameterValue::Double(v) => Value::Float(*v),
        r2r::ParameterValue::String(v) => Value::Text(v.clone()),
        r2r::ParameterValue::StringArray(v) => Value::Texts(v.clone()),
        // An empty list in a parameter file: rcl finds nothing in it that would say of which type it is.
        r2r::ParameterValue::NotSet => Value::Texts(Vec::new()),
        other => Value::Other(other.type_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_by_prefix_and_depth_as_in_rclcpp() {
        let listed = |prefixes: &[&str], depth| {
            let names = [
                "mode",
                "qos./a.publisher.depth",
                "qos./a.publisher.history",
                "qosx",
            ];
            let request = ListParameters::Request {
                prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(),
                depth,
            };
            let result = list(names.into_iter().map(str::to_owned), &request);
            (result.names.len(), result.prefixes)
        };
        let below = vec!["qos./a.publisher".to_owned()];
        assert_eq!(listed(&[], 0), (4, below.clone()));
        assert_eq!(listed(&[], 1), (2, Vec::new()));
        assert_eq!(listed(&["qos"], 0), (2, below.clone()));
        assert_eq!(listed(&["qos"], 2), (0, Vec::new()));
        assert_eq!(listed(&["qos", "mode"], 3), (3, below.clone()));
        assert_eq!(listed(&["qos./a.publisher"], 1), (2, below));
        assert_eq!(listed(&["mode"], 1), (1, Vec::new()));
        assert_eq!(listed(&["nothing"], 0), (0, Vec::new()));
    }
}
