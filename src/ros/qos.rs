//! Quality of service by parameter, as rclcpp has it: `qos_overrides./lisa/result.publisher.durability: transient_local`.
//!
//! A topic's name in a parameter is the resolved one, after namespace and remappings. Values are read once, when the publisher or
//! subscription is made, and the parameters are read-only from then on. All overrides are checked when the node starts, so that a
//! wrong one ends it at once and not when the topic is opened.
//!
//! `best_available` is not accepted: r2r has it for some distributions only, and a crate that uses r2r cannot tell which.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use r2r::qos::{DurabilityPolicy, HistoryPolicy, LivelinessPolicy, ReliabilityPolicy};
use r2r::{Node, Publisher, QosProfile, WrappedTypesupport};

use super::param_table::Value;
use super::params::ParamError;
use super::remap::Remaps;
use super::stall::MiddlewareCall;

/// What all of the parameters' names begin with.
const PREFIX: &str = "qos_overrides.";

/// Which end of a topic a parameter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Publisher,
    Subscription,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Publisher => "publisher",
            End::Subscription => "subscription",
        }
    }
}

/// A policy of a [`QosProfile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    History,
    Depth,
    Reliability,
    Durability,
    Deadline,
    /// Of publishers only, because DDS has it there.
    Lifespan,
    Liveliness,
    LivelinessLeaseDuration,
}

impl Policy {
    const ALL: [Self; 8] = [
        Self::History,
        Self::Depth,
        Self::Reliability,
        Self::Durability,
        Self::Deadline,
        Self::Lifespan,
        Self::Liveliness,
        Self::LivelinessLeaseDuration,
    ];

