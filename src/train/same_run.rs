//! Whether a checkpoint belongs to the run that a configuration describes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::Tensor;

use super::checkpoint::CheckpointState;
use super::config::TrainConfig;
use super::{Parameters, TrainError};
use crate::data::ItemList;
use crate::weights::Fingerprint;

/// Settings that may change when a run is resumed: where things lie, how long it goes on and how it ends, and how the work is divided.
const MAY_CHANGE: [&str; 21] = [
    "data.root",
    "data.skip_broken",
    "data.validation",
    "model.dir",
    "model.init",
    "model.texts",
    "objective.teacher",
    "optimizer.decay",
    "optimizer.decay_from",
    "run.cached_gb",
    "run.cached_images",
    "run.checkpoint_activations",
    "run.device",
    "run.loaders",
    "run.out",
    "run.save_every",
    "run.steps",
    "run.threads",
    "run.validate_every",
    "run.validation_images",
    "run.workers",
];

/// What the run to be resumed is now, for comparison with what its checkpoint says.
pub(super) struct CurrentRun<'a> {
    /// The configuration.
    pub config: &'a TrainConfig,
    /// The items of each dataset by the dataset's name.
    pub items: &'a BTreeMap<String, ItemList>,
    /// Fingerprint of the model's frozen tensors.
    pub frozen: Fingerprint,
    /// The network's tensors.
    pub parameters: &'a Parameters,
}

impl CurrentRun<'_> {
    /// Checks that the checkpoint at `path` belongs to this run: that settings, data and model are the same. Returns the
    /// checkpoint's configuration.
    ///
    /// # Errors
    /// All that differs, by name and with both values.
    pub fn check(
        &self,
        path: &Path,
        state: &CheckpointState,
        tensors: &HashMap<String, Tensor>,
    ) -> Result<TrainConfig, TrainError> {
        let theirs = TrainConfig::parse(&state.config).map_err(|reason| TrainError::Config {
            path: path.to_owned(),
            reason,
        })?;
        let mut found = differences(&theirs, self.config)
            .map_err(|e| TrainError::Unusable(format!("reading the settings: {e}")))?;
        found.extend(data_differences(state, self.items));
        found.extend(self.model_difference(state, tensors));
        if found.is_empty() {
            return Ok(theirs);
        }
        Err(TrainError::Unusable(format!(
            "{}: it belongs to another run: {}; the old values resume it, another `run.out` starts anew",
            path.display(),
            found.join(", ")
        )))
    }

    /// What differs about the model: a trained tensor has another shape, or the frozen tensors are others.
    fn model_difference(
        &self,
        state: &CheckpointState,
        tensors: &HashMap<String, Tensor>,
    ) -> Option<String> {
        let mut trained = self.parameters.trained().iter();
        let reshaped = trained.find_map(|(name, is)| {
            let was = tensors.get(name)?.dims();
            let is = is.dims();
            (was != is).then(|| format!("{name} had the shape {was:?} and has {is:?}"))
        });
        let others = || state.frozen?.difference(&self.frozen);
        let others = || others().map(|how| format!("the model's frozen tensors {how}"));
        reshaped.or_else(others)
    }
}

/// Every setting that differs and must not, with both values.
fn differences(theirs: &TrainConfig, ours: &TrainConfig) -> Result<Vec<String>, toml::ser::Error> {
    let (theirs, ours) = (values(theirs)?, values(ours)?);
    let mut names: Vec<&String> = theirs.keys().chain(ours.keys()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names
        .into_iter()
        .filter(|name| !MAY_CHANGE.contains(&name.as_str()) && theirs.get(*name) != ours.get(*name))
        .map(|name| {
            let said = |values: &BTreeMap<String, String>| {
                values.get(name).map_or("unset", String::as_str).to_owned()
            };
            format!("{name} was {} and is {}", said(&theirs), said(&ours))
        })
        .collect())
}

