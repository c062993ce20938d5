//! The stream of samples: the datasets by their names, in groups, each of which is drawn from as often as its rate says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::parts::PartsDataset;
use super::semantic::SemanticDataset;
use super::vqa::VqaDataset;
use super::{DataError, Dataset, ReasonSegDataset, ReferDataset, Sample};

/// Datasets that are drawn from together, each equally often.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// Names joined by `||`, e.g. `ade20k||cocostuff` or `ReasonSeg|train`.
    pub datasets: String,
    /// How often the group is drawn, relative to the rates of the other groups; more than 0.
    pub rate: f64,
}

/// Options for the readers of all datasets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixtureOptions {
    /// Classes, expressions or questions about an image, at most; 3 by default.
    pub samples_per_image: usize,
    /// Share of the explained ReasonSeg images that are answered in text only, 0 to 1; 0.1 by default.
    pub explanatory: f64,
}

impl Default for MixtureOptions {
    fn default() -> Self {
        Self {
            samples_per_image: 3,
            explanatory: 0.1,
        }
    }
}

/// What a dataset consists of, short enough to be kept with a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemList {
    /// Number of items.
    pub count: u64,
    /// CRC-32 of the items' names in their order, each followed by a zero byte.
    pub crc32: u32,
}

impl ItemList {
    fn of(data: &dyn Dataset) -> Self {
        let mut crc = crc32fast::Hasher::new();
        for index in 0..data.len() {
            crc.update(data.item_name(index).as_bytes());
            crc.update(b"\0");
        }
        Self {
            count: data.len() as u64,
            crc32: crc.finalize(),
        }
    }
}

/// How often another image is drawn when one has nothing to ask for. The reference draws again too, without a limit.
const TRIES: usize = 100;

/// An endless stream of samples, a function of the seed and the index alone.
pub struct Mixture {
    groups: Vec<(f64, Vec<Arc<dyn Dataset>>)>,
    seed: u64,
}

impl Mixture {
    /// Opens every dataset below `root`.
    ///
    /// # Errors
    /// A name that is none, a file that is missing or broken, by its path.
    pub fn open(
        root: &Path,
        groups: &[GroupSpec],
        options: MixtureOptions,
        seed: u64,
    ) -> Result<Self, DataError> {
        if groups.is_empty() {
            return Err(DataError::Setting(
                "there is no group of datasets; accepted: one or more".to_owned(),
            ));
        }
        if let Some(group) = groups
            .iter()
            .find(|g| !(g.rate > 0.0 && g.rate.is_finite()))
        {
            return Err(DataError::Setting(format!(
                "the rate of '{}' is {}; accepted: more than 0",
                group.datasets, group.rate
            )));
        }
        let groups = groups
            .iter()
            .map(|group| {
                let datasets = group
                    .datasets
                    .split("||")
                    .map(|name| open_dataset(root, name.trim(), options))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok((group.rate, datasets))
            })
            .collect::<Result<Vec<_>, DataError>>()?;
        Ok(Self { groups, seed })
    }

    /// Number of items of all datasets together.
    pub fn len(&self) -> usize {
        self.datasets().map(|d| d.len()).sum()
    }

    /// Whether there are no items, which a mixture that could be opened never is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each dataset consists of, by its name.
    pub fn items(&self) -> BTreeMap<String, ItemList> {
        let datasets = self.datasets();
        datasets
            .map(|d| (d.name().to_owned(), ItemList::of(d.as_ref())))
            .collect()
    }

    pub(super) fn datasets(&self) -> impl Iterator<Item = &Arc<dyn Dataset>> {
        self.groups.iter().flat_map(|(_, datasets)| datasets)
    }

    /// Classes of the first dataset that has class maps; none where there is no such dataset.
    pub fn classes(&self) -> &[String] {
        self.datasets()
            .map(|d| d.classes())
            .find(|names| !names.is_empty())
            .unwrap_or(&[])
    }

