//! LLaVA-Instruct's layout: a JSON list of conversations without masks, the first question of each with the
//! picture's mark before it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::files::make_folder;
use super::listing::{read_json, write_json, Gathered};
use super::sink::{Item, Made, Plan, Sink};
use super::{Format, WriteError};
use crate::language::Turn;
use crate::Split;

/// Turns from which a conversation is long enough; single questions about a picture are put together up to it.
const LONG_ENOUGH: usize = 4;

#[derive(Serialize, Deserialize)]
struct Conversation {
    id: String,
    image: String,
    conversations: Vec<LlavaMessage>,
}

#[derive(Serialize, Deserialize)]
struct LlavaMessage {
    /// `human` or `gpt`.
    from: String,
    value: String,
}

pub(super) struct Vqa {
    root: PathBuf,
    list: PathBuf,
    images: PathBuf,
    numbers: std::ops::Range<u64>,
    found: Gathered<Conversation>,
}

/// The list and the folder of the pictures. The dataset has no other splits; theirs are named after its pictures, which are
/// COCO's.
pub(super) fn names(split: Split) -> (&'static str, &'static str) {
    match split {
        Split::Train => ("llava_instruct_150k.json", "train2017"),
        Split::Val => ("llava_instruct_val.json", "val2017"),
        Split::Test => ("llava_instruct_test.json", "test2017"),
    }
}

impl Vqa {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let root = plan.folder.join("llava_dataset");
        let (list, images) = names(plan.split);
        let images = plan.folder.join("coco").join(images);
        make_folder(&root)?;
        make_folder(&images)?;
        Ok(Self {
            list: root.join(list),
            root,
            images,
            numbers: plan.numbers.clone(),
            found: Gathered::default(),
        })
    }
}

impl Sink for Vqa {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        let mut talks: Vec<Vec<&Turn>> = Vec::new();
        for dialogue in &item.annotated.talk {
            match talks.last_mut() {
                Some(talk) if talk.len() + dialogue.turns.len() <= LONG_ENOUGH => {
                    talk.extend(&dialogue.turns);
                }
                _ => talks.push(dialogue.turns.iter().collect()),
            }
        }
        talks.retain(|talk| !talk.is_empty());
        if talks.is_empty() {
            return Ok(());
        }
        let image = format!("{:012}.jpg", item.number);
        item.jpeg.place(&self.images.join(&image))?;
        let conversation = |(i, talk): (usize, Vec<&Turn>)| Conversation {
            id: format!("{:012}_{i}", item.number),
            image: image.clone(),
            conversations: said(&talk),
        };
        let found = talks.into_iter().enumerate().map(conversation).collect();
        self.found.put(item.number, found);
        Ok(())
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        let mut all: Vec<Conversation> = read_json(&self.list)?;
        let number =
            |c: &Conversation| c.image.trim_end_matches(".jpg").parse().unwrap_or(u64::MAX);
        all.retain(|conversation| !self.numbers.contains(&number(conversation)));
        let found = self.found.take();
        let items = found.len();
        all.extend(found);
        all.sort_by_key(number);
        write_json(&self.list, &all)?;
        Ok(Made {
            format: Format::Vqa,
            path: self.root.clone(),
            items,
            unit: "conversations",
        })
    }
}

fn said(talk: &[&Turn]) -> Vec<LlavaMessage> {
    let mut said = Vec::new();
    for (i, turn) in talk.iter().enumerate() {
        let mark = if i == 0 { "<image>\n" } else { "" };
        said.push(LlavaMessage {
            from: "human".into(),
            value: format!("{mark}{}", turn.question),
        });
        said.push(LlavaMessage {
            from: "gpt".into(),
            value: turn.answer.clone(),
        });
    }
    said
}
