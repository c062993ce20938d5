//! Semantic segmentation, with the classes of pixels as pictures: ADE20K, COCO-Stuff, Mapillary Vistas.

use std::path::{Path, PathBuf};

use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::files::{broken, class_map_size, file_name, list, read_classes, require};
use super::folder::PICTURE_ENDINGS;
use super::json::read_json;
use super::picture::check_picture;
use super::schema::{MAPILLARY, NAMES};
use super::templates::{fill, ANSWERS, SHORT_QUESTIONS};
use super::{ClassMap, Conversation, DataError, Dataset, Sample, TruthMask, Turn};

/// How a dataset numbers its classes.
enum Labels {
    /// ADE20K: 0 and 255 are no class, and class `i` is stored as `i + 1`.
    Ade20k,
    /// COCO-Stuff: the class as it is stored. 255 is no class, and classes with "-" in their names are not used.
    CocoStuff,
    /// Mapillary Vistas: the class as it is stored; 255 is no class.
    Mapillary,
}

/// Pictures, each with a picture of its classes.
pub struct SemanticDataset {
    name: &'static str,
    labels: Labels,
    classes: Vec<String>,
    /// The files of each image and of its classes.
    items: Vec<(PathBuf, PathBuf)>,
    /// Folder of the pictures of attributes, and the attributes' names. ADE20K itself has none.
    attributes: Option<(PathBuf, Vec<String>)>,
    samples_per_image: usize,
}

impl SemanticDataset {
    /// Opens ADE20K: pictures `ade20k/images/SPLIT/*.jpg` and their classes `ade20k/annotations/SPLIT/*.png`, where the split is
    /// `training` or `validation`.
    ///
    /// Two more files let people's own data have this layout. If there is `ade20k/classes.json`, its names are the classes
    /// instead of ADE20K's 150. If there is `ade20k/attributes.json` with names (e.g. of colours), then
    /// `ade20k/attributes/SPLIT/*.png` has the attribute of every pixel as the annotations have its class.
    ///
    /// # Errors
    /// A folder or file that is missing or broken, by its path.
    pub fn ade20k(root: &Path, split: &str, samples_per_image: usize) -> Result<Self, DataError> {
        let folder = root.join("ade20k");
        let own = folder.join("classes.json");
        let classes = match own.exists() {
            true => read_json(&own, &NAMES)?,
            false => ade20k_classes(),
        };
        let images = list(
            &folder.join("images").join(split),
            &PICTURE_ENDINGS,
            &format!("ade20k/images/{split}/*.jpg with ade20k/annotations/{split}/*.png"),
        )?;
        let annotations = folder.join("annotations").join(split);
        let items = images
            .into_iter()
            .map(|image| {
                let stem = image.with_extension("png");
                let name = stem.file_name().unwrap_or_default();
                let label = annotations.join(name);
                (image, label)
            })
            .collect();
        let names = folder.join("attributes.json");
        let attributes = match names.exists() {
            true => {
                let listed = read_json(&names, &NAMES)?;
                Some((folder.join("attributes").join(split), listed))
            }
            false => None,
        };
        Ok(Self {
            attributes,
            name: "ade20k",
            labels: Labels::Ade20k,
            classes,
            items,
            samples_per_image,
        })
    }

    /// Opens COCO-Stuff: `cocostuff/train2017/*.png` has the classes of the pictures `coco/train2017/*.jpg`.
    ///
    /// # Errors
    /// A folder or file that is missing or broken, by its path.
    pub fn coco_stuff(root: &Path, samples_per_image: usize) -> Result<Self, DataError> {
        let labels = list(
            &root.join("cocostuff/train2017"),
            &["png"],
            "cocostuff/train2017/*.png with coco/train2017/*.jpg",
        )?;
        let images = root.join("coco/train2017");
        Ok(Self {
            attributes: None,
            name: "cocostuff",
            labels: Labels::CocoStuff,
            classes: coco_stuff_classes(),
            items: beside(labels, &images),
            samples_per_image,
        })
    }

    /// Opens Mapillary Vistas: pictures `mapillary/training/images/*.jpg`, their classes
    /// `mapillary/training/v2.0/labels/*.png`, and the classes' names in `mapillary/config_v2.0.json`.
    ///
    /// # Errors
    /// A folder or file that is missing or broken, by its path.
    pub fn mapillary(root: &Path, samples_per_image: usize) -> Result<Self, DataError> {
        #[derive(Deserialize)]
        struct Config {
            labels: Vec<Label>,
        }
        #[derive(Deserialize)]
        struct Label {
            readable: String,
        }
        let config = root.join("mapillary/config_v2.0.json");
        require(
            &config,
            "mapillary/config_v2.0.json of Mapillary Vistas 2.0",
        )?;
        let config: Config = read_json(&config, &MAPILLARY)?;
        let labels = list(
            &root.join("mapillary/training/v2.0/labels"),
            &["png"],
            "mapillary/training/v2.0/labels/*.png with mapillary/training/images/*.jpg",
        )?;
        Ok(Self {
            attributes: None,
            name: "mapillary",
            labels: Labels::Mapillary,
            classes: config
                .labels
                .iter()
                .map(|l| l.readable.to_lowercase())
                .collect(),
            items: beside(labels, &root.join("mapillary/training/images")),
            samples_per_image,
        })
    }

