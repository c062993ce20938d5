//! What is gathered while a request is answered: how long each stage took, and intermediate tensors for those who asked for a
//! trace.
//!
//! Every stage runs inside a `tracing` span `stage` with its `name`, below the request's own span, and reports its seconds in a
//! debug event when it ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use tracing::{debug_span, Span};

use super::reasoner::log_stage;
use super::{
    AttentionMap, ObjectMask, Request, RequestContext, RequestError, RequestId, Stage, Timings,
};
use crate::model::ModelError;

/// What is gathered while a request is answered.
pub(super) struct RequestState<'a> {
    id: RequestId,
    pub request: &'a Request,
    pub timings: Timings,
    /// Intermediate tensors by their golden names; `None` unless [`AnswerOptions::trace`](super::AnswerOptions::trace) asks for
    /// them.
    pub trace: Option<BTreeMap<String, Tensor>>,
    /// The logits of each object's mask, for the trace.
    pub mask_logits: Vec<Tensor>,
    /// A GPU that has to have done the work of a stage before its time is taken. Otherwise a stage's time is that of handing its
    /// work over, and the stage that waits for a result has the time of all.
    pub settle: Option<Device>,
}

impl<'a> RequestState<'a> {
    pub fn new(request: &'a Request, context: &RequestContext<'_>) -> Self {
        let mut timings = Timings::default();
        timings.add(Stage::Queue, context.queued);
        Self {
            id: context.id,
            request,
            timings,
            trace: request.options.trace.then(BTreeMap::new),
            mask_logits: Vec::new(),
            settle: None,
        }
    }

    /// Runs a stage inside its span, and adds its time.
    pub fn time<T>(
        &mut self,
        stage: Stage,
        run: impl FnOnce() -> Result<T, ModelError>,
    ) -> Result<T, RequestError> {
        let started = Instant::now();
        let result = stage_span(stage).in_scope(|| {
            let result = run()?;
            if let Some(device) = &self.settle {
                device.synchronize()?;
            }
            Ok(result)
        });
        let elapsed = started.elapsed();
        self.timings.add(stage, elapsed);
        log_stage(self.id, stage, elapsed);
        result.map_err(|error| self.stopped(error))
    }

    /// The request's error for one of the model.
    pub fn stopped(&self, error: ModelError) -> RequestError {
        match error {
            ModelError::Stopped => RequestError::Cancelled {
                tokens: self.timings.tokens.len(),
            },
            ModelError::Candle(error) => failed(error),
        }
    }

    /// Adds a token and the time that it took.
    pub fn token(&mut self, time: Duration) {
        self.timings.tokens.push(time);
        self.timings.add(Stage::Generate, time);
    }

    /// Adds to the latest token's time: the step that feeds a token to the model belongs to it.
    pub fn extend_token(&mut self, time: Duration) {
        if let Some(last) = self.timings.tokens.last_mut() {
            *last += time;
        }
        self.timings.add(Stage::Generate, time);
    }

    /// Logs how long the language model wrote; masks are decoded meanwhile and have stages of their own.
    pub fn log_generate(&self) {
        log_stage(self.id, Stage::Generate, self.timings.get(Stage::Generate));
    }

    /// Keeps an object's mask logits if a trace is kept.
    pub fn trace_mask(&mut self, logits: Tensor) {
        if self.tracing() {
            self.mask_logits.push(logits);
        }
    }

    /// Whether a trace is kept.
    pub fn tracing(&self) -> bool {
        self.trace.is_some()
    }

    /// Keeps a tensor under its golden name if a trace is kept.
    pub fn trace(
        &mut self,
        name: &str,
        tensor: impl FnOnce() -> candle_core::Result<Tensor>,
    ) -> Result<(), RequestError> {
        if let Some(trace) = &mut self.trace {
            let tensor = tensor()
                .and_then(|t| t.to_device(&Device::Cpu))
                .map_err(failed)?;
            trace.insert(name.to_owned(), tensor);
        }
        Ok(())
    }
}

/// The outcome of generation.
#[derive(Default)]
pub(super) struct Generated {
    /// The answer's tokens, the end-of-turn token included if the model wrote it.
    pub ids: Vec<u32>,
    /// How many `[SEG]` tokens they contain.
    pub seg_count: usize,
    /// The objects whose masks are not empty.
    pub objects: Vec<ObjectMask>,
    /// Whether the answer was ended by its bound rather than by the model.
    pub truncated: bool,
    /// Where the model looked, if that was asked for.
    pub attention: Option<AttentionMap>,
}

/// The span of a stage. It costs almost nothing unless a subscriber takes debug level.
pub(super) fn stage_span(stage: Stage) -> Span {
    debug_span!("stage", name = stage.name())
}

/// An error of candle as the request's.
pub(super) fn failed(error: candle_core::Error) -> RequestError {
    RequestError::Model(error.to_string())
}

/// The instruction's words, shortened to 48 characters for a label beside a mask.
pub(super) fn label(instruction: &str) -> String {
    const LONGEST: usize = 48;
    let words = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", words[..at].trim_end()),
        None => words,
    }
}
