//! rosbag2: what is written reads back, damage is named, nothing makes the reader panic, and the Python package `rosbags`
//! agrees in both directions.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

#[path = "bag/damage.rs"]
mod damage;
#[path = "bag/fuzz.rs"]
mod fuzz;
#[path = "bag/interop.rs"]
mod interop;
#[path = "bag/journals.rs"]
mod journals;
#[path = "bag/names.rs"]
mod names;
#[path = "bag/remote.rs"]
mod remote;
#[path = "bag/round_trip.rs"]
mod round_trip;
#[path = "bag/sample.rs"]
mod sample;
#[path = "bag/times.rs"]
mod times;