    /// The file of a picture's attributes, which has the name of that of its classes.
    fn attribute_map(&self, label: &Path) -> Option<PathBuf> {
        let (folder, _) = self.attributes.as_ref()?;
        Some(folder.join(label.file_name()?))
    }

    /// Reads a picture of indices into `names`, and undoes the dataset's own numbering.
    fn class_map(&self, path: &Path, names: &[String]) -> Result<ClassMap, DataError> {
        let mut map = read_classes(path)?;
        let known = names.len();
        for pixel in &mut map.pixels {
            let class = match self.labels {
                Labels::Ade20k if *pixel == 0 || *pixel == 255 => None,
                Labels::Ade20k => Some(*pixel - 1),
                _ if *pixel == 255 => None,
                Labels::CocoStuff => {
                    let name = names.get(usize::from(*pixel));
                    (!name.is_some_and(|n| n.contains('-'))).then_some(*pixel)
                }
                Labels::Mapillary => Some(*pixel),
            };
            if class.is_some_and(|c| usize::from(c) >= known) {
                return Err(broken(path)(format!(
                    "a pixel is of class {pixel}, and {} has {known} classes",
                    self.name
                )));
            }
            *pixel = class.unwrap_or(ClassMap::IGNORED);
        }
        Ok(map)
    }
}

fn beside(labels: Vec<PathBuf>, images: &Path) -> Vec<(PathBuf, PathBuf)> {
    labels
        .into_iter()
        .map(|label| {
            let name = label.with_extension("jpg");
            (images.join(name.file_name().unwrap_or_default()), label)
        })
        .collect()
}

impl Dataset for SemanticDataset {
    fn name(&self) -> &str {
        self.name
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn attributes(&self) -> &[String] {
        match &self.attributes {
            Some((_, names)) => names,
            None => &[],
        }
    }

    fn sample(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Sample, DataError> {
        let (image, label) = &self.items[index];
        let map = self.class_map(label, &self.classes)?;
        let attributes = match (self.attribute_map(label), &self.attributes) {
            (Some(path), Some((_, names))) => {
                let attributes = self.class_map(&path, names)?;
                if (attributes.width, attributes.height) != (map.width, map.height) {
                    return Err(broken(&path)(format!(
                        "it is {}×{}, and the picture of classes {}×{}",
                        attributes.width, attributes.height, map.width, map.height
                    )));
                }
                Some(attributes)
            }
            _ => None,
        };
        let mut present = vec![false; self.classes.len()];
        for class in map.pixels.iter().filter(|c| **c != ClassMap::IGNORED) {
            present[usize::from(*class)] = true;
        }
        let present: Vec<usize> = (0..present.len()).filter(|class| present[*class]).collect();
        let count = present.len().min(self.samples_per_image);
        let conversations = index::sample(rng, present.len(), count)
            .into_iter()
            .map(|i| {
                let (class, name) = (present[i] as u16, &self.classes[present[i]]);
                Conversation {
                    turns: vec![Turn::new(
                        fill(&SHORT_QUESTIONS, &name.to_lowercase(), rng),
                        fill(&ANSWERS, "", rng),
                    )],
                    masks: vec![TruthMask {
                        width: map.width,
                        height: map.height,
                        pixels: map.pixels.iter().map(|c| u8::from(*c == class)).collect(),
                    }],
                    phrases: vec![name.clone()],
                }
            })
            .collect();
        Ok(Sample {
            source: self.name,
            image: image.clone(),
            conversations,
            classes: Some(map),
            attributes,
        })
    }

    fn item_name(&self, index: usize) -> String {
        file_name(&self.items[index].0).into_owned()
    }

    fn check(&self, index: usize) -> Vec<DataError> {
        let (image, label) = &self.items[index];
        let maps = [Some(label.clone()), self.attribute_map(label)];
        let mut wrong = Vec::new();
        let mut size = None;
        for map in maps.into_iter().flatten() {
            match class_map_size(&map) {
                Ok(found) => size = size.or(Some(found)),
                Err(error) => wrong.push(error),
            }
        }
        wrong.extend(check_picture(image, size));
        wrong
    }

    fn describe(&self) -> String {
        format!(
            "{} images, {} classes",
            self.items.len(),
            self.classes.len()
        )
    }
}

/// The 150 classes of ADE20K (scene parsing challenge), which its files do not name.
fn ade20k_classes() -> Vec<String> {
    lines(include_str!("names/ade20k.txt"))
}

/// The 182 things and stuff of COCO-Stuff, which its files do not name; a class's index is the value of its pixels.
fn coco_stuff_classes() -> Vec<String> {
    lines(include_str!("names/cocostuff.txt"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
