//! Teaches the two image encoders to see: to make masks from phrases without a language model, and to tell what patches show.
//!
//! A [`PhraseEncoder`] stands in for the language model, and linear heads tell the class and the attribute of every cell from
//! SAM's embedding and from the tower's features. Their tensors are all
//! [`AUXILIARY`](crate::train::parameters::AUXILIARY) and belong to no model directory. Only the encoders that are trained are
//! run: SAM is by far the larger one, and a tower that is trained alone does not pay for it.

use candle_core::Tensor;

use super::phrase::PhraseEncoder;
use super::probe::{Probe, Probed};
use super::reasoning::{add_iou_term, add_mask_terms};
use super::{
    overlaps, Counts, Example, Features, ImageLosses, LossWeights, Objective, Pass, Terms,
};
use crate::model::sam;
use crate::train::loss::MaskTargets;
use crate::train::{Gradients, Parameters, TrainError};
use crate::weights::{LisaConfig, Weights, SAM_PREFIX, VISION_TOWER_PREFIX};

/// Sizes of the parts that only this objective needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisionDims {
    /// Size of the vocabulary.
    pub vocab: usize,
    /// Number of classes of the dataset with class maps; 0 without such a dataset.
    pub classes: usize,
    /// Number of attributes of the dataset with attribute maps; 0 without such a dataset.
    pub attributes: usize,
}

/// An encoder's heads for classes and for attributes, each where there is a truth to learn from.
type Probes = [Option<Probe>; 2];

/// The objective that teaches the encoders: masks from phrases, and classes and attributes of patches.
pub struct Vision {
    config: LisaConfig,
    weights: LossWeights,
    dims: VisionDims,
    features: Features,
    /// Whether any tensor of SAM is trained; if not, SAM is not run.
    sam: bool,
    /// Whether any tensor of the vision tower is trained; if not, the tower is not run.
    tower: bool,
}

impl Vision {
    /// Makes the objective and adds the tensors of its own parts to the trained ones. What an encoder computes that is frozen beside
    /// a trained mask decoder is kept in `features`.
    ///
    /// # Errors
    /// There is not enough memory on the device.
    pub fn new(
        config: &LisaConfig,
        weights: LossWeights,
        dims: VisionDims,
        features: Features,
        parameters: &mut Parameters,
        seed: u64,
    ) -> Result<Self, TrainError> {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let dim = config.sam.prompt_dim;
        let vision = Self {
            config: config.clone(),
            weights,
            dims,
            features,
            sam: parameters.trains(SAM_PREFIX),
            tower: parameters.trains(VISION_TOWER_PREFIX),
        };
        if vision.sam {
            PhraseEncoder::add_new(parameters, dims.vocab, dim, &mut rng)?;
        }
        let probes = vision.sam_probes().into_iter().chain(vision.tower_probes());
        for probe in probes.flatten() {
            probe.add_new(parameters, &mut rng)?;
        }
        Ok(vision)
    }

    /// The heads of an encoder, for classes and for attributes.
    fn probes(&self, name: [&'static str; 2], path: &'static str, input: usize) -> Probes {
        [
            Probe::new(name[0], ["patch", path], input, self.dims.classes),
            Probe::new(name[1], ["attribute", path], input, self.dims.attributes),
        ]
    }

    fn sam_probes(&self) -> Probes {
        if !self.sam {
            return [None, None];
        }
        let names = ["patch_sam", "attribute_sam"];
        self.probes(names, "sam", self.config.sam.prompt_dim)
    }

    fn tower_probes(&self) -> Probes {
        if !self.tower {
            return [None, None];
        }
        let names = ["patch_tower", "attribute_tower"];
        self.probes(names, "tower", self.config.clip.hidden_size)
    }

    /// Adds the losses of the heads on the encoders' features. Returns how often each was right.
    fn add_probe_terms(
        &self,
        terms: &mut Terms,
        aux: &Weights,
        (sam, tower): (Option<&Tensor>, Option<&Tensor>),
        example: &Example,
        pass: Pass,
    ) -> Result<Vec<Probed>, TrainError> {
        let mut probed = Vec::new();
        let truths = [&example.patches, &example.attributes];
        for (features, probes, labels) in [
            (
                sam,
                self.sam_probes(),
                truths.map(|t| t.as_ref().map(|t| &t.sam)),
            ),
            (
                tower,
                self.tower_probes(),
                truths.map(|t| t.as_ref().map(|t| &t.tower)),
            ),
        ] {
            for (probe, labels) in probes.into_iter().zip(labels) {
                if let (Some(features), Some(probe), Some(labels)) = (features, probe, labels) {
                    let weight = (self.weights.patch, pass);
                    probed.push(probe.add_term(terms, aux, features, labels, weight)?);
                }
            }
        }
        Ok(probed)
    }
}

impl Objective for Vision {
    fn counts(&self, example: &Example) -> Counts {
        Counts {
            tokens: 0,
            masks: if self.sam { example.masks.len() } else { 0 },
            // A picture with labelled patches counts as one, however many of its patches show something.
            patches: usize::from(example.patches.is_some()),
            guided: 0,
        }
    }

    fn run(
        &self,
        parameters: &Parameters,
        example: &Example,
        pass: Pass,
    ) -> Result<ImageLosses, TrainError> {
        let weights = parameters.weights(pass.learn);
        let aux = weights.pp("aux");
        let lisa = parameters.network(&self.config, pass.learn)?;
        let embedding = match self.sam {
            true => Some(self.features.image_embedding(&lisa, parameters, example)?),
            false => None,
        };
        let mut terms = Terms::new();
        let mut probed = Vec::new();
        if example.patches.is_some() {
            let tower = match self.tower {
                true => {
                    let features = self.features.vision_features(&lisa, parameters, example)?;
                    Some(features.squeeze(0)?)
                }
                false => None,
            };
            // (1, dim, grid, grid) → (cells, dim)
            let cells = match &embedding {
                Some(embedding) => Some(embedding.squeeze(0)?.flatten_from(1)?.t()?.contiguous()?),
                None => None,
            };
            let features = (cells.as_ref(), tower.as_ref());
            probed = self.add_probe_terms(&mut terms, &aux, features, example, pass)?;
        }
        let mut found = Vec::new();
        if let (Some(embedding), false) = (&embedding, example.masks.is_empty()) {
            let dim = self.config.sam.prompt_dim;
            let phrases = PhraseEncoder::load(&aux.pp("phrase"), self.dims.vocab, dim)?;
            let prompts = phrases.forward(&example.phrases)?;
            let decoded = lisa
                .mask_decoder
                .forward(embedding, &lisa.prompt_encoder, &prompts)?;
            let logits = sam::mask_logits_at(
                &decoded.logits,
                self.config.sam.image_size,
                example.resized,
                example.original,
            )?;
            found = overlaps(&logits, &example.masks)?;
            let targets = MaskTargets::new(&example.masks, logits.device())?;
            add_mask_terms(&mut terms, &self.weights, &logits, &targets, pass)?;
            add_iou_term(&mut terms, &self.weights, &decoded.iou, &found, pass)?;
        }
        let gradients = match (pass.learn, &terms.sum) {
            (Some(_), Some(sum)) => Gradients::take(&mut sum.backward()?, parameters.trained())?,
            _ => Gradients::default(),
        };
        Ok(ImageLosses {
            losses: terms.losses,
            gradients,
            overlaps: found,
            probed,
            guidance: Vec::new(),
        })
    }
}