    fn name(self) -> &'static str {
        match self {
            Policy::History => "history",
            Policy::Depth => "depth",
            Policy::Reliability => "reliability",
            Policy::Durability => "durability",
            Policy::Deadline => "deadline",
            Policy::Lifespan => "lifespan",
            Policy::Liveliness => "liveliness",
            Policy::LivelinessLeaseDuration => "liveliness_lease_duration",
        }
    }

    fn is_of(self, end: End) -> bool {
        self != Policy::Lifespan || end == End::Publisher
    }

    /// Its name and what it accepts, for the descriptor and for refusals.
    pub fn accepted(self) -> &'static str {
        match self {
            Policy::History => "one of: keep_last, keep_all, system_default",
            Policy::Depth => "an integer from 0 to 2147483647",
            Policy::Reliability => "one of: reliable, best_effort, system_default",
            Policy::Durability => "one of: volatile, transient_local, system_default",
            Policy::Liveliness => "one of: automatic, manual_by_topic, system_default",
            Policy::Deadline | Policy::Lifespan | Policy::LivelinessLeaseDuration => {
                "an integer of nanoseconds from 0, which is the middleware's default, to 9223372036854775807"
            }
        }
    }

    /// Its value in a profile.
    fn of(self, profile: &QosProfile) -> Value {
        let nanoseconds = |d: Duration| Value::Int(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
        let text = |words: &str| Value::Text(words.to_owned());
        match self {
            Policy::History => text(match profile.history {
                HistoryPolicy::KeepLast => "keep_last",
                HistoryPolicy::KeepAll => "keep_all",
                HistoryPolicy::SystemDefault => "system_default",
                _ => "unknown",
            }),
            Policy::Depth => Value::Int(i64::try_from(profile.depth).unwrap_or(i64::MAX)),
            Policy::Reliability => text(reliability_name(&profile.reliability)),
            Policy::Durability => text(durability_name(&profile.durability)),
            Policy::Liveliness => text(liveliness_name(&profile.liveliness)),
            Policy::Deadline => nanoseconds(profile.deadline),
            Policy::Lifespan => nanoseconds(profile.lifespan),
            Policy::LivelinessLeaseDuration => nanoseconds(profile.liveliness_lease_duration),
        }
    }

    /// Sets it in a profile; `None`, and nothing changes, if the value is not accepted.
    fn set(self, profile: &mut QosProfile, value: &Value) -> Option<()> {
        let duration = || match value {
            Value::Int(ns) => u64::try_from(*ns).ok().map(Duration::from_nanos),
            _ => None,
        };
        match (self, value) {
            (Policy::Depth, Value::Int(depth)) => {
                profile.depth = usize::try_from(i32::try_from(*depth).ok()?).ok()?;
            }
            (Policy::Deadline, _) => profile.deadline = duration()?,
            (Policy::Lifespan, _) => profile.lifespan = duration()?,
            (Policy::LivelinessLeaseDuration, _) => profile.liveliness_lease_duration = duration()?,
            (Policy::History, Value::Text(name)) => {
                profile.history = match name.as_str() {
                    "keep_last" => HistoryPolicy::KeepLast,
                    "keep_all" => HistoryPolicy::KeepAll,
                    "system_default" => HistoryPolicy::SystemDefault,
                    _ => return None,
                }
            }
            (Policy::Reliability, Value::Text(name)) => {
                profile.reliability = match name.as_str() {
                    "reliable" => ReliabilityPolicy::Reliable,
                    "best_effort" => ReliabilityPolicy::BestEffort,
                    "system_default" => ReliabilityPolicy::SystemDefault,
                    _ => return None,
                }
            }
            (Policy::Durability, Value::Text(name)) => {
                profile.durability = match name.as_str() {
                    "volatile" => DurabilityPolicy::Volatile,
                    "transient_local" => DurabilityPolicy::TransientLocal,
                    "system_default" => DurabilityPolicy::SystemDefault,
                    _ => return None,
                }
            }
            (Policy::Liveliness, Value::Text(name)) => {
                profile.liveliness = match name.as_str() {
                    "automatic" => LivelinessPolicy::Automatic,
                    "manual_by_topic" => LivelinessPolicy::ManualByTopic,
                    "system_default" => LivelinessPolicy::SystemDefault,
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }
}

fn reliability_name(policy: &ReliabilityPolicy) -> &'static str {
    match policy {
        ReliabilityPolicy::Reliable => "reliable",
        ReliabilityPolicy::BestEffort => "best_effort",
        ReliabilityPolicy::SystemDefault => "system_default",
        _ => "unknown",
    }
}

fn durability_name(policy: &DurabilityPolicy) -> &'static str {
    match policy {
        DurabilityPolicy::Volatile => "volatile",
        DurabilityPolicy::TransientLocal => "transient_local",
        DurabilityPolicy::SystemDefault => "system_default",
        _ => "unknown",
    }
}

fn liveliness_name(policy: &LivelinessPolicy) -> &'static str {
    match policy {
        LivelinessPolicy::Automatic => "automatic",
        LivelinessPolicy::ManualByTopic => "manual_by_topic",
        LivelinessPolicy::SystemDefault => "system_default",
        _ => "unknown",
    }
}

/// A parameter of a publisher or subscription that the node has made.
#[derive(Clone, Debug)]
pub struct QosParam {
    pub name: String,
    pub value: Value,
    pub description: String,
    pub policy: Policy,
}

/// A subscription that the node has made.
#[derive(Clone, Debug)]
struct MadeSubscription {
    topic: String,
    profile: QosProfile,
}

#[derive(Debug, Default)]
struct Made {
    params: Vec<QosParam>,
    subscriptions: Vec<MadeSubscription>,
}

/// The overrides that the node was started with, and the parameters of what it has made so far.
#[derive(Debug, Default)]
pub struct QosOverrides {
    remaps: Remaps,
    given: Vec<(String, Value)>,
    made: Mutex<Made>,
}

