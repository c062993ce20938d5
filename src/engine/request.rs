//! What goes into the engine: a frame, an instruction, and how to answer it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Frame, RequestError, SegPrompt};
use crate::image::ClipFit;
use crate::text::Instruction;

/// A question about a frame.
#[derive(Clone, Debug)]
pub struct Request {
    /// The person's words. They are text and never markup: `[SEG]`, `</s>` or `USER:` in them have no special meaning.
    pub instruction: String,
    /// The image that the question is about.
    pub frame: Frame,
    /// Requests with the same id share their history; `None` asks outside of any conversation.
    pub conversation_id: Option<String>,
    /// How to answer it.
    pub options: AnswerOptions,
}

impl Request {
    /// Refuses a request that no model could answer.
    ///
    /// # Errors
    /// What is wrong with the instruction, the frame or an option.
    pub(super) fn check(&self) -> Result<(), RequestError> {
        Instruction::parse(&self.instruction)?;
        let (width, height) = (self.frame.width(), self.frame.height());
        if width == 0 || height == 0 {
            return Err(RequestError::EmptyFrame { width, height });
        }
        let options = &self.options;
        let refused = |name, value: String, accepted| {
            Err(RequestError::Option {
                name,
                value,
                accepted,
            })
        };
        if options.max_new_tokens == 0 {
            return refused("max_new_tokens", "0".into(), "1 or more");
        }
        if !(options.temperature >= 0.0 && options.temperature.is_finite()) {
            return refused("temperature", options.temperature.to_string(), "0 or more");
        }
        if !(options.mask_threshold > 0.0 && options.mask_threshold < 1.0) {
            return refused(
                "mask_threshold",
                options.mask_threshold.to_string(),
                "between 0 and 1",
            );
        }
        Ok(())
    }
}

/// How to answer one request.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerOptions {
    /// The answer stops here if the model has not stopped by itself. 1 or more; default 512, as the reference.
    pub max_new_tokens: usize,
    /// 0 (the default) takes the likeliest token, as the reference; above 0 samples.
    pub temperature: f64,
    /// Seed of the sampling; the same request with the same seed gives the same answer.
    pub seed: u64,
    /// A pixel belongs to the object where its probability is above this, in (0, 1). Default 0.5 (logit 0).
    pub mask_threshold: f32,
    /// Objects with fewer pixels than this, at the frame's size, count as empty. Default 1.
    pub min_mask_area: usize,
    /// How a frame that is not square is fitted to the vision tower's square input; `None` (the default) as the model
    /// was trained.
    pub clip_fit: Option<ClipFit>,
    /// Return in [`Answer::attention`](super::Answer::attention) where the model looked before it answered, if it has a
    /// guided head. Costs one row of scores; default false.
    pub attention: bool,
    /// Objects of earlier answers to find again in this frame: if there are any, the answer has their masks and no text, the
    /// language model is not asked, and nothing is added to a conversation. The answer's objects have their places in this list
    /// as `index`, and the instruction's words as their label. Empty by default.
    pub find_again: Vec<SegPrompt>,
    /// Keep the intermediate tensors in [`Answer::trace`](super::Answer::trace), for comparison with a reference.
    pub trace: bool,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 512,
            temperature: 0.0,
            seed: 0,
            mask_threshold: 0.5,
            min_mask_area: 1,
            clip_fit: None,
            attention: false,
            find_again: Vec::new(),
            trace: false,
        }
    }
}

/// Who asks, where several share one model: a camera of a node, say. Each has a share of the model's time, a bound on what waits, and
/// conversations of its own. Where there is only one, it is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(pub u16);

/// Names a request in spans and log lines: an engine numbers its requests from 1, and 0 is the one that warms it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Cancels a request. Clones cancel the same request, and cancelling twice is harmless.
///
/// A request that still waits leaves the engine's queue, and fails, before [`cancel`](Self::cancel) returns. One that is
/// being answered stops at its next token, or between two layers of an encoder.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<CancelState>);

#[derive(Default)]
struct CancelState {
    cancelled: AtomicBool,
    withdraw: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl CancelToken {
    /// A token that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels the request; returns at once.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
        if let Some(withdraw) = self.0.withdraw.get() {
            withdraw();
        }
    }

    /// Sets what else [`cancel`](Self::cancel) does, every time it is called; to be set once, before the token is handed out.
    pub(super) fn on_cancel(&self, withdraw: impl Fn() + Send + Sync + 'static) {
        // It is never set twice: a token is made for one request of one engine.
        let _ = self.0.withdraw.set(Box::new(withdraw));
    }

    /// Whether somebody has cancelled the request.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CancelToken({})", self.is_cancelled())
    }
}
