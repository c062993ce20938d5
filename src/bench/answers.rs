//! Answers, measured stage by stage as the node gives them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use serde::Serialize;

use super::{peak_rss, BenchError, Stage, Work};
use crate::engine::{
    Answer, AnswerOptions, CancelToken, Frame, LisaReasoner, Reasoner, Request, RequestContext,
    RequestId,
};

/// What is asked about every new frame.
pub(super) const FIRST_QUESTION: &str =
    "Please segment the cup beside the plate in this image and explain why.";
/// What is asked about the same frame afterwards.
pub(super) const SECOND_QUESTION: &str =
    "Where is the plate in this image? Please output segmentation mask.";
/// Size of the frames, that of a common camera.
const FRAME: (u32, u32) = (640, 480);

/// How answers are measured.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// New frames that are measured, each with two questions; another one, before, warms up.
    pub cycles: usize,
    /// Tokens of each answer, one of which is a `[SEG]`; 2 or more.
    pub tokens: usize,
    /// Whether the language model is worth reporting; see [`Shape::language`](super::Shape::language).
    pub language: bool,
}

/// How long answers took, and the memory for them.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerTimes {
    /// `preprocess`, `clip`, `prefill`, `token`, `sam`, `decode`, `postprocess`, `answer` and `second_question`, as far as they
    /// were measured. `answer` is all of a first answer; `second_question` all of an answer about a frame that is known already.
    pub stages: Vec<Stage>,
    /// Positions of the first prompt, those of the image included.
    pub prompt: usize,
    /// Positions of them that are the image's.
    pub image: usize,
    /// Positions of the second prompt that were computed; the others were known.
    pub second_prompt: usize,
    /// Tokens of each answer.
    pub tokens: usize,
    /// The most memory that the process has held up to the end of the last answer, in bytes.
    pub peak_rss: Option<u64>,
}

/// The stages of a report, in its order.
const STAGES: [&str; 9] = [
    "preprocess",
    "clip",
    "prefill",
    "token",
    "sam",
    "decode",
    "postprocess",
    "answer",
    "second_question",
];
/// Those that the language model has no part in.
const ENCODERS: [&str; 4] = ["clip", "sam", "decode", "postprocess"];

impl Answers {
    /// Asks, `cycles` times, two questions about a frame that is new. Nothing is kept from one frame to the next, so that every
    /// prompt is read whole.
    ///
    /// # Errors
    /// The request that failed.
    pub fn measure(&self, reasoner: &mut LisaReasoner) -> Result<AnswerTimes, BenchError> {
        reasoner.dictate(self.words(reasoner));
        reasoner.settle_stages(true);
        let mut times: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
        let (mut prompt, mut second_prompt) = (0, 0);
        for cycle in 0..=self.cycles {
            reasoner.clear_caches();
            let frame = Frame::new(picture(cycle as u32));
            let computed = |reasoner: &LisaReasoner| reasoner.caches().prompt.misses as usize;
            let before = computed(reasoner);
            let (first, whole) = self.ask(reasoner, FIRST_QUESTION, &frame)?;
            let between = computed(reasoner);
            let (_, second) = self.ask(reasoner, SECOND_QUESTION, &frame)?;
            (prompt, second_prompt) = (between - before, computed(reasoner) - between);
            if cycle == 0 {
                continue;
            }
            for (stage, time) in first.timings.stages() {
                times.entry(stage.name()).or_default().push(time);
            }
            // The last token is not given to the model any more, so it takes less than the others.
            let tokens = &first.timings.tokens;
            let steps = &tokens[..tokens.len().saturating_sub(1)];
            times.entry("token").or_default().extend(steps);
            times.entry("answer").or_default().push(whole);
            times.entry("second_question").or_default().push(second);
        }
        reasoner.dictate(Vec::new());
        reasoner.settle_stages(false);
        let (config, dtype) = (reasoner.config(), &reasoner.info().dtype);
        let work = |stage: &str| match stage {
            "clip" => Work::clip(config),
            "prefill" => Work::prefill(&config.llama, prompt, 0),
            "token" => match config.quantization.and_then(|q| q.language_model) {
                Some(blocks) => Work::token_in_blocks(&config.llama, blocks),
                None => Work::token(&config.llama, if dtype == "f32" { 4 } else { 2 }),
            },
            "sam" => Work::sam(&config.sam),
            _ => Work::default(),
        };
        let wanted = |stage: &&str| self.language || ENCODERS.contains(stage);
        let stages = STAGES.into_iter().filter(wanted).filter_map(|stage| {
            let times = times.get(stage).map_or(&[][..], Vec::as_slice);
            Stage::new(stage, times, work(stage))
        });
        Ok(AnswerTimes {
            stages: stages.collect(),
            prompt,
            image: config.clip.num_features(),
            second_prompt,
            tokens: self.tokens,
            peak_rss: peak_rss(),
        })
    }

