//! The sentences that phrases are put into, as `words/frames.toml` lists them, and the phrases themselves.

use rand::seq::IndexedRandom;
use rand::Rng;
use serde::Deserialize;

use crate::Split;

/// One way to speak of a purpose or a property.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Wording {
    /// A purpose: "to open the door".
    To(String),
    /// A noun phrase: "the fruit monkeys love".
    The(String),
    /// A sentence of its own: "I am thirsty."
    Say(String),
}

impl From<String> for Wording {
    fn from(text: String) -> Self {
        if text.starts_with("to ") {
            Self::To(text)
        } else if text.starts_with(|first: char| first.is_lowercase()) {
            Self::The(text)
        } else {
            Self::Say(text)
        }
    }
}

/// Frames of a split; those of `val` and `test` come beside those of `train`.
///
/// An entry is a pattern: `(find|mark) {the}( here|).` stands for four frames. A pattern of one frame is as likely as one of
/// two hundred, so that variety does not crowd out the plain frames. A model of lisa-mini's size learns the places of the words
/// in ten frames by heart and stumbles over an eleventh; from some hundreds it learns what the words say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framing {
    train: Vec<Pattern>,
    val: Vec<Pattern>,
    test: Vec<Pattern>,
}

impl Framing {
    fn patterns(&self, split: Split) -> &[Pattern] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
            Split::Test => &self.test,
        }
    }

    /// The frames that only this split has.
    pub fn own(&self, split: Split) -> Vec<&str> {
        let patterns = self.patterns(split).iter();
        let frames = patterns.flat_map(|pattern| &pattern.0);
        frames.map(String::as_str).collect()
    }

    /// Every frame a question of the split may come in.
    pub fn of(&self, split: Split) -> Vec<&str> {
        let mut all = self.own(Split::Train);
        if split != Split::Train {
            all.extend(self.own(split));
        }
        all
    }

    /// A frame of the split. A later split takes one of its own half of the time.
    pub fn choose(&self, split: Split, rng: &mut impl Rng) -> &str {
        let patterns = match rng.random_bool(0.5) {
            true => self.patterns(split),
            false => &self.train,
        };
        patterns
            .choose(rng)
            .map_or("", |pattern| pick(&pattern.0, rng))
    }
}

/// The frames that a pattern stands for: `(a|b)` is a choice, an empty one among them too, and choices do not nest. A frame that
/// begins in lower case begins in upper case, unless it begins with what is put into it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
struct Pattern(Vec<String>);

impl From<String> for Pattern {
    fn from(pattern: String) -> Self {
        let mut frames = vec![String::new()];
        let mut rest = pattern.as_str();
        while !rest.is_empty() {
            let (fixed, choices, behind) = match rest.split_once('(') {
                Some((fixed, open)) => {
                    let (inside, behind) = open.split_once(')').unwrap_or((open, ""));
                    (fixed, inside.split('|').collect(), behind)
                }
                None => (rest, vec![""], ""),
            };
            frames = frames
                .iter()
                .flat_map(|frame| choices.iter().map(move |c| format!("{frame}{fixed}{c}")))
                .collect();
            rest = behind;
        }
        Self(frames.into_iter().map(capital).collect())
    }
}

/// With a capital where it begins with a letter.
fn capital(frame: String) -> String {
    let mut letters = frame.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => frame,
    }
}

/// All frames; `words/frames.toml` says what each is for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frames {
    pub to: Framing,
    pub thing_to: Framing,
    pub the: Framing,
    pub many: Framing,
    pub first_to: Framing,
    pub first_the: Framing,
    pub first_say: Framing,
    pub then_it: Framing,
    pub then_them: Framing,
    pub relation: Relations,
    pub lisa: Lisa,
    pub vqa: VqaFrames,
}

/// Noun phrases that say where one thing is, as seen from another.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relations {
    pub left: Framing,
    pub right: Framing,
    pub front: Framing,
    pub behind: Framing,
}

impl Relations {
    /// All four.
    pub fn all(&self) -> [&Framing; 4] {
        [&self.left, &self.right, &self.front, &self.behind]
    }
}

/// LISA's own questions and answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lisa {
    pub mask: Vec<String>,
    pub mask_of: Vec<String>,
    pub explain: Vec<String>,
    pub answers: Vec<String>,
}

/// Questions and answers without a mask.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VqaFrames {
    pub list: Vec<(String, String)>,
    pub yes: Vec<(String, String)>,
    pub no: Vec<(String, String)>,
    pub colour: Vec<(String, String)>,
    pub colours: Vec<(String, String)>,
    pub count: Vec<(String, String)>,
    pub left_or_right: Vec<(String, String)>,
    pub front_or_behind: Vec<(String, String)>,
    pub purpose: Vec<(String, String)>,
    pub identity: Vec<(String, String)>,
}

impl VqaFrames {
    /// Every pair, whatever it is about.
    pub fn all(&self) -> impl Iterator<Item = &(String, String)> {
        [
            &self.list,
            &self.yes,
            &self.no,
            &self.colour,
            &self.colours,
            &self.count,
            &self.left_or_right,
            &self.front_or_behind,
            &self.purpose,
            &self.identity,
        ]
        .into_iter()
        .flatten()
    }
}

/// Any of a list; the empty string where there is none.
pub fn pick<'a, T: AsRef<str>>(list: &'a [T], rng: &mut impl Rng) -> &'a str {
    list.choose(rng).map_or("", T::as_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pattern: &str) -> Vec<String> {
        Pattern::from(pattern.to_owned()).0
    }

    #[test]
    fn a_pattern_stands_for_every_choice() {
        assert_eq!(frames("{the}"), ["{the}"]);
        assert_eq!(
            frames("(|please )find {the}( here|)."),
            [
                "Find {the} here.",
                "Find {the}.",
                "Please find {the} here.",
                "Please find {the}."
            ]
        );
        assert_eq!(
            frames("{x} (left|to the left) of {y}")[1],
            "{x} to the left of {y}"
        );
    }
}
