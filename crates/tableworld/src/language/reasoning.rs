//! Questions by purpose or property, where one category alone is the answer.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::knowledge::{knowledge, Intent};
use super::scene_view::SceneView;
use super::wording::{answer, query, question, question_and_why};
use super::{Dialogue, QuestionKind, Turn};
use crate::catalogue::Category;
use crate::Split;

/// An intent that the scene answers.
pub struct Answerable {
    pub intent: &'static Intent,
    pub category: Category,
    /// All its objects; at least one.
    pub objects: Vec<usize>,
}

impl Answerable {
    pub fn kind(&self) -> QuestionKind {
        kind(self.intent)
    }

    /// Why it is the answer.
    pub fn because(&self) -> String {
        self.intent.because.replace("{x}", self.category.name())
    }
}

/// The kind of a question for an intent.
pub fn kind(intent: &Intent) -> QuestionKind {
    match intent.world {
        true => QuestionKind::WorldKnowledge,
        false => QuestionKind::Reasoning,
    }
}

/// All intents to which exactly one category in the scene is an answer, and nothing might be taken for another.
pub fn answerable(view: &SceneView) -> Vec<Answerable> {
    let fits = |intent: &'static Intent| {
        let mut answers = intent
            .answers
            .iter()
            .copied()
            .filter(|c| view.any_of(&[*c]));
        let category = answers.next()?;
        if answers.next().is_some() || view.any_of(&intent.unless) {
            return None;
        }
        Some(Answerable {
            intent,
            category,
            objects: view.visible_of(&[category])?,
        })
    };
    knowledge().intents.iter().filter_map(fits).collect()
}

/// One question for each intent that the scene answers.
pub fn dialogues(view: &SceneView, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let ask = |fitting: &Answerable| dialogue(fitting, split, rng);
    answerable(view).iter().filter_map(ask).collect()
}

/// A question for an intent that the scene answers.
pub fn dialogue(fitting: &Answerable, split: Split, rng: &mut impl Rng) -> Option<Dialogue> {
    let query = query(fitting.intent.wordings(split).choose(rng)?, split, rng);
    Some(Dialogue {
        kind: fitting.kind(),
        turns: vec![Turn {
            question: question(&query, rng),
            answer: answer(split, rng),
            targets: vec![fitting.objects.clone()],
        }],
        query,
        explanation: Some(fitting.because()),
        names: vec![fitting.category],
        worded_as: fitting.kind(),
        absence: None,
        candidates: Vec::new(),
    })
}

/// The same questions, asking why as well: the answer is `It is [SEG].` and the reason.
pub fn explained_dialogues(view: &SceneView, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let ask = |fitting: &Answerable| explained(fitting, split, rng);
    answerable(view).iter().filter_map(ask).collect()
}

/// A question for an intent that the scene answers, which asks why as well.
pub fn explained(fitting: &Answerable, split: Split, rng: &mut impl Rng) -> Option<Dialogue> {
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
