//! References by name, colour, place or size that single out one object.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::knowledge::knowledge;
use super::scene_view::SceneView;
use super::wording::{answer, noun_query, question};
use super::{Dialogue, QuestionKind, Turn};
use crate::catalogue::Colour;
use crate::Split;

/// How far apart "leftmost" and the next one must be, as a share of the picture's width.
pub const ACROSS: f32 = 0.08;
/// How much nearer "nearest" must be, in metres: among objects of one category, and among all.
pub const DEPTH: f32 = 0.06;
pub const DEPTH_OF_ALL: f32 = 0.10;
/// How many times the next one's volume "largest" must have.
const VOLUME: f32 = 1.3;
/// How many times as many pixels.
const PIXELS: f32 = 1.2;

/// One question for each visible object that can be singled out.
pub fn dialogues(view: &SceneView, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let mut all = Vec::new();
    for index in view.left_to_right() {
        let (own, among_all) = phrases(view, index);
        let unnamed = own.is_empty() || (!among_all.is_empty() && rng.random_bool(0.25));
        let phrases = if unnamed { among_all } else { own };
        let Some(phrase) = phrases.choose(rng) else {
            continue;
        };
        let candidates = match unnamed {
            true => Vec::new(),
            false => view.rivals(index),
        };
        all.push(dialogue(view, phrase, index, candidates, split, rng));
    }
    all
}

/// A question for one object by a noun phrase.
pub fn dialogue(
    view: &SceneView,
    phrase: &str,
    index: usize,
    candidates: Vec<usize>,
    split: Split,
    rng: &mut impl Rng,
) -> Dialogue {
    let query = noun_query(phrase, false, split, rng);
    Dialogue {
        kind: QuestionKind::Explicit,
        turns: vec![Turn {
            question: question(&query, rng),
            answer: answer(split, rng),
            targets: vec![vec![index]],
        }],
        query,
        explanation: None,
        names: vec![view.object(index).category],
        worded_as: QuestionKind::Explicit,
        absence: None,
        candidates,
    }
}

/// All noun phrases that mean this object and no other: those with its name, and those without.
pub fn phrases(view: &SceneView, index: usize) -> (Vec<String>, Vec<String>) {
    (
        phrases_of_its_kind(view, index),
        phrases_among_all(view, index),
    )
}

/// Noun phrases that mean this object alone, with its name: the name itself where there is one of its kind, otherwise
/// with its colour, place or size.
fn phrases_of_its_kind(view: &SceneView, index: usize) -> Vec<String> {
    let object = view.object(index);
    let noun = knowledge().noun(object.category);
    let (name, colour) = (noun.name(), object.colour.name());
    let same = view.of(object.category);
    let mut phrases = Vec::new();
    if same.len() == 1 {
        phrases.push(format!("the {name}"));
        phrases.extend(noun.also.iter().map(|also| format!("the {also}")));
    } else {
        phrases.extend(comparisons(view, index, &same, name, DEPTH));
    }
    let alike = |i: &usize| view.object(*i).colour == object.colour;
    if same.iter().filter(|i| alike(i)).count() == 1 && name != colour {
        phrases.push(format!("the {colour} {name}"));
    }
    phrases
}

/// Noun phrases that mean this object alone, without its name: "the leftmost object", "the red object".
fn phrases_among_all(view: &SceneView, index: usize) -> Vec<String> {
    let all: Vec<_> = view.all().collect();
    let colour = view.object(index).colour;
    let mut phrases = comparisons(view, index, &all, "object", DEPTH_OF_ALL);
    let mut others = all.iter().filter(|i| **i != index);
    if others.all(|i| differ(view.object(*i).colour, colour)) {
        phrases.push(format!("the {} object", colour.name()));
    }
    phrases
}

/// Every comparison in words, for a name.
pub fn compared(name: &str) -> [String; 12] {
    [
        format!("the leftmost {name}"),
        format!("the {name} on the far left"),
        format!("the rightmost {name}"),
        format!("the {name} on the far right"),
        format!("the nearest {name}"),
        format!("the {name} closest to the camera"),
        format!("the farthest {name}"),
        format!("the {name} farthest from the camera"),
        format!("the largest {name}"),
        format!("the biggest {name}"),
        format!("the smallest {name}"),
        format!("the smaller {name}"),
    ]
}

/// The comparisons with the others that hold by a margin.
pub fn comparisons(
    view: &SceneView,
    index: usize,
    among: &[usize],
    name: &str,
    depth_margin: f32,
) -> Vec<String> {
    let others = || among.iter().copied().filter(|i| *i != index);
    if others().next().is_none() || among.iter().any(|i| !view.visibility(*i).visible) {
        return Vec::new();
    }
    let beats = |key: &dyn Fn(usize) -> f32, margin: f32| {
        others().all(|other| key(index) >= key(other) + margin)
    };
    let across = |i: usize| view.visibility(i).across;
    let depth = |i: usize| view.visibility(i).depth;
    let volume = |i: usize| view.object(i).size.iter().product::<f32>().max(1e-9).ln();
    let pixels = |i: usize| (view.visibility(i).unoccluded.max(1) as f32).ln();
    let minus = |key: &dyn Fn(usize) -> f32, i: usize| -key(i);
    let largest = beats(&volume, VOLUME.ln()) && beats(&pixels, PIXELS.ln());
    let smallest =
        beats(&|i| minus(&volume, i), VOLUME.ln()) && beats(&|i| minus(&pixels, i), PIXELS.ln());
    let holds = [
        (beats(&|i| minus(&across, i), ACROSS), [true, true]),
        (beats(&across, ACROSS), [true, true]),
        (beats(&|i| minus(&depth, i), depth_margin), [true, true]),
        (beats(&depth, depth_margin), [true, true]),
        (largest, [true, true]),
        (smallest, [true, among.len() == 2]),
    ];
    holds
        .into_iter()
        .flat_map(|(holds, fits)| fits.map(|fits| holds && fits))
        .zip(compared(name))
        .filter_map(|(holds, phrase)| holds.then_some(phrase))
        .collect()
}

/// Whether nobody takes one colour for the other.
pub fn differ(a: Colour, b: Colour) -> bool {
    use Colour::{Black, Blue, Brown, Green, Grey, Orange, Pink, Purple, Red, White, Yellow};
    let near = |a, b| {
        matches!(
            (a, b),
            (Red, Orange | Pink | Brown)
                | (Orange, Yellow | Brown)
                | (Yellow, Brown | Green)
                | (Blue, Purple)
                | (Purple, Pink | Black)
                | (Grey, White | Black | Brown)
                | (Black, Brown)
        )
    };
    a != b && !near(a, b) && !near(b, a)
}
