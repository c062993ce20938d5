//! Parity with the reference, through the public path: convert → load → segment.
//!
//! The data is `tests/golden`, or `LISA_GOLDEN_DIR`: any folder of the same shape, of any dimensions.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

#[path = "training/attention.rs"]
mod attention;
mod support;
#[path = "training/golden.rs"]
mod training;

use candle_core::{DType, Device, Tensor};
use lisa::engine::{AnswerOptions, Engine, EngineConfig, Frame, Request};
use lisa::image::{read_image, ClipFit, ClipPreprocessor, SamPreprocessor};
use lisa::model::{sam, Lisa};
use lisa::text::IMAGE_TOKEN_INDEX;
use lisa::weights::{BlockType, ModelDir, QuantizationChange};
use support::{binary, golden, golden_with, load, norm, relative_l2, Golden, MinIou, RelativeL2};

const FEATURES: RelativeL2 = RelativeL2(1e-4);
/// The tolerance of a tensor that is stored in half precision.
const SAM_EMBEDDING: RelativeL2 = RelativeL2(1e-3);
const MASK_LOGITS: RelativeL2 = RelativeL2(1e-3);
const MASKS: MinIou = MinIou(0.999);
/// JPEG decoders differ by a grey level.
const REASON_SEG_MASKS: MinIou = MinIou(0.995);
const REASON_SEG_METRIC: f64 = 0.005;

#[test]
fn segmenting_equals_the_reference() {
    for golden in golden() {
        let folder = tempfile::tempdir().unwrap();
        let model = golden.convert(folder.path());
        let mut config = EngineConfig::new(&model);
        config.dtype = "f32".parse().unwrap();
        config.device = "cpu".parse().unwrap();
        let engine = Engine::start(config).unwrap();
        let frame = Frame::new(golden.image());
        let tokenizer = ModelDir::open(&model).unwrap().tokenizer;

        let cases = golden.json["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        for (i, case) in cases.iter().enumerate() {
            let name = |what: &str| format!("case{i}.{what}");
            let (input_ids, output_ids) = (
                golden.ids(&name("input_ids")),
                golden.ids(&name("output_ids")),
            );
            let request = Request {
                instruction: case["instruction"].as_str().unwrap().to_owned(),
                frame: frame.clone(),
                conversation_id: None,
                options: AnswerOptions {
                    max_new_tokens: output_ids.len() - input_ids.len(),
                    trace: true,
                    ..AnswerOptions::default()
                },
            };
            let answer = engine.submit(request).unwrap().wait().unwrap();
            let trace = answer.trace.unwrap();
            let ids = |what: &str| trace[what].to_vec1::<i64>().unwrap();

            assert_eq!(ids("input_ids"), input_ids, "{}", name("input_ids"));
            assert_eq!(ids("output_ids"), output_ids, "{}", name("output_ids"));
            let text_ids: Vec<u32> = output_ids
                .iter()
                .filter(|id| **id >= 0)
                .map(|id| *id as u32)
                .collect();
            assert_eq!(
                tokenizer.decode_reference(&text_ids),
                case["text"].as_str().unwrap(),
                "{}",
                name("text")
            );

            FEATURES.assert(
                "clip_features",
                &trace["clip_features"],
                golden.tensor("clip_features"),
            );
            FEATURES.assert("projected", &trace["projected"], golden.tensor("projected"));
            SAM_EMBEDDING.assert(
                "sam_embedding",
                &trace["sam_embedding"],
                golden.tensor("sam_embedding"),
            );

            let reference = golden.tensor(&name("mask_logits"));
            let masks = case["n_masks"].as_u64().unwrap() as usize;
            assert_eq!(reference.dim(0).unwrap(), masks, "{}", name("n_masks"));
            assert_eq!(
                trace["mask_logits"].dims(),
                reference.dims(),
                "{}",
                name("mask_logits")
            );
            if masks > 0 {
                MASK_LOGITS.assert(&name("mask_logits"), &trace["mask_logits"], reference);
                MASKS.assert(
                    &name("masks"),
                    &binary(&trace["mask_logits"]),
                    &binary(reference),
                );
            }
            check_objects(&answer.objects, reference, &name("objects"));
        }
    }
}

