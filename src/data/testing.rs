//! Small trees of every dataset's layout, for the tests of this folder.

use std::path::Path;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tempfile::{tempdir, TempDir};

use super::mixture::open_dataset;
use super::{DataError, Dataset, MixtureOptions, Sample, TruthMask};

/// An outline around 6 pixels.
pub(super) const OUTLINE: &str = "[[1,1,4,1,4,3,1,3]]";

/// A folder for datasets, which is removed in the end.
pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Self {
        Self(tempdir().unwrap())
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn file(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// An image of 6×4 pixels.
    pub(super) fn image(&self, path: &str) {
        self.file(path, "");
        image::RgbImage::new(6, 4)
            .save(self.root().join(path))
            .unwrap();
    }

    pub(super) fn png(
        &self,
        path: &str,
        color: png::ColorType,
        depth: png::BitDepth,
        size: (u32, u32),
        rows: &[u8],
    ) {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == png::ColorType::Indexed {
            encoder.set_palette(
                (0..=255)
                    .flat_map(|i| [i, 255 - i, i / 2])
                    .collect::<Vec<u8>>(),
            );
        }
        encoder
            .write_header()
            .unwrap()
            .write_image_data(rows)
            .unwrap();
        self.file(path, bytes);
    }

    pub(super) fn grey(&self, path: &str, rows: &[u8]) {
        self.png(
            path,
            png::ColorType::Grayscale,
            png::BitDepth::Eight,
            (2, 2),
            rows,
        );
    }

    pub(super) fn open(&self, name: &str) -> Result<Arc<dyn Dataset>, DataError> {
        open_dataset(self.root(), name, MixtureOptions::default())
    }

    pub(super) fn sample(&self, name: &str) -> Result<Sample, DataError> {
        self.open(name)?.sample(0, &mut rng())
    }

    pub(super) fn refused(&self, name: &str) -> String {
        let message = self.sample(name).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }
}

pub(super) fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

pub(super) fn area(mask: &TruthMask) -> usize {
    mask.pixels.iter().filter(|p| **p == 1).count()
}

pub(super) fn refer() -> Tree {
    let tree = Tree::new();
    tree.file(
        "refer_seg/refcoco/refs(unc).p",
        b"(lp0\n(dp1\nS'ann_id'\np2\nI7\nsS'image_id'\np3\nI1\nsS'split'\np4\nS'train'\np5\nsS'sentences'\np6\n(lp7\n\
        (dp8\nS'sent'\np9\nS'Left Mug '\np10\nsa(dp11\ng9\nS'it\\'s \"red\"'\np12\nsasa\
        (dp13\ng2\nI8\nsg3\nI2\nsg4\nS'testA'\np14\nsg6\n(lp15\n(dp16\ng9\nS'pot'\np17\nsasa.",
    );
    let rle = r#"[{"size":[4,5],"counts":"52207"}]"#;
    tree.file(
        "refer_seg/refcoco/instances.json",
        format!(
            r#"{{"images":[{{"id":1,"file_name":"a.jpg","width":6,"height":4}},{{"id":2,"file_name":"b.jpg","width":5,"height":4}}],
            "annotations":[{{"id":7,"image_id":1,"segmentation":{OUTLINE}}},{{"id":8,"image_id":2,"segmentation":{rle}}}]}}"#
        ),
    );
    tree
}

pub(super) fn reason(json: &str) -> Tree {
    let tree = Tree::new();
    tree.image("reason_seg/ReasonSeg/train/a.jpg");
    tree.file("reason_seg/ReasonSeg/train/a.json", json);
    tree.file(
        "reason_seg/ReasonSeg/explanatory/train.json",
        r#"[{"image":"a.jpg","query":"?","outputs":"Because."}]"#,
    );
    tree
}

pub(super) fn vqa(dialogues: &str) -> Tree {
    let tree = Tree::new();
    tree.file("llava_dataset/llava_instruct_150k.json", dialogues);
    tree
}

/// A shape as LabelMe writes it.
pub(super) fn shape(kind: &str, points: serde_json::Value) -> serde_json::Value {
    serde_json::json!({
        "label": "mug", "points": points, "shape_type": kind, "group_id": null, "flags": {"occluded": true}
    })
}

/// A grey PNG file in base64.
pub(super) fn png_base64(width: u32, height: u32, pixels: &[u8]) -> String {
    let image = image::GrayImage::from_raw(width, height, pixels.to_vec()).unwrap();
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    base64::encode(png.into_inner())
}
