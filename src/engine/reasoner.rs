//! What the model thread and the model agree on: the [`Reasoner`] that answers, and the [`RequestContext`] in which it does.

use std::time::{Duration, Instant};

use tracing::debug;

use super::{
    Answer, CacheLoad, CancelToken, Event, Request, RequestError, RequestId, Source, Stage,
};

/// What the engine's thread drives. [`LisaReasoner`](super::LisaReasoner) is the one that ships.
pub trait Reasoner {
    /// Answers one request. Progress is reported through `context`; the engine turns the result into the last event.
    ///
    /// # Errors
    /// Why there is no answer. The next request has to work all the same.
    fn answer(
        &mut self,
        request: &Request,
        context: &mut RequestContext<'_>,
    ) -> Result<Answer, RequestError>;

    /// Forgets one conversation of a source, or all of that source where `id` is `None`.
    fn reset_conversation(&mut self, source: Source, id: Option<&str>);

    /// What is kept between requests, for the engine's gauges. Called after every request, so it must be cheap.
    fn caches(&self) -> CacheLoad;

    /// Drops everything kept between requests except the conversations. Called after a panic, which may have left a cache half
    /// filled.
    fn clear_caches(&mut self);

    /// Whether the weights are in memory. They are at the start.
    fn is_loaded(&self) -> bool;

    /// Gives the memory of the weights and of the caches back. The conversations stay.
    fn unload(&mut self);

    /// Loads the weights again. It is called before [`answer`](Self::answer) where they were given back.
    ///
    /// # Errors
    /// Why they cannot be loaded; the next request tries again.
    fn load_again(&mut self) -> Result<(), RequestError>;
}

/// What a [`Reasoner`] knows about a request beside the request itself, and where it reports progress.
pub struct RequestContext<'a> {
    /// Names the request in spans and log lines.
    pub id: RequestId,
    /// Whose request it is; conversations are their source's own.
    pub source: Source,
    /// The reasoner has to check it for every token and between the layers of the encoders.
    pub cancel: &'a CancelToken,
    /// How long the request waited in the queue.
    pub queued: Duration,
    /// When the request was submitted.
    pub submitted: Instant,
    sink: &'a mut dyn FnMut(Event),
}

impl<'a> RequestContext<'a> {
    /// The context of a request of the first source whose turn has come now. `sink` is called for every event.
    pub fn new(
        id: RequestId,
        cancel: &'a CancelToken,
        submitted: Instant,
        sink: &'a mut dyn FnMut(Event),
    ) -> Self {
        Self {
            id,
            source: Source::default(),
            cancel,
            queued: submitted.elapsed(),
            submitted,
            sink,
        }
    }

    /// Reports progress to whoever submitted the request.
    pub fn send(&mut self, event: Event) {
        (self.sink)(event);
    }
}

/// Says at debug level how long a stage took.
pub(super) fn log_stage(request: RequestId, stage: Stage, time: Duration) {
    let seconds = time.as_secs_f64();
    debug!(%request, stage = stage.name(), seconds, "stage ended");
}
