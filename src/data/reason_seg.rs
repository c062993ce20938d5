//! ReasonSeg: pictures with implicit questions, polygon masks, and for some of them an explanation.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rand::seq::index;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::check::check_picture;
use super::files::{broken, list, read_json, read_json_cp1252, require};
use super::picture::picture_size;
use super::polygon::fill_polygon;
use super::templates::{fill, ANSWERS, EXPLANATORY_QUESTIONS, LONG_QUESTIONS, SHORT_QUESTIONS};
use super::{Conversation, DataError, Dataset, Sample, TruthMask, Turn};

const LAYOUT: &str = "reason_seg/ReasonSeg/SPLIT/*.jpg, each with a .json of the same name";

/// One split.
///
/// Extensions for data of one's own: `pictures/SPLIT.json` lists which items show the same picture, and training takes
/// their questions in one pass. An item without shapes whose explanation holds no `[SEG]` is a refusal: the explanation
/// is the answer, and there is no mask; unless it has a `question`, it is asked as often for a reason as explained items
/// are, so that asking for one does not tell that something is there. An item's `history` lists earlier turns of the
/// conversation, with `absent` where a turn's answer was a refusal, and its `question` is what is asked, word for word,
/// instead of LISA's template half of the time.
pub struct ReasonSegDataset {
    name: String,
    items: Vec<PathBuf>,
    /// Places in `items` that show the same picture.
    pictures: Vec<Vec<usize>>,
    explanations: HashMap<String, String>,
    samples_per_image: usize,
    explanatory: f64,
}

#[derive(Deserialize)]
struct Annotation {
    text: Vec<String>,
    is_sentence: bool,
    shapes: Vec<Shape>,
    /// The question as it is asked (an extension); instead of the template half of the time.
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    history: Vec<HistoryTurn>,
}

#[derive(Deserialize)]
struct Shape {
    label: String,
    points: Vec<[f64; 2]>,
}

#[derive(Clone, Deserialize)]
struct HistoryTurn {
    question: String,
    answer: String,
    /// Whether the answer says that what was asked for is not there.
    #[serde(default)]
    absent: bool,
}

#[derive(Deserialize)]
struct Explanation {
    image: String,
    outputs: String,
}

/// One item to evaluate, as the reference's validation takes it: the first text only.
pub struct ReasonSegItem {
    pub image: PathBuf,
    /// Without any request for a mask.
    pub text: String,
    pub is_sentence: bool,
    /// The reference's question: the text in its template.
    pub question: String,
    pub history: Vec<Turn>,
    /// `None` where nothing is to be segmented.
    pub mask: Option<TruthMask>,
    pub explanation: Option<String>,
}

impl ReasonSegDataset {
    /// `split` is one, or several joined by `_` as in `train_val`.
    ///
    /// `explanatory` is the share of explained items that are answered in text only; below 0 nothing is explained.
    /// Explanations are in `explanatory/SPLIT.json`; of the training split they have to be there.
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
        let (mut items, mut pictures, mut explanations) = (Vec::new(), Vec::new(), HashMap::new());
        for part in split.split('_') {
            let found = list(&folder.join(part), "jpg", LAYOUT)?;
            pictures.extend(pictures_of(&folder, part, &found, items.len())?);
            items.extend(found);
            let file = folder.join(format!("explanatory/{part}.json"));
            if explanatory < 0.0 || (part != "train" && !file.exists()) {
                continue;
            }
            require(
                &file,
                "a JSON list of {image, query, outputs}, or an explanatory share of -1",
            )?;
            let list: Vec<Explanation> = read_json(&file)?;
            explanations.extend(list.into_iter().map(|e| (e.image, e.outputs)));
        }
        Ok(Self {
            name: format!("ReasonSeg|{split}"),
            items,
            pictures,
            explanations,
            samples_per_image,
            explanatory,
        })
    }

    fn read(&self, image: &Path) -> Result<(Annotation, TruthMask), DataError> {
        let path = image.with_extension("json");
        let annotation: Annotation = read_json_cp1252(&path)?;
        if annotation.text.is_empty() || annotation.text.iter().any(|t| t.trim().is_empty()) {
            return Err(broken(&path)("it has no text, or an empty one".to_owned()));
        }
        let (width, height) = picture_size(image)?;
        let mask = mask(&annotation.shapes, width, height);
        Ok((annotation, mask))
    }

    fn explanation(&self, image: &Path) -> Option<&String> {
        let name = image.file_name()?.to_str()?;
        self.explanations.get(name)
    }

    /// Items, each with a question of its own; several may show the same picture.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Item `index` as the reference evaluates it.
    pub fn item(&self, index: usize) -> Result<ReasonSegItem, DataError> {
        let image = &self.items[index];
        let (annotation, mask) = self.read(image)?;
        let text = annotation.text[0].clone();
        let explanation = self.explanation(image).cloned();
        let refusal = is_refusal(&annotation, explanation.as_ref());
        Ok(ReasonSegItem {
            image: image.clone(),
            question: match annotation.is_sentence {
                true => LONG_QUESTIONS[1].replacen("{}", text.trim(), 1),
                false => SHORT_QUESTIONS[3].replacen("{}", text.trim(), 1),
            },
            text,
            is_sentence: annotation.is_sentence,
            history: turns(&annotation.history),
            mask: (!refusal).then_some(mask),
            explanation,
        })
    }
}