/// What a planner gets is what the logits say: cropped masks, boxes and areas.
fn check_objects(objects: &[lisa::engine::ObjectMask], logits: &Tensor, what: &str) {
    let (count, height, width) = logits.dims3().unwrap();
    for index in 0..count {
        let expected = binary(&logits.get(index).unwrap());
        let mut ours = vec![false; height * width];
        if let Some(object) = objects.iter().find(|o| o.index == index) {
            for (x, y, pixel) in object.mask.enumerate_pixels() {
                ours[(y + object.roi.y) as usize * width + (x + object.roi.x) as usize] =
                    pixel.0[0] == 255;
            }
            assert_eq!(
                object.area,
                ours.iter().filter(|p| **p).count(),
                "{what}: area"
            );
            assert!(
                (0.0..=1.0).contains(&object.score),
                "{what}: score {}",
                object.score
            );
        }
        MASKS.assert(what, &ours, &expected);
    }
}

#[test]
fn preprocessing_equals_the_reference() {
    for golden in golden() {
        let folder = tempfile::tempdir().unwrap();
        let config = ModelDir::open(golden.convert(folder.path()))
            .unwrap()
            .config;
        let image = golden.image();
        let clip = clip_preprocessor(&config).preprocess(&image, ClipFit::Crop);
        FEATURES.assert(
            "clip_pixels",
            &to_tensor(clip),
            golden.tensor("clip_pixels"),
        );
        let sam = to_tensor(sam_preprocessor(&config).preprocess(&image).pixels);
        let side = config.sam.image_size;
        let every_8th: Vec<u32> = (0..side as u32).step_by(8).collect();
        let index = Tensor::from_slice(&every_8th, every_8th.len(), &Device::Cpu).unwrap();
        let sam = sam
            .index_select(&index, 1)
            .unwrap()
            .index_select(&index, 2)
            .unwrap();
        FEATURES.assert("sam_pixels", &sam, golden.tensor("sam_pixels"));
    }
}

#[test]
fn token_ids_equal_the_reference() {
    for golden in golden() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ModelDir::open(golden.convert(folder.path())).unwrap();
        assert_eq!(
            u64::from(dir.config.tokens.seg),
            golden.json["seg_token_id"].as_u64().unwrap()
        );
        let cases = golden.json["tokenizer"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let expected: Vec<i64> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(dir.tokenizer.encode_reference(text), expected, "{text:?}");
        }
        for (prompt, ids) in [
            ("train", golden.ids("train.input_ids")),
            (
                "turns",
                turns(&golden)["turns.input_ids"].to_vec1().unwrap(),
            ),
        ] {
            let text = golden.json[prompt]["prompt"].as_str().unwrap();
            let text = if text.contains("<image>") {
                text.to_owned()
            } else {
                panic!("{prompt} without an image")
            };
            let ours = dir.tokenizer.encode_reference(&text);
            // The training prompt is cut before its answer.
            assert_eq!(ours[..], ids[..ours.len()], "{prompt}");
        }
    }
}

fn turns(golden: &Golden) -> std::collections::HashMap<String, Tensor> {
    load(&golden.folder.join("turns.safetensors"))
}

#[test]
fn several_objects_over_two_turns_equal_the_reference() {
    for golden in golden() {
        let folder = tempfile::tempdir().unwrap();
        let teacher = Teacher::open(&golden.convert(folder.path()));
        let expected = turns(&golden);
        let ids = expected["turns.input_ids"].to_vec1::<i64>().unwrap();
        let logits = teacher.mask_logits(&ids, &golden.image());
        MASK_LOGITS.assert("turns.mask_logits", &logits, &expected["turns.mask_logits"]);
        MASKS.assert(
            "turns.masks",
            &binary(&logits),
            &binary(&expected["turns.mask_logits"]),
        );
    }
}

