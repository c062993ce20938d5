//! Referring segmentation: refCLEF, RefCOCO, RefCOCO+, RefCOCOg.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::coco::{Segmentation, NO_MASK};
use super::files::{broken, file_name, read, require};
use super::folder::count;
use super::json::read_json;
use super::picture::check_picture;
use super::schema::INSTANCES;
use super::templates::{fill, ANSWERS, SHORT_QUESTIONS};
use super::{plain_pickle, Conversation, DataError, Dataset, Sample, TruthMask, Turn};

/// The expressions of one split, each for one object in a picture.
pub struct ReferDataset {
    name: &'static str,
    refs: PathBuf,
    instances: PathBuf,
    images: Vec<ReferredImage>,
    /// The place of every expression as (picture, expression), in the order of the pictures and of the file.
    places: Vec<(usize, usize)>,
    samples_per_image: usize,
}

/// One picture with all its expressions.
struct ReferredImage {
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
    image_id: u64,
    #[serde(default)]
    segmentation: Segmentation,
}

/// One expression to evaluate.
pub struct ReferItem<'a> {
    /// The picture's file.
    pub image: &'a Path,
    /// What is asked for, e.g. `left zebra`.
    pub expression: &'a str,
    /// The true mask.
    pub mask: TruthMask,
}

impl ReferDataset {
    /// Opens a dataset, which lies in `refer_seg/NAME/refs(SPLIT_BY).p` and `refer_seg/NAME/instances.json`; its pictures are
    /// below `refer_seg/images`.
    ///
    /// `split` is one that the file has: train, val, test, testA, testB, testC, testAB, testBC, testAC. As in the reference's
    /// `REFER.getRefIds`, test stands for all whose name contains it, and testA for every test split with an A, such as testAB.
    ///
    /// Annotations whose segmentation is an empty list have no mask; they are left out with a warning.
    ///
    /// # Errors
    /// Files that are missing or broken, by their paths; a split that has no expression; an annotation that is missing, or
    /// that its picture has twice with different masks.
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
        let bytes = read(&refs_path)?;
        let refs: Vec<Ref> =
            plain_pickle::from_slice(&bytes).map_err(|e| broken(&refs_path)(e.to_string()))?;
        let held: Instances = read_json(&instances, &INSTANCES)?;
        let pictures = root.join("refer_seg/images").join(match name {
            "refclef" => "saiapr_tc-12",
            _ => "mscoco/images/train2014",
        });
        let mut annotations = Annotations::new(held.annotations);
        let mut images: BTreeMap<u64, ReferredImage> = BTreeMap::new();
        let mut sizes: HashMap<u64, &Image> = HashMap::new();
        for image in &held.images {
            if sizes.insert(image.id, image).is_some() {
                return Err(broken(&instances)(format!(
                    "image {} is listed twice",
                    image.id
                )));
            }
        }
        let mut splits: Vec<String> = Vec::new();
        let mut unmasked: Vec<(u64, u64)> = Vec::new();
        for reference in refs {
            if !splits.contains(&reference.split) {
                splits.push(reference.split.clone());
            }
            if !is_of(split, &reference.split) {
                continue;
            }
            let Some(size) = sizes.get(&reference.image_id) else {
                return Err(broken(&instances)(format!(
                    "it has no image {}",
                    reference.image_id
                )));
            };
            let place = (reference.image_id, reference.ann_id);
            if unmasked.contains(&place) {
                continue;
            }
            let known = |(id, _): &(u64, Segmentation)| *id == reference.ann_id;
            let known = images
                .get(&reference.image_id)
                .and_then(|picture| picture.masks.iter().position(known));
            let mask = match known {
                Some(_) => None,
                None => {
                    let mask = annotations.take(place.0, place.1);
                    Some(mask.map_err(broken(&instances))?)
                }
            };
            if mask.as_ref().is_some_and(Segmentation::is_nothing) {
                unmasked.push(place);
                continue;
            }
            let picture = images
                .entry(reference.image_id)
                .or_insert_with(|| ReferredImage {
                    path: pictures.join(&size.file_name),
                    width: size.width,
                    height: size.height,
                    expressions: Vec::new(),
                    masks: Vec::new(),
                });
            let at = known.unwrap_or(picture.masks.len());
            picture
                .masks
                .extend(mask.map(|mask| (reference.ann_id, mask)));
            for sentence in reference.sentences {
                picture
                    .expressions
                    .push((sentence.sent.trim().to_owned(), at));
            }
        }
        let numbers: Vec<PathBuf> = unmasked
            .iter()
            .map(|(_, id)| id.to_string().into())
            .collect();
        if let Some(line) = count(&numbers, "annotation", NO_MASK) {
            tracing::warn!("left out of the data: {}: {line}", instances.display());
            if images.is_empty() {
                return Err(broken(&instances)(format!("split '{split}' has {line}")));
            }
        }
        if images.is_empty() {
            return Err(broken(&refs_path)(format!(
                "split '{split}' has no expression; there are: {}",
                splits.join(", ")
            )));
        }
        let images: Vec<ReferredImage> = images.into_values().collect();
        let places = images.iter().enumerate();
        let places = places.flat_map(|(i, p)| (0..p.expressions.len()).map(move |at| (i, at)));
        Ok(Self {
            name,
            refs: refs_path,
            instances,
            places: places.collect(),
            images,
            samples_per_image,
        })
    }

    fn mask(&self, picture: &ReferredImage, at: usize) -> Result<TruthMask, DataError> {
        let (id, mask) = &picture.masks[at];
        mask.mask(picture.width, picture.height)
            .map_err(|reason| self.wrong(*id, reason))
    }

    /// The expression at a place of a picture, and the place of its mask.
    fn expression<'a>(
        &self,
        picture: &'a ReferredImage,
        at: usize,
    ) -> Result<(&'a str, usize), DataError> {
        match &picture.expressions[at] {
            (words, mask) if words.is_empty() => Err(broken(&self.refs)(format!(
                "an expression for annotation {} in {} is empty; accepted: words",
                picture.masks[*mask].0,
                file_name(&picture.path)
            ))),
            (words, mask) => Ok((words, *mask)),
        }
    }

    fn wrong(&self, annotation: u64, reason: String) -> DataError {
        broken(&self.instances)(format!("annotation {annotation}: {reason}"))
    }

    /// Number of expressions.
    pub fn items(&self) -> usize {
        self.places.len()
    }

    /// The picture of expression `index`. Those of one picture follow each other.
    pub fn picture(&self, index: usize) -> &Path {
        let (picture, _) = self.places[index];
        &self.images[picture].path
    }

    /// Expression `index`, in the order of the pictures and of the file, as it is evaluated.
    ///
    /// # Errors
    /// A mask that is broken, or an expression that is empty, by its annotation.
    pub fn item(&self, index: usize) -> Result<ReferItem<'_>, DataError> {
        let (picture, at) = self.places[index];
        let picture = &self.images[picture];
        let (expression, mask) = self.expression(picture, at)?;
        Ok(ReferItem {
            image: &picture.path,
            expression,
            mask: self.mask(picture, mask)?,
        })
    }
}

