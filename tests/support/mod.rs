//! Golden data: finding it, converting its checkpoint, comparing with it.

#![allow(dead_code)] // each test target uses its part

pub mod output;
pub mod process;
pub mod tiny_training;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use lisa::convert::{convert, ConvertOptions};
use lisa::weights::QuantizationChange;
use serde_json::Value;

/// One folder of golden data: a tiny checkpoint and what the reference computed with it.
pub struct Golden {
    pub folder: PathBuf,
    pub json: Value,
    pub tensors: HashMap<String, Tensor>,
}

/// Says that a test has compared nothing, where the summary of `make test` finds it: past the harness, which shows what a
/// test prints only where it fails.
pub fn skipped(test: &str, reason: &str) {
    let line = format!("\nSKIPPED: {test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The writing end of a pipe whose reader has gone.
pub fn broken_pipe() -> std::process::Stdio {
    use std::process::{Command, Stdio};
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let writer = reader.stdin.take().unwrap();
    assert!(reader.wait().unwrap().success());
    writer.into()
}

/// Every golden folder: `LISA_GOLDEN_DIR` or `tests/golden`, itself or its direct children.
pub fn golden() -> Vec<Golden> {
    golden_in(&given().unwrap_or_else(own_folder))
}

/// The golden folders that have what a test compares with. Our own always have some; other data need not, and then the test is
/// skipped and says so.
pub fn golden_with(test: &str, what: &str, has: impl Fn(&Golden) -> bool) -> Vec<Golden> {
    let found: Vec<Golden> = golden().into_iter().filter(has).collect();
    if found.is_empty() {
        match given() {
            None => panic!("{test}: no golden data in tests/golden has {what}"),
            Some(dir) => skipped(
                test,
                &format!("no golden data in {} has {what}", dir.display()),
            ),
        }
    }
    found
}

fn given() -> Option<PathBuf> {
    std::env::var_os("LISA_GOLDEN_DIR").map(PathBuf::from)
}

/// The folders of `tests/golden`, for tests whose expectations were computed from these models alone.
pub fn own_golden() -> Vec<Golden> {
    golden_in(&own_folder())
}

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden_in(root: &Path) -> Vec<Golden> {
    let mut folders = vec![root.to_owned()];
    let children = std::fs::read_dir(root).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
    folders.extend(children.map(|entry| entry.unwrap().path()));
    folders.retain(|folder| folder.join("expected.json").is_file());
    folders.sort();
    assert!(
        !folders.is_empty(),
        "no expected.json in or below {}",
        root.display()
    );
    folders.into_iter().map(Golden::read).collect()
}

/// Golden data of a certain kind: of `LISA_GOLDEN_DIR` where it has that kind, else our own. For tests that need the kind, not
/// the numbers.
pub fn golden_that(is: &str, found: impl Fn(&Golden) -> bool) -> Golden {
    let mut folders = golden();
    folders.extend(own_golden());
    let mut fitting = folders.into_iter().filter(found);
    let none = || panic!("no golden data that {is}");
    fitting.next().unwrap_or_else(none)
}

impl Golden {
    fn read(folder: PathBuf) -> Self {
        let json = std::fs::read(folder.join("expected.json")).unwrap();
        Self {
            json: serde_json::from_slice(&json).unwrap(),
            tensors: load(&folder.join("expected.safetensors")),
            folder,
        }
    }

    /// The child folder that holds a file of that name.
    fn child_with(&self, file: &str) -> PathBuf {
        let children = std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut found: Vec<PathBuf> = children.filter(|path| path.join(file).is_file()).collect();
        found.sort();
        found
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no folder with {file} in {}", self.folder.display()))
    }

    pub fn lisa_folder(&self) -> PathBuf {
        let model = ["tokenizer.model", "tokenizer.json"];
        let file = model.iter().find(|f| {
            std::fs::read_dir(&self.folder)
                .unwrap()
                .any(|entry| entry.unwrap().path().join(f).is_file())
        });
        self.child_with(file.expect("a checkpoint with a tokenizer"))
    }

    pub fn clip_folder(&self) -> PathBuf {
        self.child_with("preprocessor_config.json")
    }

    /// Whether some case's answer names an object.
    pub fn has_masks(&self) -> bool {
        self.json["cases"]
            .as_array()
            .unwrap()
            .iter()
            .any(|case| case["n_masks"].as_u64() > Some(0))
    }

    /// Converts the checkpoint as a user would.
    pub fn convert(&self, out: &Path) -> PathBuf {
        self.convert_quantized(out, QuantizationChange::default())
    }

    /// The same, with weights in blocks.
    pub fn convert_quantized(&self, out: &Path, quantization: QuantizationChange) -> PathBuf {
        let options = ConvertOptions {
            quantization,
            ..ConvertOptions::new(self.lisa_folder(), self.clip_folder(), out.join("model"))
        };
        convert(&options, |_, _, _| ()).unwrap();
        options.out
    }

    pub fn image(&self) -> image::RgbImage {
        lisa::image::read_image(self.folder.join("image.png")).unwrap()
    }

    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("golden data has no {name}"))
    }

    pub fn ids(&self, name: &str) -> Vec<i64> {
        self.tensor(name).to_vec1().unwrap()
    }
}

