//! ReasonSeg: pictures with implicit questions, polygon masks, and for some of them an explanation.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rand::seq::index;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::files::broken;
use super::folder::{count, labelled_pictures, Labelled};
use super::json::read_json;
use super::labelme::{HistoryTurn, Labels};
use super::picture::picture_size;
use super::schema::{EXPLANATIONS, PICTURES};
use super::templates::{fill, ANSWERS, EXPLANATORY_QUESTIONS, LONG_QUESTIONS, SHORT_QUESTIONS};
use super::{Conversation, DataError, Dataset, Sample, TruthMask, Turn};

const LAYOUT: &str =
    "reason_seg/ReasonSeg/SPLIT/*.jpg (or .jpeg, .png, .webp, .bmp), each with a .json of the same name";

/// One split, or several.
///
/// People's own data may hold more than ReasonSeg does:
/// - `pictures/SPLIT.json` lists which items show the same picture; training takes their questions in one pass.
/// - An item without shapes whose explanation holds no `[SEG]` is a refusal: the explanation is the answer, and there is no
///   mask. Unless it has a `question`, it is asked for a reason as often as explained items are, so that being asked for one
///   does not tell the model that something is there.
/// - `history` of an item lists earlier turns of the conversation, with `absent` where a turn's answer was a refusal.
/// - `question` of an item is asked word for word, instead of LISA's template, half of the time.
pub struct ReasonSegDataset {
    name: String,
    items: Vec<Labelled>,
    /// For each picture, the places in `items` of the items that show it.
    pictures: Vec<Vec<usize>>,
    explanations: HashMap<String, String>,
    samples_per_image: usize,
    explanatory: f64,
    left_out: Vec<String>,
}

#[derive(Deserialize)]
struct Explanation {
    image: String,
    outputs: String,
}

/// One item to evaluate, as the reference's validation takes it: the first text only.
pub struct ReasonSegItem {
    /// What [`read_picture`](super::read_picture) reads: a picture's file, or the labels that hold it.
    pub image: PathBuf,
    /// What is asked for, without any request for a mask.
    pub text: String,
    /// Whether the text is a sentence and not a name; the two have different templates.
    pub is_sentence: bool,
    /// The reference's question: the text in its template.
    pub question: String,
    /// Earlier turns of the conversation, oldest first.
    pub history: Vec<Turn>,
    /// The true mask; `None` where nothing is to be segmented.
    pub mask: Option<TruthMask>,
    /// The true explanation, where the split has one for the item.
    pub explanation: Option<String>,
}

impl ReasonSegDataset {
    /// Opens `split`: one, or several joined by `_` as in `train_val`.
    ///
    /// `explanatory` is the share of explained items that are answered in text only; below 0 nothing is explained.
    /// Explanations are in `explanatory/SPLIT.json`; without that file there are none.
    ///
    /// Files in a split's folder that are no labelled picture are left out with a warning, see [`left_out`](Self::left_out).
    ///
    /// # Errors
    /// A folder or file that is missing or broken, by its path.
    pub fn open(
        root: &Path,
        split: &str,
        samples_per_image: usize,
        explanatory: f64,
    ) -> Result<Self, DataError> {
        let folder = root.join("reason_seg/ReasonSeg");
        let mut data = Self {
            name: format!("ReasonSeg|{split}"),
            items: Vec::new(),
            pictures: Vec::new(),
            explanations: HashMap::new(),
            samples_per_image,
            explanatory,
            left_out: Vec::new(),
        };
        let mut explained = Vec::new();
        for part in split.split('_') {
            explained.extend(data.open_part(&folder, part)?);
        }
        // The explanations of one split may be about pictures of another: the reference has one list for all of them.
        let names: HashSet<String> = data.items.iter().flat_map(Labelled::names).collect();
        for (file, list) in explained {
            let (known, unknown): (Vec<_>, Vec<_>) =
                list.into_iter().partition(|e| names.contains(&e.image));
            let unknown: Vec<PathBuf> = unknown.into_iter().map(|e| e.image.into()).collect();
            let line = count(
                &unknown,
                "explanation",
                &format!("of no picture in {split}"),
            );
            data.leave_out(&file, line);
            // If a picture has several explanations, the last one counts, as in the reference.
            let before = known.into_iter().filter_map(|e| {
                let before = data.explanations.insert(e.image.clone(), e.outputs);
                before.map(|_| PathBuf::from(e.image))
            });
            let before: Vec<PathBuf> = before.collect();
            let why = "before another one of the same picture";
            let line = count(&before, "explanation", why);
            data.leave_out(&file, line);
        }
        for line in &data.left_out {
            tracing::warn!("left out of the data: {line}");
        }
        Ok(data)
    }

