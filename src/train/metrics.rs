//! `metrics.jsonl`: one line a step, one a validation.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::batch::BatchOutcome;
use super::objective::Looked;
use super::TrainError;

/// A line of the metrics file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Updates made, this one included.
    pub step: u64,
    /// `train` or `validation`.
    pub split: String,
    /// Sum of the weighted losses.
    pub loss: f64,
    /// Each of them.
    #[serde(flatten)]
    pub losses: std::collections::BTreeMap<String, f64>,
    /// Mean IoU of the masks, empty unions counted as 1; absent where there was no mask.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub giou: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ciou: Option<f64>,
    /// Mean attention of the guided head on its targets, in 0..=1; absent where no answer was guided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attended: Option<f64>,
    /// Share of guided answers whose likeliest first word is a right one: of all, of those about what is there, and of
    /// those about what is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence_present: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence_absent: Option<f64>,
    /// Learning rate, and norm of the gradients before clipping.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lr: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grad_norm: Option<f64>,
    /// Computing time of the step; the only value that differs between equal runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
}

impl Record {
    /// Puts together what a step's images gave.
    pub fn new(step: u64, split: &str, outcome: BatchOutcome) -> Self {
        let BatchOutcome {
            losses,
            overlaps,
            looks,
            ..
        } = outcome;
        let giou = overlaps.iter().map(|(both, either)| match either {
            0.0 => 1.0,
            _ => both / (either + 1e-5),
        });
        let sum = |f: fn(&(f64, f64)) -> f64| overlaps.iter().map(f).sum::<f64>();
        let some = !overlaps.is_empty();
        let right = |which: fn(&Looked) -> bool| {
            mean(looks.iter().filter(|l| which(l)), |l| {
                f64::from(u8::from(l.right))
            })
        };
        Self {
            step,
            split: split.to_owned(),
            loss: losses.values().sum(),
            losses: losses.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            giou: some.then(|| giou.sum::<f64>() / overlaps.len() as f64),
            ciou: some.then(|| sum(|o| o.0) / (sum(|o| o.1) + 1e-5)),
            attended: mean(looks.iter(), |l| l.mass),
            presence: right(|_| true),
            presence_present: right(|l| !l.absent),
            presence_absent: right(|l| l.absent),
            ..Self::default()
        }
    }
}

/// `None` of nothing.
fn mean<'a>(
    looks: impl Iterator<Item = &'a Looked>,
    value: impl Fn(&Looked) -> f64,
) -> Option<f64> {
    let values: Vec<f64> = looks.map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The open file.
pub struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens the file and cuts what follows byte `keep`: lines of steps that the checkpoint does not hold.
    pub fn open(folder: &Path, keep: u64) -> Result<Self, TrainError> {
        let path = folder.join("metrics.jsonl");
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)?;
            file.set_len(keep.min(file.metadata()?.len()))?;
            file.seek(std::io::SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(TrainError::io(&path))?;
        Ok(Self { path, file })
    }

    pub fn write(&mut self, record: &Record) -> Result<(), TrainError> {
        let mut line = serde_json::to_string(record)
            .map_err(|e| TrainError::Unusable(format!("{}: {e}", self.path.display())))?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .map_err(TrainError::io(&self.path))
    }

    /// Length, after everything written is on disk.
    pub fn sync(&mut self) -> Result<u64, TrainError> {
        let length = || -> std::io::Result<u64> {
            self.file.sync_data()?;
            Ok(self.file.metadata()?.len())
        };
        length().map_err(TrainError::io(&self.path))
    }
}

/// Every line of a run's metrics.
///
/// # Errors
/// A file that is missing, or a line that is no record, by its number.
pub fn read_metrics(folder: &Path) -> Result<Vec<Record>, TrainError> {
    let path = folder.join("metrics.jsonl");
    let file = File::open(&path).map_err(TrainError::io(&path))?;
    let mut records = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(TrainError::io(&path))?;
        records.push(serde_json::from_str(&line).map_err(|e| {
            TrainError::Unusable(format!("{}: line {}: {e}", path.display(), number + 1))
        })?);
    }
    Ok(records)
}
