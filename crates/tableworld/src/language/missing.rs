//! References to what is not there, in the forms of those to what is.
//!
//! Each function draws a class first and then what is said of it, as references to what is there are drawn, so that
//! neither class, nor colour, nor place tells by itself whether the thing is there.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::absent::Nothing;
use super::explicit::differ;
use super::knowledge::{knowledge, there_is_none_such};
use super::reference::{called, Form, Reference};
use super::relation::{places, Relation};
use super::scene_view::SceneView;
use super::Absence;
use crate::catalogue::{Category, Colour};
use crate::Split;

/// How often a near miss by place is of the place, and not of the class.
const PLACE: f64 = 0.75;

/// A noun phrase that means nothing in the scene.
pub struct Missing {
    pub phrase: String,
    pub nothing: Nothing,
}

/// One in the form of a reference to what is there; a near miss if that is wanted and the scene has one.
pub fn counterpart(
    view: &SceneView,
    of: &Reference,
    near: bool,
    split: Split,
    rng: &mut impl Rng,
) -> Option<Missing> {
    let category = view.object(of.object).category;
    match of.form {
        Form::Name => class(view, near, rng).map(|(c, absence)| named(c, absence, rng)),
        Form::Colour => {
            let single = category.colours().len() == 1;
            let fits = |c: Category| (c.colours().len() == 1) == single;
            let another = |rng: &mut _| other_class(view, &fits, rng);
            let nearly = match (near, single || rng.random()) {
                (false, _) => None,
                (true, true) => another(rng),
                (true, false) => wrong_colour(view, rng),
            };
            nearly
                .or_else(|| unlike(view, &fits, rng))
                .or_else(|| another(rng))
        }
        Form::Relation => {
            let placed = near && rng.random_bool(PLACE);
            let nearly = placed.then(|| wrong_place(view, split, rng));
            let (relation, anchor) = of.place?;
            nearly.flatten().or_else(|| {
                let (c, absence) = class(view, near, rng)?;
                let anchor = view.object(anchor).category;
                let phrase = relation.phrase(c.name(), anchor, split, rng);
                Some(Missing::such(phrase, c, absence))
            })
        }
        Form::Comparison => {
            let (c, absence) = class(view, near, rng)?;
            Some(Missing {
                phrase: of.phrase.replacen(category.name(), c.name(), 1),
                nothing: Nothing::of(vec![c], absence),
            })
        }
        Form::Unnamed => unlike_all(view, rng),
    }
}

impl Missing {
    /// Answered in the words of the phrase: "There is no red mug in this image."
    fn such(phrase: String, category: Category, absence: Absence) -> Self {
        let answer = there_is_none_such(&phrase, category);
        Self {
            phrase,
            nothing: Nothing {
                names: vec![category],
                absence,
                answer,
            },
        }
    }
}

/// A missing class by one of its names.
pub fn named(category: Category, absence: Absence, rng: &mut impl Rng) -> Missing {
    Missing {
        phrase: called(category, rng),
        nothing: Nothing::of(vec![category], absence),
    }
}

/// A missing class: one that what is there might be taken for, or one that it might not; any where there is none such.
pub fn class(view: &SceneView, near: bool, rng: &mut impl Rng) -> Option<(Category, Absence)> {
    let missing = view.missing();
    let like = |c: &Category| view.shows_any_of(&knowledge().noun(*c).neighbours);
    let wanted: Vec<_> = missing.iter().filter(|c| like(c) == near).collect();
    let chosen = wanted.choose(rng).map(|c| **c);
    let category = chosen.or_else(|| missing.choose(rng).copied())?;
    let absence = match like(&category) {
        true => Absence::Neighbour,
        false => Absence::Plain,
    };
    Some((category, absence))
}

/// "the red mug" where there are mugs, and none that anybody would call red.
pub fn wrong_colour(view: &SceneView, rng: &mut impl Rng) -> Option<Missing> {
    let wrong = |category: Category| -> Vec<Colour> {
        let same = view.of(category);
        let clear = |k: &Colour| same.iter().all(|i| differ(*k, view.object(*i).colour));
        let colours = sayable(category);
        colours.filter(clear).collect()
    };
    let mut there = view.categories();
    there.retain(|c| view.shows_any_of(&[*c]));
    coloured(there, wrong, Absence::Colour, rng)
}

/// "the red bottle" where something else is red, and there is no bottle.
pub fn other_class(
    view: &SceneView,
    fits: &dyn Fn(Category) -> bool,
    rng: &mut impl Rng,
) -> Option<Missing> {
    let there = |k: &Colour| view.in_sight().any(|i| view.object(i).colour == *k);
    let shared = |category: Category| sayable(category).filter(there).collect();
    let mut missing = view.missing();
    missing.retain(|c| fits(*c));
    coloured(missing, shared, Absence::OtherClass, rng)
}

/// "the red bottle" where there is no bottle, and nothing red.
fn unlike(
    view: &SceneView,
    fits: &dyn Fn(Category) -> bool,
    rng: &mut impl Rng,
) -> Option<Missing> {
    let clear = |k: &Colour| view.all().all(|i| view.object(i).colour != *k);
    let unseen = |category: Category| sayable(category).filter(clear).collect();
    let mut missing = view.missing();
    missing.retain(|c| fits(*c));
    coloured(missing, unseen, Absence::Plain, rng)
}

/// The colours by which a category is asked for, without those that are its name: nobody asks for the orange orange.
fn sayable(category: Category) -> impl Iterator<Item = Colour> {
    let colours = category.colours().iter().copied();
    colours.filter(move |k| k.name() != category.name())
}

fn coloured(
    categories: Vec<Category>,
    colours: impl Fn(Category) -> Vec<Colour>,
    absence: Absence,
    rng: &mut impl Rng,
) -> Option<Missing> {
    let pairs = categories.into_iter().map(|c| (c, colours(c)));
    let pairs: Vec<_> = pairs.filter(|(_, colours)| !colours.is_empty()).collect();
    let (category, colours) = pairs.choose(rng)?;
    let colour = colours.choose(rng)?;
    let phrase = format!("the {} {}", colour.name(), category.name());
    Some(Missing::such(phrase, *category, absence))
}

/// "the mug left of the bowl" where every mug is clearly to the right of it.
pub fn wrong_place(view: &SceneView, split: Split, rng: &mut impl Rng) -> Option<Missing> {
    let all = view.categories().into_iter().filter_map(|category| {
        let wrong = places(view, category, &[]);
        (!wrong.is_empty()).then_some((category, wrong))
    });
    let all: Vec<(Category, Vec<(Relation, usize)>)> = all.collect();
    let (category, wrong) = all.choose(rng)?;
    let (relation, anchor) = *wrong.choose(rng)?;
    let anchor = view.object(anchor).category;
    let phrase = relation.phrase(category.name(), anchor, split, rng);
    Some(Missing::such(phrase, *category, Absence::Place))
}

/// "the red object" where nobody would call anything red.
fn unlike_all(view: &SceneView, rng: &mut impl Rng) -> Option<Missing> {
    let clear = |k: &Colour| view.all().all(|i| differ(*k, view.object(i).colour));
    let colours: Vec<_> = Colour::ALL.into_iter().filter(clear).collect();
    let colour = colours.choose(rng)?.name();
    Some(Missing {
        phrase: format!("the {colour} object"),
        nothing: Nothing {
            names: Vec::new(),
            absence: Absence::Plain,
            answer: format!("There is no {colour} object in this image."),
        },
    })
}
