//! `builtin_interfaces`, `std_msgs`, `rosgraph_msgs`.

use super::definition::{CLOCK, HEADER, STRING, TIME};
use crate::ros_message;

const SECOND: i64 = 1_000_000_000;

ros_message! {
    /// A moment, since 1970 or since a simulation began.
    #[derive(Copy, Eq, PartialOrd, Ord, Hash)]
    pub struct Time = TIME {
        /// Whole seconds.
        pub sec: i32,
        /// Nanoseconds after that, 0 to 999,999,999.
        pub nanosec: u32,
    }

    /// When and where what it stands in was measured (REP 103, REP 105).
    #[derive(Eq, Hash)]
    pub struct Header = HEADER {
        /// When.
        pub stamp: Time,
        /// In which coordinate frame.
        pub frame_id: String,
    }

    /// `std_msgs/msg/String`, under another name than Rust's own.
    #[derive(Eq, Hash)]
    pub struct StringMessage = STRING {
        /// The text.
        pub data: String,
    }

    /// The time of a simulation or of a replayed bag.
    #[derive(Eq, Hash)]
    pub struct Clock = CLOCK {
        /// Now.
        pub clock: Time,
    }
}

impl Time {
    /// The moment `nanoseconds` after zero; the seconds stop at what 32 bits hold.
    pub fn from_nanoseconds(nanoseconds: i64) -> Self {
        let sec = nanoseconds.div_euclid(SECOND);
        Self {
            sec: sec.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            nanosec: nanoseconds.rem_euclid(SECOND) as u32,
        }
    }

    /// Nanoseconds after zero.
    pub fn nanoseconds(self) -> i64 {
        i64::from(self.sec) * SECOND + i64::from(self.nanosec)
    }
}
