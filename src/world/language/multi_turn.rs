//! Conversations of two turns: what could serve, in words; then where it is.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::knowledge::{knowledge, the};
use super::reasoning::{answerable, Answerable};
use super::view::View;
use super::wording::{answer, fill_to, Wording};
use super::{Dialogue, Query, QuestionKind, Turn};
use crate::world::Split;

/// One conversation for each intent that the scene answers.
pub fn dialogues(view: &View, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let converse = |fitting: &Answerable| {
        let wording = fitting.intent.wordings(split).choose(rng)?;
        Some(conversation(fitting, wording, split, rng))
    };
    answerable(view).iter().filter_map(converse).collect()
}

fn conversation(
    fitting: &Answerable,
    wording: &Wording,
    split: Split,
    rng: &mut impl Rng,
) -> Dialogue {
    let frames = &knowledge().frames;
    let found = the(fitting.category, fitting.objects.len());
    let (first, reply) = match wording {
        Wording::To(to) => (
            fill_to(frames.first_to.choose(split, rng), to),
            format!("You could use {found}."),
        ),
        Wording::The(phrase) => (
            frames.first_the.choose(split, rng).replace("{the}", phrase),
            format!("That would be {found}."),
        ),
        Wording::Say(sentence) => (
            frames
                .first_say
                .choose(split, rng)
                .replace("{say}", sentence),
            format!("You could use {found}."),
        ),
    };
    let is_one = fitting.objects.len() == 1 && !knowledge().noun(fitting.category).is_plural();
    let then = match is_one {
        true => &frames.then_it,
        false => &frames.then_them,
    };
    Dialogue {
        kind: QuestionKind::MultiTurn,
        query: Query {
            text: first.clone(),
            is_sentence: true,
        },
        turns: vec![
            Turn {
                question: first,
                answer: reply,
                targets: Vec::new(),
            },
            Turn {
                question: then.choose(split, rng).to_owned(),
                answer: answer(split, rng),
                targets: vec![fitting.objects.clone()],
            },
        ],
        explanation: Some(fitting.because()),
        names: vec![fitting.category],
    }
}
