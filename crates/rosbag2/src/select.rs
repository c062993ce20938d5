//! Which messages are wanted: of a bag, by names, and of one of its files, by that file's numbers.

use std::collections::BTreeMap;

/// A choice of topics and log times. Without restrictions, it selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub(super) topics: Option<Vec<String>>,
    pub(super) from: u64,
    pub(super) until: Option<u64>,
}

impl Selection {
    /// Selects everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Selects these topics only.
    pub fn topics<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics = Some(topics.into_iter().map(Into::into).collect());
        self
    }

    /// Selects only messages logged at this time or later, nanoseconds.
    pub fn from(mut self, time: u64) -> Self {
        self.from = time;
        self
    }

    /// Selects only messages logged at exactly this time, nanoseconds.
    pub fn at(mut self, time: u64) -> Self {
        self.from = time;
        // Nothing is later than the end of time.
        self.until = time.checked_add(1);
        self
    }

    /// Selects only messages logged before this time, nanoseconds.
    pub fn until(mut self, time: u64) -> Self {
        self.until = Some(time);
        self
    }
}

/// Which messages of a file are wanted.
#[derive(Clone)]
pub struct MessageFilter {
    /// The bag's topic of each of the file's numbers.
    pub topics: BTreeMap<i64, usize>,
    /// The first log time that is wanted, nanoseconds.
    pub from: u64,
    /// The first log time after those that are wanted, nanoseconds. `None`: the last moment there is is wanted, too.
    pub until: Option<u64>,
}

impl MessageFilter {
    pub fn includes(&self, time: u64) -> bool {
        self.overlaps(time, time)
    }

    /// Whether a message logged between these times, both included, may be wanted.
    pub fn overlaps(&self, first: u64, last: u64) -> bool {
        last >= self.from && self.until.is_none_or(|until| first < until)
    }
}
