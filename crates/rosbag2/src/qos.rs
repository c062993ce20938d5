//! The quality of service a topic was offered with, as rosbag2 writes it.
//!
//! Up to metadata version 8 a profile is a YAML list inside a string, its policies as rmw's numbers; from version 9 on it is
//! a YAML list with names. Both are read wherever they stand, and what a policy is not known by becomes `Unknown`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_yaml_ng::Value;

/// A policy: its variants with rmw's number (`rmw/types.h`) and name.
macro_rules! policy {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
            /// A policy that the writer of the bag did not know, or that is not known here.
            #[default]
            Unknown,
        }

        impl $name {
            const KNOWN: &'static [(Self, u64, &'static str)] = &[$((Self::$variant, $number, $text)),*];

            /// Its name in rmw.
            pub fn name(self) -> &'static str {
                let known = Self::KNOWN.iter().find(|(variant, ..)| *variant == self);
                known.map_or("unknown", |(_, _, name)| name)
            }

            fn number(self) -> u64 {
                let known = Self::KNOWN.iter().find(|(variant, ..)| *variant == self);
                known.map_or(Self::UNKNOWN, |(_, number, _)| *number)
            }

            fn of(value: &Value) -> Self {
                let is = |(_, number, name): &&(Self, u64, &str)| match value {
                    Value::Number(given) => given.as_u64() == Some(*number),
                    Value::String(given) => given.eq_ignore_ascii_case(name),
                    _ => false,
                };
                Self::KNOWN.iter().find(is).map_or(Self::Unknown, |known| known.0)
            }
        }
    };
}

policy! {
    /// How many samples are kept.
    History {
        SystemDefault = 0, "system_default";
        KeepLast = 1, "keep_last";
        KeepAll = 2, "keep_all";
    }
}

policy! {
    /// Whether samples may be lost.
    Reliability {
        SystemDefault = 0, "system_default";
        Reliable = 1, "reliable";
        BestEffort = 2, "best_effort";
        BestAvailable = 4, "best_available";
    }
}

policy! {
    /// Whether late subscribers get earlier samples.
    Durability {
        SystemDefault = 0, "system_default";
        TransientLocal = 1, "transient_local";
        Volatile = 2, "volatile";
        BestAvailable = 4, "best_available";
    }
}

policy! {
    /// How a publisher shows that it is alive.
    Liveliness {
        SystemDefault = 0, "system_default";
        Automatic = 1, "automatic";
        ManualByNode = 2, "manual_by_node";
        ManualByTopic = 3, "manual_by_topic";
        BestAvailable = 5, "best_available";
    }
}

impl History {
    const UNKNOWN: u64 = 3;
}
impl Reliability {
    const UNKNOWN: u64 = 3;
}
impl Durability {
    const UNKNOWN: u64 = 3;
}
impl Liveliness {
    const UNKNOWN: u64 = 4;
}

/// A length of time of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QosTime {
    /// Whole seconds.
    pub sec: u64,
    /// Nanoseconds after those.
    pub nsec: u64,
}

impl QosTime {
    /// No limit: 2^63 - 1 nanoseconds.
    pub const INFINITE: Self = Self {
        sec: 9_223_372_036,
        nsec: 854_775_807,
    };
}

/// The quality of service of one publisher.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QosProfile {
    /// How many samples are kept.
    pub history: History,
    /// How many samples are kept, if the history is [`History::KeepLast`].
    pub depth: u64,
    /// Whether samples may be lost.
    pub reliability: Reliability,
    /// Whether late subscribers get earlier samples.
    pub durability: Durability,
    /// The longest time between two samples.
    pub deadline: QosTime,
    /// How long a sample is of use.
    pub lifespan: QosTime,
    /// How the publisher shows that it is alive.
    pub liveliness: Liveliness,
    /// The longest time until the publisher has to show it again.
    pub liveliness_lease_duration: QosTime,
    /// Whether the topic's name is used as it is, without ROS's prefix.
    pub avoid_ros_namespace_conventions: bool,
}

impl QosProfile {
    /// Reliable and volatile, keeping the last `depth` samples. With a depth of 10 it is ROS 2's default profile.
    pub fn reliable(depth: u64) -> Self {
        Self {
            history: History::KeepLast,
            depth,
            reliability: Reliability::Reliable,
            durability: Durability::Volatile,
            deadline: QosTime::INFINITE,
            lifespan: QosTime::INFINITE,
            liveliness: Liveliness::Automatic,
            liveliness_lease_duration: QosTime::INFINITE,
            avoid_ros_namespace_conventions: false,
        }
    }

    /// ROS 2's profile for sensor data: best effort, keeping the last 5 samples.
    pub fn sensor_data() -> Self {
        Self {
            reliability: Reliability::BestEffort,
            ..Self::reliable(5)
        }
    }

    /// The profile of `/tf_static`: reliable, and late subscribers get the last `depth` samples.
    pub fn transient_local(depth: u64) -> Self {
        Self {
            durability: Durability::TransientLocal,
            ..Self::reliable(depth)
        }
    }
}

/// The profiles of a topic, which the metadata gives as nothing, a list, or a string that holds a list. Whatever is not a
/// profile is left out, because a bag can be read without it.
pub(super) fn from_value(value: &Value) -> Vec<QosProfile> {
    match value {
        Value::String(text) => parse(text),
        Value::Sequence(profiles) => profiles.iter().filter_map(profile).collect(),
        _ => Vec::new(),
    }
}

