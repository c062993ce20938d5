//! Referring segmentation: refCLEF, RefCOCO, RefCOCO+, RefCOCOg.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::check::check_picture;
use super::coco::Segmentation;
use super::files::{broken, read_json, require};
use super::templates::{fill, ANSWERS, SHORT_QUESTIONS};
use super::{pickle, Conversation, DataError, Dataset, Sample, TruthMask, Turn};

/// Expressions for objects of one split.
pub struct ReferDataset {
    name: &'static str,
    instances: PathBuf,
    images: Vec<Picture>,
    samples_per_image: usize,
}

/// One picture with all its expressions.
struct Picture {
    path: PathBuf,
    width: u32,
    height: u32,
    /// (expression, index into `masks`)
    expressions: Vec<(String, usize)>,
    /// (annotation, mask)
    masks: Vec<(u64, Segmentation)>,
}

#[derive(Deserialize)]
struct Ref {
    ann_id: u64,
    image_id: u64,
    split: String,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    sent: String,
}

#[derive(Deserialize)]
struct Instances {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct Annotation {
    id: u64,
    segmentation: Segmentation,
}

/// One expression to evaluate.
pub struct ReferItem<'a> {
    pub image: &'a Path,
    pub expression: &'a str,
    pub mask: TruthMask,
}

impl ReferDataset {
    /// `refer_seg/NAME/refs(SPLIT_BY).p` and `instances.json`; pictures in `refer_seg/images/…`.
    ///
    /// `split` is one of the file's own: train, val, test, testA, testB.
    pub fn open(
        root: &Path,
        name: &'static str,
        split: &str,
        samples_per_image: usize,
    ) -> Result<Self, DataError> {
        let by = if name == "refcocog" { "umd" } else { "unc" };
        let folder = root.join("refer_seg").join(name);
        let (refs_path, instances) = (
            folder.join(format!("refs({by}).p")),
            folder.join("instances.json"),
        );
        for path in [&refs_path, &instances] {
            require(
                path,
                "refer_seg/NAME/refs(unc).p, or refs(umd).p for refcocog, and instances.json",
            )?;
        }
        let bytes = std::fs::read(&refs_path).map_err(|source| DataError::Io {
            path: refs_path.clone(),
            source,
        })?;
        let refs: Vec<Ref> =
            pickle::from_slice(&bytes).map_err(|e| broken(&refs_path)(e.to_string()))?;
        let held: Instances = read_json(&instances)?;
        let pictures = root.join("refer_seg/images").join(match name {
            "refclef" => "saiapr_tc-12",
            _ => "mscoco/images/train2014",
        });
        let mut annotations: HashMap<u64, Segmentation> = held
            .annotations
            .into_iter()
            .map(|a| (a.id, a.segmentation))
            .collect();
        let mut images: BTreeMap<u64, Picture> = BTreeMap::new();
        let sizes: HashMap<u64, &Image> = held.images.iter().map(|i| (i.id, i)).collect();
        let mut splits: Vec<String> = Vec::new();
        for reference in refs {
            if !splits.contains(&reference.split) {
                splits.push(reference.split.clone());
            }
            if reference.split != split {
                continue;
            }
            let Some(size) = sizes.get(&reference.image_id) else {
                return Err(broken(&instances)(format!(
                    "it has no image {}",
                    reference.image_id
                )));
            };
            let picture = images.entry(reference.image_id).or_insert_with(|| Picture {
                path: pictures.join(&size.file_name),
                width: size.width,
                height: size.height,
                expressions: Vec::new(),
                masks: Vec::new(),
            });
            let at = match picture
                .masks
                .iter()
                .position(|(id, _)| *id == reference.ann_id)
            {
                Some(at) => at,
                None => {
                    let mask = annotations.remove(&reference.ann_id).ok_or_else(|| {
                        broken(&instances)(format!("it has no annotation {}", reference.ann_id))
                    })?;
                    picture.masks.push((reference.ann_id, mask));
                    picture.masks.len() - 1
                }
            };
            for sentence in reference.sentences {
                picture
                    .expressions
                    .push((sentence.sent.trim().to_owned(), at));
            }
        }
        if images.is_empty() {
            return Err(broken(&refs_path)(format!(
                "split '{split}' has no expression; there are: {}",
                splits.join(", ")
            )));
        }
        Ok(Self {
            name,
            instances,
            images: images.into_values().collect(),
            samples_per_image,
        })
    }

    fn mask(&self, picture: &Picture, at: usize) -> Result<TruthMask, DataError> {
        let (id, mask) = &picture.masks[at];
        mask.mask(picture.width, picture.height)
            .map_err(|reason| broken(&self.instances)(format!("annotation {id}: {reason}")))
    }

    /// Every expression, in the order of pictures and file: what is evaluated.
    pub fn items(&self) -> impl Iterator<Item = Result<ReferItem<'_>, DataError>> {
        self.images.iter().flat_map(move |picture| {
            picture.expressions.iter().map(move |(expression, at)| {
                Ok(ReferItem {
                    image: &picture.path,
                    expression,
                    mask: self.mask(picture, *at)?,
                })
            })
        })
    }
}

impl Dataset for ReferDataset {
    fn name(&self) -> &str {
        self.name
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn sample(&self, at: usize, rng: &mut ChaCha8Rng) -> Result<Sample, DataError> {
        let picture = &self.images[at];
        let count = picture.expressions.len().min(self.samples_per_image);
        let conversations = index::sample(rng, picture.expressions.len(), count)
            .into_iter()
            .map(|i| {
                let (expression, mask) = &picture.expressions[i];
                Ok(Conversation {
                    turns: vec![Turn::new(
                        fill(&SHORT_QUESTIONS, &expression.to_lowercase(), rng),
                        fill(&ANSWERS, "", rng),
                    )],
                    masks: vec![self.mask(picture, *mask)?],
                    phrases: vec![expression.clone()],
                })
            })
            .collect::<Result<_, DataError>>()?;
        Ok(Sample {
            source: self.name,
            image: picture.path.clone(),
            conversations,
            classes: None,
            attributes: None,
        })
    }

    fn check(&self, at: usize) -> Vec<DataError> {
        let picture = &self.images[at];
        let masks = (0..picture.masks.len()).filter_map(|at| self.mask(picture, at).err());
        let size = Some((picture.width, picture.height));
        masks.chain(check_picture(&picture.path, size)).collect()
    }

    fn describe(&self) -> String {
        let expressions: usize = self.images.iter().map(|i| i.expressions.len()).sum();
        format!("{} images, {expressions} expressions", self.images.len())
    }
}
