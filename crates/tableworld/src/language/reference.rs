//! References to one object in forms that can be asked of what is there as well as of what is not.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::explicit::{comparisons, phrases, DEPTH};
use super::frames::pick;
use super::knowledge::knowledge;
use super::relation::{places, Relation};
use super::scene_view::SceneView;
use crate::catalogue::Category;
use crate::Split;

/// What a reference singles its object out by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// "the mug", where it is the only one.
    Name,
    /// "the red mug".
    Colour,
    /// "the mug left of the bowl".
    Relation,
    /// "the largest mug", of several.
    Comparison,
    /// "the red object", "the leftmost object".
    Unnamed,
}

impl Form {
    /// All of them, and how often each is asked where a scene allows it.
    pub const ALL: [(Self, u32); 5] = [
        (Self::Name, 2),
        (Self::Colour, 4),
        (Self::Relation, 4),
        (Self::Comparison, 4),
        (Self::Unnamed, 1),
    ];
}

/// A noun phrase that means one object of a scene and no other.
#[derive(Clone, Debug)]
pub struct Reference {
    pub form: Form,
    pub phrase: String,
    pub object: usize,
    /// The place and the object from which it is seen, of [`Form::Relation`].
    pub place: Option<(Relation, usize)>,
    /// See [`Dialogue::candidates`](super::Dialogue::candidates).
    pub candidates: Vec<usize>,
}

/// A reference of that form to each visible object that one can mean.
pub fn references(
    view: &SceneView,
    form: Form,
    split: Split,
    rng: &mut impl Rng,
) -> Vec<Reference> {
    let objects = view.left_to_right().into_iter();
    objects
        .filter_map(|object| reference(view, form, object, split, rng))
        .collect()
}

fn reference(
    view: &SceneView,
    form: Form,
    object: usize,
    split: Split,
    rng: &mut impl Rng,
) -> Option<Reference> {
    let category = view.object(object).category;
    let name = category.name();
    let same = view.of(category);
    let mut place = None;
    let phrase = match form {
        Form::Name => (same.len() == 1).then(|| called(category, rng))?,
        Form::Colour => {
            let colour = view.object(object).colour;
            let alike = same.iter().filter(|i| view.object(**i).colour == colour);
            let one = alike.count() == 1 && colour.name() != name;
            one.then(|| format!("the {} {name}", colour.name()))?
        }
        Form::Relation => {
            let (relation, anchor) = *places(view, category, &[object]).choose(rng)?;
            place = Some((relation, anchor));
            relation.phrase(name, view.object(anchor).category, split, rng)
        }
        Form::Comparison => {
            let mut all = comparisons(view, object, &same, name, DEPTH);
            if same.len() == 2 {
                for (most, side) in [("leftmost", "left"), ("rightmost", "right")] {
                    if all.contains(&format!("the {most} {name}")) {
                        all.push(format!("the {side} {name}"));
                    }
                }
            }
            all.choose(rng)?.clone()
        }
        Form::Unnamed => phrases(view, object).1.choose(rng)?.clone(),
    };
    let candidates = match form {
        Form::Unnamed => Vec::new(),
        _ => view.rivals(object),
    };
    Some(Reference {
        form,
        phrase,
        object,
        place,
        candidates,
    })
}

/// A category by one of its names: "the television", "the TV".
pub fn called(category: Category, rng: &mut impl Rng) -> String {
    let noun = knowledge().noun(category);
    let mut names = vec![noun.name()];
    names.extend(noun.also.iter().map(String::as_str));
    format!("the {}", pick(&names, rng))
}
