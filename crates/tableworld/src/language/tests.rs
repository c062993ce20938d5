//! The whole of it, on scenes made by hand.

mod balanced;
mod near_misses;

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::frames::Wording;
use super::knowledge::knowledge;
use super::*;
use crate::catalogue::Colour;
use crate::scene::{Camera, Light, Object, Table};

use Category as C;
use Colour as K;

/// Objects side by side in bands of equal width, 160×120, the first one leftmost and nearest.
fn scene(objects: &[(Category, Colour)]) -> (Scene, Frame) {
    let (width, height) = (160u32, 120u32);
    let count = objects.len() as u32;
    let band = |x: u32| (x * count / width) as usize;
    let at = |i: u32| (i % width, i / width);
    let inside = |i: u32| (30..90).contains(&at(i).1);
    let scene = Scene {
        seed: 0,
        objects: objects
            .iter()
            .enumerate()
            .map(|(i, (category, colour))| Object {
                category: *category,
                colour: *colour,
                position: [0.1 * i as f32, 0.2 * i as f32, 0.05],
                yaw: 0.0,
                size: [0.1; 3],
            })
            .collect(),
        camera: Camera::default(),
        light: Light::default(),
        table: Table::default(),
    };
    let pixels = width * height;
    let instances: Vec<u8> = (0..pixels)
        .map(|i| {
            if inside(i) {
                band(at(i).0) as u8 + 1
            } else {
                0
            }
        })
        .collect();
    let frame = Frame {
        image: image::RgbImage::new(width, height),
        depth: (0..pixels)
            .map(|i| 0.7 + 0.2 * band(at(i).0) as f32)
            .collect(),
        unoccluded: vec![60 * width / count; objects.len()],
        instances,
    };
    (scene, frame)
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn kitchen() -> (Scene, Frame) {
    scene(&[
        (C::Mug, K::Red),
        (C::Orange, K::Orange),
        (C::Mug, K::Blue),
        (C::Scissors, K::Green),
        (C::Banana, K::Yellow),
    ])
}

/// The words of a text in lower case, without punctuation.
pub(super) fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// At least one: tests go through them.
fn all_of(kind: QuestionKind, (scene, frame): &(Scene, Frame), split: Split) -> Vec<Dialogue> {
    let all: Vec<_> = (0..20)
        .flat_map(|seed| dialogues(scene, frame, split, &mut rng(seed)))
        .filter(|dialogue| dialogue.kind == kind)
        .collect();
    assert!(!all.is_empty(), "nothing of kind {}", kind.name());
    all
}

/// What a train wording of an intent asks for in a scene.
fn asked_for(wording: &str, (scene, frame): &(Scene, Frame)) -> Option<Vec<usize>> {
    let wording = Wording::from(wording.to_owned());
    let view = SceneView::new(scene, frame);
    let mut fitting = reasoning::answerable(&view).into_iter();
    fitting
        .find(|f| f.intent.wordings(Split::Train).contains(&wording))
        .map(|f| f.objects)
}

#[test]
fn every_mask_has_its_seg_and_no_other_answer_has_one() {
    let scenes = [
        kitchen(),
        scene(&[
            (C::Television, K::Black),
            (C::Book, K::Red),
            (C::Laptop, K::Grey),
        ]),
    ];
    let mut kinds = BTreeSet::new();
    for (scene, frame) in &scenes {
        for split in Split::ALL {
            let mut all = dialogues(scene, frame, split, &mut rng(1));
            all.extend(vqa(scene, frame, split, &mut rng(1)));
            for dialogue in all {
                kinds.insert(dialogue.kind);
                for turn in &dialogue.turns {
                    let segs = turn.answer.matches("[SEG]").count();
                    assert_eq!(segs, turn.targets.len(), "{turn:?}");
                    assert!(
                        turn.targets.iter().all(|target| !target.is_empty()),
                        "{turn:?}"
                    );
                    assert!(!turn.question.contains(['{', '}']), "{turn:?}");
                    assert!(!turn.answer.contains(['{', '}']), "{turn:?}");
                    assert!(
                        !turn.question.is_empty() && !turn.answer.is_empty(),
                        "{turn:?}"
                    );
                }
                let refuses = matches!(dialogue.kind, QuestionKind::Absent | QuestionKind::Vqa);
                assert_eq!(dialogue.targets().is_empty(), refuses, "{dialogue:?}");
                let why = dialogue.explanation.unwrap_or_default();
                assert!(!why.contains("[SEG]") && !why.contains('{'), "{why}");
            }
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), QuestionKind::ALL);
}

#[test]
fn references_mean_one_object() {
    let (scene, frame) = kitchen();
    let view = SceneView::new(&scene, &frame);
    for (text, expected) in [
        ("the mug", None),
        ("the red mug", Some(0)),
        ("the blue mug", Some(2)),
        ("the leftmost mug", Some(0)),
        ("the rightmost mug", Some(2)),
        ("the nearest mug", Some(0)),
        ("the farthest object", Some(4)),
        ("the rightmost object", Some(4)),
        ("the blue object", Some(2)),
        // Somebody might take orange for red, or yellow for orange.
        ("the red object", None),
        ("the yellow object", None),
        ("the scissors", Some(3)),
        ("the orange", Some(1)),
        ("the orange orange", None),
        ("the largest object", None),
        ("the largest mug", None),
    ] {
        let mut meant = view.all().filter(|i| {
            let (own, among_all) = explicit::phrases(&view, *i);
            own.iter().chain(&among_all).any(|phrase| phrase == text)
        });
        assert_eq!(meant.next(), expected, "{text}");
        assert_eq!(meant.next(), None, "{text}");
    }
}

#[test]
fn sizes_are_compared_where_they_differ_clearly() {
    let (mut scene, mut frame) = kitchen();
    let named = |scene: &Scene, frame: &Frame| {
        explicit::phrases(&SceneView::new(scene, frame), 2)
            .0
            .join(", ")
    };
    scene.objects[2].size = [0.12; 3];
    frame.unoccluded[2] = frame.unoccluded[2] * 13 / 10;
    assert!(named(&scene, &frame).contains("the biggest mug"));
    // Larger in the picture alone: it stands nearer.
    scene.objects[2].size = [0.1; 3];
    assert!(!named(&scene, &frame).contains("the biggest mug"));
}

#[test]
fn a_question_is_asked_where_one_category_answers_it() {
    let vitamins = "the food with high vitamin C";
    assert_eq!(asked_for(vitamins, &kitchen()), Some(vec![1]));
    let both = scene(&[
        (C::Orange, K::Orange),
        (C::Lemon, K::Yellow),
        (C::Key, K::Grey),
    ]);
    assert_eq!(asked_for(vitamins, &both), None);
    let two = scene(&[
        (C::Lemon, K::Yellow),
        (C::Key, K::Grey),
        (C::Lemon, K::Yellow),
    ]);
    assert_eq!(asked_for(vitamins, &two), Some(vec![0, 2]));
    let paper = "to cut this sheet of paper";
    assert_eq!(asked_for(paper, &kitchen()), Some(vec![3]));
    // A knife would do.
    let sharp = scene(&[
        (C::Scissors, K::Red),
        (C::Knife, K::Black),
        (C::Key, K::Grey),
    ]);
    assert_eq!(asked_for(paper, &sharp), None);
}

#[test]
fn a_group_is_one_mask_of_all_its_members() {
    let scene = kitchen();
    let asked = all_of(QuestionKind::Several, &scene, Split::Train);
    let named = |text: &str| -> BTreeSet<_> {
        asked
            .iter()
            .filter(|d| d.query.text.contains(text))
            .map(|d| d.targets().to_vec())
            .collect()
    };
    assert_eq!(
        named("everything I could eat"),
        BTreeSet::from([vec![1, 4]])
    );
    assert_eq!(named("all the mugs"), BTreeSet::from([vec![0, 2]]));
    // Scissors are the only tool.
    assert_eq!(named("tool"), BTreeSet::new());
}

#[test]
fn what_is_absent_is_not_there_in_any_form() {
    let (scene, frame) = kitchen();
    for split in Split::ALL {
        for dialogue in all_of(QuestionKind::Absent, &(scene.clone(), frame.clone()), split) {
            assert!(!dialogue.names.is_empty(), "{dialogue:?}");
            for missing in &dialogue.names {
                assert!(
                    scene.objects.iter().all(|o| o.category != *missing),
                    "{dialogue:?}"
                );
                assert!(
                    dialogue.turns[0].answer.contains(missing.name()),
                    "{dialogue:?}"
                );
            }
        }
    }
}

#[test]
fn explanations_and_replies_name_the_target() {
    for kind in [QuestionKind::Explanatory, QuestionKind::MultiTurn] {
        for dialogue in all_of(kind, &kitchen(), Split::Train) {
            let answer = &dialogue.turns[0].answer;
            let named = knowledge().noun(dialogue.names[0]);
            let names = [named.name(), named.plural.as_str()];
            assert!(
                names.iter().any(|name| answer.contains(name)),
                "{dialogue:?}"
            );
        }
    }
    for intent in &knowledge().intents {
        assert!(intent.because.contains("{x}"), "{}", intent.because);
    }
}

#[test]
fn hidden_objects_are_not_asked_for() {
    let (scene, mut frame) = kitchen();
    let asked_for = |frame: &Frame| {
        let all = Split::ALL.map(|split| dialogues(&scene, frame, split, &mut rng(3)));
        let about = |dialogue: &Dialogue| {
            dialogue.targets().contains(&3) || dialogue.names.contains(&C::Scissors)
        };
        all.into_iter().flatten().filter(about).collect::<Vec<_>>()
    };
    assert!(!asked_for(&frame).is_empty(), "while they are to be seen");
    // One pixel too few of the scissors shows: 1 200 at 640×480 are 75 here.
    let mut left = 74;
    for instance in frame.instances.iter_mut().filter(|i| **i == 4) {
        if left == 0 {
            *instance = 0;
        } else {
            left -= 1;
        }
    }
    let hidden = asked_for(&frame);
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[test]
fn an_evaluation_asks_one_question_of_a_kind_and_repeats_itself() {
    let (scene, frame) = kitchen();
    let asked = evaluation(&scene, &frame, Split::Test, &mut rng(7));
    let kinds: Vec<_> = asked.iter().map(|dialogue| dialogue.kind).collect();
    assert_eq!(kinds, QuestionKind::ALL[..7]);
    assert_eq!(asked, evaluation(&scene, &frame, Split::Test, &mut rng(7)));
    assert_ne!(asked, evaluation(&scene, &frame, Split::Test, &mut rng(8)));
}

#[test]
fn held_out_wordings_are_made_of_known_words() {
    let known: BTreeSet<_> = training_texts()
        .iter()
        .flat_map(|text| words(text))
        .collect();
    let mut held_out = BTreeSet::new();
    for split in [Split::Val, Split::Test] {
        held_out.extend(wordings(split).iter().flat_map(|text| words(text)));
        let scenes = [
            kitchen(),
            scene(&[(C::Book, K::Red), (C::Book, K::Blue), (C::Key, K::Grey)]),
        ];
        for (scene, frame) in &scenes {
            for seed in 0..40 {
                let asked = dialogues(scene, frame, split, &mut rng(seed));
                let texts = asked.iter().flat_map(|d| &d.turns);
                held_out.extend(texts.flat_map(|turn| words(&turn.question)));
            }
        }
    }
    assert!(held_out.len() >= 200, "{} words", held_out.len());
    let unknown: Vec<_> = held_out.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!((400..=900).contains(&known.len()), "{} words", known.len());
}

#[test]
fn training_texts_hold_every_word_that_a_scene_is_talked_about_with() {
    let known: BTreeSet<_> = training_texts()
        .iter()
        .flat_map(|text| words(text))
        .collect();
    for pair in C::ALL.chunks(3) {
        let objects: Vec<_> = pair
            .iter()
            .flat_map(|c| c.colours().iter().map(|k| (*c, *k)))
            .take(8)
            .collect();
        let (scene, frame) = scene(&objects);
        for seed in 0..20 {
            let mut all = dialogues(&scene, &frame, Split::Train, &mut rng(seed));
            all.extend(vqa(&scene, &frame, Split::Train, &mut rng(seed)));
            for turn in all.iter().flat_map(|dialogue| &dialogue.turns) {
                for word in words(&turn.question).into_iter().chain(words(&turn.answer)) {
                    assert!(known.contains(&word), "{word}: {turn:?}");
                }
            }
        }
    }
}

#[test]
fn kinds_go_by_their_names() {
    for kind in QuestionKind::ALL {
        assert_eq!(QuestionKind::parse(kind.name()), Some(kind));
    }
    assert_eq!(QuestionKind::parse("riddle"), None);
}
