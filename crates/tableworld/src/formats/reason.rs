//! ReasonSeg's layout: each question is a picture and a JSON file of the same name, with the mask as polygons.
//! `explanatory/SPLIT.json` lists what is said beyond the mask: an explanation of it, or, for an item without
//! shapes, the whole answer that there is nothing to segment (an extension; ReasonSeg itself has no such items).
//!
//! `pictures/SPLIT.json`, another extension, lists the items that show the same picture.
//!
//! An item of several turns has the earlier ones in `history`, which is an extension too.
//!
//! The file holds the question as it stands; who reads it for training puts it in the words that ask for a mask.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use rand::seq::SliceRandom;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::contour::{polygons, Polygon};
use super::files::{make_folder, remove};
use super::listing::{read_json, write_json, write_json_pretty, Gathered};
use super::sink::{split_name, Item, Made, Plan, Sink, BALANCED};
use super::{Format, WriteError};
use crate::language::{balanced, Dialogue, Query, QuestionKind, Turn};
use crate::Split;

#[derive(Serialize)]
struct Annotation<'a> {
    text: [&'a str; 1],
    is_sentence: bool,
    shapes: Vec<Shape>,
    /// The question as a person would type it, with or without a request for a mask (an extension).
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<&'a str>,
    /// Earlier turns of the conversation (an extension).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<HistoryTurn<'a>>,
}

#[derive(Serialize)]
struct HistoryTurn<'a> {
    question: &'a str,
    answer: &'a str,
    /// Whether the answer says that what was asked for is not there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    absent: bool,
}

impl<'a> HistoryTurn<'a> {
    fn new(turn: &'a Turn, absent: bool) -> Self {
        Self {
            question: &turn.question,
            answer: &turn.answer,
            absent,
        }
    }
}

#[derive(Serialize)]
struct Shape {
    label: &'static str,
    labels: [&'static str; 1],
    shape_type: &'static str,
    image_name: String,
    points: Polygon,
    group_id: Option<u32>,
    group_ids: [Option<u32>; 1],
    flags: BTreeMap<String, bool>,
}

#[derive(Serialize, Deserialize)]
struct Explanation {
    image: String,
    query: String,
    outputs: String,
}

pub(super) struct ReasonSeg {
    root: PathBuf,
    part: PathBuf,
    split: Split,
    list: PathBuf,
    numbers: std::ops::Range<u64>,
    kinds: Vec<QuestionKind>,
    /// Items of one scene.
    most: Option<usize>,
    balanced: bool,
    /// One entry for each item, `None` where its mask says all.
    explanations: Gathered<Option<Explanation>>,
    /// Where it is listed which items show the same picture, and the lists.
    same: PathBuf,
    pictures: Gathered<Vec<String>>,
}

impl ReasonSeg {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let root = plan.folder.join("reason_seg").join("ReasonSeg");
        let split = split_name(plan.split);
        let part = root.join(split);
        let explanatory = root.join("explanatory");
        let pictures = root.join("pictures");
        for folder in [&part, &explanatory, &pictures] {
            make_folder(folder)?;
        }
        Ok(Self {
            list: explanatory.join(format!("{split}.json")),
            root,
            part,
            split: plan.split,
            numbers: plan.numbers.clone(),
            kinds: plan.options.reason_kinds.clone(),
            most: plan.options.questions_per_scene,
            balanced: plan.options.balanced,
            explanations: Gathered::default(),
            same: pictures.join(format!("{split}.json")),
            pictures: Gathered::default(),
        })
    }