impl QosOverrides {
    /// Takes the QoS overrides out of all `overrides`, and returns the others second.
    ///
    /// # Errors
    /// The first of them whose policy does not accept its value.
    pub fn take(
        overrides: impl IntoIterator<Item = (String, Value)>,
        remaps: Remaps,
    ) -> Result<(Self, Vec<(String, Value)>), ParamError> {
        let (given, others): (Vec<_>, Vec<_>) = overrides
            .into_iter()
            .partition(|(name, _)| name.starts_with(PREFIX));
        for (name, value) in &given {
            let policy = name.rsplit('.').next().unwrap_or_default();
            let Some(policy) = Policy::ALL.into_iter().find(|p| p.name() == policy) else {
                continue;
            };
            let accepted = policy.set(&mut QosProfile::default(), value);
            accepted.ok_or_else(|| ParamError::Qos {
                name: name.clone(),
                value: value.to_string(),
                accepted: policy.accepted(),
            })?;
        }
        let overrides = Self {
            remaps,
            given,
            made: Mutex::default(),
        };
        Ok((overrides, others))
    }

    /// Creates a publisher with `default` and what parameters say otherwise.
    ///
    /// # Errors
    /// The middleware refuses a publisher.
    pub fn create_publisher<T: WrappedTypesupport>(
        &self,
        node: &mut Node,
        topic: &str,
        default: QosProfile,
    ) -> r2r::Result<Publisher<T>> {
        let profile = self.make(End::Publisher, topic, default);
        node.create_publisher(topic, profile)
    }

    /// The profile of a subscription that is about to be made: `default`, and what parameters say otherwise.
    pub fn subscription(&self, topic: &str, default: QosProfile) -> QosProfile {
        self.make(End::Subscription, topic, default)
    }

    /// The profile that [`subscription`](Self::subscription) will return.
    pub fn future_subscription(&self, topic: &str, default: QosProfile) -> QosProfile {
        self.overridden(End::Subscription, &self.remaps.resolve(topic), default)
    }

    fn make(&self, end: End, topic: &str, default: QosProfile) -> QosProfile {
        let topic = self.remaps.resolve(topic);
        let profile = self.overridden(end, &topic, default);
        let mut made = self.made();
        for policy in Policy::ALL.into_iter().filter(|p| p.is_of(end)) {
            made.params.push(QosParam {
                name: param_name(&topic, end, policy),
                value: policy.of(&profile),
                description: format!("QoS of the {} on {topic}: {}", end.name(), policy.name()),
                policy,
            });
        }
        if end == End::Subscription {
            let profile = profile.clone();
            made.subscriptions.push(MadeSubscription { topic, profile });
        }
        profile
    }

    fn overridden(&self, end: End, topic: &str, mut profile: QosProfile) -> QosProfile {
        for policy in Policy::ALL.into_iter().filter(|p| p.is_of(end)) {
            let name = param_name(topic, end, policy);
            if let Some((_, value)) = self.given.iter().find(|(given, _)| *given == name) {
                // It was checked when the node started.
                let _ = policy.set(&mut profile, value);
            }
        }
        profile
    }

    /// The parameters of what was made so far, except the first `known`.
    pub fn params(&self, known: usize) -> Vec<QosParam> {
        self.made().params.iter().skip(known).cloned().collect()
    }

    /// A parameter by its name.
    pub fn get(&self, name: &str) -> Option<QosParam> {
        let made = self.made();
        made.params.iter().find(|p| p.name == name).cloned()
    }

    /// The overrides of which nothing that was made so far has taken notice.
    pub fn unused(&self) -> Vec<String> {
        let made = self.made();
        let unused = |name: &String| made.params.iter().all(|p| p.name != *name);
        let given = self.given.iter().map(|(name, _)| name);
        given.filter(|name| unused(name)).cloned().collect()
    }

