//! Linear heads that tell from an encoder's features what a patch shows. The encoder learns through them, and how often they are
//! right measures its features.
//!
//! A language model can only use what the features tell apart. So the heads are trained together with the encoder, and the
//! share of patches that show something and about which they are right is written to the metrics.

use std::borrow::Cow;

use candle_core::{DType, Device, Tensor, D};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Pass, Terms};
use crate::data::ClassMap;
use crate::nn::Linear;
use crate::train::loss::cross_entropy_sum;
use crate::train::parameters::normal;
use crate::train::{Parameters, TrainError};
use crate::weights::Weights;

/// Weight of a patch that shows nothing; one that shows something has 1. Most patches show nothing.
const NOTHING_WEIGHT: f64 = 0.1;

/// One head: from an encoder's features to the classes, or to the attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// Name of its loss and of its share of right answers, e.g. `patch_tower`.
    pub name: &'static str,
    /// The parts of its tensors' names after `aux`.
    path: [&'static str; 2],
    /// Width of the features.
    input: usize,
    /// Number of classes or attributes. The head has one more output, for patches that show none of them.
    kinds: usize,
}

/// How often a head was right about patches that show something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// The head's name, e.g. `patch_tower`.
    pub name: Cow<'static, str>,
    /// Patches about which it was right.
    pub right: usize,
    /// Patches that show something.
    pub of: usize,
}

impl Probe {
    pub fn new(
        name: &'static str,
        path: [&'static str; 2],
        input: usize,
        kinds: usize,
    ) -> Option<Self> {
        let probe = Self {
            name,
            path,
            input,
            kinds,
        };
        (kinds > 0).then_some(probe)
    }

    /// Adds a new head to the trained tensors.
    pub fn add_new(
        &self,
        parameters: &mut Parameters,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), TrainError> {
        let name = format!("aux.{}", self.path.join("."));
        let weight = normal(rng, (self.kinds + 1, self.input), 0.02)?;
        parameters.add(&format!("{name}.weight"), &weight)?;
        let bias = Tensor::zeros(self.kinds + 1, DType::F32, &Device::Cpu)?;
        parameters.add(&format!("{name}.bias"), &bias)
    }

    /// Adds the weighted mean of the patches' cross-entropies to the loss. Returns how often the head is right.
    ///
    /// # Shapes
    /// `features` `(patches, input)`; `labels` has one for each patch.
    pub fn add_term(
        &self,
        terms: &mut Terms,
        aux: &Weights,
        features: &Tensor,
        labels: &[u16],
        (weight, pass): (f64, Pass),
    ) -> Result<Probed, TrainError> {
        let head = self.path.iter().fold(aux.clone(), |w, part| w.pp(part));
        let head = Linear::load(&head, self.input, self.kinds + 1)?;
        let logits = head.forward(features)?;
        let (mut something, mut nothing) = (Rows::default(), Rows::default());
        for (row, label) in labels.iter().enumerate() {
            match *label {
                ClassMap::IGNORED => nothing.push(row, self.kinds),
                label if usize::from(label) < self.kinds => {
                    something.push(row, usize::from(label));
                }
                _ => nothing.push(row, self.kinds),
            }
        }
        let share = something.len() as f64 + NOTHING_WEIGHT * nothing.len() as f64;
        let factor = weight * pass.factor / (pass.totals.patches.max(1) as f64 * share.max(1e-9));
        for (rows, weight) in [(&something, 1.0), (&nothing, NOTHING_WEIGHT)] {
            if rows.len() > 0 {
                let loss = cross_entropy_sum(&rows.of(&logits)?, &rows.labels)?;
                terms.add(self.name, &loss, factor * weight)?;
            }
        }
        let mut right = 0;
        if something.len() > 0 {
            let said = something.of(&logits.detach())?.argmax(D::Minus1)?;
            let said = said.to_vec1::<u32>()?;
            right = said
                .iter()
                .zip(&something.labels)
                .filter(|(a, b)| a == b)
                .count();
        }
        Ok(Probed {
            name: self.name.into(),
            right,
            of: something.len(),
        })
    }
}

/// Some rows of the features, with a label for each.
#[derive(Default)]
struct Rows {
    rows: Vec<u32>,
    labels: Vec<u32>,
}

impl Rows {
    fn push(&mut self, row: usize, label: usize) {
        self.rows.push(row as u32);
        self.labels.push(label as u32);
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn of(&self, logits: &Tensor) -> candle_core::Result<Tensor> {
        let rows = Tensor::from_slice(&self.rows, self.rows.len(), logits.device())?;
        logits.index_select(&rows, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::objective::Counts;
    use std::collections::HashMap;

    /// Two patches show classes 0 and 1, two show nothing; the head is an identity, so the features are the logits.
    #[test]
    fn what_shows_nothing_counts_a_tenth_and_is_not_asked_about() {
        let probe = Probe::new("patch_tower", ["patch", "tower"], 3, 2).unwrap();
        let identity = Tensor::eye(3, DType::F32, &Device::Cpu).unwrap();
        let bias = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        let tensors = HashMap::from([
            ("aux.patch.tower.weight".to_owned(), identity),
            ("aux.patch.tower.bias".to_owned(), bias),
        ]);
        let aux = Weights::from_tensors(tensors, DType::F32, &Device::Cpu).pp("aux");
        let features = [
            [2f32, 0., 0.], // right
            [2., 0., 0.],   // wrong: it shows 1
            [0., 0., 2.],
            [0., 2., 0.],
        ];
        let features = Tensor::new(&features, &Device::Cpu).unwrap();
        let labels = [0, 1, ClassMap::IGNORED, ClassMap::IGNORED];
        let pass = Pass {
            totals: Counts {
                patches: 1,
                ..Counts::default()
            },
            factor: 1.0,
            learn: None,
        };
        let mut terms = Terms::new();
        let probed = probe
            .add_term(&mut terms, &aux, &features, &labels, (1.0, pass))
            .unwrap();
        assert_eq!((probed.right, probed.of), (1, 2));
        let all = (2f64.exp() + 2.0).ln();
        let (hit, miss) = (all - 2.0, all);
        let expected = (hit + miss + 0.1 * (hit + miss)) / 2.2;
        let loss = terms.losses["patch_tower"];
        assert!(
            (loss - expected).abs() < 1e-5 * expected,
            "{loss} {expected}"
        );
    }
}
