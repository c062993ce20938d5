//! Which part of a run a process does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of several processes that share a run: every so-many-th of its inputs, so that neighbours, which often take equally long,
/// go to different ones. Written `3/8`: the third of eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    number: usize,
    of: usize,
}

/// A text that names no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no shard; accepted: i/n with i from 1 to n, such as 3/8, the third of eight")]
pub struct ShardError {
    /// The text.
    pub text: String,
}

impl Shard {
    /// The whole run.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Which it is, from 1.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many there are, 1 or more.
    pub fn of(self) -> usize {
        self.of
    }

    /// Whether the input in that place, from 0, belongs to it.
    pub fn takes(self, input: usize) -> bool {
        input % self.of == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(ShardError {
                text: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_of_a_run_have_every_input_once() {
        for of in 1..7 {
            for inputs in [0, 1, 5, 23] {
                let mut seen = vec![0; inputs];
                for number in 1..=of {
                    let shard: Shard = format!("{number}/{of}").parse().unwrap();
                    let own = (0..inputs).filter(|input| shard.takes(*input));
                    own.for_each(|input| seen[input] += 1);
                }
                assert!(seen.iter().all(|count| *count == 1), "{inputs} by {of}");
            }
        }
    }

    #[test]
    fn what_is_no_shard_is_refused_with_what_is_accepted() {
        for text in ["0/4", "5/4", "1/0", "3", "a/b", "-1/2", "1/2/3", ""] {
            let said = text.parse::<Shard>().unwrap_err().to_string();
            assert!(said.contains("accepted: i/n"), "{said}");
        }
        assert_eq!("1/1".parse(), Ok(Shard::WHOLE));
    }
}
