//! Objects and their parts: PACO-LVIS and PASCAL-Part, COCO's JSON.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rand::seq::index;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::coco::{Segmentation, NO_MASK};
use super::files::{broken, file_name, require};
use super::folder::count;
use super::json::read_json;
use super::picture::check_picture;
use super::schema::PARTS;
use super::templates::{fill, ANSWERS, SHORT_QUESTIONS};
use super::{Conversation, DataError, Dataset, Sample, TruthMask, Turn};

/// Pictures with annotations of objects and of objects' parts.
pub struct PartsDataset {
    name: &'static str,
    path: PathBuf,
    classes: HashMap<u64, Class>,
    images: Vec<AnnotatedImage>,
    samples_per_image: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Class {
    Object(String),
    Part { object: String, part: String },
}

struct AnnotatedImage {
    path: PathBuf,
    width: u32,
    height: u32,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
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
    category_id: u64,
    #[serde(default)]
    segmentation: Segmentation,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

impl PartsDataset {
    /// Opens PACO-LVIS: `vlpart/paco/annotations/paco_lvis_v1_train.json`, with its pictures below `coco/`.
    ///
    /// # Errors
    /// A file that is missing or broken, by its path.
    pub fn paco_lvis(root: &Path, samples_per_image: usize) -> Result<Self, DataError> {
        let path = root.join("vlpart/paco/annotations/paco_lvis_v1_train.json");
        Self::open("paco_lvis", path, root.join("coco"), samples_per_image)
    }

    /// Opens PASCAL-Part: `vlpart/pascal_part/train.json`, with its pictures in
    /// `vlpart/pascal_part/VOCdevkit/VOC2010/JPEGImages/`.
    ///
    /// # Errors
    /// A file that is missing or broken, by its path.
    pub fn pascal_part(root: &Path, samples_per_image: usize) -> Result<Self, DataError> {
        let folder = root.join("vlpart/pascal_part");
        let images = folder.join("VOCdevkit/VOC2010/JPEGImages");
        Self::open(
            "pascal_part",
            folder.join("train.json"),
            images,
            samples_per_image,
        )
    }

    fn open(
        name: &'static str,
        path: PathBuf,
        images: PathBuf,
        samples_per_image: usize,
    ) -> Result<Self, DataError> {
        require(&path, "the dataset's COCO json, in the reference's layout")?;
        let file: File = read_json(&path, &PARTS)?;
        let mut classes = HashMap::new();
        for category in &file.categories {
            let class = Class::parse(&category.name);
            if classes.insert(category.id, class).is_some() {
                return Err(broken(&path)(format!(
                    "category {} is listed twice",
                    category.id
                )));
            }
        }
        let mut pictures: BTreeMap<u64, AnnotatedImage> = BTreeMap::new();
        for image in file.images {
            let picture = AnnotatedImage {
                path: images.join(&image.file_name),
                width: image.width,
                height: image.height,
                annotations: Vec::new(),
            };
            if pictures.insert(image.id, picture).is_some() {
                return Err(broken(&path)(format!("image {} is listed twice", image.id)));
            }
        }
        let mut unmasked = Vec::new();
        for annotation in file.annotations {
            if !classes.contains_key(&annotation.category_id) {
                return Err(broken(&path)(format!(
                    "annotation {} is of category {}, which is not listed",
                    annotation.id, annotation.category_id
                )));
            }
            match pictures.get_mut(&annotation.image_id) {
                Some(_) if annotation.segmentation.is_nothing() => {
                    unmasked.push(PathBuf::from(annotation.id.to_string()));
                }
                Some(picture) => picture.annotations.push(annotation),
                None => {
                    return Err(broken(&path)(format!(
                        "annotation {} is of image {}, which is not listed",
                        annotation.id, annotation.image_id
                    )))
                }
            }
        }
        if let Some(line) = count(&unmasked, "annotation", NO_MASK) {
            tracing::warn!("left out of the data: {}: {line}", path.display());
        }
        // A picture without annotations gives no conversation, and the mixture draws another one, as the reference does.
        pictures.retain(|_, picture| !picture.annotations.is_empty());
        if pictures.is_empty() {
            return Err(broken(&path)("no image of it has an annotation".to_owned()));
        }
        Ok(Self {
            name,
            path,
            classes,
            images: pictures.into_values().collect(),
            samples_per_image,
        })
    }
}

impl PartsDataset {
    fn mask(
        &self,
        picture: &AnnotatedImage,
        annotation: &Annotation,
    ) -> Result<TruthMask, DataError> {
        let mask = annotation.segmentation.mask(picture.width, picture.height);
        mask.map_err(|reason| self.wrong(annotation, reason))
    }

    fn wrong(&self, annotation: &Annotation, reason: String) -> DataError {
        broken(&self.path)(format!("annotation {}: {reason}", annotation.id))
    }
}

impl Class {
    /// Parses names as the datasets write them: `cup_(drink)`, `cup:handle`.
    fn parse(name: &str) -> Self {
        let plain = |text: &str| text.split("_(").next().unwrap_or_default().to_owned();
        match name.trim().split_once(':') {
            Some((object, part)) => Self::Part {
                object: plain(object),
                part: plain(part),
            },
            None => Self::Object(plain(name.trim())),
        }
    }

    fn phrase(&self, rng: &mut ChaCha8Rng) -> String {
        match self {
            Self::Object(name) => name.clone(),
            Self::Part { object, part } if rng.random() => format!("{object} {part}"),
            Self::Part { object, part } => format!("the {part} of the {object}"),
        }
    }
}

impl Dataset for PartsDataset {
    fn name(&self) -> &str {
        self.name
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn sample(&self, at: usize, rng: &mut ChaCha8Rng) -> Result<Sample, DataError> {
        let picture = &self.images[at];
        let count = picture.annotations.len().min(self.samples_per_image);
        let conversations = index::sample(rng, picture.annotations.len(), count)
            .into_iter()
            .map(|i| {
                let annotation = &picture.annotations[i];
                let phrase = self.classes[&annotation.category_id].phrase(rng);
                Ok(Conversation {
                    turns: vec![Turn::new(
                        fill(&SHORT_QUESTIONS, &phrase.to_lowercase(), rng),
                        fill(&ANSWERS, "", rng),
                    )],
                    masks: vec![self.mask(picture, annotation)?],
                    phrases: vec![phrase],
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
        let ids: Vec<u64> = picture.annotations.iter().map(|a| a.id).collect();
        format!("{} {ids:?}", file_name(&picture.path))
    }

    fn check(&self, at: usize) -> Vec<DataError> {
        let picture = &self.images[at];
        let wrong = |annotation: &Annotation| {
            let segmentation = &annotation.segmentation;
            let checked = segmentation.check(picture.width, picture.height);
            checked.err().map(|reason| self.wrong(annotation, reason))
        };
        let masks = picture.annotations.iter().filter_map(wrong);
        let size = Some((picture.width, picture.height));
        masks.chain(check_picture(&picture.path, size)).collect()
    }

    fn describe(&self) -> String {
        let annotations: usize = self.images.iter().map(|p| p.annotations.len()).sum();
        format!(
            "{} images, {annotations} annotations of {} classes",
            self.images.len(),
            self.classes.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_tells_senses_apart() {
        assert_eq!(Class::parse("cup_(drink)"), Class::Object("cup".into()));
        let part = Class::parse("knife_(tool):handle");
        assert_eq!(
            part,
            Class::Part {
                object: "knife".into(),
                part: "handle".into()
            }
        );
    }
}