    /// Attributes of the first dataset that has attribute maps; none where there is no such dataset.
    pub fn attributes(&self) -> &[String] {
        self.datasets()
            .map(|d| d.attributes())
            .find(|names| !names.is_empty())
            .unwrap_or(&[])
    }

    /// Random numbers that belong to an index, for whatever is done at random with its sample.
    pub fn rng(&self, index: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(2 * index + 1);
        rng
    }

    /// Sample `index` of the stream.
    ///
    /// # Errors
    /// A file that is missing or broken, by its path: nothing is skipped in silence.
    pub fn sample(&self, index: u64) -> Result<Sample, DataError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(2 * index);
        let total: f64 = self.groups.iter().map(|(rate, _)| rate).sum();
        let mut at = rng.random_range(0.0..total);
        let mut chosen = &self.groups[self.groups.len() - 1].1;
        for (rate, datasets) in &self.groups {
            if at < *rate {
                chosen = datasets;
                break;
            }
            at -= rate;
        }
        for _ in 0..TRIES {
            let dataset = &chosen[rng.random_range(0..chosen.len())];
            let sample = dataset.sample(rng.random_range(0..dataset.len()), &mut rng)?;
            if !sample.conversations.is_empty() {
                return Ok(sample);
            }
        }
        let names: Vec<_> = chosen.iter().map(|d| d.name()).collect();
        Err(DataError::Setting(format!(
            "{TRIES} images drawn from {} hold nothing to ask for; accepted: labelled images",
            names.join(", ")
        )))
    }

    /// A line for every dataset: its name, its share of the samples in percent, and its size.
    pub fn describe(&self) -> String {
        let total: f64 = self.groups.iter().map(|(rate, _)| rate).sum();
        let lines = self.groups.iter().flat_map(|(rate, datasets)| {
            let share = 100.0 * rate / total / datasets.len() as f64;
            datasets
                .iter()
                .map(move |d| format!("{:<24} {:>5.1} %  {}", d.name(), share, d.describe()))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Opens a dataset by the reference's name for it. It lies below `root` in the reference's layout.
///
/// # Errors
/// A name that is no dataset, or files that are missing or broken.
pub(super) fn open_dataset(
    root: &Path,
    name: &str,
    options: MixtureOptions,
) -> Result<Arc<dyn Dataset>, DataError> {
    let n = options.samples_per_image;
    let refer = |name| ReferDataset::open(root, name, "train", n).map(|d| Arc::new(d) as _);
    Ok(match name {
        "ade20k" => Arc::new(SemanticDataset::ade20k(root, "training", n)?),
        "ade20k|validation" => Arc::new(SemanticDataset::ade20k(root, "validation", n)?),
        "cocostuff" => Arc::new(SemanticDataset::coco_stuff(root, n)?),
        "mapillary" => Arc::new(SemanticDataset::mapillary(root, n)?),
        "paco_lvis" => Arc::new(PartsDataset::paco_lvis(root, n)?),
        "pascal_part" => Arc::new(PartsDataset::pascal_part(root, n)?),
        "refclef" => refer("refclef")?,
        "refcoco" => refer("refcoco")?,
        "refcoco+" => refer("refcoco+")?,
        "refcocog" => refer("refcocog")?,
        "llava_instruct_150k" => Arc::new(VqaDataset::open(root, n)?),
        _ => match name.split_once('|') {
            Some(("ReasonSeg", split)) => {
                Arc::new(ReasonSegDataset::open(root, split, n, options.explanatory)?)
            }
            _ => {
                return Err(DataError::Setting(format!(
                    "there is no dataset '{name}'; accepted: ade20k, ade20k|validation, cocostuff, mapillary, paco_lvis, pascal_part, refclef, refcoco, refcoco+, refcocog, llava_instruct_150k, ReasonSeg|train"
                )))
            }
        },
    })
}
