//! ReasonSeg's layout: each question is a picture and a JSON file of the same name, with the mask as polygons.
//! `explanatory/SPLIT.json` lists what is said beyond the mask: an explanation of it, or, for an item without
//! shapes, the whole answer that there is nothing to segment (an extension; ReasonSeg itself has no such items).
//!
//! The file holds the question as it stands; who reads it for training puts it in the words that ask for a mask.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::contour::{polygons, Polygon};
use super::listing::{read_json, write_json, write_json_pretty, Gathered};
use super::picture::make_folder;
use super::write::{split_name, Item, Made, Plan, Sink};
use super::{Format, WriteError};
use crate::world::language::{Dialogue, Query, QuestionKind};

#[derive(Serialize)]
struct Annotation<'a> {
    text: [&'a str; 1],
    is_sentence: bool,
    shapes: Vec<Shape>,
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
    list: PathBuf,
    numbers: std::ops::Range<u64>,
    kinds: Vec<QuestionKind>,
    /// One entry for each item, `None` where its mask says all.
    explanations: Gathered<Option<Explanation>>,
}

impl ReasonSeg {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let root = plan.folder.join("reason_seg").join("ReasonSeg");
        let split = split_name(plan.split);
        let part = root.join(split);
        let explanatory = root.join("explanatory");
        make_folder(&part)?;
        make_folder(&explanatory)?;
        Ok(Self {
            list: explanatory.join(format!("{split}.json")),
            root,
            part,
            numbers: plan.numbers.clone(),
            kinds: plan.options.reason_kinds.clone(),
            explanations: Gathered::default(),
        })
    }

    fn write(
        &self,
        item: &Item,
        name: &str,
        dialogue: &Dialogue,
    ) -> Result<Option<Explanation>, WriteError> {
        let query = without_article(&dialogue.query);
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
            is_sentence: dialogue.query.is_sentence,
            shapes: shapes.into_iter().map(shape).collect(),
        };
        item.picture.place(&self.part.join(&image))?;
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
        let dialogues = item.told.dialogues.iter();
        let wanted = dialogues.filter(|dialogue| self.kinds.contains(&dialogue.kind));
        let explanations = wanted
            .enumerate()
            .map(|(i, dialogue)| self.write(item, &format!("{:09}_{i}", item.number), dialogue))
            .collect::<Result<_, _>>()?;
        self.explanations.put(item.number, explanations);
        Ok(())
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        let mut all: Vec<Explanation> = read_json(&self.list)?;
        all.retain(|e| number(e).is_none_or(|n| !self.numbers.contains(&n)));
        let found = self.explanations.take();
        let items = found.len();
        all.extend(found.into_iter().flatten());
        all.sort_by_key(number);
        write_json_pretty(&self.list, &all)?;
        Ok(Made {
            format: Format::ReasonSeg,
            path: self.root.clone(),
            items,
            unit: "questions",
        })
    }
}

fn number(explanation: &Explanation) -> Option<u64> {
    explanation.image.split('_').next()?.parse().ok()
}

/// Noun phrases stand in LISA's short questions, which bring an article.
pub(super) fn without_article(query: &Query) -> &str {
    let article = (!query.is_sentence).then_some("the ").unwrap_or_default();
    query.text.strip_prefix(article).unwrap_or(&query.text)
}