/// Every dataset whose items differ from those that the checkpoint lists.
fn data_differences(state: &CheckpointState, items: &BTreeMap<String, ItemList>) -> Vec<String> {
    state
        .items
        .iter()
        .filter_map(|(name, were)| match items.get(name) {
            Some(are) if are == were => None,
            Some(are) if are.count == were.count => Some(format!(
                "{name} has {} items as before, but not the same",
                are.count
            )),
            Some(are) => Some(format!(
                "{name} had {} items and has {}",
                were.count, are.count
            )),
            None => Some(format!("{name} had {} items and is not there", were.count)),
        })
        .collect()
}

/// Settings by their dotted names, as TOML writes them.
fn values(config: &TrainConfig) -> Result<BTreeMap<String, String>, toml::ser::Error> {
    let mut values = BTreeMap::new();
    flatten("", &toml::Value::try_from(config)?, &mut values);
    Ok(values)
}

fn flatten(prefix: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    let toml::Value::Table(table) = value else {
        into.insert(prefix.to_owned(), value.to_string());
        return;
    };
    for (key, value) in table {
        let name = match prefix {
            "" => key.clone(),
            prefix => format!("{prefix}.{key}"),
        };
        flatten(&name, value, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::SETTINGS;

    fn config(rest: &str) -> TrainConfig {
        let text = format!(
            "[data]\nroot = 'd'\ngroups = [{{ datasets = 'refcoco' }}]\n[trainable]\nfull = ['mask_decoder']\n{rest}"
        );
        TrainConfig::parse(&text).unwrap()
    }

    #[test]
    fn each_setting_that_differs_is_named_with_both_values() {
        let ours = config("[optimizer]\nlr = 1e-4\nwarmup = 5\n[run]\nbatch_size = 4");
        let theirs = config("[optimizer]\nlr = 2e-4\nwarmup = 5\n[run]\nbatch_size = 2");
        assert_eq!(
            differences(&theirs, &ours).unwrap(),
            [
                "optimizer.lr was 0.0002 and is 0.0001",
                "run.batch_size was 2 and is 4"
            ]
        );
    }

    #[test]
    fn places_lengths_and_threads_may_change() {
        let ours = config(
            "[run]\nout = 'a'\nsteps = 10\nworkers = 1\nthreads = 1\nloaders = 1\ndevice = 'cpu'",
        );
        let theirs =
            config("[run]\nout = './b'\nsteps = 20\nworkers = 3\nthreads = 4\nloaders = 4\ndevice = 'cuda'");
        assert_eq!(differences(&theirs, &ours).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_held_out_may_change() {
        let ours = config("[run]\nsteps = 10");
        let theirs = TrainConfig {
            data: crate::train::DataConfig {
                validation: ours.data.groups.clone(),
                ..ours.data.clone()
            },
            ..ours.clone()
        };
        assert_eq!(differences(&theirs, &ours).unwrap(), [""; 0]);
        assert_eq!(differences(&ours, &theirs).unwrap(), [""; 0]);
    }

    #[test]
    fn what_may_change_is_a_setting() {
        for name in MAY_CHANGE {
            assert!(SETTINGS.iter().any(|s| s.name == name), "{name}");
        }
    }

    #[test]
    fn data_that_grew_or_went_is_named() {
        let items = |list: &[(&str, u64, u32)]| -> BTreeMap<String, ItemList> {
            let list = list.iter().copied();
            list.map(|(name, count, crc32)| (name.to_owned(), ItemList { count, crc32 }))
                .collect()
        };
        let state = CheckpointState {
            items: items(&[
                ("ReasonSeg|train", 239, 1),
                ("refcoco", 10, 1),
                ("vqa", 5, 1),
            ]),
            ..CheckpointState::default()
        };
        assert_eq!(
            data_differences(
                &state,
                &items(&[("ReasonSeg|train", 240, 2), ("ade20k", 1, 1), ("vqa", 5, 2)])
            ),
            [
                "ReasonSeg|train had 239 items and has 240",
                "refcoco had 10 items and is not there",
                "vqa has 5 items as before, but not the same"
            ]
        );
        assert!(data_differences(&CheckpointState::default(), &items(&[])).is_empty());
    }
}
