//! Questions by purpose or property that also ask why.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::reasoning::{answerable, Answerable};
use super::view::View;
use super::wording::{query, question_and_why};
use super::{Dialogue, QuestionKind, Turn};
use crate::Split;

/// One question for each intent that the scene answers. The answer is `It is [SEG].` and the reason.
pub fn dialogues(view: &View, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let ask = |fitting: &Answerable| dialogue(fitting, split, rng);
    answerable(view).iter().filter_map(ask).collect()
}

/// A question for an intent that the scene answers, and why.
pub fn dialogue(fitting: &Answerable, split: Split, rng: &mut impl Rng) -> Option<Dialogue> {
    let query = query(fitting.intent.wordings(split).choose(rng)?, split, rng);
    let because = fitting.because();
    Some(Dialogue {
        kind: QuestionKind::Explanatory,
        turns: vec![Turn {
            question: question_and_why(&query, rng),
            answer: format!("It is [SEG]. {because}"),
            targets: vec![fitting.objects.clone()],
        }],
        query,
        explanation: Some(because),
        names: vec![fitting.category],
        worded_as: QuestionKind::Explanatory,
        absence: None,
        candidates: Vec::new(),
    })
}
