//! RefCOCO's layout, as its `REFER` class reads it: `refs(unc).p`, a pickled list of expressions for objects, and
//! `instances.json`, COCO's pictures, masks and categories.
//!
//! All splits are in the same two files. Masks are compressed RLE, which unlike polygons is exact for parts with
//! holes too, each in a list of one: readers take the first entry's type to tell RLE from polygons.

use std::path::PathBuf;

use coco_rle::Rle;
use serde::{Deserialize, Serialize};

use super::files::make_folder;
use super::frames::bounds;
use super::listing::{read_json, read_pickle, write_json, write_pickle, Gathered};
use super::reason::without_article;
use super::sink::{Item, Made, Plan, Sink, MAX_SEED};
use super::{Format, WriteError};
use crate::language::{Query, QuestionKind};
use crate::{Category, Split};

/// The file of pictures, masks and categories.
const INSTANCES: &str = "instances.json";

/// One object and its expressions.
#[derive(Serialize, Deserialize)]
struct Ref {
    ref_id: u64,
    ann_id: u64,
    image_id: u64,
    split: String,
    category_id: usize,
    file_name: String,
    sentences: Vec<Sentence>,
    sent_ids: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct Sentence {
    sent_id: u64,
    /// The expression in lower case, without punctuation.
    sent: String,
    raw: String,
    tokens: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Instances {
    info: Info,
    images: Vec<ImageRecord>,
    annotations: Vec<Annotation>,
    categories: Vec<Kind>,
}

#[derive(Serialize, Deserialize)]
struct Info {
    description: String,
}

impl Default for Info {
    fn default() -> Self {
        Self {
            description: "TableWorld".into(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ImageRecord {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Serialize, Deserialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    category_id: usize,
    segmentation: Vec<Rle>,
    area: u32,
    /// x, y, width, height.
    bbox: [u32; 4],
    iscrowd: u8,
}

#[derive(Serialize, Deserialize)]
struct Kind {
    id: usize,
    name: String,
    supercategory: String,
}

/// What one scene adds to the two files.
struct Added {
    image: ImageRecord,
    annotations: Vec<Annotation>,
    refs: Vec<Ref>,
}

pub(super) struct Refer {
    root: PathBuf,
    images: PathBuf,
    split: Split,
    /// The ids of the pictures that this run writes.
    ids: std::ops::Range<u64>,
    added: Gathered<Added>,
}

impl Refer {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let root = plan.folder.join("refer_seg").join("refcoco");
        let images = plan.folder.join("refer_seg/images/mscoco/images/train2014");
        make_folder(&root)?;
        make_folder(&images)?;
        let id = |number| image_id(plan.split, number);
        Ok(Self {
            root,
            images,
            split: plan.split,
            ids: id(plan.numbers.start)..id(plan.numbers.end),
            added: Gathered::default(),
        })
    }

    fn add(&self, item: &Item) -> Result<Added, WriteError> {
        let image = image_id(self.split, item.number);
        let file_name = format!("COCO_train2014_{image:012}.jpg");
        let (width, height) = item.size();
        let objects = item.annotated.scene.objects.iter().enumerate();
        let ann_id = |object: usize| image * 1000 + object as u64;
        let mut annotations = Vec::new();
        let mut refs = Vec::new();
        for (i, object) in objects {
            let inside = item.inside(&[i]);
            let Some(bbox) = bounds(width, &inside) else {
                continue;
            };
            let rle = Rle::encode(width, height, &inside);
            let rle = rle.map_err(WriteError::encode(&self.root.join(INSTANCES)))?;
            let category_id = object.category.index() + 1;
            annotations.push(Annotation {
                id: ann_id(i),
                image_id: image,
                category_id,
                segmentation: vec![rle],
                area: inside.iter().filter(|&&inside| inside).count() as u32,
                bbox,
                iscrowd: 0,
            });
            let own = item.annotated.dialogues.iter().filter(|dialogue| {
                dialogue.kind == QuestionKind::Explicit && dialogue.targets() == [i]
            });
            let sentences: Vec<Sentence> = (0u64..)
                .zip(own)
                .map(|(k, dialogue)| Sentence::new(ann_id(i) * 100 + k, &dialogue.query))
                .collect();
            if !sentences.is_empty() {
                refs.push(Ref {
                    ref_id: ann_id(i),
                    ann_id: ann_id(i),
                    image_id: image,
                    split: ref_split(self.split).into(),
                    category_id,
                    file_name: format!("{}_{}.jpg", file_name.trim_end_matches(".jpg"), ann_id(i)),
                    sent_ids: sentences.iter().map(|s| s.sent_id).collect(),
                    sentences,
                });
            }
        }
        let image = ImageRecord {
            id: image,
            file_name,
            width,
            height,
        };
        Ok(Added {
            image,
            annotations,
            refs,
        })
    }
}

impl Sentence {
    fn new(sent_id: u64, query: &Query) -> Self {
        let words = without_article(query)
            .split_whitespace()
            .map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation()));
        let tokens: Vec<String> = words
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        Self {
            sent_id,
            sent: tokens.join(" "),
            raw: query.text.clone(),
            tokens,
        }
    }
}

impl Sink for Refer {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        let added = self.add(item)?;
        item.jpeg.place(&self.images.join(&added.image.file_name))?;
        self.added.put(item.number, vec![added]);
        Ok(())
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        let [list, instances_path] = ["refs(unc).p", INSTANCES].map(|f| self.root.join(f));
        let mut refs: Vec<Ref> = read_pickle(&list)?;
        let mut instances: Instances = read_json(&instances_path)?;
        refs.retain(|r| !self.ids.contains(&r.image_id));
        let (images, annotations) = (&mut instances.images, &mut instances.annotations);
        images.retain(|p| !self.ids.contains(&p.id));
        annotations.retain(|a| !self.ids.contains(&a.image_id));
        let mut items = 0;
        for added in self.added.take() {
            images.push(added.image);
            annotations.extend(added.annotations);
            items += added.refs.iter().map(|r| r.sentences.len()).sum::<usize>();
            refs.extend(added.refs);
        }
        refs.sort_by_key(|r| r.ref_id);
        images.sort_by_key(|p| p.id);
        annotations.sort_by_key(|a| a.id);
        instances.categories = categories();
        write_pickle(&list, &refs)?;
        write_json(&instances_path, &instances)?;
        Ok(Made {
            format: Format::Refer,
            path: self.root.clone(),
            items,
            unit: "expressions",
        })
    }
}

/// Numbers of one split lie apart from those of another, and none is 0.
fn image_id(split: Split, number: u64) -> u64 {
    split as u64 * MAX_SEED + number + 1
}

/// The name that both `test` and `testA` find in RefCOCO's reader.
fn ref_split(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Val => "val",
        Split::Test => "testA",
    }
}

fn categories() -> Vec<Kind> {
    let kind = |category: Category| Kind {
        id: category.index() + 1,
        name: category.name().into(),
        supercategory: "object".into(),
    };
    Category::ALL.into_iter().map(kind).collect()
}
