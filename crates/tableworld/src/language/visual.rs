//! Questions that only looking answers. They are for an evaluation beside [`evaluation`](super::evaluation), whose draw stays as
//! it is.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::absent;
use super::explicit;
use super::missing::{class, named, other_class, wrong_colour, wrong_place, Missing};
use super::reference::{references, Form};
use super::scene_view::SceneView;
use super::wording::{noun_query, question};
use super::{Absence, Dialogue, QuestionKind};
use crate::scene::{Frame, Scene};
use crate::Split;

/// What has to be seen to answer a question, beyond the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VisualQuestionKind {
    /// Where one thing is, as seen from another.
    Relation,
    /// Which of several things of a class is meant.
    WhichOfSeveral,
    /// Whether anything is quite as asked for, or only nearly.
    NearMiss,
}

impl VisualQuestionKind {
    /// All of them, in the order in which [`visual_questions`] asks.
    pub const ALL: [Self; 3] = [Self::Relation, Self::WhichOfSeveral, Self::NearMiss];

    /// Its name in reports, e.g. `which-of-several`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relation => "relation",
            Self::WhichOfSeveral => "which-of-several",
            Self::NearMiss => "near-miss",
        }
    }
}

/// Questions that need looking, as far as the scene allows them: a reference by place, a reference to one of several things of a
/// class, and a near miss of each sort.
pub fn visual_questions(
    scene: &Scene,
    frame: &Frame,
    split: Split,
    rng: &mut impl Rng,
) -> Vec<(VisualQuestionKind, Dialogue)> {
    let view = SceneView::new(scene, frame);
    let mut all = Vec::new();
    let relation = references(&view, Form::Relation, split, rng);
    let mut several = Vec::new();
    for form in [Form::Colour, Form::Relation, Form::Comparison] {
        let mut found = references(&view, form, split, rng);
        found.retain(|reference| reference.candidates.len() > 1);
        several.extend(found.choose(rng).cloned());
    }
    for (kind, found) in [
        (VisualQuestionKind::Relation, relation),
        (VisualQuestionKind::WhichOfSeveral, several),
    ] {
        if let Some(reference) = found.choose(rng) {
            let (object, candidates) = (reference.object, reference.candidates.clone());
            let phrase = &reference.phrase;
            let asked = explicit::dialogue(&view, phrase, object, candidates, split, rng);
            all.push((kind, asked));
        }
    }
    for absence in Absence::NEAR {
        if let Some(missing) = near_miss(&view, absence, split, rng) {
            let query = noun_query(&missing.phrase, false, split, rng);
            let asked = question(&query, rng);
            let kind = QuestionKind::Explicit;
            let dialogue = absent::dialogue(query, asked, missing.nothing, kind);
            all.push((VisualQuestionKind::NearMiss, dialogue));
        }
    }
    all
}

fn near_miss(
    view: &SceneView,
    absence: Absence,
    split: Split,
    rng: &mut impl Rng,
) -> Option<Missing> {
    match absence {
        Absence::Plain => None,
        Absence::Colour => wrong_colour(view, rng),
        Absence::OtherClass => other_class(view, &|_| true, rng),
        Absence::Neighbour => class(view, true, rng)
            .filter(|(_, absence)| absence.is_near())
            .map(|(category, absence)| named(category, absence, rng)),
        Absence::Place => wrong_place(view, split, rng),
    }
}
