//! Checkpoints as people have them: made of a golden one by changing what is wrong with theirs.

mod adapters;
mod files;
mod names_and_shapes;
mod places;

use std::collections::BTreeMap;
use std::path::PathBuf;

use half::f16;
use lisa::convert::{convert, ConvertOptions, ConvertReport};
use lisa::weights::ModelDir;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::{copy, names};
use crate::support::{own_golden, Golden};

/// A tensor as it lies in a file.
#[derive(Clone)]
pub struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Stored {
    pub fn f16(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Self {
        let bytes = values
            .into_iter()
            .flat_map(|v| f16::from_f32(v).to_le_bytes());
        Self {
            dtype: Dtype::F16,
            shape: shape.to_vec(),
            bytes: bytes.collect(),
        }
    }

    pub fn values(&self) -> Vec<f32> {
        let pairs = self.bytes.chunks_exact(2);
        pairs
            .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect()
    }

    /// A tensor of the same shape, filled with zeros of another element type.
    pub fn zeros(&self, dtype: Dtype) -> Self {
        let count: usize = self.shape.iter().product();
        Self {
            dtype,
            shape: self.shape.clone(),
            bytes: vec![0; count * dtype.bitsize() / 8],
        }
    }

    /// The first `rows` rows, or as many with more of zeros.
    pub fn rows(&self, rows: usize) -> Self {
        let mut cut = self.clone();
        let row = self.bytes.len() / self.shape[0];
        cut.shape[0] = rows;
        cut.bytes.resize(rows * row, 0);
        cut
    }
}

/// A checkpoint of safetensors in a folder of its own, to be changed and converted.
pub struct Theirs {
    root: tempfile::TempDir,
    golden: Golden,
    pub tensors: BTreeMap<String, Stored>,
    pub config: Value,
}

impl Theirs {
    pub fn new() -> Self {
        let with = |g: &Golden| g.lisa_folder().join("model.safetensors").is_file();
        let golden = own_golden().into_iter().find(with).unwrap();
        let root = tempfile::tempdir().unwrap();
        let lisa = root.path().join("lisa");
        copy(&golden.lisa_folder(), &lisa);
        let bytes = std::fs::read(lisa.join("model.safetensors")).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = read.tensors().into_iter().map(|(name, view)| {
            let stored = Stored {
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            };
            (name, stored)
        });
        let tensors = tensors.collect();
        let config = std::fs::read(lisa.join("config.json")).unwrap();
        Self {
            root,
            golden,
            tensors,
            config: serde_json::from_slice(&config).unwrap(),
        }
    }

    pub fn lisa(&self) -> PathBuf {
        self.root.path().join("lisa")
    }

    pub fn options(&self) -> ConvertOptions {
        let out = self.root.path().join("model");
        ConvertOptions::new(self.lisa(), self.golden.clip_folder(), out)
    }

    pub fn tensor(&mut self, name: &str) -> &mut Stored {
        self.tensors
            .get_mut(name)
            .unwrap_or_else(|| panic!("no {name}"))
    }

    /// Writes what was changed.
    pub fn save(&self) {
        let views = self.tensors.iter().map(|(name, t)| {
            let view = TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap();
            (name.as_str(), view)
        });
        let path = self.lisa().join("model.safetensors");
        safetensors::serialize_to_file(views, None, &path).unwrap();
        std::fs::write(self.lisa().join("config.json"), self.config.to_string()).unwrap();
    }

    pub fn convert(&self) -> ConvertReport {
        self.save();
        convert(&self.options(), |_, _, _| ()).unwrap()
    }

    /// Converts and opens; the values of a tensor of what came out.
    pub fn converted(&self, name: &str) -> Vec<f32> {
        let report = self.convert();
        let dir = ModelDir::open(self.options().out).unwrap();
        assert_eq!(dir.config, report.config);
        let f32s = candle_core::DType::F32;
        let weights = dir.weights(f32s, &candle_core::Device::Cpu).unwrap();
        lisa::model::Lisa::load(&weights, &dir.config).unwrap();
        let tensor = weights.get(weights.shape(name).unwrap(), name).unwrap();
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// The error, after which nothing is left behind.
    pub fn refused(&self) -> String {
        self.save();
        let error = convert(&self.options(), |_, _, _| ());
        let error = error.expect_err("it was converted").to_string();
        assert_eq!(names(self.root.path()), ["lisa"], "after: {error}");
        error
    }
}
