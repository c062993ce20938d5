//! The places of what a run of questions about TableWorld has found, measured as [`measure_scene`] does.

use std::collections::BTreeMap;

use rayon::prelude::*;
use tableworld::{Scene, Split};

use super::{
    measure_scene, Conditions, MaskSource, MetresReport, MetresSettings, Places, PredictedMask,
    Sensor,
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
    /// pixels (16UC1); `None` where there are none.
    ///
    /// # Errors
    /// As [`measure_scene`].
    pub fn places(&self, split: Split, size: (u32, u32)) -> Result<Option<Places>, EvalError> {
        let settings = MetresSettings {
            size,
            ..MetresSettings::new(split, 0)
        };
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
        let scenes: Vec<_> = self.0.iter().collect();
        let measured = scenes.par_iter().map(|(seed, predicted)| {
            let scene = Scene::sample(split, **seed);
            measure_scene(&scene, &settings, &conditions, predicted)
        });
        let measured = measured.collect::<Result<Vec<_>, EvalError>>()?;
        Ok(Places::of_metres(
            &MetresReport::new(&settings, &measured, None).rows,
        ))
    }
}
