//! What is nearly there, and which of several things is meant.

use super::*;

/// What nobody sees is not there for a question, but is no reason to call another thing a near miss either.
#[test]
fn a_near_miss_is_near_something_in_sight() {
    use super::missing::{other_class, wrong_colour};

    let (scene, mut frame) = kitchen();
    let only = |frame: &Frame| {
        let view = SceneView::new(&scene, frame);
        let mut found = BTreeSet::new();
        for seed in 0..200 {
            let near = [
                wrong_colour(&view, &mut rng(seed)),
                other_class(&view, &|_| true, &mut rng(seed)),
            ];
            found.extend(near.into_iter().flatten().map(|missing| missing.phrase));
        }
        found
    };
    let seen = only(&frame);
    for id in 1..=scene.objects.len() as u8 {
        frame
            .instances
            .iter_mut()
            .filter(|i| **i == id)
            .for_each(|i| *i = 0);
    }
    assert!(!seen.is_empty());
    let hidden = only(&frame);
    assert!(hidden.is_empty(), "{hidden:?}");
}

/// Whether something answers to a phrase like "the red mug" or "the mug left of the orange", by what the scene holds.
fn answers(view: &SceneView, phrase: &str) -> bool {
    let places = ["left of", "right of", "in front of", "behind"];
    let frames = knowledge().frames.relation.all();
    // The longest one: " to the left of " holds " left of ", too.
    let place = frames.iter().zip(places).flat_map(|(framing, place)| {
        let between = framing
            .of(Split::Train)
            .into_iter()
            .filter_map(|frame| frame.strip_prefix("{x}")?.strip_suffix("{y}"));
        between.filter_map(move |between| Some((between.len(), place, phrase.split_once(between)?)))
    });
    let (thing, place) = match place.max_by_key(|(length, ..)| *length) {
        Some((_, place, (thing, anchor))) => {
            (thing, Some((place, anchor.trim_start_matches("the "))))
        }
        None => (phrase, None),
    };
    let bare = thing.trim_start_matches("the ");
    view.all().any(|i| {
        let object = view.object(i);
        let called = object.category.name() == bare
            || format!("{} {}", object.colour.name(), object.category.name()) == bare;
        let there = place.is_none_or(|(place, anchor)| {
            view.all().any(|j| {
                let (x, y) = (view.visibility(i), view.visibility(j));
                view.object(j).category.name() == anchor
                    && match place {
                        "left of" => x.across < y.across,
                        "right of" => x.across > y.across,
                        "in front of" => x.depth < y.depth,
                        _ => x.depth > y.depth,
                    }
            })
        });
        called && there
    })
}

#[test]
fn a_near_miss_is_not_there_and_what_makes_it_near_is() {
    let (scene, frame) = kitchen();
    let view = SceneView::new(&scene, &frame);
    let mut seen = BTreeSet::new();
    for seed in 0..300 {
        let asked = visual_questions(&scene, &frame, Split::Train, &mut rng(seed));
        for (kind, dialogue) in asked {
            let (text, answer) = (&dialogue.query.text, &dialogue.turns[0].answer);
            if kind != VisualQuestionKind::NearMiss {
                assert!(dialogue.absence.is_none() && !dialogue.targets().is_empty());
                let told = kind == VisualQuestionKind::WhichOfSeveral || dialogue.query.is_sentence;
                assert!(told || answers(&view, text), "{text}");
                continue;
            }
            let absence = dialogue.absence.unwrap();
            seen.insert(absence);
            assert_eq!(dialogue.kind, QuestionKind::Absent);
            assert!(dialogue.targets().is_empty());
            assert!(
                dialogue.query.is_sentence || !answers(&view, text),
                "{text}"
            );
            let category = dialogue.names[0];
            assert!(answer.contains(category.name()), "{answer}");
            let class_is_there = view.any_of(&[category]);
            let colour_is_there = view
                .all()
                .any(|i| answer.contains(view.object(i).colour.name()));
            match absence {
                Absence::Plain => panic!("{dialogue:?}"),
                Absence::Colour => assert!(class_is_there, "{answer}"),
                Absence::OtherClass => assert!(!class_is_there && colour_is_there, "{answer}"),
                Absence::Neighbour => {
                    let neighbours = &knowledge().noun(category).neighbours;
                    assert!(!class_is_there && view.any_of(neighbours), "{answer}");
                }
                Absence::Place => assert!(class_is_there, "{answer}"),
            }
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), Absence::NEAR);
}

#[test]
fn a_place_is_wrong_only_where_it_is_clearly_the_opposite_one() {
    // 0.02 of the width apart, and as deep: neither left nor right, neither before nor behind.
    let (scene, mut frame) = scene(&[(C::Mug, K::Red), (C::Orange, K::Orange)]);
    let clear = relation::places(&SceneView::new(&scene, &frame), C::Mug, &[0]);
    use relation::Relation as R;
    assert_eq!(clear, [(R::Left, 1), (R::Front, 1)]);
    let wrong = relation::places(&SceneView::new(&scene, &frame), C::Mug, &[]);
    assert_eq!(wrong, [(R::Right, 1), (R::Behind, 1)]);
    frame.depth.fill(1.0);
    let order = [1u8, 2, 1, 2];
    for (at, instance) in frame.instances.iter_mut().enumerate() {
        if *instance > 0 {
            *instance = order[at % 160 / 3 % 4];
        }
    }
    for there in [&[0][..], &[]] {
        let unclear = relation::places(&SceneView::new(&scene, &frame), C::Mug, there);
        assert_eq!(unclear, []);
    }
}

#[test]
fn which_of_several_names_all_of_the_class() {
    let (scene, frame) = kitchen();
    let mut phrases = BTreeSet::new();
    for seed in 0..200 {
        for (kind, dialogue) in visual_questions(&scene, &frame, Split::Test, &mut rng(seed)) {
            if kind == VisualQuestionKind::WhichOfSeveral {
                assert_eq!(dialogue.candidates, [0, 2]);
                assert!(dialogue.which_of_several());
                assert!(dialogue.candidates.contains(&dialogue.targets()[0]));
                phrases.insert(dialogue.query.text.clone());
            }
        }
        for dialogue in dialogues(&scene, &frame, Split::Test, &mut rng(seed)) {
            let text = &dialogue.query.text;
            let one_mug = dialogue.kind == QuestionKind::Explicit && text.contains("mug");
            assert_eq!(dialogue.which_of_several(), one_mug, "{text}");
        }
    }
    for text in ["the left mug", "the red mug", "the nearest mug"] {
        assert!(phrases.contains(text), "{text}: {phrases:?}");
    }
}

#[test]
fn neighbours_are_mutual() {
    for category in C::ALL {
        let neighbours = &knowledge().noun(category).neighbours;
        assert!((2..=3).contains(&neighbours.len()), "{category:?}");
        for neighbour in neighbours {
            assert_ne!(*neighbour, category);
            assert!(knowledge().noun(*neighbour).neighbours.contains(&category));
        }
    }
}
