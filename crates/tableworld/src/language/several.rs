//! Questions for several objects in one mask: the members of a group, or all objects of a category.

use rand::Rng;

use super::frames::pick;
use super::knowledge::{knowledge, Group};
use super::scene_view::SceneView;
use super::wording::{answer, noun_query, question};
use super::{Dialogue, Query, QuestionKind, Turn};
use crate::catalogue::Category;
use crate::Split;

/// One question for each group and each category with two or more objects.
pub fn dialogues(view: &SceneView, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let about = |(several, objects)| dialogue(view, several, objects, split, rng);
    askable(view).into_iter().map(about).collect()
}

/// The description by which several objects are asked for.
#[derive(Clone, Copy)]
pub enum Several {
    Group(&'static Group),
    Class(Category),
}

impl Several {
    /// A noun phrase for it.
    pub fn phrase(self, split: Split, rng: &mut impl Rng) -> String {
        match self {
            Self::Group(group) => pick(group.phrases(split), rng).to_owned(),
            Self::Class(category) => pick(&phrases(category), rng).to_owned(),
        }
    }

    fn because(self) -> String {
        match self {
            Self::Group(group) => group.because.clone(),
            Self::Class(category) => {
                format!("All of them are {}.", knowledge().noun(category).plural)
            }
        }
    }
}

/// Every group and class of which several objects are there, with these objects.
pub fn askable(view: &SceneView) -> Vec<(Several, Vec<usize>)> {
    let groups = knowledge().groups.iter();
    let groups = groups.filter_map(|group| Some((Several::Group(group), members(view, group)?)));
    let classes = view.categories().into_iter().filter_map(|category| {
        let objects = view.visible_of(&[category]).unwrap_or_default();
        (objects.len() > 1).then_some((Several::Class(category), objects))
    });
    groups.chain(classes).collect()
}

/// What all objects of a category are called.
pub fn phrases(category: Category) -> [String; 2] {
    let plural = &knowledge().noun(category).plural;
    [format!("the {plural}"), format!("all the {plural}")]
}

/// The group's objects, if there are two or more of at least two categories, each in sight and none doubtful.
fn members(view: &SceneView, group: &Group) -> Option<Vec<usize>> {
    let objects = view.visible_of(&group.members)?;
    let first = view.object(*objects.first()?).category;
    let differ = objects.iter().any(|i| view.object(*i).category != first);
    (differ && !view.any_of(&group.doubtful)).then_some(objects)
}

/// A question for several objects in one mask.
pub fn dialogue(
    view: &SceneView,
    several: Several,
    objects: Vec<usize>,
    split: Split,
    rng: &mut impl Rng,
) -> Dialogue {
    let mut names: Vec<_> = objects.iter().map(|i| view.object(*i).category).collect();
    names.sort();
    names.dedup();
    let (query, question) = asked(several, split, rng);
    Dialogue {
        kind: QuestionKind::Several,
        turns: vec![Turn {
            question,
            answer: answer(split, rng),
            targets: vec![objects],
        }],
        query,
        explanation: Some(several.because()),
        names,
        worded_as: QuestionKind::Several,
        absence: None,
        candidates: Vec::new(),
    }
}

/// The query for several objects, and the question it is put as.
pub fn asked(several: Several, split: Split, rng: &mut impl Rng) -> (Query, String) {
    let phrase = several.phrase(split, rng);
    let query = noun_query(&phrase, true, split, rng);
    let question = match query.is_sentence {
        true => question(&query, rng),
        false => query.text.clone(),
    };
    (query, question)
}