/// Which of the items show the same picture; each its own where nothing is listed. Places count from `first`.
fn pictures_of(
    folder: &Path,
    part: &str,
    items: &[PathBuf],
    first: usize,
) -> Result<Vec<Vec<usize>>, DataError> {
    let file = folder.join(format!("pictures/{part}.json"));
    if !file.exists() {
        return Ok((0..items.len()).map(|i| vec![first + i]).collect());
    }
    let listed: Vec<Vec<String>> = read_json(&file)?;
    let name = |item: &PathBuf| item.file_name().map(|n| n.to_string_lossy().into_owned());
    let mut places: HashMap<String, usize> = (first..)
        .zip(items)
        .filter_map(|(place, item)| Some((name(item)?, place)))
        .collect();
    let mut pictures = Vec::with_capacity(listed.len());
    for names in listed {
        let found: Option<Vec<usize>> = names.iter().map(|name| places.remove(name)).collect();
        pictures.push(found.ok_or_else(|| {
            broken(&file)(format!(
                "of {} not every one is a picture in {part}, or one is listed twice",
                names.join(", ")
            ))
        })?);
    }
    let mut alone: Vec<usize> = places.into_values().collect();
    alone.sort_unstable();
    pictures.extend(alone.into_iter().map(|place| vec![place]));
    Ok(pictures)
}

fn is_refusal(annotation: &Annotation, explanation: Option<&String>) -> bool {
    annotation.shapes.is_empty() && explanation.is_some_and(|text| !text.contains("[SEG]"))
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

/// Largest first, so that what lies within another is not covered; "flag" is left out, "ignore" is neither.
fn mask(shapes: &[Shape], width: u32, height: u32) -> TruthMask {
    let size = width as usize * height as usize;
    let mut polygons: Vec<(usize, u8, Vec<_>)> = shapes
        .iter()
        .filter(|shape| shape.label.to_lowercase() != "flag")
        .map(|shape| {
            let corners: Vec<(i32, i32)> = shape
                .points
                .iter()
                .map(|p| (p[0] as i32, p[1] as i32))
                .collect();
            let value = match shape.label.to_lowercase().contains("ignore") {
                true => TruthMask::IGNORED,
                false => 1,
            };
            let mut alone = vec![0; size];
            fill_polygon(&mut alone, width, height, &corners, 1);
            (alone.iter().filter(|p| **p == 1).count(), value, corners)
        })
        .collect();
    // Of equal areas the later one first, as the reference's reversed order has it.
    polygons.sort_by_key(|(area, ..)| *area);
    polygons.reverse();
    let mut pixels = vec![0; size];
    for (_, value, corners) in &polygons {
        fill_polygon(&mut pixels, width, height, corners, *value);
    }
    TruthMask {
        width,
        height,
        pixels,
    }
}

/// What an explained picture's questions are answered with.
#[derive(Clone, Copy)]
enum Answer {
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
            image: self.items[picture[0]].clone(),
            conversations,
            classes: None,
            attributes: None,
        })
    }

    fn check(&self, index: usize) -> Vec<DataError> {
        let picture = &self.pictures[index];
        let items = picture.iter().map(|item| &self.items[*item]);
        let wrong = |image: &PathBuf| match check_picture(image, None) {
            Some(error) => Some(error),
            None => self.read(image).err(),
        };
        items.filter_map(wrong).collect()
    }

    fn describe(&self) -> String {
        format!(
            "{} images, {} questions, {} explained",
            self.pictures.len(),
            self.items.len(),
            self.explanations.len()
        )
    }
}

impl ReasonSegDataset {
    /// At most `most` of an item's texts, each as a conversation.
    fn conversations(
        &self,
        item: usize,
        most: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Conversation>, DataError> {
        let image = &self.items[item];
        let (annotation, mut mask) = self.read(image)?;
        let explanation = self.explanation(image);
        let refusal = is_refusal(&annotation, explanation);
        let answer = match explanation {
            None => Answer::Seg,
            Some(_) if rng.random_bool(self.explanatory.clamp(0.0, 1.0)) => Answer::Text,
            Some(_) if rng.random() => Answer::Seg,
            Some(_) => Answer::SegAndText,
        };
        // Ignored pixels are background in training, as in the reference.
        mask.pixels.iter_mut().for_each(|p| *p = u8::from(*p == 1));
        let count = annotation.text.len().min(most);
        let conversations = index::sample(rng, annotation.text.len(), count)
            .into_iter()
            .map(|i| {
                let text = &annotation.text[i];
                let verbatim = annotation.question.as_ref().filter(|_| rng.random());
                let plain = match (verbatim, annotation.is_sentence) {
                    (Some(question), _) => question.clone(),
                    (None, true) => fill(&LONG_QUESTIONS, text, rng),
                    (None, false) => fill(&SHORT_QUESTIONS, &text.to_lowercase(), rng),
                };
                let seg = fill(&ANSWERS, "", rng);
                let outputs = explanation.map_or("", String::as_str);
                let own = annotation.question.is_some();
                let (question, answer, masked) = match answer {
                    Answer::SegAndText if refusal && !own => {
                        let why = fill(&EXPLANATORY_QUESTIONS, "", rng);
                        (format!("{text} {why}"), outputs.to_owned(), false)
                    }
                    Answer::Text if refusal && !own => (text.clone(), outputs.to_owned(), false),
                    _ if refusal => (plain, outputs.to_owned(), false),
                    Answer::Seg => (plain, seg, true),
                    Answer::SegAndText => {
                        let why = fill(&EXPLANATORY_QUESTIONS, "", rng);
                        (format!("{text} {why}"), format!("{seg} {outputs}"), true)
                    }
                    Answer::Text => (text.clone(), outputs.to_owned(), false),
                };
                let mut turns = turns(&annotation.history);
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
            let annotation: Annotation = read_json_cp1252(&found).unwrap();
            let shape = view.shape();
            let ours = mask(&annotation.shapes, shape[1] as u32, shape[0] as u32);
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