/// What the blocks of a quantized model cost: masks beside the reference's, for the same words.
///
/// The sample models have random weights: unlike a trained model's, their logits are near 0 over wide areas, where rounding decides. So
/// pixels count whose logit in the reference is farther from 0 than blocks may move it.
#[test]
fn quantized_masks_are_nearly_those_of_the_reference() {
    for golden in golden() {
        let expected = turns(&golden);
        let ids = expected["turns.input_ids"].to_vec1::<i64>().unwrap();
        let reference = &expected["turns.mask_logits"];
        for (language_model, encoders, error, least) in [
            (BlockType::Q8_0, Some(BlockType::Q8_0), 0.15, 0.98),
            (BlockType::Q4K, None, 0.05, 0.95),
            (BlockType::Q4K, Some(BlockType::Q8_0), 0.05, 0.95),
        ] {
            // 4 bits move the logits of `tiny`, whose random rows have 64 numbers, by half their size, and its masks tell nothing then.
            if language_model == BlockType::Q4K && golden.folder.ends_with("tiny") {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let change = QuantizationChange {
                language_model: Some(Some(language_model)),
                encoders: Some(encoders),
            };
            let teacher = Teacher::open(&golden.convert_quantized(folder.path(), change));
            let quantization = teacher.dir.config.quantization.unwrap();
            assert_eq!(quantization.language_model, Some(language_model));
            let ours = teacher.mask_logits(&ids, &golden.image());
            let moved = relative_l2(&ours, reference);
            println!("{quantization}: logits moved by {moved:.4} of their size");
            assert!(moved <= error, "{quantization}: {moved} is over {error}");
            let values = reference.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let size = norm(reference) / (values.len() as f64).sqrt();
            let sure: Vec<bool> = values
                .iter()
                .map(|logit| f64::from(logit.abs()) > error * size)
                .collect();
            let share = sure.iter().filter(|sure| **sure).count() as f64 / sure.len() as f64;
            assert!(share > 0.5, "{quantization}: {share} of the pixels count");
            let counted = |mask: Vec<bool>| -> Vec<bool> {
                let counted = mask.into_iter().zip(&sure).filter(|(_, sure)| **sure);
                counted.map(|(pixel, _)| pixel).collect()
            };
            println!("{quantization}: {share:.3} of the pixels count");
            MinIou(least).assert(
                &quantization.to_string(),
                &counted(binary(&ours)),
                &counted(binary(reference)),
            );
        }
    }
}

#[test]
fn reason_seg_masks_equal_the_reference() {
    for golden in golden() {
        let folder = tempfile::tempdir().unwrap();
        let model = golden.convert(folder.path());
        let tokenizer = ModelDir::open(&model).unwrap().tokenizer;
        let teacher = Teacher::open(&model);
        let expected = load(&golden.folder.join("reason_seg/expected.safetensors"));
        let reason_seg = &golden.json["reason_seg"];
        let (mut ious, mut intersections, mut unions) = (Vec::new(), 0.0, 0.0);
        for item in reason_seg["items"].as_array().unwrap() {
            let name = item["name"].as_str().unwrap();
            let ids = tokenizer.encode_reference(item["prompt"].as_str().unwrap());
            let image = read_image(
                golden
                    .folder
                    .join(format!("reason_seg/ReasonSeg/val/{name}.jpg")),
            )
            .unwrap();
            let ours = binary(&teacher.mask_logits(&ids, &image));
            let bytes = |what: &str| {
                expected[&format!("{name}.{what}")]
                    .flatten_all()
                    .unwrap()
                    .to_vec1::<u8>()
                    .unwrap()
            };
            let prediction: Vec<bool> = bytes("pred").iter().map(|p| *p > 0).collect();
            REASON_SEG_MASKS.assert(name, &ours, &prediction);

            let truth = bytes("gt");
            let counted = |f: fn(bool, bool) -> bool| {
                let pixels = ours.iter().zip(&truth).filter(|(_, t)| **t != 255);
                pixels.filter(|(p, t)| f(**p, **t == 1)).count() as f64
            };
            let (intersection, union) = (counted(|p, t| p && t), counted(|p, t| p || t));
            ious.push(if union == 0.0 {
                1.0
            } else {
                intersection / (union + 1e-5)
            });
            intersections += intersection;
            unions += union;
        }
        let close = |what: &str, ours: f64| {
            let reference = reason_seg[what].as_f64().unwrap();
            assert!(
                (ours - reference).abs() <= REASON_SEG_METRIC,
                "{what}: {ours} for {reference}"
            );
        };
        close("giou", ious.iter().sum::<f64>() / ious.len() as f64);
        close("ciou", intersections / unions);
    }
}

/// `lisa eval reason-seg --teacher-forced` on the reference's folder gives the reference's numbers.
#[test]
fn evaluating_reason_seg_equals_the_reference() {
    use lisa::eval::run::{evaluate, reason_seg_questions, TeacherForced};
    use lisa::eval::{Gallery, Protocol, Run, Shard};

    // Some golden data has the pictures without the polygons; where there are some, all have to be there.
    let has_polygons = |golden: &Golden| {
        let val = golden.folder.join("reason_seg/ReasonSeg/val");
        std::fs::read_dir(val).unwrap().any(|entry| {
            entry
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "json")
        })
    };
    let test = "evaluating_reason_seg_equals_the_reference";
    for golden in golden_with(test, "the polygons of ReasonSeg", has_polygons) {
        let reason_seg = &golden.json["reason_seg"];
        let items = reason_seg["items"].as_array().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::open(golden.convert(folder.path())).unwrap();
        let mut teacher = TeacherForced::load(&model, DType::F32, &Device::Cpu).unwrap();
        let questions =
            reason_seg_questions(&golden.folder, "val", usize::MAX, Shard::WHOLE).unwrap();
        let mut gallery = Gallery::new(0);
        let tally = evaluate(questions, &mut teacher, &mut gallery, |_, _| ()).unwrap();
        let report = tally.report(Run {
            model: "golden".to_owned(),
            protocol: Protocol::TeacherForced,
            dataset: "reason-seg".to_owned(),
            split: "val".to_owned(),
            seed: None,
            settings: Default::default(),
        });
        let (quality, _) = report.quality();
        assert_eq!(quality.count, items.len());
        for (what, ours) in [("giou", quality.giou), ("ciou", quality.ciou)] {
            let (ours, reference) = (ours.unwrap(), reason_seg[what].as_f64().unwrap());
            println!("{what}: {ours:.5}, reference {reference:.5}");
            assert!(
                (ours - reference).abs() <= REASON_SEG_METRIC,
                "{what}: {ours}"
            );
        }
    }
}

