//! Times of a bag: how they are printed, and how a part of the bag is chosen by them.

use jiff::Timestamp;
use rosbag2::{Bag, Selection};

const SECOND: u64 = 1_000_000_000;

/// Which part of a bag.
#[derive(clap::Args, Clone, Copy)]
pub struct Window {
    /// Begin so many seconds after the bag's first message
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    from: Option<u64>,
    /// End so many seconds after the bag's first message
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    until: Option<u64>,
}

impl Window {
    /// Whether that is the whole bag.
    pub fn is_everything(self) -> bool {
        self.from.is_none() && self.until.is_none()
    }

    /// Selects the messages of these topics in it.
    pub fn selection(self, bag: &Bag, topics: &[&str]) -> Selection {
        let start = bag.span().map_or(0, |(first, _)| first);
        let mut selection = Selection::all().topics(topics.iter().copied());
        if let Some(from) = self.from {
            selection = selection.from(start.saturating_add(from));
        }
        // An end that does not fit in a log time lies behind every message.
        if let Some(until) = self.until.and_then(|until| start.checked_add(until)) {
            selection = selection.until(until);
        }
        selection
    }
}

/// Seconds as nanoseconds.
fn seconds(text: &str) -> Result<u64, String> {
    let seconds: Option<f64> = text.parse().ok();
    match seconds {
        Some(seconds) if (0.0..=1e9).contains(&seconds) => Ok((seconds * SECOND as f64) as u64),
        _ => Err("accepted: seconds from 0 to 1e9, e.g. 2.5".to_owned()),
    }
}

/// Nanoseconds since 1970 as a date, e.g. `2023-11-14 22:13:20.500000000 UTC`.
pub fn utc(nanoseconds: u64) -> String {
    // Every u64 of nanoseconds is before the year 2555, and jiff's times reach to the year 9999.
    let time = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::MAX);
    format!("{} UTC", time.strftime("%Y-%m-%d %H:%M:%S.%9f"))
}

/// Nanoseconds as seconds, with all nine decimals.
pub fn in_seconds(nanoseconds: u64) -> String {
    format!("{}.{:09}", nanoseconds / SECOND, nanoseconds % SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_700_000_000, "2023-11-14 22:13:20"),
            (1_735_689_599, "2024-12-31 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(utc(seconds * SECOND), format!("{date}.000000000 UTC"));
        }
        assert!(utc(u64::MAX).starts_with("2554-07-21 23:34:33.709551615"));
    }

    #[test]
    fn seconds_are_checked() {
        assert_eq!(seconds("2.5"), Ok(2_500_000_000));
        for text in ["-1", "nan", "inf", "1e10", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
