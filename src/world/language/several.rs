//! Questions for several objects in one mask: the members of a group, or all objects of a category.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::knowledge::{knowledge, Group};
use super::view::View;
use super::wording::{answer, noun_query, pick, question};
use super::{Dialogue, QuestionKind, Turn};
use crate::world::catalogue::Category;
use crate::world::Split;

/// One question for each group and each category with two or more objects.
pub fn dialogues(view: &View, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let mut all = Vec::new();
    for group in &knowledge().groups {
        if let Some(objects) = members(view, group) {
            if let Some(phrase) = group.phrases(split).choose(rng) {
                let because = group.because.clone();
                all.push(dialogue(view, phrase, objects, because, split, rng));
            }
        }
    }
    for category in view.categories() {
        let objects = view.visible_of(&[category]).unwrap_or_default();
        if objects.len() > 1 {
            let phrase = pick(&phrases(category), rng).to_owned();
            let because = format!("All of them are {}.", knowledge().noun(category).plural);
            all.push(dialogue(view, &phrase, objects, because, split, rng));
        }
    }
    all
}

/// What all objects of a category are called.
pub fn phrases(category: Category) -> [String; 2] {
    let plural = &knowledge().noun(category).plural;
    [format!("the {plural}"), format!("all the {plural}")]
}

/// The group's objects, if there are two or more of at least two categories, each in sight and none doubtful.
fn members(view: &View, group: &Group) -> Option<Vec<usize>> {
    let objects = view.visible_of(&group.members)?;
    let first = view.object(*objects.first()?).category;
    let differ = objects.iter().any(|i| view.object(*i).category != first);
    (differ && !view.any_of(&group.doubtful)).then_some(objects)
}

fn dialogue(
    view: &View,
    phrase: &str,
    objects: Vec<usize>,
    because: String,
    split: Split,
    rng: &mut impl Rng,
) -> Dialogue {
    let mut names: Vec<_> = objects.iter().map(|i| view.object(*i).category).collect();
    names.sort();
    names.dedup();
    let query = noun_query(phrase, true, split, rng);
    let question = match query.is_sentence {
        true => question(&query, rng),
        false => query.text.clone(),
    };
    Dialogue {
        kind: QuestionKind::Several,
        turns: vec![Turn {
            question,
            answer: answer(split, rng),
            targets: vec![objects],
        }],
        query,
        explanation: Some(because),
        names,
    }
}
