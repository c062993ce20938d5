//! A question that is being answered. Dropping it cancels it: hyper drops whatever answers a client that has gone.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::api::App;
use super::backend::{PageQuestion, SubmitError};
use super::error::ApiError;
use crate::engine::{Answer, CancelToken, RequestError, Stage};
use crate::node::{FoundObject, PageEvent};

/// What happens while a question is answered. The last one is `Done` or `Failed`.
pub enum Step {
    Stage(Stage),
    Text { text: String, tokens: usize },
    Object(FoundObject),
    Done(CompleteAnswer),
    Failed(ApiError),
}

/// An answer, and its objects with their places.
pub struct CompleteAnswer {
    pub answer: Arc<Answer>,
    pub objects: Arc<[FoundObject]>,
}

/// A question that is being answered.
pub struct Running {
    events: mpsc::UnboundedReceiver<PageEvent>,
    cancel: CancelToken,
    until: Instant,
    limit: Duration,
    /// Becomes true when the server ends.
    closing: watch::Receiver<bool>,
    ended: bool,
    app: Arc<App>,
}

impl Running {
    /// Submits a question.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn submit(app: Arc<App>, question: PageQuestion) -> Result<Self, ApiError> {
        // The channel needs no bound of its own: an answer has at most a few events for each of its max_new_tokens tokens.
        let (sender, events) = mpsc::unbounded_channel();
        let sink = Box::new(move |event| drop(sender.send(event)));
        let cancel = app.backend.submit(question, sink)?;
        let limit = app.limits.answer;
        Ok(Self {
            events,
            cancel,
            until: Instant::now() + limit,
            limit,
            closing: app.closing.clone(),
            ended: false,
            app,
        })
    }

    /// What happens next; `None` after the last step.
    pub async fn next(&mut self) -> Option<Step> {
        if self.ended {
            return None;
        }
        let event = tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(event) => Ok(event),
                None => Err(RequestError::Dropped.into()),
            },
            () = tokio::time::sleep_until(self.until) => Err(ApiError::new(
                StatusCode::GATEWAY_TIMEOUT,
                "too_long",
                format!("the answer was not complete after {} s and was stopped", self.limit.as_secs_f64()),
            )),
            // The sender lives as long as the server, and its end means the same.
            _ = self.closing.wait_for(|closing| *closing) => Err(ApiError::ending()),
        };
        let step = match event {
            Ok(PageEvent::Stage(stage)) => Step::Stage(stage),
            Ok(PageEvent::Text { text, tokens }) => Step::Text { text, tokens },
            Ok(PageEvent::Object(object)) => Step::Object(object),
            Ok(PageEvent::Done { answer, objects }) => {
                self.app.metrics.answered(&answer);
                Step::Done(CompleteAnswer { answer, objects })
            }
            Ok(PageEvent::Failed(error)) => Step::Failed(error.into()),
            Ok(PageEvent::Refused(why)) => Step::Failed(SubmitError::NotNow(why).into()),
            Err(error) => Step::Failed(error),
        };
        self.ended = matches!(step, Step::Done(_) | Step::Failed(_));
        Some(step)
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn answer(mut self) -> Result<CompleteAnswer, ApiError> {
        while let Some(step) = self.next().await {
            match step {
                Step::Done(answer) => return Ok(answer),
                Step::Failed(error) => return Err(error),
                Step::Stage(_) | Step::Text { .. } | Step::Object(_) => {}
            }
        }
        Err(RequestError::Dropped.into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