    /// What publishers offer too little for the node's subscriptions, in words, as the ROS graph shows it now. r2r cannot ask the
    /// graph for subscriptions, so those that request more than the node's publishers offer are not seen. The reliability of the
    /// cameras on `image_topics` is left out, because the state machine has words of its own for it.
    pub fn faults(&self, node: &Node, image_topics: &[&str]) -> Vec<String> {
        let subscriptions = self.made().subscriptions.clone();
        let mut faults = Vec::new();
        for MadeSubscription { topic, profile } in subscriptions {
            let publishers = {
                let _call = MiddlewareCall::begin("asking who publishes on a topic");
                node.get_publishers_info_by_topic(&topic, false)
                    .unwrap_or_default()
            };
            for publisher in publishers {
                let namespace = publisher.node_namespace.trim_end_matches('/');
                let name = format!("{namespace}/{}", publisher.node_name);
                faults.extend(
                    mismatches(&publisher.qos_profile, &profile)
                        .into_iter()
                        .filter(|m| {
                            let is_image = image_topics.contains(&topic.as_str());
                            !is_image || m.policy != Policy::Reliability
                        })
                        .map(|fault| fault.describe(&topic, &name)),
                );
            }
        }
        faults
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn param_name(topic: &str, end: End, policy: Policy) -> String {
    format!("{PREFIX}{topic}.{}.{}", end.name(), policy.name())
}

/// A policy of which a publisher offers less than a subscription requests, so that the two do not connect.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mismatch {
    policy: Policy,
    offered: String,
    requested: String,
}

impl Mismatch {
    fn describe(&self, topic: &str, publisher: &str) -> String {
        format!(
            "QoS on {topic}: {publisher} offers {name} {}, we ask {}; set {}",
            self.offered,
            self.requested,
            param_name(topic, End::Subscription, self.policy),
            name = self.policy.name(),
        )
    }
}

/// In which policies `offered` is less than `requested`, by DDS's rules of "requested versus offered".
fn mismatches(offered: &QosProfile, requested: &QosProfile) -> Vec<Mismatch> {
    // Zero stands for no bound.
    let bound = |d: Duration| if d.is_zero() { Duration::MAX } else { d };
    let less = [
        (
            Policy::Reliability,
            requested.reliability == ReliabilityPolicy::Reliable
                && offered.reliability == ReliabilityPolicy::BestEffort,
        ),
        (
            Policy::Durability,
            requested.durability == DurabilityPolicy::TransientLocal
                && offered.durability == DurabilityPolicy::Volatile,
        ),
        (
            Policy::Deadline,
            bound(offered.deadline) > bound(requested.deadline),
        ),
        (
            Policy::Liveliness,
            requested.liveliness == LivelinessPolicy::ManualByTopic
                && offered.liveliness == LivelinessPolicy::Automatic,
        ),
        (
            Policy::LivelinessLeaseDuration,
            bound(offered.liveliness_lease_duration) > bound(requested.liveliness_lease_duration),
        ),
    ];
    let words = |value: Value| match value {
        Value::Text(name) => name,
        Value::Int(ns) if ns == 0 || ns == i64::MAX => "without a bound".to_owned(),
        other => format!("{other} ns"),
    };
    less.into_iter()
        .filter(|(policy, is_less)| *is_less && policy.of(requested) != policy.of(offered))
        .map(|(policy, _)| Mismatch {
            policy,
            offered: words(policy.of(offered)),
            requested: words(policy.of(requested)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(given: &[(&str, Value)]) -> Result<(QosOverrides, Vec<String>), ParamError> {
        let line = "lisa_node --ros-args -r image:=/cam/image";
        let args = line.split(' ').map(str::to_owned);
        let remaps = Remaps::new(args, "/robot", "lisa");
        let given = given
            .iter()
            .map(|(name, v)| ((*name).to_owned(), v.clone()));
        let (overrides, others) = QosOverrides::take(given, remaps)?;
        let others = others.into_iter().map(|(name, _)| name).collect();
        Ok((overrides, others))
    }

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn every_policy_is_read_and_shown_as_it_was_given() {
        for (policy, value) in [
            ("history", text("keep_all")),
            ("depth", Value::Int(1)),
            ("reliability", text("best_effort")),
            ("durability", text("transient_local")),
            ("deadline", Value::Int(5_000_000)),
            ("lifespan", Value::Int(i64::MAX)),
            ("liveliness", text("manual_by_topic")),
            ("liveliness_lease_duration", Value::Int(7)),
        ] {
            let name = format!("qos_overrides./robot/lisa/mask.publisher.{policy}");
            let (overrides, _) = overrides(&[(&name, value.clone())]).unwrap();
            let default = QosProfile::default();
            let profile = overrides.make(End::Publisher, "~/mask", default.clone());
            assert_ne!(profile, default, "{policy}");
            assert_eq!(overrides.get(&name).map(|p| p.value), Some(value));
            assert!(overrides.unused().is_empty());
        }
    }

    #[test]
    fn the_resolved_topic_counts_and_the_end_of_it() {
        let (overrides, others) = overrides(&[
            ("qos_overrides./cam/image.subscription.depth", Value::Int(3)),
            (
                "qos_overrides./robot/image.subscription.depth",
                Value::Int(4),
            ),
            ("qos_overrides./cam/image.publisher.depth", Value::Int(5)),
            (
                "qos_overrides./cam/image.subscription.lifespan",
                Value::Int(5),
            ),
            ("mode", text("continuous")),
        ])
        .unwrap();
        assert_eq!(others, ["mode"]);
        let future = overrides.future_subscription("image", QosProfile::sensor_data());
        assert_eq!((future.depth, overrides.params(0).len()), (3, 0));
        assert_eq!(
            overrides.subscription("image", QosProfile::sensor_data()),
            future
        );
        // All policies but the lifespan.
        assert_eq!(overrides.params(0).len(), 7);
        assert_eq!(overrides.params(6).len(), 1);
        assert_eq!(overrides.unused().len(), 3);
    }

    #[test]
    fn a_value_that_is_not_accepted_is_named_with_what_is() {
        for (policy, value, refusal) in [
            (
                "reliability",
                text("Reliable"),
                "is 'Reliable'; accepted: one of: reliable, best_effort, system_default",
            ),
            ("depth", text("1"), "is '1'; accepted: an integer from 0"),
            (
                "depth",
                Value::Int(-1),
                "is -1; accepted: an integer from 0",
            ),
            (
                "deadline",
                Value::Float(0.5),
                "accepted: an integer of nanoseconds",
            ),
            (
                "durability",
                Value::Bool(true),
                "one of: volatile, transient_local",
            ),
        ] {
            let name = format!("qos_overrides./lisa/result.publisher.{policy}");
            let refused = overrides(&[(&name, value)]).unwrap_err().to_string();
            assert!(
                refused.contains(&name) && refused.contains(refusal),
                "{refused}"
            );
        }
    }

    #[test]
    fn who_offers_too_little_is_named_with_both_sides() {
        let reliable = QosProfile::default();
        let sensor = QosProfile::sensor_data();
        assert_eq!(mismatches(&reliable, &sensor), []);
        let found = mismatches(&sensor, &reliable);
        assert_eq!(
            found[0].describe("/image", "/camera"),
            "QoS on /image: /camera offers reliability best_effort, we ask reliable; set qos_overrides./image.subscription.reliability"
        );
        let mut latched = reliable.clone().transient_local();
        assert_eq!(mismatches(&latched, &reliable), []);
        assert_eq!(
            mismatches(&reliable, &latched)[0].policy,
            Policy::Durability
        );
        latched = reliable.clone().deadline(Duration::from_nanos(5));
        let found = mismatches(&reliable, &latched);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].offered.as_str(), found[0].requested.as_str()),
            ("without a bound", "5 ns")
        );
        assert_eq!(mismatches(&latched, &reliable), []);
    }
}