/// Told its answer, a model cannot refuse, leave `[SEG]` out, name the wrong thing or take long: none of it is scored.
#[test]
fn a_given_answer_earns_the_mask_s_scores_and_no_others() {
    use lisa::eval::run::{evaluate, world_questions, EvalQuestion, TeacherForced};
    use lisa::eval::{Gallery, Protocol, Run, Shard};
    use tableworld::Split;

    let golden = golden().swap_remove(0);
    let folder = tempfile::tempdir().unwrap();
    let model = ModelDir::open(golden.convert(folder.path())).unwrap();
    let mut teacher = TeacherForced::load(&model, DType::F32, &Device::Cpu).unwrap();
    let mut questions: Vec<EvalQuestion> =
        world_questions(Split::Test, 0..4, (160, 120), Shard::WHOLE)
            .map(Result::unwrap)
            .filter(|question| ["absent", "explanatory"].contains(&question.kind.as_str()))
            .collect();
    questions.sort_by(|a, b| a.kind.cmp(&b.kind));
    questions.dedup_by(|a, b| a.kind == b.kind);
    let kinds: Vec<&str> = questions.iter().map(|q| q.kind.as_str()).collect();
    assert_eq!(kinds, ["absent", "explanatory"]);
    assert!(questions[0].truth.is_none() && !questions[1].names.is_empty());

    let (mut asked, mut not_asked) = (Vec::new(), Vec::new());
    let mut gallery = Gallery::new(3);
    let questions = questions.into_iter().map(Ok);
    let tally = evaluate(
        questions,
        &mut teacher,
        &mut gallery,
        |question, answered| match answered {
            Some((reply, _)) => asked.push((question.kind.clone(), reply.emitted)),
            None => not_asked.push(question.kind.clone()),
        },
    )
    .unwrap();
    assert_eq!(asked, [("explanatory".to_owned(), None)]);
    assert_eq!(not_asked, ["absent"]);
    let report = tally.report(Run {
        model: "golden".to_owned(),
        protocol: Protocol::TeacherForced,
        dataset: "world".to_owned(),
        split: "test".to_owned(),
        seed: Some(0),
        settings: Default::default(),
    });
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    for name in [
        "seg_rate",
        "refusal_rate",
        "false_refusal_rate",
        "explanation_rate",
        "latency_ms",
    ] {
        assert!(json[name].is_null(), "{name}: {}", json[name]);
        assert!(
            json["not_measured"][name].is_string(),
            "{name} without a reason"
        );
    }
    assert!(json["giou"].is_f64() && json["kinds"]["absent"]["giou"].is_null());
    assert_eq!((&json["count"], &json["absent"]), (&2.into(), &1.into()));
}

