//! An answer as server-sent events: `accepted`, then `stage`, `text` and `object` as they happen, and `done` or `error` at the end.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::IntoResponse;
use futures_util::stream;
use serde_json::{json, Value};

use super::answer::AnswerWriter;
use super::running::{Running, Step};

/// A comment is sent this often while nothing happens, so that a connection that is lost is noticed on both sides.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The response that streams it. When its client goes, hyper drops it, and with it the question.
pub fn respond(running: Running, writer: AnswerWriter) -> Response<Body> {
    let accepted = event("accepted", writer.accepted());
    let steps = stream::unfold(
        (running, writer, Some(accepted)),
        |(mut running, writer, first)| async move {
            let event = match first {
                Some(first) => first,
                None => step_event(running.next().await?, &writer),
            };
            Some((Ok::<_, Infallible>(event), (running, writer, None)))
        },
    );
    let response = Sse::new(steps).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // A proxy would otherwise collect the events and pass them on together.
    ([("x-accel-buffering", "no")], response).into_response()
}

fn step_event(step: Step, writer: &AnswerWriter) -> Event {
    match step {
        Step::Stage(stage) => event("stage", json!({"stage": stage.name()})),
        Step::Text { text, tokens } => event("text", json!({"text": text, "tokens": tokens})),
        Step::Object(object) => event("object", writer.object(&object)),
        Step::Done(complete) => event("done", writer.answer(&complete)),
        Step::Failed(error) => event("error", error.json()),
    }
}

fn event(name: &str, data: Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