pub fn load(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// How far a result may be from the reference: ‖a − b‖ / ‖b‖.
pub struct RelativeL2(pub f64);

impl RelativeL2 {
    pub fn assert(&self, what: &str, ours: &Tensor, reference: &Tensor) {
        assert_eq!(ours.dims(), reference.dims(), "{what}: shape");
        assert!(reference.elem_count() > 0, "{what}: nothing to compare");
        let error = relative_l2(ours, reference);
        println!(
            "{what}: relative error {error:.2e}, tolerance {:.0e}",
            self.0
        );
        assert!(
            error <= self.0,
            "{what}: relative error {error:.3e} is over {:.0e}",
            self.0
        );
    }
}

/// ‖a − b‖ / ‖b‖, or ‖a − b‖ where b is zero.
pub fn relative_l2(ours: &Tensor, reference: &Tensor) -> f64 {
    let values = |t: &Tensor| {
        let t = t.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
        t.to_vec1::<f64>().unwrap()
    };
    let (ours, reference) = (values(ours), values(reference));
    let difference: f64 = ours
        .iter()
        .zip(&reference)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt();
    match reference.iter().map(|b| b * b).sum::<f64>().sqrt() {
        0.0 => difference,
        norm => difference / norm,
    }
}

/// ‖t‖, summed in f64.
pub fn norm(tensor: &Tensor) -> f64 {
    let values = tensor.to_dtype(DType::F64).unwrap();
    let sum = values.sqr().unwrap().sum_all().unwrap();
    sum.to_scalar::<f64>().unwrap().sqrt()
}

/// How far a gradient may be from another one: a share of its own norm.
///
/// A gradient that is zero in exact arithmetic (that of a `k_proj.bias`: softmax does not see a shift) holds nothing but
/// rounding, which depends on the order of summation and has no scale of its own. What counts as nothing is therefore
/// told by the norm of all gradients together, and nothing only has to be nothing on both sides.
pub struct GradientTolerance {
    pub relative: f64,
    /// The norm of all gradients together.
    pub total: f64,
}

impl GradientTolerance {
    /// The share of the norm of all gradients below which a gradient is only rounding. On the golden data, our rounding is at
    /// 2e-8, and the smallest gradient that is not zero in exact arithmetic at 1e-5.
    const NOTHING: f64 = 1e-6;

    /// The norm under which a gradient is rounding.
    pub fn nothing(&self) -> f64 {
        Self::NOTHING * self.total
    }

    pub fn assert(&self, what: &str, ours: &Tensor, reference: &Tensor) {
        assert!(self.total > 0.0, "there are no gradients to compare with");
        if norm(reference) > self.nothing() {
            RelativeL2(self.relative).assert(what, ours, reference);
        } else {
            self.assert_nothing(what, norm(ours));
        }
    }

    /// Norms alone, where the reference gives no more.
    pub fn assert_norm(&self, what: &str, ours: f64, reference: f64) {
        if reference > self.nothing() {
            let error = (ours - reference).abs() / reference;
            println!("{what}: norm {ours:.6}, reference {reference:.6}, relative {error:.1e}");
            assert!(
                error <= self.relative,
                "{what}: norm {ours} against {reference}"
            );
        } else {
            self.assert_nothing(what, ours);
        }
    }

    fn assert_nothing(&self, what: &str, norm: f64) {
        let share = norm / self.total;
        println!("{what}: {share:.1e} of all gradients, zero in exact arithmetic");
        assert!(
            norm <= self.nothing(),
            "{what}: {share:.1e} of all gradients, where the reference has nothing"
        );
    }
}

/// How much of two binary masks must be common.
pub struct MinIou(pub f64);

impl MinIou {
    /// # Shapes
    /// Any two of the same length.
    pub fn assert(&self, what: &str, ours: &[bool], reference: &[bool]) {
        assert_eq!(ours.len(), reference.len(), "{what}: size");
        assert!(!reference.is_empty(), "{what}: nothing to compare");
        let both = |f: fn(bool, bool) -> bool| {
            ours.iter()
                .zip(reference)
                .filter(|(a, b)| f(**a, **b))
                .count()
        };
        let (intersection, union) = (both(|a, b| a && b), both(|a, b| a || b));
        let iou = if union == 0 {
            1.0
        } else {
            intersection as f64 / union as f64
        };
        println!("{what}: IoU {iou:.5}, at least {}", self.0);
        assert!(iou >= self.0, "{what}: IoU {iou} is under {}", self.0);
    }
}

/// Positive logits.
pub fn binary(logits: &Tensor) -> Vec<bool> {
    let values = logits
        .to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    values.iter().map(|v| *v > 0.0).collect()
}
