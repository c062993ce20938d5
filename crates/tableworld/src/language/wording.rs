//! How a question is put: phrases in frames, with or without LISA's request for a mask.

use rand::Rng;

use super::frames::{pick, Framing, Wording};
use super::knowledge::knowledge;
use super::Query;
use crate::Split;

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
