//! Attention guidance against PyTorch, and through the whole objective.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use lisa::model::Lisa;
use lisa::train::objective::{attention_losses, GuidedAnswer, ImageLosses, LossWeights, Objective};
use lisa::train::{Gradients, Parameters};
use lisa::weights::{GuidedHead, ModelDir};

use crate::support::{golden, load, norm, own_golden, relative_l2, RelativeL2};
use crate::training::{close, Case, WEIGHTS};

/// Tolerances of the reference's forward pass, and of its gradients.
const LOSS: f64 = 1e-4;
const GRADIENT: f64 = 1e-3;

const IMAGE: i64 = -200;

#[derive(serde::Deserialize)]
struct Expected {
    layer: usize,
    head: usize,
    rows: Vec<u32>,
    columns: Vec<Vec<u32>>,
    ids: Vec<i64>,
    loss: f64,
    mass: Vec<f64>,
    gradients_of: Vec<String>,
}

/// `attention.json` and `attention.safetensors` say what PyTorch gave; README.md beside them says how.
#[test]
fn guided_attention_equals_pytorch() {
    let here = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/training"));
    let json = std::fs::read(here.join("attention.json")).unwrap();
    let expected: BTreeMap<String, Expected> = serde_json::from_slice(&json).unwrap();
    let tensors = load(&here.join("attention.safetensors"));
    let mut compared = 0;
    for golden in own_golden() {
        let name = golden.folder.file_name().unwrap().to_str().unwrap();
        let Some(expected) = expected.get(name) else {
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::open(golden.convert(folder.path())).unwrap();
        let mut parameters = Parameters::open(&model, DType::F32, &Device::Cpu).unwrap();
        let patterns = ["model.layers", "embed_tokens"].map(str::to_owned);
        parameters.train(&patterns, &[]).unwrap();
        let lisa = Lisa::load(&parameters.weights(Some(0)), &model.config).unwrap();
        let llama = &lisa.llama;

        let at = expected.ids.iter().position(|id| *id == IMAGE).unwrap();
        let embed = |ids: &[i64]| {
            let ids: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
            llama.embed(&ids, &Device::Cpu).unwrap()
        };
        let (before, after) = (embed(&expected.ids[..at]), embed(&expected.ids[at + 1..]));
        let parts = [&before, golden.tensor("projected"), &after];
        let mut x = Tensor::cat(&parts, 0).unwrap().unsqueeze(0).unwrap();
        let rows = x.dim(1).unwrap() as u32;
        let mask: Vec<f32> = (0..rows * rows)
            .map(|i| match i % rows > i / rows {
                true => f32::NEG_INFINITY,
                false => 0.0,
            })
            .collect();
        let mask = Tensor::from_vec(mask, (rows as usize, rows as usize), &Device::Cpu).unwrap();
        let positions: Vec<u32> = (0..rows).collect();
        let sequence = llama.sequence(&positions, mask).unwrap();
        let head = GuidedHead {
            layer: expected.layer,
            head: expected.head,
        };
        let query = llama.attention_query(head, &expected.rows).unwrap();
        let mut scores = None;
        for layer in 0..llama.num_layers() {
            let found;
            (x, found) = llama
                .layer_with_scores(layer, &x, &sequence, Some(&query))
                .unwrap();
            scores = scores.or(found);
        }
        let columns: Vec<&[u32]> = expected.columns.iter().map(|c| &c[..]).collect();
        let visible = sequence.visible(&query).unwrap();
        let losses = attention_losses(&scores.unwrap(), &visible, &columns).unwrap();
        for (loss, mass) in losses.to_vec1::<f32>().unwrap().iter().zip(&expected.mass) {
            close("mass", f64::from((-loss).exp()), *mass, LOSS);
        }
        let loss = losses.mean(0).unwrap();
        close(
            "loss",
            f64::from(loss.to_scalar::<f32>().unwrap()),
            expected.loss,
            LOSS,
        );

        let mut store = loss.backward().unwrap();
        let gradients = Gradients::take(&mut store, parameters.trained()).unwrap();
        let found: Vec<&str> = gradients.names().collect();
        assert_eq!(found, expected.gradients_of);
        for (tensor, reference) in &tensors {
            if let Some(tensor) = tensor.strip_prefix(&format!("{name}.")) {
                RelativeL2(GRADIENT).assert(tensor, gradients.get(tensor).unwrap(), reference);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, tensors.len());
}

/// The reference's sample, its answer guided to four image tokens, through the objective with adapters.
struct Guidance {
    case: Case,
    parameters: Parameters,
}

const HEAD: GuidedHead = GuidedHead { layer: 1, head: 2 };

impl Guidance {
    fn new() -> Self {
        let golden = golden()
            .into_iter()
            .find(|golden| golden.json.get("lora").is_some())
            .unwrap();
        let mut case = Case::new(golden);
        let sequence = &case.example.sequence;
        let (answer, image) = (&sequence.answers[0], sequence.image_row().unwrap());
        case.example.guided = vec![GuidedAnswer {
            row: answer.row,
            columns: [17, 18, 33, 34].map(|i| image + i).to_vec(),
            words: vec![answer.word],
            absent: false,
        }];
        Self {
            parameters: case.parameters(),
            case,
        }
    }

    fn run(&self, weights: LossWeights, head: Option<GuidedHead>, recompute: bool) -> ImageLosses {
        let mut objective = self.case.objective_with(weights);
        objective.guided_head = head;
        objective.checkpoint_activations = recompute;
        let pass = self.case.pass(&objective, Some(1));
        objective
            .run(&self.parameters, &self.case.example, pass)
            .unwrap()
    }
}

fn bits(gradients: &Gradients) -> Vec<(String, Vec<u32>)> {
    let values = |name| gradients.get(name).unwrap().flatten_all().unwrap();
    gradients
        .names()
        .map(|name| {
            let bits = values(name).to_vec1::<f32>().unwrap();
            (
                name.to_owned(),
                bits.into_iter().map(f32::to_bits).collect(),
            )
        })
        .collect()
}

#[test]
fn without_its_weight_nothing_changes_to_the_bit() {
    let guidance = Guidance::new();
    for recompute in [false, true] {
        let plain = guidance.run(WEIGHTS, None, recompute);
        let unweighted = guidance.run(WEIGHTS, Some(HEAD), recompute);
        assert_eq!(plain.losses, unweighted.losses);
        assert_eq!(bits(&plain.gradients), bits(&unweighted.gradients));
        assert!(unweighted.guidance.is_empty());
    }
}

#[test]
fn guidance_adds_its_own_loss_and_gradient_also_with_recomputed_layers() {
    let guidance = Guidance::new();
    let attend = LossWeights {
        attend: 3.0,
        ..WEIGHTS
    };
    let alone = LossWeights {
        ce: 0.0,
        bce: 0.0,
        dice: 0.0,
        ..attend
    };
    let mut owns = Vec::new();
    for recompute in [false, true] {
        let plain = guidance.run(WEIGHTS, None, recompute);
        let both = guidance.run(attend, Some(HEAD), recompute);
        let only = guidance.run(alone, Some(HEAD), recompute);
        let [looked] = both.guidance[..] else {
            panic!("one guided answer, {} looks", both.guidance.len());
        };
        assert!(!looked.absent && looked.mass > 0.0 && looked.mass < 1.0);
        close(
            "attend",
            both.losses["attend"],
            -3.0 * looked.mass.ln(),
            1e-5,
        );
        assert_eq!(both.losses["ce"], plain.losses["ce"]);
        // What it adds to the gradients is its own gradient.
        let mut reached = 0;
        for name in plain.gradients.names() {
            let (with, without) = (
                both.gradients.get(name).unwrap(),
                plain.gradients.get(name).unwrap(),
            );
            let added = (with - without).unwrap();
            let Some(own) = only.gradients.get(name).filter(|own| norm(own) > 1e-12) else {
                assert!(relative_l2(with, without) < GRADIENT / 10.0, "{name}");
                continue;
            };
            let error = norm(&(added - own).unwrap());
            assert!(
                error <= GRADIENT / 10.0 * (norm(own) + norm(without)),
                "{name}: {error:.2e}"
            );
            reached += usize::from(norm(own) > 1e-4);
        }
        // The adapter of the guided layer's queries, and what lies below.
        assert!(reached >= 3, "{reached} tensors reached");
        let lora = "model.layers.1.self_attn.q_proj.lora_B.weight";
        assert!(norm(only.gradients.get(lora).unwrap()) > 1e-4);
        owns.push(only.gradients);
    }
    for name in owns[0].names() {
        let (held, recomputed) = (owns[0].get(name).unwrap(), owns[1].get(name).unwrap());
        let error = norm(&(held - recomputed).unwrap());
        assert!(
            error <= GRADIENT / 10.0 * norm(held) + 1e-9,
            "{name}: {error:.2e} from the gradient without checkpoints"
        );
    }
}
