//! How a question is put: phrases in frames, with or without LISA's request for a mask.

use rand::seq::IndexedRandom;
use rand::Rng;
use serde::Deserialize;

use super::knowledge::knowledge;
use super::Query;
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framing {
    train: Vec<String>,
    val: Vec<String>,
    test: Vec<String>,
}

impl Framing {
    /// The frames that only this split has.
    pub fn own(&self, split: Split) -> &[String] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
            Split::Test => &self.test,
        }
    }

    /// Every frame a question of the split may come in.
    pub fn of(&self, split: Split) -> Vec<&str> {
        let later = match split {
            Split::Train => &[],
            _ => self.own(split),
        };
        self.train.iter().chain(later).map(String::as_str).collect()
    }

    /// A frame of the split. A later split takes one of its own half of the time.
    pub fn choose(&self, split: Split, rng: &mut impl Rng) -> &str {
        let frames = match rng.random_bool(0.5) {
            true => self.own(split),
            false => &self.train,
        };
        pick(frames, rng)
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

/// The frames that fit a purpose: "to eat soup with" needs a thing before it.
pub fn frames_of(to: &str) -> &'static Framing {
    const PREPOSITIONS: [&str; 5] = [" with", " in", " into", " from", " on"];
    let frames = &knowledge().frames;
    match PREPOSITIONS.iter().any(|last| to.ends_with(last)) {
        true => &frames.thing_to,
        false => &frames.to,
    }
}

/// Puts a purpose ("to open the door") into a frame.
pub fn fill_to(frame: &str, to: &str) -> String {
    let bare = to.strip_prefix("to ").unwrap_or(to);
    frame.replace("{to}", to).replace("{do}", bare)
}

/// The query of a noun phrase for one thing or for several, as it stands or in a frame.
pub fn noun_query(phrase: &str, several: bool, split: Split, rng: &mut impl Rng) -> Query {
    let frames = match several {
        true => &knowledge().frames.many,
        false => &knowledge().frames.the,
    };
    match rng.random_bool(0.4) {
        true => bare(phrase),
        false => framed(frames.choose(split, rng), phrase),
    }
}

/// The noun phrase alone.
pub fn bare(phrase: &str) -> Query {
    Query {
        text: phrase.to_owned(),
        is_sentence: false,
    }
}

fn framed(frame: &str, phrase: &str) -> Query {
    Query {
        text: frame.replace("{the}", phrase),
        is_sentence: frame != "{the}",
    }
}

/// The query of a wording, in a frame where it needs one.
pub fn query(wording: &Wording, split: Split, rng: &mut impl Rng) -> Query {
    let text = match wording {
        Wording::To(to) => fill_to(frames_of(to).choose(split, rng), to),
        Wording::The(phrase) => return noun_query(phrase, false, split, rng),
        Wording::Say(sentence) => sentence.clone(),
    };
    Query {
        text,
        is_sentence: true,
    }
}

/// What a person types: the query as it is, or half of the time with LISA's request for a mask.
pub fn question(query: &Query, rng: &mut impl Rng) -> String {
    let lisa = &knowledge().frames.lisa;
    if rng.random_bool(0.5) {
        query.text.clone()
    } else if query.is_sentence {
        format!("{} {}", query.text, pick(&lisa.mask, rng))
    } else {
        pick(&lisa.mask_of, rng).replace("{the}", &query.text)
    }
}

/// The query with LISA's request for a mask and an explanation.
pub fn question_and_why(query: &Query, rng: &mut impl Rng) -> String {
    let why = pick(&knowledge().frames.lisa.explain, rng);
    match query.is_sentence {
        true => format!("{} {why}", query.text),
        false => format!("What is {} in this image? {why}", query.text),
    }
}

/// One of LISA's answers in the words of training; always the same one elsewhere.
pub fn answer(split: Split, rng: &mut impl Rng) -> String {
    match split {
        Split::Train => pick(&knowledge().frames.lisa.answers, rng).to_owned(),
        _ => "It is [SEG].".to_owned(),
    }
}