    /// What an answer consists of: two words, `[SEG]`, and words up to the number of tokens.
    fn words(&self, reasoner: &LisaReasoner) -> Vec<u32> {
        let tokenizer = reasoner.tokenizer();
        let words = tokenizer.encode_text(FIRST_QUESTION);
        let mut tokens: Vec<u32> = words.into_iter().cycle().take(self.tokens).collect();
        let place = 2.min(self.tokens.saturating_sub(1));
        if let Some(token) = tokens.get_mut(place) {
            *token = reasoner.config().tokens.seg;
        }
        tokens
    }

    fn ask(
        &self,
        reasoner: &mut LisaReasoner,
        instruction: &str,
        frame: &Frame,
    ) -> Result<(Answer, Duration), BenchError> {
        let request = Request {
            instruction: instruction.to_owned(),
            frame: frame.clone(),
            conversation_id: None,
            options: AnswerOptions {
                max_new_tokens: self.tokens,
                ..AnswerOptions::default()
            },
        };
        let (cancel, mut ignore) = (CancelToken::new(), |_| {});
        let started = Instant::now();
        let mut context = RequestContext::new(RequestId(0), &cancel, started, &mut ignore);
        let answer = reasoner.answer(&request, &mut context)?;
        Ok((answer, started.elapsed()))
    }
}

/// A picture that has structure at every scale and is another one for each `number`.
fn picture(number: u32) -> RgbImage {
    let (width, height) = FRAME;
    RgbImage::from_fn(width, height, |x, y| {
        let wave =
            |period: u32, shift: u32| ((x / period + shift) ^ (y / period)).wrapping_mul(97) as u8;
        Rgb([wave(1, number), wave(7, number), wave(31, number)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Shape;
    use crate::engine::EngineConfig;
    use crate::weights::QuantizationChange;

    #[test]
    fn every_stage_is_measured_and_nothing_is_kept_from_frame_to_frame() {
        let shape: Shape = "lisa-mini".parse().unwrap();
        let mut reasoner = shape
            .reasoner(
                &EngineConfig::new(shape.name),
                QuantizationChange::default(),
            )
            .unwrap();
        let answers = Answers {
            cycles: 2,
            tokens: 4,
            language: true,
        };
        let times = answers.measure(&mut reasoner).unwrap();
        let names: Vec<&str> = times.stages.iter().map(|stage| stage.stage).collect();
        assert_eq!(names, STAGES);
        for stage in &times.stages {
            // All tokens of an answer but the last are measured one by one.
            let each = if stage.stage == "token" { 3 } else { 1 };
            assert_eq!(stage.seconds.count, 2 * each, "{}", stage.stage);
            assert!(stage.seconds.min > 0.0, "{}", stage.stage);
        }
        assert!(times.prompt > times.image && times.second_prompt < times.prompt - times.image);
        // The model writes its own words again, which are none of those that it was made to say.
        let frame = Frame::new(picture(0));
        let (own, _) = answers.ask(&mut reasoner, FIRST_QUESTION, &frame).unwrap();
        reasoner.dictate(answers.words(&reasoner));
        let (dictated, _) = answers.ask(&mut reasoner, FIRST_QUESTION, &frame).unwrap();
        let words = ["Please segment", "[SEG]", "cup"];
        assert!(words.iter().all(|word| dictated.text.contains(word)));
        assert_eq!(dictated.tokens, 4);
        assert_ne!(own.text, dictated.text);
        let only_encoders = Answers {
            language: false,
            ..answers
        };
        let times = only_encoders.measure(&mut reasoner).unwrap();
        let names: Vec<&str> = times.stages.iter().map(|stage| stage.stage).collect();
        assert_eq!(names, ENCODERS);
    }
}