/// Whether an expression of one split is asked for by another's name, as `REFER.getRefIds` has it.
fn is_of(asked: &str, split: &str) -> bool {
    match asked {
        "test" => split.contains("test"),
        "testA" | "testB" | "testC" => split.contains(&asked["test".len()..]),
        _ => split == asked,
    }
}

/// Annotations by picture and number. The number alone is not enough, since people who convert their own data often count from
/// 1 in each picture.
struct Annotations {
    by_picture: HashMap<(u64, u64), Segmentation>,
    /// Those that a picture has more than once, with different masks.
    repeated: HashSet<(u64, u64)>,
    /// The last picture that has an annotation of a number, for an error.
    pictures: HashMap<u64, u64>,
}

impl Annotations {
    fn new(list: Vec<Annotation>) -> Self {
        let mut annotations = Self {
            by_picture: HashMap::with_capacity(list.len()),
            repeated: HashSet::new(),
            pictures: HashMap::with_capacity(list.len()),
        };
        for annotation in list {
            let key = (annotation.image_id, annotation.id);
            annotations
                .pictures
                .insert(annotation.id, annotation.image_id);
            let before = annotations.by_picture.insert(key, annotation.segmentation);
            if before.is_some_and(|before| before != annotations.by_picture[&key]) {
                annotations.repeated.insert(key);
            }
        }
        annotations
    }

    /// Takes out an annotation; each is asked for once. The error says in words what is wrong with it.
    fn take(&mut self, image: u64, id: u64) -> Result<Segmentation, String> {
        if self.repeated.contains(&(image, id)) {
            return Err(format!(
                "image {image} has annotation {id} more than once, each with another mask"
            ));
        }
        self.by_picture.remove(&(image, id)).ok_or_else(|| {
            let other = self.pictures.get(&id);
            let other = other.map(|other| format!(", which is of image {other}"));
            let other = other.unwrap_or_default();
            format!("image {image} has no annotation {id}{other}")
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
                let (expression, mask) = self.expression(picture, i)?;
                Ok(Conversation {
                    turns: vec![Turn::new(
                        fill(&SHORT_QUESTIONS, &expression.to_lowercase(), rng),
                        fill(&ANSWERS, "", rng),
                    )],
                    masks: vec![self.mask(picture, mask)?],
                    phrases: vec![expression.to_owned()],
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

    fn item_name(&self, at: usize) -> String {
        let picture = &self.images[at];
        let asked = picture.expressions.iter().map(|(words, _)| words.as_str());
        let mut name = file_name(&picture.path).into_owned();
        asked.for_each(|words| name.extend(["\n", words]));
        name
    }

    fn check(&self, at: usize) -> Vec<DataError> {
        let picture = &self.images[at];
        let masks = picture.masks.iter().filter_map(|(id, mask)| {
            let wrong = mask.check(picture.width, picture.height).err();
            wrong.map(|reason| self.wrong(*id, reason))
        });
        let expressions = 0..picture.expressions.len();
        let empty = expressions.filter_map(|at| self.expression(picture, at).err());
        let size = Some((picture.width, picture.height));
        let masks = masks.chain(empty);
        masks.chain(check_picture(&picture.path, size)).collect()
    }

    fn describe(&self) -> String {
        let expressions: usize = self.images.iter().map(|i| i.expressions.len()).sum();
        format!("{} images, {expressions} expressions", self.images.len())
    }
}
