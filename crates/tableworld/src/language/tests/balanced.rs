//! Balanced questions: half of them are about absent things, and the words alone do not tell which half.

use super::*;

/// Every kind that a mixture asks for a mask.
const MASKED: [QuestionKind; 7] = [
    QuestionKind::Explicit,
    QuestionKind::Reasoning,
    QuestionKind::WorldKnowledge,
    QuestionKind::Explanatory,
    QuestionKind::MultiTurn,
    QuestionKind::Several,
    QuestionKind::Absent,
];

#[test]
fn half_of_balanced_questions_ask_for_what_is_not_there_and_half_of_these_nearly() {
    let (scene, frame) = kitchen();
    let mut absences = std::collections::BTreeMap::new();
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..200 {
        let asked = balanced(&scene, &frame, Split::Train, &MASKED, 12, &mut rng(seed));
        assert_eq!(asked.len(), 12);
        let absent = asked.iter().filter(|d| d.absence.is_some());
        assert_eq!(absent.count(), 6);
        for dialogue in &asked {
            *kinds.entry(dialogue.kind).or_insert(0) += 1;
            if let Some(absence) = dialogue.absence {
                *absences.entry(absence).or_insert(0) += 1;
            }
        }
        assert_eq!(
            asked,
            balanced(&scene, &frame, Split::Train, &MASKED, 12, &mut rng(seed))
        );
        let odd = balanced(&scene, &frame, Split::Train, &MASKED, 5, &mut rng(seed));
        assert_eq!(odd.len(), 5);
    }
    let near: usize = Absence::NEAR.iter().map(|a| absences[a]).sum();
    assert!((500..=700).contains(&near), "{absences:?}");
    assert!(absences.values().all(|count| *count >= 40), "{absences:?}");
    let asked: Vec<_> = kinds.keys().copied().collect();
    assert_eq!(asked, QuestionKind::ALL[..7]);
    assert!(kinds.values().all(|count| *count >= 40), "{kinds:?}");
}

/// On scenes as they are drawn; prints how many questions of each kind a picture yields.
#[test]
fn a_picture_is_asked_about_in_every_kind_and_explained_by_what_is_there() {
    const SCENES: u64 = 150;
    let mut kinds = std::collections::BTreeMap::new();
    let (mut all, mut absent, mut near, mut several) = (0, 0, 0, 0);
    for seed in 0..SCENES {
        let scene = Scene::sample(Split::Train, seed);
        let frame = crate::render(&scene, 96, 72);
        for dialogue in balanced(&scene, &frame, Split::Train, &MASKED, 12, &mut rng(seed)) {
            let there = if dialogue.absence.is_none() {
                "there"
            } else {
                "absent"
            };
            *kinds.entry((dialogue.worded_as, there)).or_insert(0) += 1;
            all += 1;
            absent += usize::from(dialogue.absence.is_some());
            near += usize::from(dialogue.absence.is_some_and(Absence::is_near));
            several += usize::from(dialogue.which_of_several());
            if dialogue.kind == QuestionKind::Explanatory {
                for target in dialogue.targets() {
                    let name = scene.objects[*target].category.name();
                    assert!(dialogue.turns[0].answer.contains(name), "{dialogue:?}");
                }
            }
        }
    }
    let a_picture = |count: usize| count as f64 / SCENES as f64;
    for ((kind, there), count) in &kinds {
        println!(
            "{} {there}: {:.2} a picture",
            kind.name(),
            a_picture(*count)
        );
        // What is asked about most comes six times as often as what is asked about least.
        assert!(a_picture(*count) >= 0.3, "{kind:?} {there}");
    }
    println!(
        "near misses: {:.2}, which of several: {:.2}",
        a_picture(near),
        a_picture(several)
    );
    assert_eq!(kinds.len(), 12);
    assert_eq!(all, 12 * SCENES as usize);
    assert_eq!(2 * absent, all);
    assert!(
        (0.42..=0.58).contains(&(near as f64 / absent as f64)),
        "{near} of {absent}"
    );
    assert!(a_picture(several) >= 0.25);
}

/// A listener who has no picture: counts how often each word and pair of words came with a mask and without.
#[derive(Default)]
struct BlindListener {
    /// With a mask, without.
    counts: std::collections::HashMap<String, [f64; 2]>,
    all: [f64; 2],
}

impl BlindListener {
    fn features(dialogue: &Dialogue) -> BTreeSet<String> {
        let asked: Vec<_> = dialogue
            .turns
            .iter()
            .flat_map(|turn| words(&turn.question))
            .collect();
        let pairs = asked.windows(2).map(|pair| pair.join(" "));
        pairs.chain(asked.iter().cloned()).collect()
    }

    fn hear(&mut self, dialogue: &Dialogue) {
        let side = usize::from(dialogue.targets().is_empty());
        self.all[side] += 1.0;
        for feature in Self::features(dialogue) {
            self.counts.entry(feature).or_default()[side] += 1.0;
        }
    }

    /// Naive Bayes over what is said.
    fn believes_there(&self, dialogue: &Dialogue) -> bool {
        let known = Self::features(dialogue).into_iter();
        let known = known.filter_map(|feature| self.counts.get(&feature));
        let odds = |[there, missing]: &[f64; 2]| {
            ((there + 1.0) / (self.all[0] + 2.0)).ln()
                - ((missing + 1.0) / (self.all[1] + 2.0)).ln()
        };
        known.map(odds).sum::<f64>() > 0.0
    }
}

/// The mean of the shares heard right of those with a mask and of those without, on scenes it has not heard of; chance
/// is 0.5.
fn heard_right(ask: &dyn Fn(&Scene, &Frame, u64) -> Vec<Dialogue>, scenes: u64) -> f64 {
    let mut listener = BlindListener::default();
    let told = |seed| {
        let scene = Scene::sample(Split::Train, seed);
        let frame = crate::render(&scene, 96, 72);
        ask(&scene, &frame, seed)
    };
    (0..scenes)
        .flat_map(told)
        .for_each(|dialogue| listener.hear(&dialogue));
    let (mut right, mut all) = ([0.0; 2], [0.0; 2]);
    for dialogue in (scenes..scenes + scenes / 2).flat_map(told) {
        let missing = dialogue.targets().is_empty();
        all[usize::from(missing)] += 1.0;
        right[usize::from(missing)] += f64::from(listener.believes_there(&dialogue) != missing);
    }
    (right[0] / all[0] + right[1] / all[1]) / 2.0
}

#[test]
fn words_alone_do_not_tell_whether_something_is_there() {
    let fair = heard_right(
        &|scene, frame, seed| balanced(scene, frame, Split::Train, &MASKED, 12, &mut rng(seed)),
        2000,
    );
    println!("balanced: {fair:.3}");
    // A listener that a fair mixture fools tells an unfair one: names alone are absent there, colours never are.
    let unfair = heard_right(
        &|scene, frame, seed| {
            let mut all = dialogues(scene, frame, Split::Train, &mut rng(seed));
            all.retain(|d| d.kind != QuestionKind::Several);
            all
        },
        300,
    );
    println!("all of a scene: {unfair:.3}");
    assert!(fair <= 0.6, "{fair}");
    assert!(unfair >= 0.65, "{unfair}");
}
