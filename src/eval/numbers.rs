//! Numbers that several files of a report share: latencies, and how shares and durations are written.

use std::time::Duration;

use serde::Serialize;

/// Percentiles (by nearest rank) and mean of durations, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyMs {
    /// The median.
    pub p50: f64,
    /// Nine of ten durations are at most this.
    pub p90: f64,
    /// 99 of 100 durations are at most this.
    pub p99: f64,
    /// The mean.
    pub mean: f64,
}

/// Percentiles and mean of durations; `None` where there are none.
pub(crate) fn latency(times: &[Duration]) -> Option<LatencyMs> {
    let mut times = times.to_vec();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let percentile = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100);
        times.get(rank.checked_sub(1)?).copied().map(ms)
    };
    Some(LatencyMs {
        p50: percentile(50)?,
        p90: percentile(90)?,
        p99: percentile(99)?,
        mean: ms(times.iter().sum()) / times.len() as f64,
    })
}

/// A share as text, e.g. `0.444`; `-` where there is none.
pub(crate) fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"))
}

/// A duration as text, e.g. `87 ms` or `1.24 s`.
pub(crate) fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1000.0),
    }
}
