//! What goes into the engine: a frame, an instruction, and how to answer it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use image::RgbImage;

use crate::image::ClipFit;

/// One camera frame, shared by everybody who asks about it.
///
/// Cloning is cheap. The [`FrameId`] is what the engine's caches go by: two questions about clones of the
/// same frame encode the picture once.
#[derive(Clone)]
pub struct Frame {
    id: FrameId,
    pixels: Arc<RgbImage>,
}

/// Identity of a [`Frame`], unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameId(u64);

impl Frame {
    /// Takes 8-bit RGB pixels of any size; gives them an identity of their own.
    pub fn new(pixels: RgbImage) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: FrameId(NEXT.fetch_add(1, Ordering::Relaxed)),
            pixels: Arc::new(pixels),
        }
    }

    pub fn id(&self) -> FrameId {
        self.id
    }

    pub fn pixels(&self) -> &RgbImage {
        &self.pixels
    }

    /// In pixels.
    pub fn width(&self) -> u32 {
        self.pixels.width()
    }

    /// In pixels.
    pub fn height(&self) -> u32 {
        self.pixels.height()
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Frame({}, {}x{})",
            self.id.0,
            self.width(),
            self.height()
        )
    }
}

/// A question about a frame.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the person said. Data, never markup: `[SEG]`, `</s>` or `USER:` in it mean nothing.
    pub instruction: String,
    pub frame: Frame,
    /// Turns that share an id share their history; `None` asks out of any conversation.
    pub conversation_id: Option<String>,
    pub options: AnswerOptions,
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
    /// Say in [`Answer::attention`](super::Answer::attention) where the model looked before it answered, where it has a
    /// guided head. Costs next to nothing; default false.
    pub attention: bool,
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
            trace: false,
        }
    }
}

/// Takes a request back. Clones ask for the same thing; asking twice is harmless.
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
    pub fn new() -> Self {
        Self::default()
    }

    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
        if let Some(withdraw) = self.0.withdraw.get() {
            withdraw();
        }
    }

    /// What else a cancellation does, every time it is asked for; set once, before the token is handed out.
    pub(super) fn on_cancel(&self, withdraw: impl Fn() + Send + Sync + 'static) {
        // A second one would be a second engine's, and a token is made for one request.
        let _ = self.0.withdraw.set(Box::new(withdraw));
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CancelToken({})", self.is_cancelled())
    }
}