    /// Adds the items of a split. Returns the path of its explanations, if it has such a file.
    fn open_part(
        &mut self,
        folder: &Path,
        part: &str,
    ) -> Result<Option<(PathBuf, Vec<Explanation>)>, DataError> {
        let part_folder = folder.join(part);
        let found = labelled_pictures(&part_folder, LAYOUT)?;
        self.leave_out(&part_folder, found.left_out);
        let pictures = pictures_of(folder, part, &found.labelled, self.items.len())?;
        self.pictures.extend(pictures);
        self.items.extend(found.labelled);
        let file = folder.join(format!("explanatory/{part}.json"));
        if self.explanatory < 0.0 || !file.exists() {
            return Ok(None);
        }
        let list = read_json(&file, &EXPLANATIONS)?;
        Ok(Some((file, list)))
    }

    fn leave_out(&mut self, path: &Path, lines: impl IntoIterator<Item = String>) {
        let lines = lines.into_iter();
        let lines = lines.map(|line| format!("{}: {line}", path.display()));
        self.left_out.extend(lines);
    }

    /// Files that were found but belong to no item, such as pictures without labels and labels without a picture: a line with
    /// count and names for each folder and reason.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    fn read(&self, item: &Labelled) -> Result<(Labels, TruthMask), DataError> {
        let labels = Labels::read(&item.labels)?;
        let (width, height) = picture_size(&item.picture)?;
        let mask = labels.mask(width, height).map_err(broken(&item.labels))?;
        Ok((labels, mask))
    }

    fn explanation(&self, item: &Labelled) -> Option<&String> {
        let names = item.names();
        names.iter().find_map(|name| self.explanations.get(name))
    }

    /// Number of items. Each has a question of its own; several may show the same picture.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Item `index` as the reference evaluates it.
    pub fn item(&self, index: usize) -> Result<ReasonSegItem, DataError> {
        let item = &self.items[index];
        let (labels, mask) = self.read(item)?;
        let text = labels.text[0].clone();
        let explanation = self.explanation(item).cloned();
        let refusal = is_refusal(&labels, explanation.as_ref());
        Ok(ReasonSegItem {
            image: item.picture.clone(),
            question: match labels.is_sentence {
                true => LONG_QUESTIONS[1].replacen("{}", text.trim(), 1),
                false => SHORT_QUESTIONS[3].replacen("{}", text.trim(), 1),
            },
            text,
            is_sentence: labels.is_sentence,
            history: turns(&labels.history),
            mask: (!refusal).then_some(mask),
            explanation,
        })
    }
}

/// The places of the items that show each picture, counted from `first`. Items that are not listed are alone.
fn pictures_of(
    folder: &Path,
    part: &str,
    items: &[Labelled],
    first: usize,
) -> Result<Vec<Vec<usize>>, DataError> {
    let file = folder.join(format!("pictures/{part}.json"));
    if !file.exists() {
        return Ok((0..items.len()).map(|i| vec![first + i]).collect());
    }
    let listed: Vec<Vec<String>> = read_json(&file, &PICTURES)?;
    let names = (first..).zip(items).flat_map(|(place, item)| {
        let names = item.names().into_iter();
        names.map(move |name| (name, place))
    });
    let places: HashMap<String, usize> = names.collect();
    let mut alone: BTreeSet<usize> = (first..first + items.len()).collect();
    let mut pictures = Vec::with_capacity(listed.len());
    for names in listed {
        let mut take = |name: &String| {
            let place = places.get(name)?;
            alone.remove(place).then_some(*place)
        };
        let found: Option<Vec<usize>> = names.iter().map(&mut take).collect();
        pictures.push(found.ok_or_else(|| {
            broken(&file)(format!(
                "of {} not every one is a picture in {part}, or one is listed twice",
                names.join(", ")
            ))
        })?);
    }
    pictures.extend(alone.into_iter().map(|place| vec![place]));
    Ok(pictures)
}

fn is_refusal(labels: &Labels, explanation: Option<&String>) -> bool {
    labels.is_empty() && explanation.is_some_and(|text| !text.contains("[SEG]"))
}

fn turns(history: &[HistoryTurn]) -> Vec<Turn> {
    history
        .iter()
        .map(|turn| Turn {
            question: turn.question.clone(),
            answer: turn.answer.clone(),
            absent: turn.absent,
        })
        .collect()
}

/// How the questions about an explained picture are answered.
#[derive(Clone, Copy)]
enum AnswerKind {
    Seg,
    SegAndText,
    Text,
}

