//! Questions of which half ask for what is not there, in the very words in which the other half asks for what is.
//!
//! They come in pairs of one kind and one form, so that a model that hears the words alone cannot tell which of the two
//! has a mask. About half of those for what is not there are near misses.

use rand::seq::IndexedRandom;
use rand::Rng;

use super::absent::{self, unmet, Nothing};
use super::frames::Wording;
use super::knowledge::{knowledge, Group, Intent};
use super::missing::{class, counterpart};
use super::multi_turn::first_question;
use super::reasoning::{answerable, Answerable};
use super::reference::{references, Form};
use super::scene_view::SceneView;
use super::several::{askable, asked, Several};
use super::wording::{noun_query, query, question, question_and_why};
use super::{explicit, multi_turn, reasoning, several};
use super::{Absence, Dialogue, Query, QuestionKind, Turn};
use crate::catalogue::Category;
use crate::scene::{Frame, Scene};
use crate::Split;

use QuestionKind as Q;

/// The kinds in the order in which they take turns. Kinds that only looking can decide come most often.
const TURNS: [Q; 10] = [
    Q::Explicit,
    Q::Reasoning,
    Q::Explicit,
    Q::WorldKnowledge,
    Q::Explicit,
    Q::Explanatory,
    Q::Explicit,
    Q::MultiTurn,
    Q::Explicit,
    Q::Several,
];

/// How often something that is not there is to be a near miss. References to one thing can miss by colour and place,
/// so most near misses are theirs; the others miss by the class alone, and groups of things not at all.
const NEAR: f64 = 0.8;
const NEAR_OF_OTHERS: f64 = 0.25;

/// How many turns are tried for a question: some have nothing to ask, others would ask again what has been asked.
const TRIES: usize = 4;

/// `count` questions about a scene in the words of a split, or fewer if the scene does not have that many. Half of them are
/// [`Absent`](QuestionKind::Absent), in the words of the given kinds; the others are of these kinds, without
/// [`Vqa`](QuestionKind::Vqa). If no such kind is given, the questions are explicit ones.
pub fn balanced(
    scene: &Scene,
    frame: &Frame,
    split: Split,
    kinds: &[QuestionKind],
    count: usize,
    rng: &mut impl Rng,
) -> Vec<Dialogue> {
    let view = SceneView::new(scene, frame);
    let mut turns: Vec<_> = TURNS.into_iter().filter(|k| kinds.contains(k)).collect();
    if turns.is_empty() {
        turns.push(Q::Explicit);
    }
    let start = rng.random_range(0..turns.len());
    let mut all: Vec<Dialogue> = Vec::new();
    let known = |all: &[Dialogue], new: &Dialogue| all.iter().any(|old| old.query == new.query);
    for turn in 0..count.saturating_mul(TRIES) {
        if all.len() >= count {
            break;
        }
        let kind = turns[(start + turn) % turns.len()];
        let near = rng.random_bool(match kind {
            Q::Explicit => NEAR,
            _ => NEAR_OF_OTHERS,
        });
        let Some((there, missing)) = pair(&view, kind, near, split, rng) else {
            continue;
        };
        if known(&all, &there) || known(&all, &missing) {
            continue;
        }
        all.extend([there, missing]);
    }
    if all.len() > count {
        let last = all.len() - rng.random_range(1..=2);
        all.remove(last);
    }
    all
}

/// A question for something that is there and one for something that is not.
fn pair(
    view: &SceneView,
    kind: QuestionKind,
    near: bool,
    split: Split,
    rng: &mut impl Rng,
) -> Option<(Dialogue, Dialogue)> {
    match kind {
        Q::Several => of_several(view, near, split, rng),
        Q::Reasoning | Q::WorldKnowledge | Q::Explanatory | Q::MultiTurn => {
            of_purpose(view, kind, near, split, rng)
        }
        Q::Explicit | Q::Absent | Q::Vqa => of_one(view, near, split, rng),
    }
}

fn of_one(
    view: &SceneView,
    near: bool,
    split: Split,
    rng: &mut impl Rng,
) -> Option<(Dialogue, Dialogue)> {
    let mut forms = Vec::new();
    for (form, often) in Form::ALL {
        let found = references(view, form, split, rng);
        if !found.is_empty() {
            forms.push((found, often));
        }
    }
    let (found, _) = forms.choose_weighted(rng, |(_, often)| *often).ok()?;
    let there = found.choose(rng)?;
    let missing = counterpart(view, there, near, split, rng)?;
    let query = noun_query(&missing.phrase, false, split, rng);
    let asked = question(&query, rng);
    let missing = absent::dialogue(query, asked, missing.nothing, Q::Explicit);
    let candidates = there.candidates.clone();
    let there = explicit::dialogue(view, &there.phrase, there.object, candidates, split, rng);
    Some((there, missing))
}

