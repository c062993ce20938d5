//! Talk without masks: what is there, how many, what colour, where, and what things are good for.

use rand::seq::{IndexedRandom, SliceRandom};
use rand::Rng;

use super::frames::Wording;
use super::knowledge::{either, knowledge, there_is_no, Noun};
use super::scene_view::SceneView;
use super::{Dialogue, Query, QuestionKind, Turn};
use crate::catalogue::Category;
use crate::scene::{Frame, Scene};
use crate::Split;

/// How far apart two things must be to the left and right, as a share of the picture's width.
const ACROSS: f32 = 0.10;
/// How far one must stand before the other, in metres.
const DEPTH: f32 = 0.06;

/// One or more conversations about a scene, of one to three turns. They are text to learn from: all splits use the same words,
/// and none of them are the words of the other kinds that are held out for `val` and `test`.
pub fn vqa(scene: &Scene, frame: &Frame, _split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let view = SceneView::new(scene, frame);
    let mut turns = about_scene(&view, rng);
    turns.extend(about_world(&view, rng));
    turns.shuffle(rng);
    let mut dialogues = Vec::new();
    while !turns.is_empty() {
        let rest = turns.split_off(rng.random_range(1..=3).min(turns.len()));
        dialogues.push(dialogue(std::mem::replace(&mut turns, rest)));
    }
    dialogues
}

fn dialogue(turns: Vec<(String, String)>) -> Dialogue {
    let text = turns.first().map(|turn| turn.0.clone()).unwrap_or_default();
    let turn = |(question, answer)| Turn {
        question,
        answer,
        targets: Vec::new(),
    };
    Dialogue {
        kind: QuestionKind::Vqa,
        turns: turns.into_iter().map(turn).collect(),
        query: Query {
            text,
            is_sentence: true,
        },
        explanation: None,
        names: Vec::new(),
        worded_as: QuestionKind::Vqa,
        absence: None,
        candidates: Vec::new(),
    }
}

fn about_scene(view: &SceneView, rng: &mut impl Rng) -> Vec<(String, String)> {
    let frames = &knowledge().frames.vqa;
    let order = view.left_to_right();
    let mut turns = Vec::new();
    let all_show = order.len() == view.all().len();
    if all_show && !order.is_empty() {
        let mut categories: Vec<Category> = Vec::new();
        for index in &order {
            let category = view.object(*index).category;
            if !categories.contains(&category) {
                categories.push(category);
            }
        }
        let counted: Vec<_> = categories.iter().map(|c| (*c, view.of(*c).len())).collect();
        turns.extend(fill(frames.list.choose(rng), &list(&counted)));
    }
    let (there, missing): (Vec<_>, Vec<_>) = Category::ALL
        .into_iter()
        .filter(|c| view.visible_of(&[*c]).is_some())
        .partition(|c| view.any_of(&[*c]));
    for category in there.choose_multiple(rng, 4) {
        let mut values = none(*category).to_vec();
        values.extend(list(&[(*category, view.of(*category).len())]));
        turns.extend(fill(frames.yes.choose(rng), &values));
    }
    for category in missing.choose_multiple(rng, 4) {
        turns.extend(fill(frames.no.choose(rng), &none(*category)));
    }
    let countable = |c: &&Category| knowledge().noun(**c).a != c.name();
    for categories in [&there, &missing] {
        let categories: Vec<_> = categories.iter().filter(countable).copied().collect();
        if let Some(category) = categories.choose(rng) {
            let values = how_many(knowledge().noun(*category), view.of(*category).len());
            turns.extend(fill(frames.count.choose(rng), &values));
        }
    }
    let single: Vec<_> = order
        .iter()
        .copied()
        .filter(|i| view.of(view.object(*i).category).len() == 1)
        .collect();
    for index in single.choose_multiple(rng, 2) {
        turns.extend(colour(view, *index, rng));
    }
    turns.extend(places(view, &single, rng));
    turns
}

/// Facts: half of them about what is in sight.
fn about_world(view: &SceneView, rng: &mut impl Rng) -> Vec<(String, String)> {
    let known = knowledge();
    let mut subjects = view.categories();
    subjects.shuffle(rng);
    subjects.truncate(2);
    subjects.extend(Category::ALL.choose_multiple(rng, 2).copied());
    subjects.sort();
    subjects.dedup();
    let mut turns = Vec::new();
    for subject in subjects {
        turns.extend(known.noun(subject).facts.choose(rng).cloned());
        let intents: Vec<_> = known
            .intents
            .iter()
            .filter(|intent| intent.answers.contains(&subject))
            .collect();
        if let Some(intent) = intents.choose(rng) {
            let wording = intent.wordings(Split::Train).choose(rng);
            turns.extend(wording.and_then(|wording| fact(wording, &intent.answers, rng)));
        }
    }
    turns
}

/// What serves a purpose, or what has a property; `None` for a whole sentence.
pub fn fact(
    wording: &Wording,
    answers: &[Category],
    rng: &mut impl Rng,
) -> Option<(String, String)> {
    let frames = &knowledge().frames.vqa;
    let a = ("{a}", either(answers));
    match wording {
        Wording::To(to) => {
            let to = ("{to}", of_people(to)?);
            fill(frames.purpose.choose(rng), &[a, to])
        }
        Wording::The(the) => fill(frames.identity.choose(rng), &[a, ("{the}", the.clone())]),
        Wording::Say(_) => None,
    }
}

