//! Conversations of two turns: what could serve, in words; then where it is.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::frames::Wording;
use super::knowledge::{knowledge, the};
use super::reasoning::{answerable, Answerable};
use super::scene_view::SceneView;
use super::wording::{answer, fill_to};
use super::{Dialogue, Query, QuestionKind, Turn};
use crate::Split;

/// One conversation for each intent that the scene answers.
pub fn dialogues(view: &SceneView, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let converse = |fitting: &Answerable| dialogue(fitting, split, rng);
    answerable(view).iter().filter_map(converse).collect()
}

/// A conversation about an intent that the scene answers.
pub fn dialogue(fitting: &Answerable, split: Split, rng: &mut impl Rng) -> Option<Dialogue> {
    let wording = fitting.intent.wordings(split).choose(rng)?;
    let frames = &knowledge().frames;
    let found = the(fitting.category, fitting.objects.len());
    let first = first_question(wording, split, rng);
    let reply = match wording {
        Wording::The(_) => format!("That would be {found}."),
        Wording::To(_) | Wording::Say(_) => format!("You could use {found}."),
    };
    let is_one = fitting.objects.len() == 1 && !knowledge().noun(fitting.category).is_plural();
    let then = match is_one {
        true => &frames.then_it,
        false => &frames.then_them,
    };
    Some(Dialogue {
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
        worded_as: QuestionKind::MultiTurn,
        absence: None,
        candidates: Vec::new(),
    })
}

/// What a conversation begins with: a question to be answered in words.
pub fn first_question(wording: &Wording, split: Split, rng: &mut impl Rng) -> String {
    let frames = &knowledge().frames;
    match wording {
        Wording::To(to) => fill_to(frames.first_to.choose(split, rng), to),
        Wording::The(phrase) => frames.first_the.choose(split, rng).replace("{the}", phrase),
        Wording::Say(sentence) => frames
            .first_say
            .choose(split, rng)
            .replace("{say}", sentence),
    }
}
