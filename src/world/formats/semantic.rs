//! ADE20K's layout: a grey PNG beside each picture, 0 where there is no class and class `i` at value `i + 1`.
//!
//! The real dataset's 150 names are fixed and stand nowhere in it; ours are in `ade20k/classes.json`, a list.

use std::path::PathBuf;

use image::ExtendedColorType;

use super::listing::write_json;
use super::picture::{make_folder, write_png};
use super::write::{Item, Made, Plan, Sink};
use super::{Format, WriteError};
use crate::world::{Category, Split};

pub(super) struct Semantic {
    root: PathBuf,
    images: PathBuf,
    annotations: PathBuf,
    items: usize,
}

impl Semantic {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let root = plan.folder.join("ade20k");
        // The names the dataset uses itself.
        let part = match plan.split {
            Split::Train => "training",
            Split::Val => "validation",
            Split::Test => "testing",
        };
        let [images, annotations] =
            ["images", "annotations"].map(|kind| root.join(kind).join(part));
        make_folder(&images)?;
        make_folder(&annotations)?;
        Ok(Self {
            root,
            images,
            annotations,
            items: (plan.numbers.end - plan.numbers.start) as usize,
        })
    }
}

impl Sink for Semantic {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        let name = format!("{:09}", item.number);
        let objects = &item.told.scene.objects;
        let class = |id: u8| {
            let object = usize::from(id).checked_sub(1).and_then(|i| objects.get(i));
            object.map_or(0, |object| object.category.index() as u8 + 1)
        };
        let instances = item.told.frame.instances.iter();
        let classes: Vec<u8> = instances.map(|&id| class(id)).collect();
        item.picture
            .place(&self.images.join(format!("{name}.jpg")))?;
        let path = self.annotations.join(format!("{name}.png"));
        write_png(&path, item.size(), &classes, ExtendedColorType::L8)
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        let names = Category::ALL.map(Category::name);
        write_json(&self.root.join("classes.json"), &names.as_slice())?;
        Ok(Made {
            format: Format::Semantic,
            path: self.root.clone(),
            items: self.items,
            unit: "pictures with classes",
        })
    }
}
