//! Quality of service between bags and r2r.

use std::time::Duration;

use r2r::qos::{DurabilityPolicy, HistoryPolicy, LivelinessPolicy, ReliabilityPolicy};

use rosbag2::{Durability, History, Liveliness, QosProfile, QosTime, Reliability};

/// What a publisher of a recorded topic offers: what the first of its recorded publishers did, or ROS 2's default if none was
/// recorded. Policies that are unknown become the default, too.
pub(super) fn offered(recorded: &[QosProfile]) -> r2r::QosProfile {
    let default = r2r::QosProfile::default();
    let Some(first) = recorded.first() else {
        return default;
    };
    r2r::QosProfile {
        history: match first.history {
            History::KeepAll => HistoryPolicy::KeepAll,
            _ => HistoryPolicy::KeepLast,
        },
        depth: match first.depth {
            0 => default.depth,
            depth => depth.min(10_000) as usize,
        },
        reliability: match first.reliability {
            Reliability::BestEffort => ReliabilityPolicy::BestEffort,
            _ => ReliabilityPolicy::Reliable,
        },
        durability: match first.durability {
            Durability::TransientLocal => DurabilityPolicy::TransientLocal,
            _ => DurabilityPolicy::Volatile,
        },
        deadline: limit(first.deadline),
        lifespan: limit(first.lifespan),
        liveliness: match first.liveliness {
            Liveliness::ManualByTopic => LivelinessPolicy::ManualByTopic,
            _ => LivelinessPolicy::Automatic,
        },
        liveliness_lease_duration: limit(first.liveliness_lease_duration),
        avoid_ros_namespace_conventions: first.avoid_ros_namespace_conventions,
    }
}

/// What a recorded topic's subscription asked for, as the bag stores it.
pub(super) fn asked(qos: &r2r::QosProfile) -> QosProfile {
    match qos.reliability {
        ReliabilityPolicy::BestEffort => QosProfile::sensor_data(),
        _ => QosProfile::reliable(qos.depth as u64),
    }
}

/// A duration for r2r, which writes "no limit" as zero.
fn limit(time: QosTime) -> Duration {
    match time {
        QosTime::INFINITE => Duration::ZERO,
        QosTime { sec, nsec } => Duration::new(sec, nsec.min(999_999_999) as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_offered_again() {
        let sensor = offered(&[QosProfile::sensor_data()]);
        assert_eq!(sensor.reliability, ReliabilityPolicy::BestEffort);
        assert_eq!((sensor.history, sensor.depth), (HistoryPolicy::KeepLast, 5));
        assert_eq!(sensor.deadline, Duration::ZERO);
        let latched = offered(&[QosProfile::transient_local(1)]);
        assert_eq!(latched.durability, DurabilityPolicy::TransientLocal);
        assert_eq!(offered(&[]), r2r::QosProfile::default());
    }
}
