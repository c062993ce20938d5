//! Losses, gradients and updates against the reference's.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use lisa::data::{Conversation, Encoder, EndOfTurn, TruthMask, Turn};
use lisa::image::SamPreprocessor;
use lisa::text::LisaTokenizer;
use lisa::train::objective::{Example, Features, LossWeights, Losses, Objective, Pass, Reasoning};
use lisa::train::{
    AdamW, AdamWConfig, Gradients, GroupSettings, LoraSpec, PackedSequence, Parameters,
};
use lisa::weights::ModelDir;

use crate::support::{golden_with, load, norm, Golden, GradientTolerance};

const LOSS: f64 = 1e-4;
const GRADIENT: f64 = 1e-3;
const STEPS: f64 = 1e-3;

pub const WEIGHTS: LossWeights = LossWeights {
    ce: 1.0,
    bce: 2.0,
    dice: 0.5,
    patch: 0.0,
    iou: 0.0,
    align: 0.0,
    ground: 0.0,
    attend: 0.0,
};

/// The reference's one training sample, and the model it is run through.
pub struct Case {
    golden: Golden,
    model: ModelDir,
    pub example: Example,
    _folder: tempfile::TempDir,
}

impl Case {
    pub fn new(golden: Golden) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::open(golden.convert(folder.path())).unwrap();
        let config = &model.config;
        let train = &golden.json["train"];
        let prompt = train["prompt"].as_str().unwrap();
        let words = prompt.split("<im_end>").nth(1).unwrap();
        let (question, answer) = words.split_once("ASSISTANT:").unwrap();
        let image = golden.image();
        let (width, height) = image.dimensions();
        let corners: Vec<u32> = train["gt_box"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_u64().unwrap() as u32)
            .collect();
        // y0, y1, x0, x1
        let inside = |x: u32, y: u32| {
            (corners[0]..corners[1]).contains(&y) && (corners[2]..corners[3]).contains(&x)
        };
        let pixels = (0..height)
            .flat_map(|y| (0..width).map(move |x| u8::from(inside(x, y))))
            .collect();
        let conversation = Conversation {
            turns: vec![Turn::new(
                question.trim(),
                answer.trim().trim_end_matches("</s>"),
            )],
            masks: vec![TruthMask {
                width,
                height,
                pixels,
            }],
            phrases: vec![String::new()],
        };
        let tokenizer = LisaTokenizer::from_file(&model.path().join("tokenizer.json")).unwrap();
        let mut encoder = Encoder::new(Arc::new(tokenizer), config, 512).unwrap();
        // The reference's tokenizer was made in memory and does not know `</s>` as markup.
        encoder.end_of_turn = EndOfTurn::Text;
        let encoded = encoder.encode(&conversation).unwrap();
        assert_eq!(
            encoded.ids,
            golden.ids("train.input_ids"),
            "train.input_ids"
        );
        assert_eq!(encoded.labels, golden.ids("train.labels"), "train.labels");
        assert_eq!(encoded.masks, 1);

        let sam = SamPreprocessor::new(config.sam.image_size).preprocess(&image);
        let clip = config.clip_preprocess.preprocessor();
        let clip = clip.preprocess(&image, config.clip_preprocess.fit);
        let tensor = |pixels: ndarray::Array3<f32>| {
            let shape = pixels.dim();
            Tensor::from_vec(pixels.into_raw_vec_and_offset().0, shape, &Device::Cpu).unwrap()
        };
        let example = Example {
            image: golden.folder.join("image.png"),
            resized: sam.resized,
            picture: None,
            original: sam.original,
            sam_pixels: tensor(sam.pixels),
            clip_pixels: tensor(clip),
            sequence: PackedSequence::new(
                &[encoded],
                config.clip.num_features(),
                config.tokens.seg,
            ),
            masks: conversation.masks,
            phrases: vec![Vec::new()],
            named: false,
            patches: None,
            attributes: None,
            guided: Vec::new(),
        };
        Self {
            golden,
            model,
            example,
            _folder: folder,
        }
    }

    fn objective(&self) -> Reasoning {
        self.objective_with(WEIGHTS)
    }

    pub fn objective_with(&self, weights: LossWeights) -> Reasoning {
        Reasoning::new(&self.model.config, weights, Features::in_memory(1))
    }

    pub fn pass(&self, objective: &Reasoning, learn: Option<u64>) -> Pass {
        Pass {
            totals: objective.counts(&self.example),
            factor: 1.0,
            learn,
        }
    }

    /// The reference's trained tensors, with its adapters.
    pub fn parameters(&self) -> Parameters {
        let lora = &self.golden.json["lora"];
        let mut parameters = Parameters::open(&self.model, DType::F32, &Device::Cpu).unwrap();
        let patterns = ["embed_tokens", "lm_head", "mask_decoder", "text_hidden_fcs"];
        let patterns = patterns.map(str::to_owned);
        parameters
            .train(&patterns, &["iou_prediction_head"])
            .unwrap();
        let spec = LoraSpec {
            rank: lora["r"].as_u64().unwrap() as usize,
            alpha: lora["alpha"].as_f64().unwrap(),
            dropout: 0.0,
        };
        let targets = ["q_proj".to_owned(), "v_proj".to_owned()];
        parameters.add_lora(&targets, spec, 0).unwrap();
        for (name, tensor) in load(&self.golden.folder.join("training.safetensors")) {
            if let Some(name) = name.strip_prefix("lora.") {
                parameters.set(name, &tensor).unwrap();
            }
        }
        // As a run does, so that the encoders compute by the kernels where there are some.
        parameters.load_frozen_encoders(&self.model).unwrap();
        parameters
    }
}

