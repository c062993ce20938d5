//! All wordings at once: for a tokenizer to learn from, and to compare splits with.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::explicit::compared;
use super::frames::{Framing, Wording};
use super::knowledge::{either, knowledge, the, there_is_no, there_is_none_such};
use super::several;
use super::vqa::{fact, fill, how_many, list, none};
use super::wording::{fill_to, frames_of};
use crate::catalogue::Category;
use crate::Split;

/// Every question by purpose, property or group in the words of a split, in every frame of it, without LISA's request
/// for a mask. None of one split is in another.
pub fn wordings(split: Split) -> Vec<String> {
    let known = knowledge();
    let frames = &known.frames;
    let mut all = Vec::new();
    for wording in known.intents.iter().flat_map(|i| i.wordings(split)) {
        match wording {
            Wording::To(to) => {
                let framings = [frames_of(to), &frames.first_to];
                let of_split = framings.into_iter().flat_map(|f| f.of(split));
                all.extend(of_split.map(|frame| fill_to(frame, to)));
            }
            Wording::The(phrase) => {
                let framings = [&frames.the, &frames.first_the];
                all.extend(in_frames(&framings, split, "{the}", phrase));
            }
            Wording::Say(sentence) => {
                all.push(sentence.clone());
                all.extend(in_frames(&[&frames.first_say], split, "{say}", sentence));
            }
        }
    }
    for phrase in known.groups.iter().flat_map(|g| g.phrases(split)) {
        all.extend(in_frames(&[&frames.many], split, "{the}", phrase));
    }
    all
}

/// Every wording of training and every form of answer, for a tokenizer to be trained on. Some texts occur twice.
pub fn training_texts() -> Vec<String> {
    let known = knowledge();
    let frames = &known.frames;
    let lisa = &frames.lisa;
    let mut all = wordings(Split::Train);
    for framing in [&frames.then_it, &frames.then_them] {
        all.extend(framing.of(Split::Train).into_iter().map(str::to_owned));
    }
    for list in [&lisa.mask, &lisa.explain, &lisa.answers] {
        all.extend(list.iter().cloned());
    }
    for category in Category::ALL {
        all.extend(about_category(category));
    }
    all.extend(compared("object"));
    for intent in &known.intents {
        for category in &intent.answers {
            all.push(intent.because.replace("{x}", category.name()));
        }
        all.push(there_is_no(&intent.answers));
        // The frames are in `about_category`; any of them does here.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for wording in intent.wordings(Split::Train) {
            let pair = fact(wording, &intent.answers, &mut rng);
            all.extend(pair.into_iter().flat_map(|(q, a)| [q, a]));
        }
    }
    for group in &known.groups {
        all.extend([group.because.clone(), group.none.clone()]);
    }
    all
}

fn about_category(category: Category) -> Vec<String> {
    let known = knowledge();
    let frames = &known.frames;
    let noun = known.noun(category);
    let mut phrases = vec![the(category, 1)];
    phrases.extend(noun.also.iter().map(|also| format!("the {also}")));
    phrases.extend(compared(noun.name()));
    let mut all = Vec::new();
    for phrase in &phrases {
        all.extend(in_frames(&[&frames.the], Split::Train, "{the}", phrase));
        all.extend(
            frames
                .lisa
                .mask_of
                .iter()
                .map(|f| f.replace("{the}", phrase)),
        );
    }
    for phrase in several::phrases(category) {
        all.extend(in_frames(&[&frames.many], Split::Train, "{the}", &phrase));
    }
    let a = noun.a.clone();
    let found = [the(category, 1), the(category, 2)];
    for found in found {
        all.push(format!("You could use {found}."));
        all.push(format!("That would be {found}."));
    }
    all.push(there_is_no(&[category]));
    for relation in known.frames.relation.all() {
        let book = the(Category::Book, 1);
        let place = |frame: &str| frame.replace("{x}", &phrases[0]).replace("{y}", &book);
        let placed = relation.of(Split::Train).into_iter().map(place);
        all.extend(placed.flat_map(|phrase| {
            let answer = there_is_none_such(&phrase, category);
            [phrase, answer]
        }));
    }
    for side in ["left", "right"] {
        all.push(format!("the {side} {}", noun.name()));
    }
    for (question, answer) in &noun.facts {
        all.extend([question.clone(), answer.clone()]);
    }
    for colour in category.colours() {
        all.push(format!("the {} {}", colour.name(), noun.name()));
        all.push(format!("the {} object", colour.name()));
    }
    for count in 0..=8 {
        all.extend(how_many(noun, count).map(|(_, text)| text));
    }
    let values: Vec<_> = [
        ("{to}", "to cut this paper".to_owned()),
        ("{the}", "the sour fruit".to_owned()),
        ("{x}", noun.name().to_owned()),
        ("{y}", "book".to_owned()),
        ("{colour}", category.colours()[0].name().to_owned()),
        ("{side}", "left".to_owned()),
    ]
    .into_iter()
    .chain(list(&[
        (category, 1),
        (Category::Book, 2),
        (Category::Key, 1),
    ]))
    .chain(none(category))
    .chain(how_many(noun, 1))
    .collect();
    for pair in frames.vqa.all() {
        let filled = fill(Some(pair), &values);
        all.extend(filled.into_iter().flat_map(|(q, a)| [q, a]));
    }
    all.push(format!(
        "{a} to the left, to the right, in front of, behind"
    ));
    all.push(either(&[category, Category::Book]));
    all
}

fn in_frames(framings: &[&Framing], split: Split, key: &str, phrase: &str) -> Vec<String> {
    framings
        .iter()
        .flat_map(|framing| framing.of(split))
        .map(|frame| frame.replace(key, phrase))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::words;
    use super::*;

    fn normalised(text: &str) -> String {
        words(text).join(" ")
    }

    #[test]
    fn wordings_of_the_splits_are_disjoint() {
        let of = |split| -> BTreeSet<String> {
            wordings(split)
                .iter()
                .map(|text| normalised(text))
                .collect()
        };
        let (train, val, test) = (of(Split::Train), of(Split::Val), of(Split::Test));
        for (a, b) in [(&train, &val), (&train, &test), (&val, &test)] {
            let shared: Vec<_> = a.intersection(b).collect();
            assert!(shared.is_empty(), "{shared:?}");
        }
        let said: BTreeSet<_> = training_texts()
            .iter()
            .map(|text| normalised(text))
            .collect();
        for held_out in [&val, &test] {
            let shared: Vec<_> = said.intersection(held_out).collect();
            assert!(shared.is_empty(), "{shared:?}");
        }
        let demo = normalised("Change the TV channel.");
        assert!(test.contains(&demo));
        let near: Vec<_> = train
            .union(&val)
            .filter(|text| text.contains(&demo))
            .collect();
        assert!(near.is_empty(), "{near:?}");
    }

    #[test]
    fn every_category_has_enough_wordings_of_each_split() {
        for category in Category::ALL {
            let intents: Vec<_> = knowledge()
                .intents
                .iter()
                .filter(|intent| intent.answers == [category])
                .collect();
            let count = |split| {
                intents
                    .iter()
                    .map(|i| i.wordings(split).len())
                    .sum::<usize>()
            };
            assert!(intents.len() >= 3, "{}", category.name());
            assert!(count(Split::Train) >= 12, "{}", category.name());
            assert!(count(Split::Val) >= 4, "{}", category.name());
            assert!(count(Split::Test) >= 4, "{}", category.name());
        }
    }
}