fn of_purpose(
    view: &SceneView,
    kind: QuestionKind,
    near: bool,
    split: Split,
    rng: &mut impl Rng,
) -> Option<(Dialogue, Dialogue)> {
    let any = matches!(kind, Q::Explanatory | Q::MultiTurn);
    let fits = |intent: &Intent| any || reasoning::kind(intent) == kind;
    let met: Vec<(Category, Answerable)> = answerable(view)
        .into_iter()
        .filter(|fitting| fits(fitting.intent))
        .map(|fitting| (fitting.category, fitting))
        .collect();
    let fitting = of_any_class(&met, rng)?;
    let there = match kind {
        Q::Explanatory => reasoning::explained(fitting, split, rng),
        Q::MultiTurn => multi_turn::dialogue(fitting, split, rng),
        _ => reasoning::dialogue(fitting, split, rng),
    }?;

    let like = |intent: &Intent| {
        let mut answers = intent.answers.iter();
        answers.any(|c| view.any_of(&knowledge().noun(*c).neighbours))
    };
    let unmet: Vec<(Category, &Intent)> = unmet(view)
        .into_iter()
        .filter(|intent| fits(intent))
        .flat_map(|intent| intent.answers.iter().map(move |c| (*c, intent)))
        .collect();
    let wanted: Vec<_> = unmet
        .iter()
        .filter(|(_, intent)| like(intent) == near)
        .copied()
        .collect();
    let intent = *of_any_class(&wanted, rng).or_else(|| of_any_class(&unmet, rng))?;
    let absence = match like(intent) {
        true => Absence::Neighbour,
        false => Absence::Plain,
    };
    let nothing = Nothing::of(intent.answers.clone(), absence);
    let wording = intent.wordings(split).choose(rng)?;
    let missing = match kind {
        Q::MultiTurn => refused_conversation(wording, nothing, split, rng),
        _ => {
            let query = query(wording, split, rng);
            let asked = match kind {
                Q::Explanatory => question_and_why(&query, rng),
                _ => question(&query, rng),
            };
            absent::dialogue(query, asked, nothing, kind)
        }
    };
    Some((there, missing))
}

/// One of a list, after its class: one about which much can be said does not come more often.
fn of_any_class<'a, T>(all: &'a [(Category, T)], rng: &mut impl Rng) -> Option<&'a T> {
    let mut classes: Vec<_> = all.iter().map(|(category, _)| *category).collect();
    classes.sort();
    classes.dedup();
    let class = classes.choose(rng)?;
    let about: Vec<_> = all.iter().filter(|(c, _)| c == class).collect();
    about.choose(rng).map(|(_, found)| found)
}

/// What could serve, to which the answer is nothing; and then, asked for its mask all the same, once more.
fn refused_conversation(
    wording: &Wording,
    nothing: Nothing,
    split: Split,
    rng: &mut impl Rng,
) -> Dialogue {
    let frames = &knowledge().frames;
    let first = first_question(wording, split, rng);
    let plural = nothing.names.first().map(|c| knowledge().noun(*c));
    let then = match plural.is_some_and(|noun| noun.is_plural()) {
        true => &frames.then_them,
        false => &frames.then_it,
    };
    let query = Query {
        text: first.clone(),
        is_sentence: true,
    };
    let again = then.choose(split, rng).to_owned();
    let mut dialogue = absent::dialogue(query, again, nothing, Q::MultiTurn);
    let answer = dialogue.turns[0].answer.clone();
    let turn = Turn {
        question: first,
        answer,
        targets: Vec::new(),
    };
    dialogue.turns.insert(0, turn);
    dialogue
}

fn of_several(
    view: &SceneView,
    near: bool,
    split: Split,
    rng: &mut impl Rng,
) -> Option<(Dialogue, Dialogue)> {
    let all = askable(view);
    let (subject, objects) = all.choose(rng)?;
    let there = several::dialogue(view, *subject, objects.clone(), split, rng);
    let (subject, nothing) = match subject {
        Several::Class(_) => {
            let (category, absence) = class(view, near, rng)?;
            let nothing = Nothing::of(vec![category], absence);
            (Several::Class(category), nothing)
        }
        Several::Group(_) => {
            let group = empty_group(view, rng)?;
            let nothing = Nothing {
                names: group.members.clone(),
                absence: Absence::Plain,
                answer: group.none.clone(),
            };
            (Several::Group(group), nothing)
        }
    };
    let (query, asked) = asked(subject, split, rng);
    Some((there, absent::dialogue(query, asked, nothing, Q::Several)))
}

/// A group of which nothing is there, drawn as often as it is asked for where it is: that depends on its size.
fn empty_group(view: &SceneView, rng: &mut impl Rng) -> Option<&'static Group> {
    let there = view.categories().len();
    let groups = knowledge().groups.iter();
    let empty = groups.filter(|g| !view.any_of(&g.members) && !view.any_of(&g.doubtful));
    let empty: Vec<_> = empty.collect();
    let weight = |group: &&Group| odds(there, group.members.len(), group.doubtful.len());
    empty.choose_weighted(rng, weight).ok().copied()
}

/// How many times as likely it is that `drawn` categories hold two or more of `members`, as that they hold none; in
/// both cases none of `doubtful`.
fn odds(drawn: usize, members: usize, doubtful: usize) -> f64 {
    let all = Category::ALL.len();
    let others = all - members - doubtful;
    let none = ways(others, drawn);
    let one = members as f64 * ways(others, drawn.saturating_sub(1));
    let any = ways(all - doubtful, drawn);
    ((any - none - one) / none.max(1.0)).max(0.0)
}

/// In how many ways `k` of `n` are chosen.
fn ways(n: usize, k: usize) -> f64 {
    match k > n {
        true => 0.0,
        false => (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product(),
    }
}