impl Dataset for ReasonSegDataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn sample(&self, at: usize, rng: &mut ChaCha8Rng) -> Result<Sample, DataError> {
        let picture = &self.pictures[at];
        let count = picture.len().min(self.samples_per_image);
        let mut conversations = Vec::new();
        for i in index::sample(rng, picture.len(), count) {
            let left = self.samples_per_image - conversations.len();
            conversations.extend(self.conversations(picture[i], left, rng)?);
            if conversations.len() == self.samples_per_image {
                break;
            }
        }
        Ok(Sample {
            source: "reason_seg",
            image: self.items[picture[0]].picture.clone(),
            conversations,
            classes: None,
            attributes: None,
        })
    }

    fn item_name(&self, index: usize) -> String {
        let items = self.pictures[index].iter().map(|item| &self.items[*item]);
        items
            .flat_map(Labelled::names)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn check(&self, index: usize) -> Vec<DataError> {
        let picture = &self.pictures[index];
        let items = picture.iter().map(|item| &self.items[*item]);
        // Reading the labels also looks at the header of the picture, since the masks have its size.
        items.filter_map(|item| self.read(item).err()).collect()
    }

    fn describe(&self) -> String {
        let explained = self.items.iter().filter_map(|item| self.explanation(item));
        format!(
            "{} images, {} questions, {} explained",
            self.pictures.len(),
            self.items.len(),
            explained.count()
        )
    }
}

impl ReasonSegDataset {
    /// A conversation for each of an item's texts, at most `most` of them.
    fn conversations(
        &self,
        item: usize,
        most: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Conversation>, DataError> {
        let item = &self.items[item];
        let (labels, mut mask) = self.read(item)?;
        let explanation = self.explanation(item);
        let refusal = is_refusal(&labels, explanation);
        let answer = match explanation {
            None => AnswerKind::Seg,
            Some(_) if rng.random_bool(self.explanatory.clamp(0.0, 1.0)) => AnswerKind::Text,
            Some(_) if rng.random() => AnswerKind::Seg,
            Some(_) => AnswerKind::SegAndText,
        };
        // Ignored pixels are background in training, as in the reference.
        mask.pixels.iter_mut().for_each(|p| *p = u8::from(*p == 1));
        let count = labels.text.len().min(most);
        let conversations = index::sample(rng, labels.text.len(), count)
            .into_iter()
            .map(|i| {
                let text = &labels.text[i];
                let verbatim = labels.question.as_ref().filter(|_| rng.random());
                let plain = match (verbatim, labels.is_sentence) {
                    (Some(question), _) => question.clone(),
                    (None, true) => fill(&LONG_QUESTIONS, text, rng),
                    (None, false) => fill(&SHORT_QUESTIONS, &text.to_lowercase(), rng),
                };
                let seg = fill(&ANSWERS, "", rng);
                let outputs = explanation.map_or("", String::as_str);
                let own = labels.question.is_some();
                let (question, answer, masked) = match answer {
                    AnswerKind::SegAndText if refusal && !own => {
                        let why = fill(&EXPLANATORY_QUESTIONS, "", rng);
                        (format!("{text} {why}"), outputs.to_owned(), false)
                    }
                    AnswerKind::Text if refusal && !own => {
                        (text.clone(), outputs.to_owned(), false)
                    }
                    _ if refusal => (plain, outputs.to_owned(), false),
                    AnswerKind::Seg => (plain, seg, true),
                    AnswerKind::SegAndText => {
                        let why = fill(&EXPLANATORY_QUESTIONS, "", rng);
                        (format!("{text} {why}"), format!("{seg} {outputs}"), true)
                    }
                    AnswerKind::Text => (text.clone(), outputs.to_owned(), false),
                };
                let mut turns = turns(&labels.history);
                turns.push(Turn {
                    question,
                    answer,
                    absent: refusal,
                });
                Conversation {
                    turns,
                    masks: masked.then(|| mask.clone()).into_iter().collect(),
                    phrases: masked.then(|| text.clone()).into_iter().collect(),
                }
            })
            .collect();
        Ok(conversations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden_dir, skipped};

    /// The pictures of the golden ReasonSeg folder, with the masks the reference makes of their files.
    #[test]
    fn masks_are_the_reference_s() {
        let folder = golden_dir().join("reason_seg");
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let val = folder.join("ReasonSeg/val");
        let is_polygons = |path: PathBuf| path.extension().is_some_and(|e| e == "json");
        if !std::fs::read_dir(&val)
            .unwrap()
            .any(|entry| is_polygons(entry.unwrap().path()))
        {
            let test = "data::reason_seg::masks_are_the_reference_s";
            return skipped(test, &format!("no polygons in {}", val.display()));
        }
        let mut compared = 0;
        for (name, view) in expected.tensors() {
            let Some(item) = name.strip_suffix(".gt") else {
                continue;
            };
            let found = val.join(format!("{item}.json"));
            let labels = Labels::read(&found).unwrap();
            let shape = view.shape();
            let ours = labels.mask(shape[1] as u32, shape[0] as u32).unwrap();
            let same = ours
                .pixels
                .iter()
                .zip(view.data())
                .filter(|(a, b)| a == b)
                .count();
            assert_eq!(same, ours.pixels.len(), "{item}");
            compared += 1;
        }
        assert!(compared > 0);
    }
}
