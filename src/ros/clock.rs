//! The robot's time: the system's, or that of `/clock` if `use_sim_time` is set.
//!
//! r2r's own time source is not used, because it is missing from builds that reuse r2r's generated bindings.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use r2r::builtin_interfaces::msg::Time;
use r2r::rosgraph_msgs::msg::Clock;
use r2r::{Node, QosProfile};

use super::qos::QosOverrides;
use super::r2r_ext::{drain, r2r_stream, R2rStream};
use crate::frames::Stamp;

/// A clock that goes back by more than this was set back. Two who publish on `/clock` may differ by less.
const CLOCK_BACK: Duration = Duration::from_millis(100);

/// Tells the time on any thread.
#[derive(Clone, Debug, Default)]
pub struct RosClock {
    /// The latest time on `/clock`, nanoseconds; zero before its first message. `None` means the system's clock.
    simulated: Option<Arc<AtomicI64>>,
}

/// The subscription to `/clock`.
pub struct ClockStream {
    messages: R2rStream<Clock>,
    simulated: Arc<AtomicI64>,
}

impl RosClock {
    /// The system's clock, or with `sim` the one on `/clock`, which goes on as long as the spinning thread serves the stream.
    ///
    /// # Errors
    /// `/clock` cannot be subscribed to.
    pub fn create(
        node: &mut Node,
        sim: bool,
        overrides: &QosOverrides,
    ) -> r2r::Result<(Self, Option<ClockStream>)> {
        if !sim {
            return Ok((Self::default(), None));
        }
        let qos = QosProfile::default().keep_last(1).best_effort();
        let qos = overrides.subscription("/clock", qos);
        let simulated = Arc::new(AtomicI64::new(0));
        let stream = ClockStream {
            messages: r2r_stream(node.subscribe("/clock", qos)?),
            simulated: Arc::clone(&simulated),
        };
        let clock = Self {
            simulated: Some(simulated),
        };
        Ok((clock, Some(stream)))
    }

    /// The present time.
    pub fn stamp(&self) -> Stamp {
        match &self.simulated {
            Some(time) => Stamp(time.load(Ordering::Relaxed)),
            None => {
                let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                Stamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
            }
        }
    }

    /// The present time as messages carry it.
    pub fn now(&self) -> Time {
        time(self.stamp())
    }
}

impl ClockStream {
    /// Takes the messages that have arrived on `/clock`. Returns the time if it went back.
    pub fn serve(&mut self) -> Option<Stamp> {
        let simulated = &self.simulated;
        let mut back = None;
        drain(&mut self.messages, |m| {
            let now = Stamp::new(m.clock.sec, m.clock.nanosec);
            let before = Stamp(simulated.swap(now.0, Ordering::Relaxed));
            if before > now && before.gap_s(now) > CLOCK_BACK.as_secs_f64() {
                back = Some(now);
            }
        });
        back
    }
}

/// A time as messages carry it.
pub fn time(stamp: Stamp) -> Time {
    Time {
        sec: i32::try_from(stamp.0.div_euclid(1_000_000_000)).unwrap_or(i32::MAX),
        nanosec: stamp.0.rem_euclid(1_000_000_000) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_the_message() {
        for nanos in [
            0,
            1,
            999_999_999,
            1_700_000_000_123_456_789,
            -1,
            -1_500_000_000,
        ] {
            let t = time(Stamp(nanos));
            assert_eq!(Stamp::new(t.sec, t.nanosec), Stamp(nanos));
        }
        assert!(RosClock::default().now().sec > 1_600_000_000);
    }
}
