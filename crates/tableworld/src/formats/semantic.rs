//! ADE20K's layout: a grey PNG beside each picture, 0 where there is no class and class `i` at value `i + 1`.
//!
//! The real dataset's 150 names are fixed and stand nowhere in it; ours are in `ade20k/classes.json`, a list. Beside the classes,
//! `ade20k/attributes` has the objects' colours in the same form, with their names in `attributes.json` (an extension).

use std::path::PathBuf;

use image::ExtendedColorType;

use super::files::{make_folder, write_png};
use super::listing::write_json;
use super::sink::{Item, Made, Plan, Sink};
use super::{Format, WriteError};
use crate::{Category, Colour, Object, Split};

/// The names the dataset uses itself.
pub(super) fn part(split: Split) -> &'static str {
    match split {
        Split::Train => "training",
        Split::Val => "validation",
        Split::Test => "testing",
    }
}

pub(super) struct Semantic {
    root: PathBuf,
    images: PathBuf,
    annotations: PathBuf,
    attributes: PathBuf,
    items: usize,
}

impl Semantic {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let root = plan.folder.join("ade20k");
        let part = part(plan.split);
        let [images, annotations, attributes] =
            ["images", "annotations", "attributes"].map(|kind| root.join(kind).join(part));
        for folder in [&images, &annotations, &attributes] {
            make_folder(folder)?;
        }
        Ok(Self {
            root,
            images,
            annotations,
            attributes,
            items: (plan.numbers.end - plan.numbers.start) as usize,
        })
    }
}

impl Sink for Semantic {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        let name = format!("{:09}", item.number);
        let objects = &item.annotated.scene.objects;
        let write = |folder: &PathBuf, index: fn(&Object) -> usize| {
            let value = |id: u8| {
                let object = usize::from(id).checked_sub(1).and_then(|i| objects.get(i));
                object.map_or(0, |object| index(object) as u8 + 1)
            };
            let instances = item.annotated.frame.instances.iter();
            let values: Vec<u8> = instances.map(|&id| value(id)).collect();
            let path = folder.join(format!("{name}.png"));
            write_png(&path, item.size(), &values, ExtendedColorType::L8)
        };
        item.jpeg.place(&self.images.join(format!("{name}.jpg")))?;
        write(&self.annotations, |object| object.category.index())?;
        write(&self.attributes, |object| object.colour.index())
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        let names = Category::ALL.map(Category::name);
        write_json(&self.root.join("classes.json"), &names.as_slice())?;
        let names = Colour::ALL.map(Colour::name);
        write_json(&self.root.join("attributes.json"), &names.as_slice())?;
        Ok(Made {
            format: Format::Semantic,
            path: self.root.clone(),
            items: self.items,
            unit: "pictures with classes",
        })
    }
}