/// The profiles of a topic, from the string that holds them.
pub(super) fn parse(text: &str) -> Vec<QosProfile> {
    match serde_yaml_ng::from_str(text) {
        Ok(Value::Sequence(profiles)) => profiles.iter().filter_map(profile).collect(),
        _ => Vec::new(),
    }
}

/// As metadata of a version writes profiles: versions up to 8 have a string of numbers, later ones a list of names.
pub(super) fn to_value(profiles: &[QosProfile], version: u32) -> Value {
    if version >= 9 {
        return list(profiles, true);
    }
    Value::String(to_text(profiles, version))
}

/// As a storage of a metadata version writes profiles: always a string, empty for none.
pub(super) fn to_text(profiles: &[QosProfile], version: u32) -> String {
    if profiles.is_empty() {
        return String::new();
    }
    let text = serde_yaml_ng::to_string(&list(profiles, version >= 9)).unwrap_or_default();
    text.trim_end().to_owned()
}

fn list(profiles: &[QosProfile], names: bool) -> Value {
    let profiles = profiles
        .iter()
        .map(|profile| WrittenProfile { profile, names });
    serde_yaml_ng::to_value(profiles.collect::<Vec<_>>()).unwrap_or_default()
}

#[derive(Deserialize)]
struct ReadProfile {
    #[serde(default)]
    history: Value,
    #[serde(default)]
    depth: u64,
    #[serde(default)]
    reliability: Value,
    #[serde(default)]
    durability: Value,
    #[serde(default = "infinite")]
    deadline: QosTime,
    #[serde(default = "infinite")]
    lifespan: QosTime,
    #[serde(default)]
    liveliness: Value,
    #[serde(default = "infinite")]
    liveliness_lease_duration: QosTime,
    #[serde(default)]
    avoid_ros_namespace_conventions: bool,
}

fn infinite() -> QosTime {
    QosTime::INFINITE
}

fn profile(value: &Value) -> Option<QosProfile> {
    let read = ReadProfile::deserialize(value).ok()?;
    Some(QosProfile {
        history: History::of(&read.history),
        depth: read.depth,
        reliability: Reliability::of(&read.reliability),
        durability: Durability::of(&read.durability),
        deadline: read.deadline,
        lifespan: read.lifespan,
        liveliness: Liveliness::of(&read.liveliness),
        liveliness_lease_duration: read.liveliness_lease_duration,
        avoid_ros_namespace_conventions: read.avoid_ros_namespace_conventions,
    })
}

struct WrittenProfile<'a> {
    profile: &'a QosProfile,
    names: bool,
}

impl Serialize for WrittenProfile<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields {
            history: Value,
            depth: u64,
            reliability: Value,
            durability: Value,
            deadline: QosTime,
            lifespan: QosTime,
            liveliness: Value,
            liveliness_lease_duration: QosTime,
            avoid_ros_namespace_conventions: bool,
        }
        let QosProfile {
            history,
            reliability,
            durability,
            liveliness,
            ..
        } = *self.profile;
        let policy = |name: &str, number: u64| match self.names {
            true => Value::from(name),
            false => Value::from(number),
        };
        let fields = Fields {
            history: policy(history.name(), history.number()),
            depth: self.profile.depth,
            reliability: policy(reliability.name(), reliability.number()),
            durability: policy(durability.name(), durability.number()),
            deadline: self.profile.deadline,
            lifespan: self.profile.lifespan,
            liveliness: policy(liveliness.name(), liveliness.number()),
            liveliness_lease_duration: self.profile.liveliness_lease_duration,
            avoid_ros_namespace_conventions: self.profile.avoid_ros_namespace_conventions,
        };
        fields.serialize(serializer)
    }
}

/// For a field of metadata.yaml, which may have either form.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<QosProfile>, D::Error> {
    Value::deserialize(deserializer).map(|value| from_value(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_read_back_in_both_forms() {
        let profiles = [
            QosProfile::sensor_data(),
            QosProfile::transient_local(1),
            QosProfile {
                history: History::Unknown,
                liveliness: Liveliness::Unknown,
                ..QosProfile::reliable(10)
            },
        ];
        for version in [8, 9] {
            assert_eq!(from_value(&to_value(&profiles, version)), profiles);
            assert_eq!(parse(&to_text(&profiles, version)), profiles);
        }
        assert_eq!(to_text(&[], 8), "");
        assert_eq!(to_value(&[], 9), Value::Sequence(vec![]));
    }

    #[test]
    fn what_older_releases_wrote_is_read() {
        // Foxy's infinite durations, and a field that came later is absent.
        let text =
            "- history: 1\n  depth: 10\n  reliability: 2\n  durability: 2\n  deadline:\n    \
            sec: 2147483647\n    nsec: 4294967295\n  lifespan:\n    sec: 0\n    nsec: 0\n  \
            liveliness: 7";
        let [profile] = parse(text).try_into().unwrap();
        assert_eq!(profile.reliability, Reliability::BestEffort);
        assert_eq!(profile.liveliness, Liveliness::Unknown);
        assert_eq!(profile.deadline.nsec, 4_294_967_295);
        assert_eq!(profile.liveliness_lease_duration, QosTime::INFINITE);
        for nonsense in ["", "[", "- 3", "x: y", "- {depth: -1}"] {
            assert_eq!(parse(nonsense), [], "{nonsense}");
        }
    }
}