/// A purpose of mine as one of people: "to call their mother"; `None` where that takes more than another word.
fn of_people(to: &str) -> Option<String> {
    let theirs = |word| match word {
        "I" | "me" | "myself" => None,
        "my" => Some("their"),
        _ => Some(word),
    };
    let words: Option<Vec<_>> = to.split(' ').map(theirs).collect();
    words.map(|words| words.join(" "))
}

fn colour(view: &SceneView, index: usize, rng: &mut impl Rng) -> Option<(String, String)> {
    let frames = &knowledge().frames.vqa;
    let object = view.object(index);
    let noun = knowledge().noun(object.category);
    let pairs = match noun.is_plural() {
        true => &frames.colours,
        false => &frames.colour,
    };
    let values = [
        ("{x}", noun.name().to_owned()),
        ("{colour}", object.colour.name().to_owned()),
    ];
    fill(pairs.choose(rng), &values)
}

/// Where one thing is, as seen from another: to the sides, and in depth.
fn places(view: &SceneView, single: &[usize], rng: &mut impl Rng) -> Vec<(String, String)> {
    let frames = &knowledge().frames.vqa;
    let pairs: Vec<_> = single
        .iter()
        .flat_map(|x| single.iter().map(move |y| (*x, *y)))
        .filter(|(x, y)| x != y)
        .collect();
    let values = |(x, y): (usize, usize), side: &str| {
        let name = |i| view.object(i).category.name().to_owned();
        [
            ("{x}", name(x)),
            ("{y}", name(y)),
            ("{side}", side.to_owned()),
        ]
    };
    let mut turns = Vec::new();
    let apart = |(x, y): &(usize, usize)| view.visibility(*x).across - view.visibility(*y).across;
    let beside: Vec<_> = pairs.iter().filter(|p| apart(p).abs() >= ACROSS).collect();
    if let Some(pair) = beside.choose(rng) {
        let side = if apart(pair) < 0.0 { "left" } else { "right" };
        turns.extend(fill(
            frames.left_or_right.choose(rng),
            &values(**pair, side),
        ));
    }
    let deeper = |(x, y): &(usize, usize)| view.visibility(*x).depth - view.visibility(*y).depth;
    let before: Vec<_> = pairs.iter().filter(|p| deeper(p).abs() >= DEPTH).collect();
    if let Some(pair) = before.choose(rng) {
        let side = if deeper(pair) < 0.0 {
            "in front of"
        } else {
            "behind"
        };
        turns.extend(fill(
            frames.front_or_behind.choose(rng),
            &values(**pair, side),
        ));
    }
    turns
}

/// "a mug, two apples and a pair of scissors", and the verb before it.
pub fn list(counted: &[(Category, usize)]) -> Vec<(&'static str, String)> {
    let item = |(category, count): &(Category, usize)| {
        let noun = knowledge().noun(*category);
        match count {
            1 => noun.a.clone(),
            _ => format!("{} {}", number(*count), noun.counted()),
        }
    };
    let items: Vec<_> = counted.iter().map(item).collect();
    let text = match items.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    };
    let [is, capital] = match counted.first() {
        Some((category, 1)) => verb(knowledge().noun(*category)),
        Some(_) => ["are", "Are"],
        None => ["is", "Is"],
    };
    vec![
        ("{list}", text),
        ("{is}", is.to_owned()),
        ("{Is}", capital.to_owned()),
    ]
}

/// The verb before a name with its article: "is a pair of glasses", "are cup noodles".
fn verb(noun: &Noun) -> [&'static str; 2] {
    match noun.a == noun.name() {
        true => ["are", "Are"],
        false => ["is", "Is"],
    }
}

/// The values of a question for what is not there.
pub fn none(category: Category) -> [(&'static str, String); 3] {
    let noun = knowledge().noun(category);
    let sentence = there_is_no(&[category]);
    let none = sentence.trim_end_matches('.').replacen("There", "there", 1);
    [
        ("{a}", noun.a.clone()),
        ("{none}", none),
        ("{Is}", verb(noun)[1].to_owned()),
    ]
}

/// The values of a question for a number.
pub fn how_many(noun: &Noun, count: usize) -> [(&'static str, String); 2] {
    let one = noun.a.split_once(' ').map_or(noun.name(), |(_, rest)| rest);
    let n = match count {
        0 => there_is_no(&[noun.category]),
        1 => format!("There is one {one}."),
        _ => format!("There are {} {}.", number(count), noun.counted()),
    };
    [("{xs}", noun.counted().to_owned()), ("{n}", n)]
}

fn number(count: usize) -> &'static str {
    const WORDS: [&str; 9] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight",
    ];
    WORDS.get(count).copied().unwrap_or("many")
}

/// A pair of question and answer with its values put in.
pub fn fill(
    pair: Option<&(String, String)>,
    values: &[(&'static str, String)],
) -> Option<(String, String)> {
    let put = |text: &String| {
        values
            .iter()
            .fold(text.clone(), |text, (key, value)| text.replace(key, value))
    };
    pair.map(|(question, answer)| (put(question), put(answer)))
}
