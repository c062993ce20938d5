//! Visual question answering: LLaVA-Instruct-150k.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::files::{broken, require};
use super::json::read_json;
use super::picture::check_picture;
use super::schema::DIALOGUES;
use super::{Conversation, DataError, Dataset, Sample, Turn};

/// Dialogues about COCO pictures, without masks. The dialogues about one picture are taken together, which costs little more
/// than one of them, since the picture is most of a sequence.
pub struct VqaDataset {
    items: Vec<Item>,
    /// For each picture, the places in `items` of the dialogues about it.
    pictures: Vec<Vec<usize>>,
    samples_per_image: usize,
    images: PathBuf,
    path: PathBuf,
}

#[derive(Deserialize)]
struct Item {
    image: String,
    conversations: Vec<LlavaMessage>,
}

#[derive(Deserialize)]
struct LlavaMessage {
    from: String,
    value: String,
}

impl VqaDataset {
    /// Opens `llava_dataset/llava_instruct_150k.json`, with its pictures in `coco/train2017/`.
    ///
    /// # Errors
    /// A file that is missing or broken, by its path.
    pub fn open(root: &Path, samples_per_image: usize) -> Result<Self, DataError> {
        let path = root.join("llava_dataset/llava_instruct_150k.json");
        require(
            &path,
            "llava_dataset/llava_instruct_150k.json with coco/train2017/*.jpg",
        )?;
        let items: Vec<Item> = read_json(&path, &DIALOGUES)?;
        if items.is_empty() {
            return Err(broken(&path)("it lists no dialogue".to_owned()));
        }
        let mut by_image: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, item) in items.iter().enumerate() {
            by_image.entry(&item.image).or_default().push(place);
        }
        Ok(Self {
            pictures: by_image.into_values().collect(),
            items,
            samples_per_image,
            images: root.join("coco/train2017"),
            path,
        })
    }
}

impl Dataset for VqaDataset {
    fn name(&self) -> &str {
        "llava_instruct_150k"
    }

    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn sample(&self, at: usize, rng: &mut ChaCha8Rng) -> Result<Sample, DataError> {
        let picture = &self.pictures[at];
        let count = picture.len().min(self.samples_per_image);
        let conversations = index::sample(rng, picture.len(), count)
            .into_iter()
            .map(|i| self.conversation(picture[i]))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Sample {
            source: "llava_instruct_150k",
            image: self.images.join(&self.items[picture[0]].image),
            conversations,
            classes: None,
            attributes: None,
        })
    }

    fn item_name(&self, at: usize) -> String {
        let items = self.pictures[at].iter().map(|item| &self.items[*item]);
        let mut name = String::new();
        for item in items {
            name.push_str(&item.image);
            let said = item.conversations.iter().map(|m| m.value.as_str());
            said.for_each(|words| name.extend(["\n", words]));
        }
        name
    }

    fn check(&self, at: usize) -> Vec<DataError> {
        let picture = &self.pictures[at];
        let talks = picture.iter().filter_map(|i| self.conversation(*i).err());
        let image = self.images.join(&self.items[picture[0]].image);
        talks.chain(check_picture(&image, None)).collect()
    }

    fn describe(&self) -> String {
        format!(
            "{} dialogues about {} images",
            self.items.len(),
            self.pictures.len()
        )
    }
}

impl VqaDataset {
    fn conversation(&self, index: usize) -> Result<Conversation, DataError> {
        let item = &self.items[index];
        let wrong = |what: &str| {
            broken(&self.path)(format!("dialogue {index} about {} {what}", item.image))
        };
        let mut turns = Vec::new();
        // If a dialogue does not begin with the person, its first message is skipped, as in the reference.
        let messages = match item.conversations.first() {
            Some(first) if first.from != "human" => &item.conversations[1..],
            _ => &item.conversations[..],
        };
        for pair in messages.chunks(2) {
            let [question, answer] = pair else {
                return Err(wrong("ends with a question"));
            };
            if question.from != "human" || answer.from != "gpt" {
                return Err(broken(&self.path)(format!(
                    "dialogue {index}: '{}' then '{}'; accepted: human and gpt in turn",
                    question.from, answer.from
                )));
            }
            let question = question.value.replace("<image>", "").trim().to_owned();
            if question.is_empty() {
                return Err(wrong("has an empty question"));
            }
            turns.push(Turn::new(question, answer.value.trim()));
        }
        if turns.is_empty() {
            return Err(wrong("has no question"));
        }
        Ok(Conversation {
            turns,
            masks: Vec::new(),
            phrases: Vec::new(),
        })
    }
}
