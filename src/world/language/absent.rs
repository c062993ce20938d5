//! Questions for what is not there; the answer says so and has no mask.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::knowledge::{knowledge, the, there_is_no, Intent};
use super::view::View;
use super::wording::{noun_query, query, question};
use super::{Dialogue, Query, QuestionKind, Turn};
use crate::world::catalogue::Category;
use crate::world::Split;

/// How many questions of each sort a scene gets.
const EACH: usize = 2;

/// Some for categories and some for purposes of which the scene has nothing at all.
pub fn dialogues(view: &View, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let missing: Vec<Category> = Category::ALL
        .into_iter()
        .filter(|category| !view.any_of(&[*category]))
        .collect();
    let mut all = Vec::new();
    for category in missing.choose_multiple(rng, EACH).copied() {
        let query = noun_query(&the(category, 1), false, split, rng);
        all.push(refusal(query, &[category], rng));
    }
    let unmet: Vec<&Intent> = knowledge()
        .intents
        .iter()
        .filter(|intent| !view.any_of(&intent.answers) && !view.any_of(&intent.unless))
        .collect();
    for category in missing.choose_multiple(rng, EACH) {
        let about: Vec<_> = unmet
            .iter()
            .filter(|intent| intent.answers.contains(category))
            .collect();
        let Some(intent) = about.choose(rng) else {
            continue;
        };
        if let Some(wording) = intent.wordings(split).choose(rng) {
            all.push(refusal(query(wording, split, rng), &intent.answers, rng));
        }
    }
    all
}

fn refusal(query: Query, missing: &[Category], rng: &mut impl Rng) -> Dialogue {
    let answer = there_is_no(missing);
    Dialogue {
        kind: QuestionKind::Absent,
        turns: vec![Turn {
            question: question(&query, rng),
            answer: answer.clone(),
            targets: Vec::new(),
        }],
        query,
        explanation: Some(answer),
        names: missing.to_vec(),
    }
}
