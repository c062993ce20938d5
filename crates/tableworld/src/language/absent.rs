//! Questions for what is not there; the answer says so and has no mask.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::knowledge::{knowledge, the, there_is_no, Intent};
use super::scene_view::SceneView;
use super::wording::{noun_query, query, question};
use super::{Absence, Dialogue, Query, QuestionKind, Turn};
use crate::catalogue::Category;
use crate::Split;

/// How many questions of each sort a scene gets.
const EACH: usize = 2;

/// Some for categories and some for purposes of which the scene has nothing at all.
pub fn dialogues(view: &SceneView, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let missing = view.missing();
    let mut all = Vec::new();
    for category in missing.choose_multiple(rng, EACH).copied() {
        let query = noun_query(&the(category, 1), false, split, rng);
        let question = question(&query, rng);
        let nothing = Nothing::of(vec![category], Absence::Plain);
        all.push(dialogue(query, question, nothing, QuestionKind::Explicit));
    }
    let unmet = unmet(view);
    for category in missing.choose_multiple(rng, EACH) {
        let about: Vec<_> = unmet
            .iter()
            .filter(|intent| intent.answers.contains(category))
            .collect();
        let Some(intent) = about.choose(rng) else {
            continue;
        };
        if let Some(wording) = intent.wordings(split).choose(rng) {
            let query = query(wording, split, rng);
            let question = question(&query, rng);
            let nothing = Nothing::of(intent.answers.clone(), Absence::Plain);
            let worded_as = super::reasoning::kind(intent);
            all.push(dialogue(query, question, nothing, worded_as));
        }
    }
    all
}

/// All intents that nothing in the scene serves, nor might be taken to serve.
pub fn unmet(view: &SceneView) -> Vec<&'static Intent> {
    let met = |intent: &Intent| view.any_of(&intent.answers) || view.any_of(&intent.unless);
    let intents = knowledge().intents.iter();
    intents.filter(|intent| !met(intent)).collect()
}

/// What is not there, and how that is said.
pub struct Nothing {
    pub names: Vec<Category>,
    pub absence: Absence,
    pub answer: String,
}

impl Nothing {
    /// "There is no orange or lemon in this image."
    pub fn of(names: Vec<Category>, absence: Absence) -> Self {
        let answer = there_is_no(&names);
        Self {
            names,
            absence,
            answer,
        }
    }
}

/// A question in the words of a kind, and the refusal.
pub fn dialogue(
    query: Query,
    question: String,
    nothing: Nothing,
    worded_as: QuestionKind,
) -> Dialogue {
    Dialogue {
        kind: QuestionKind::Absent,
        turns: vec![Turn {
            question,
            answer: nothing.answer.clone(),
            targets: Vec::new(),
        }],
        query,
        explanation: Some(nothing.answer),
        names: nothing.names,
        worded_as,
        absence: Some(nothing.absence),
        candidates: Vec::new(),
    }
}