    /// As many as are wanted of a scene.
    fn wanted_of<'a>(&self, item: &Item<'a>) -> Vec<Cow<'a, Dialogue>> {
        if !self.balanced {
            return self.chosen(item).into_iter().map(Cow::Borrowed).collect();
        }
        let (annotated, most) = (item.annotated, self.most.unwrap_or(BALANCED));
        let mut rng = ChaCha8Rng::seed_from_u64(item.number);
        rng.set_stream(0x6261_6c61 ^ self.split as u64);
        let (scene, frame) = (&annotated.scene, &annotated.frame);
        let all = balanced(scene, frame, self.split, &self.kinds, most, &mut rng);
        all.into_iter().map(Cow::Owned).collect()
    }

    /// Of each kind in turn, from another kind on in each scene.
    fn chosen<'a>(&self, item: &Item<'a>) -> Vec<&'a Dialogue> {
        let most = self.most.unwrap_or(usize::MAX);
        let mut rng = ChaCha8Rng::seed_from_u64(item.number);
        let of_kind = |kind: &QuestionKind| {
            let dialogues = item.annotated.dialogues.iter();
            let mut fitting: Vec<_> = dialogues
                .filter(|dialogue| dialogue.kind == *kind && self.wanted(dialogue))
                .collect();
            fitting.shuffle(&mut rng);
            fitting
        };
        let mut kinds: Vec<Vec<_>> = self.kinds.iter().map(of_kind).collect();
        kinds.retain(|fitting| !fitting.is_empty());
        let mut chosen = Vec::new();
        let mut turn = item.number as usize;
        while !kinds.is_empty() && chosen.len() < most {
            let at = turn % kinds.len();
            chosen.extend(kinds[at].pop());
            if kinds[at].is_empty() {
                kinds.remove(at);
                turn = at;
            } else {
                turn = at + 1;
            }
        }
        chosen
    }

    /// What is absent is asked for by its name where no item asks for more than names.
    fn wanted(&self, dialogue: &Dialogue) -> bool {
        let names_only = self
            .kinds
            .iter()
            .all(|kind| [QuestionKind::Explicit, QuestionKind::Absent].contains(kind));
        let named = || {
            let text = &dialogue.query.text;
            dialogue
                .names
                .iter()
                .all(|category| text.contains(category.name()))
        };
        dialogue.kind != QuestionKind::Absent || !names_only || named()
    }

    fn write(
        &self,
        item: &Item,
        name: &str,
        dialogue: &Dialogue,
    ) -> Result<Option<Explanation>, WriteError> {
        let (query, is_sentence, history) = match dialogue.turns.split_last() {
            // What is asked for comes in the first turn, and the mask of it in the last.
            Some((last, history)) if !history.is_empty() => (&*last.question, true, history),
            _ => (
                without_article(&dialogue.query),
                dialogue.query.is_sentence,
                &[][..],
            ),
        };
        let image = format!("{name}.jpg");
        let inside = item.inside(dialogue.targets());
        let shapes = polygons(item.size().0, &inside);
        let shape = |points| Shape {
            label: "target",
            labels: ["target"],
            shape_type: "polygon",
            image_name: image.clone(),
            points,
            group_id: None,
            group_ids: [None],
            flags: BTreeMap::new(),
        };
        let annotation = Annotation {
            text: [query],
            is_sentence,
            shapes: shapes.into_iter().map(shape).collect(),
            // An explained item is put by who reads it, and so is a refusal that answers the same words.
            question: (dialogue.worded_as != QuestionKind::Explanatory)
                .then(|| dialogue.turns.last().map(|turn| turn.question.as_str()))
                .flatten(),
            history: history
                .iter()
                .map(|turn| HistoryTurn::new(turn, dialogue.absence.is_some()))
                .collect(),
        };
        item.jpeg.place(&self.part.join(&image))?;
        write_json(&self.part.join(format!("{name}.json")), &annotation)?;
        // Readers ask for what is listed to be said in every second item, so only questions for it are listed.
        let asked = [QuestionKind::Explanatory, QuestionKind::Absent].contains(&dialogue.kind);
        let outputs = dialogue.explanation.clone().filter(|_| asked);
        Ok(outputs.map(|outputs| Explanation {
            image,
            query: query.into(),
            outputs,
        }))
    }
}

impl Sink for ReasonSeg {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        let name = |i: usize| format!("{:09}_{i}", item.number);
        let mut explanations = Vec::new();
        for (i, dialogue) in self.wanted_of(item).iter().enumerate() {
            explanations.push(self.write(item, &name(i), dialogue)?);
        }
        // What an earlier run made of the scene beyond that is no longer listed.
        let left_over = |i: usize, ending: &str| self.part.join(format!("{}.{ending}", name(i)));
        let mut i = explanations.len();
        let items: Vec<String> = (0..i).map(|i| format!("{}.jpg", name(i))).collect();
        if !items.is_empty() {
            self.pictures.put(item.number, vec![items]);
        }
        while remove(&left_over(i, "json"))? {
            remove(&left_over(i, "jpg"))?;
            i += 1;
        }
        self.explanations.put(item.number, explanations);
        Ok(())
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        let mut all: Vec<Explanation> = read_json(&self.list)?;
        all.retain(|e| number(&e.image).is_none_or(|n| !self.numbers.contains(&n)));
        let found = self.explanations.take();
        let items = found.len();
        all.extend(found.into_iter().flatten());
        all.sort_by_key(|e| number(&e.image));
        write_json_pretty(&self.list, &all)?;
        let of = |items: &Vec<String>| items.first().and_then(|item| number(item));
        let mut pictures: Vec<Vec<String>> = read_json(&self.same)?;
        pictures.retain(|items| of(items).is_none_or(|n| !self.numbers.contains(&n)));
        pictures.extend(self.pictures.take());
        pictures.sort_by_key(of);
        write_json(&self.same, &pictures)?;
        Ok(Made {
            format: Format::ReasonSeg,
            path: self.root.clone(),
            items,
            unit: "questions",
        })
    }
}

/// The scene of an item, by the name of its picture.
fn number(image: &str) -> Option<u64> {
    image.split('_').next()?.parse().ok()
}

/// Noun phrases stand in LISA's short questions, which bring an article.
pub(super) fn without_article(query: &Query) -> &str {
    match query.is_sentence {
        true => &query.text,
        false => query.text.strip_prefix("the ").unwrap_or(&query.text),
    }
}
