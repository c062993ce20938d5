//! Topics: of a bag, of one of its files, and one to be written.

use std::collections::BTreeMap;

use super::messages::{Message, MessageDefinition};
use super::qos::QosProfile;

/// The definition of a message type as a bag carries it, so that messages can be read where the type is not installed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Definition {
    /// The language of the definition: `ros2msg` or `ros2idl` (MCAP's registry of schema encodings).
    pub encoding: String,
    /// The text of the definition, together with those of the types it is made of.
    pub text: String,
}

impl Definition {
    /// The definition of a type that is declared in Rust.
    pub fn ros2msg(of: &MessageDefinition) -> Self {
        Self {
            encoding: "ros2msg".to_owned(),
            text: of.full_text(),
        }
    }
}

/// A topic of a bag, with everything the bag says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its name, e.g. `/camera/image_raw`.
    pub name: String,
    /// The type of its messages, e.g. `sensor_msgs/msg/Image`.
    pub ros_type: String,
    /// How its messages are serialized: `cdr`.
    pub serialization_format: String,
    /// The QoS profiles that its publishers offered, each once.
    pub qos: Vec<QosProfile>,
    /// The definition of its type, if the bag has it.
    pub definition: Option<Definition>,
    /// The hash of its type (REP 2011), if the bag has it.
    pub type_hash: Option<String>,
    /// The number of its messages that were found.
    pub messages: u64,
}

impl Topic {
    /// Whether both speak of the same thing, whatever the number of its messages.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.ros_type == other.ros_type
    }

    /// The hash of its type, if the bag has one of the only version that there is. Some writers leave it empty.
    pub(super) fn rihs01(&self) -> Option<&str> {
        let hash = self.type_hash.as_deref();
        hash.filter(|hash| hash.starts_with("RIHS01_"))
    }

    /// Whether the bag says that its type has other fields than here. The hash tells if there is one, else the definition.
    pub(super) fn has_other_fields_than(&self, known: &MessageDefinition) -> bool {
        if let Some(hash) = self.rihs01() {
            return hash != known.hash;
        }
        let recorded = self.definition.as_ref();
        recorded
            .filter(|recorded| recorded.encoding == "ros2msg")
            .is_some_and(|recorded| fields(&recorded.text) != fields(&known.full_text()))
    }

    /// Takes over what another file, or another publisher's channel, says about the same topic.
    pub(super) fn merge(&mut self, other: Self) {
        self.messages = self.messages.saturating_add(other.messages);
        for profile in other.qos {
            if !self.qos.contains(&profile) {
                self.qos.push(profile);
            }
        }
        self.definition = self.definition.take().or(other.definition);
        self.type_hash = self.type_hash.take().or(other.type_hash);
    }
}

/// The fields, each a type and a name, of every type of a definition; the first type has an empty name. Comments, constants and
/// default values are left out, and so are the packages of types, which may be written or not.
fn fields(definition: &str) -> BTreeMap<&str, Vec<(&str, &str)>> {
    let mut types = BTreeMap::new();
    let mut ros_type = "";
    for line in definition.lines() {
        if let Some(name) = line.strip_prefix("MSG: ") {
            ros_type = name.trim();
            continue;
        }
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (Some(kind), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        if !name.contains('=') && words.next() != Some("=") {
            let kind = kind.rsplit('/').next().unwrap_or(kind);
            types
                .entry(ros_type)
                .or_insert_with(Vec::new)
                .push((kind, name));
        }
    }
    types
}

/// A topic of a file, and the number by which its messages name it.
pub struct StoredTopic {
    pub key: i64,
    pub topic: Topic,
}

/// A topic to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTopic {
    /// Its name, e.g. `/camera/image_raw`.
    pub name: String,
    /// The type of its messages, e.g. `sensor_msgs/msg/Image`.
    pub ros_type: String,
    /// The QoS profiles that its publishers offer.
    pub qos: Vec<QosProfile>,
    /// The definition of its type. `None`: the known one, which is among the standard ones or in
    /// [`WriterOptions::definitions`](super::WriterOptions::definitions).
    pub definition: Option<Definition>,
    /// The hash of its type (REP 2011). `None`: that of the known definition, if there is one.
    pub type_hash: Option<String>,
}

impl NewTopic {
    /// A topic of a type that is declared in Rust.
    pub fn of<'a, T: Message<'a>>(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ros_type: T::ROS_TYPE.to_owned(),
            qos: Vec::new(),
            definition: Some(Definition::ros2msg(T::DEFINITION)),
            type_hash: Some(T::DEFINITION.hash.to_owned()),
        }
    }

    /// Adds a QoS profile that its publishers offer.
    pub fn qos(mut self, profile: QosProfile) -> Self {
        self.qos.push(profile);
        self
    }
}

impl From<Topic> for NewTopic {
    /// The same topic as in another bag.
    fn from(topic: Topic) -> Self {
        Self {
            name: topic.name,
            ros_type: topic.ros_type,
            qos: topic.qos,
            definition: topic.definition,
            type_hash: topic.type_hash,
        }
    }
}

/// `package/msg/Name`, which some writers shorten to `package/Name`.
pub(super) fn full_type(ros_type: &str) -> String {
    match ros_type.split_once('/') {
        Some((package, name)) if !name.contains('/') => format!("{package}/msg/{name}"),
        _ => ros_type.to_owned(),
    }
}