pub fn close(what: &str, ours: f64, reference: f64, tolerance: f64) {
    let error = (ours - reference).abs() / reference.abs().max(1e-12);
    println!("{what}: {ours:.6}, reference {reference:.6}, relative {error:.1e}");
    assert!(error <= tolerance, "{what}: {ours} against {reference}");
}

fn assert_losses(what: &str, ours: &Losses, reference: &serde_json::Value, tolerance: f64) {
    for (key, name) in [
        ("ce", "ce_loss"),
        ("bce", "mask_bce_loss"),
        ("dice", "mask_dice_loss"),
    ] {
        close(
            &format!("{what} {name}"),
            ours[key],
            reference[name].as_f64().unwrap(),
            tolerance,
        );
    }
    let sum = ours.values().sum();
    close(
        &format!("{what} loss"),
        sum,
        reference["loss"].as_f64().unwrap(),
        tolerance,
    );
}

#[test]
fn losses_equal_the_reference() {
    let has_losses = |golden: &Golden| golden.json["train"].get("loss").is_some();
    let test = "training::losses_equal_the_reference";
    for golden in golden_with(test, "losses", has_losses) {
        let case = Case::new(golden);
        let objective = case.objective();
        let frozen = Parameters::open(&case.model, DType::F32, &Device::Cpu).unwrap();
        let outcome = objective
            .run(&frozen, &case.example, case.pass(&objective, None))
            .unwrap();
        assert_losses("train", &outcome.losses, &case.golden.json["train"], LOSS);
    }
}

#[test]
fn gradients_and_updates_equal_the_reference() {
    let has_gradients = |golden: &Golden| golden.json["lora"].get("loss").is_some();
    let test = "training::gradients_and_updates_equal_the_reference";
    for golden in golden_with(test, "gradients", has_gradients) {
        let case = Case::new(golden);
        let parameters = case.parameters();
        let lora = &case.golden.json["lora"];
        let mut objective = case.objective();
        let outcome = objective
            .run(&parameters, &case.example, case.pass(&objective, Some(1)))
            .unwrap();
        assert_losses("lora", &outcome.losses, lora, LOSS);
        let gradients = &outcome.gradients;
        assert!(!gradients.is_empty(), "nothing has a gradient");
        assert_gradients(&case, gradients, lora);
        assert_same_trained_names(&parameters, gradients);

        // The same gradients when the layers' activations are computed again on the way back.
        objective.checkpoint_activations = true;
        let again = objective
            .run(&parameters, &case.example, case.pass(&objective, Some(1)))
            .unwrap();
        assert_same_trained_names(&parameters, &again.gradients);
        let same = GradientTolerance {
            relative: GRADIENT,
            total: gradients.norm().unwrap(),
        };
        for name in gradients.names() {
            let (a, b) = (again.gradients.get(name), gradients.get(name));
            same.assert(&format!("checkpointed {name}"), a.unwrap(), b.unwrap());
        }
        assert_updates(&case, parameters, &objective, &lora["adamw"]);
    }
}

/// Every trained tensor has a gradient, and nothing else has one.
fn assert_same_trained_names(parameters: &Parameters, gradients: &Gradients) {
    let trained: Vec<&str> = parameters.trained().keys().map(String::as_str).collect();
    let found: Vec<&str> = gradients.names().collect();
    assert_eq!(trained, found);
}

fn assert_gradients(case: &Case, gradients: &Gradients, lora: &serde_json::Value) {
    let total = lora["grad_total_l2"].as_f64().unwrap();
    let tolerance = GradientTolerance {
        relative: GRADIENT,
        total,
    };
    tolerance.assert_norm("grad_total_l2", gradients.norm().unwrap(), total);
    let expected: BTreeMap<String, f64> = serde_json::from_value(lora["grad_l2"].clone()).unwrap();
    assert!(!expected.is_empty(), "the reference has no gradients");
    for (name, expected) in expected {
        let ours = gradients.get(&name).map_or(0.0, norm);
        tolerance.assert_norm(&name, ours, expected);
    }
    let mut compared = 0;
    for (name, expected) in load(&case.golden.folder.join("training.safetensors")) {
        let Some(name) = name.strip_prefix("grad.") else {
            continue;
        };
        match gradients.get(name) {
            Some(ours) => tolerance.assert(name, ours, &expected),
            None => tolerance.assert_norm(name, 0.0, norm(&expected)),
        }
        compared += 1;
    }
    assert!(compared > 0, "the reference has no gradient, whole");
}

fn assert_updates(
    case: &Case,
    parameters: Parameters,
    objective: &Reasoning,
    reference: &serde_json::Value,
) {
    let number = |name: &str| reference[name].as_f64().unwrap();
    let config = AdamWConfig {
        beta1: reference["betas"][0].as_f64().unwrap(),
        beta2: reference["betas"][1].as_f64().unwrap(),
        eps: number("eps"),
    };
    let group = |_: &str| GroupSettings {
        lr_scale: 1.0,
        weight_decay: number("weight_decay"),
    };
    let mut optimizer = AdamW::new(&parameters, config, group).unwrap();
    for (i, step) in reference["steps"].as_array().unwrap().iter().enumerate() {
        let mut outcome = objective
            .run(
                &parameters,
                &case.example,
                case.pass(objective, Some(i as u64)),
            )
            .unwrap();
        assert_losses(&format!("step {i}"), &outcome.losses, step, STEPS);
        outcome.gradients.clip(number("clip_norm")).unwrap();
        optimizer
            .step(&parameters, &outcome.gradients, number("lr"))
            .unwrap();
    }
}
