//! One request's account while it is worked on: timings, and the trace where one is kept.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use super::{Request, RequestError, Stage, Timings};
use crate::model::ModelError;

/// One request's account: timings, and the trace where one is kept.
pub(super) struct Work<'a> {
    pub request: &'a Request,
    pub timings: Timings,
    pub trace: Option<BTreeMap<String, Tensor>>,
    pub mask_logits: Vec<Tensor>,
}

impl<'a> Work<'a> {
    pub fn new(request: &'a Request, queued: Duration) -> Self {
        let mut timings = Timings::default();
        timings.add(Stage::Queue, queued);
        Self {
            request,
            timings,
            trace: request.options.trace.then(BTreeMap::new),
            mask_logits: Vec::new(),
        }
    }

    pub fn time<T>(
        &mut self,
        stage: Stage,
        work: impl FnOnce() -> Result<T, ModelError>,
    ) -> Result<T, RequestError> {
        let started = Instant::now();
        let result = work();
        self.timings.add(stage, started.elapsed());
        result.map_err(|error| self.stopped(error))
    }

    pub fn stopped(&self, error: ModelError) -> RequestError {
        match error {
            ModelError::Stopped => RequestError::Cancelled {
                tokens: self.timings.tokens.len(),
            },
            ModelError::Candle(error) => failed(error),
        }
    }

    pub fn token(&mut self, time: Duration) {
        self.timings.tokens.push(time);
        self.timings.add(Stage::Generate, time);
    }

    /// The step that takes a token in belongs to its time.
    pub fn extend_token(&mut self, time: Duration) {
        if let Some(last) = self.timings.tokens.last_mut() {
            *last += time;
        }
        self.timings.add(Stage::Generate, time);
    }

    /// Keeps an object's logits where a trace is kept.
    pub fn trace_mask(&mut self, logits: Tensor) {
        if self.tracing() {
            self.mask_logits.push(logits);
        }
    }

    pub fn tracing(&self) -> bool {
        self.trace.is_some()
    }

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

pub(super) fn failed(error: candle_core::Error) -> RequestError {
    RequestError::Model(error.to_string())
}

/// The instruction's words, short enough to stand beside a mask.
pub(super) fn label(instruction: &str) -> String {
    const LONGEST: usize = 48;
    let words = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", words[..at].trim_end()),
        None => words,
    }
}