/// The model, told what to say: the reference's way of validating.
struct Teacher {
    dir: ModelDir,
    lisa: Lisa,
}

impl Teacher {
    fn open(model: &std::path::Path) -> Self {
        let dir = ModelDir::open(model).unwrap();
        let lisa =
            Lisa::load(&dir.weights(DType::F32, &Device::Cpu).unwrap(), &dir.config).unwrap();
        Self { dir, lisa }
    }

    /// A mask for every `[SEG]` among the ids.
    fn mask_logits(&self, ids: &[i64], image: &image::RgbImage) -> Tensor {
        let config = &self.dir.config;
        let clip = to_tensor(clip_preprocessor(config).preprocess(image, ClipFit::Crop))
            .unsqueeze(0)
            .unwrap();
        let sam_input = sam_preprocessor(config).preprocess(image);
        let resized = sam_input.resized;
        let sam_pixels = to_tensor(sam_input.pixels).unsqueeze(0).unwrap();
        let go_on = || false;
        let (_, image_tokens) = self.lisa.image_tokens(&clip, &go_on).unwrap();
        let embedding = self
            .lisa
            .image_encoder
            .forward(&sam_pixels, &go_on)
            .unwrap();
        let (hidden, positions) = self
            .lisa
            .hidden_states(ids, IMAGE_TOKEN_INDEX, &image_tokens)
            .unwrap();
        let predicting: Vec<u32> = ids
            .iter()
            .zip(&positions)
            .filter(|(id, _)| **id == i64::from(config.tokens.seg))
            .map(|(_, position)| *position as u32 - 1)
            .collect();
        let index = Tensor::from_slice(&predicting, predicting.len(), &Device::Cpu).unwrap();
        let masks = self
            .lisa
            .masks(&embedding, &hidden.index_select(&index, 0).unwrap())
            .unwrap();
        let original = (image.height() as usize, image.width() as usize);
        sam::mask_logits_at(&masks.logits, config.sam.image_size, resized, original).unwrap()
    }
}

fn clip_preprocessor(config: &lisa::weights::LisaConfig) -> ClipPreprocessor {
    let clip = &config.clip_preprocess;
    ClipPreprocessor {
        size: clip.size,
        crop: clip.crop,
        mean: clip.mean,
        std: clip.std,
    }
}

fn sam_preprocessor(config: &lisa::weights::LisaConfig) -> SamPreprocessor {
    let sam = &config.sam_preprocess;
    SamPreprocessor {
        target: config.sam.image_size,
        mean: sam.mean,
        std: sam.std,
    }
}

fn to_tensor(array: ndarray::Array3<f32>) -> Tensor {
    let shape = array.dim();
    Tensor::from_vec(array.into_raw_vec_and_offset().0, shape, &Device::Cpu).unwrap()
}
