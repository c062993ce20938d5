//! `metrics.jsonl`: one line for each step and one for each validation.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::batch::BatchLosses;
use super::objective::{GuidanceScore, Probed};
use super::TrainError;

/// A line of the metrics file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Updates made, including the one that the line is about.
    pub step: u64,
    /// `train` or `validation`.
    pub split: String,
    /// Sum of the weighted losses.
    pub loss: f64,
    /// Each of the weighted losses by name: `ce`, `bce`, `dice`, …
    #[serde(flatten)]
    pub losses: BTreeMap<String, f64>,
    /// Mean IoU of the masks, where an empty union counts as 1; absent where there was no mask.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub giou: Option<f64>,
    /// Sum of all intersections over the sum of all unions; absent where there was no mask.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ciou: Option<f64>,
    /// Mean attention of the guided head on its targets, in 0..=1; absent where no answer was guided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attended: Option<f64>,
    /// Share of the guided answers whose likeliest first word is a right one; absent where no answer was guided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence: Option<f64>,
    /// The same share of the answers about objects that are in the picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence_present: Option<f64>,
    /// The same share of the answers about objects that are not in the picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence_absent: Option<f64>,
    /// By the name of a linear head, the share of patches that show something for which the head tells what it is; empty
    /// where no head is trained.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub probes: BTreeMap<String, f64>,
    /// Learning rate of the update; absent in validations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lr: Option<f64>,
    /// L2 norm of all gradients before they were clipped; absent in validations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grad_norm: Option<f64>,
    /// Time that the step took, in seconds; the only value that differs between equal runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
}

impl Record {
    /// The line about what the images of a step or of a validation gave. `split` is `train` or `validation`.
    pub(super) fn new(step: u64, split: &str, batch: BatchLosses) -> Self {
        let BatchLosses {
            losses,
            overlaps,
            guidance,
            probed,
            ..
        } = batch;
        let giou = overlaps.iter().map(|(both, either)| match either {
            0.0 => 1.0,
            _ => both / (either + 1e-5),
        });
        let sum = |f: fn(&(f64, f64)) -> f64| overlaps.iter().map(f).sum::<f64>();
        let some = !overlaps.is_empty();
        let right = |which: fn(&GuidanceScore) -> bool| {
            mean(guidance.iter().filter(|l| which(l)), |l| {
                f64::from(u8::from(l.right))
            })
        };
        Self {
            step,
            split: split.to_owned(),
            loss: losses.values().sum(),
            losses: losses
                .into_iter()
                .map(|(k, v)| (k.into_owned(), v))
                .collect(),
            giou: some.then(|| giou.sum::<f64>() / overlaps.len() as f64),
            ciou: some.then(|| sum(|o| o.0) / (sum(|o| o.1) + 1e-5)),
            attended: mean(guidance.iter(), |l| l.mass),
            probes: shares(&probed),
            presence: right(|_| true),
            presence_present: right(|l| !l.absent),
            presence_absent: right(|l| l.absent),
            ..Self::default()
        }
    }
}

/// The share of right answers of each head by its name; heads that were never asked are left out.
fn shares(probed: &[Probed]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for probe in probed {
        let (right, of) = sums.entry(&probe.name).or_default();
        *right += probe.right;
        *of += probe.of;
    }
    sums.into_iter()
        .filter(|(_, (_, of))| *of > 0)
        .map(|(name, (right, of))| (name.to_owned(), right as f64 / of as f64))
        .collect()
}

/// The mean of a value; `None` where there is no answer.
fn mean<'a>(
    scores: impl Iterator<Item = &'a GuidanceScore>,
    value: impl Fn(&GuidanceScore) -> f64,
) -> Option<f64> {
    let values: Vec<f64> = scores.map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The metrics file of a run under way.
pub struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens `metrics.jsonl` in a folder, or makes it, and cuts what follows byte `keep`: lines about steps that the
    /// checkpoint does not hold and that will be made again. If somebody has changed the file so that the cut is within a
    /// line, the next record still begins on a line of its own.
    ///
    /// # Errors
    /// A file that cannot be opened or changed.
    pub fn open(folder: &Path, keep: u64) -> Result<Self, TrainError> {
        let path = folder.join("metrics.jsonl");
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)?;
            file.set_len(keep.min(file.metadata()?.len()))?;
            if file.seek(std::io::SeekFrom::End(0))? > 0 {
                let mut last = [0];
                file.seek(std::io::SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    file.write_all(b"\n")?;
                }
            }
            Ok(file)
        };
        let file = open().map_err(TrainError::io(&path))?;
        Ok(Self { path, file })
    }

    /// Appends one line.
    ///
    /// # Errors
    /// A file that cannot be written, e.g. because the disk is full.
    pub fn write(&mut self, record: &Record) -> Result<(), TrainError> {
        let mut line = serde_json::to_string(record)
            .map_err(|e| TrainError::Unusable(format!("{}: {e}", self.path.display())))?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .map_err(TrainError::io(&self.path))
    }

    /// Waits until everything written is on the disk. Returns the file's length in bytes.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn sync(&self) -> Result<u64, TrainError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_right_as_often_as_all_their_pictures_say() {
        let of = |name: &'static str, right, of| Probed {
            name: name.into(),
            right,
            of,
        };
        let batch = BatchLosses {
            probed: vec![
                of("patch_tower", 1, 1),
                of("patch_tower", 1, 3),
                of("patch_sam", 0, 0),
            ],
            ..BatchLosses::default()
        };
        let record = Record::new(1, "train", batch);
        assert_eq!(
            record.probes,
            BTreeMap::from([("patch_tower".to_owned(), 0.5)]),
            "a head that was never asked has no share"
        );
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
    }
}
