//! The places of what a run of questions about TableWorld has found, measured as [`measure_scene`] does.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tableworld::{Scene, Split};

use super::{
    measure_scene, Conditions, MaskSource, MetresReport, MetresSettings, Places, PredictedMask,
    SceneErrors, Sensor,
};
use crate::eval::EvalError;

/// The masks that a run has predicted, by the seeds of their scenes.
#[derive(Clone, Debug, Default)]
pub struct WorldMasks(BTreeMap<u64, Vec<PredictedMask>>);

impl WorldMasks {
    /// Keeps the answer to a question about one object of the scene of that seed. Of several about the same object the first counts.
    pub fn keep(&mut self, seed: u64, predicted: PredictedMask) {
        let of_scene = self.0.entry(seed).or_default();
        if of_scene
            .iter()
            .all(|other| other.object != predicted.object)
        {
            of_scene.push(predicted);
        }
    }

    /// Measures them beside the true masks of the same scenes, with exact depth and with that of a real sensor, in the pictures' own
    /// pixels (16UC1): of each scene that has any, by its seed, what [`world_places`] takes.
    ///
    /// # Errors
    /// As [`measure_scene`].
    pub fn measure(
        &self,
        split: Split,
        size: (u32, u32),
    ) -> Result<BTreeMap<u64, ScenePlaces>, EvalError> {
        let (settings, conditions) = (settings(split, size), conditions());
        let scenes: Vec<_> = self.0.iter().collect();
        let measured = scenes.par_iter().map(|(seed, predicted)| {
            let scene = Scene::sample(split, **seed);
            let errors = measure_scene(&scene, &settings, &conditions, predicted)?;
            Ok((**seed, ScenePlaces(errors)))
        });
        measured.collect()
    }
}

/// What became of the objects of a scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScenePlaces(SceneErrors);

/// The places of scenes that were measured, in the order of their seeds; `None` where there are none.
pub fn world_places(
    size: (u32, u32),
    scenes: impl IntoIterator<Item = ScenePlaces>,
) -> Option<Places> {
    let scenes: Vec<SceneErrors> = scenes.into_iter().map(|scene| scene.0).collect();
    // The rows do not say of which split the scenes are.
    Places::of_metres(&MetresReport::new(&settings(Split::Test, size), &scenes, None).rows)
}

fn settings(split: Split, size: (u32, u32)) -> MetresSettings {
    MetresSettings {
        size,
        ..MetresSettings::new(split, 0)
    }
}

fn conditions() -> Vec<Conditions> {
    let mut conditions = Vec::new();
    for sensor in [Sensor::Exact, Sensor::Real] {
        for masks in [MaskSource::Truth, MaskSource::Predicted] {
            conditions.push(Conditions {
                sensor,
                masks,
                ..Conditions::PLAIN
            });
        }
    }
    conditions
}
