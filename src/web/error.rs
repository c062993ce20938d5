//! What goes wrong with a request, as a status and one line of JSON.

use axum::body::Body;
use axum::http::{header, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::{json, Value};

use super::backend::SubmitError;
use crate::engine::RequestError;

/// Why a request is refused or has failed.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    /// A word for programs.
    pub kind: &'static str,
    /// A line for people: what was wrong, and what is accepted.
    pub message: String,
}

impl ApiError {
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
        }
    }

    /// Something in the request is wrong.
    pub fn bad(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, message)
    }

    /// There is too much to do now; the same request may succeed later.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    /// The server ends.
    pub fn ending() -> Self {
        let message = "the server is shutting down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
    }

    /// `{"error": "…", "kind": "…"}`.
    pub fn json(&self) -> Value {
        json!({"error": self.message, "kind": self.kind})
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let message = error.to_string();
        match error {
            RequestError::Instruction(_) => Self::bad("instruction", message),
            RequestError::EmptyFrame { .. } => Self::bad("picture", message),
            RequestError::Option { .. } => Self::bad("option", message),
            RequestError::PromptTooLong { .. } => Self::bad("prompt_too_long", message),
            RequestError::Overloaded { .. } => Self::busy(message),
            RequestError::ShuttingDown => Self::ending(),
            // Only whoever asked cancels a request, and then nobody reads this, or the server, whose texts are its own.
            RequestError::Cancelled { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "cancelled", message)
            }
            RequestError::OtherModel { .. }
            | RequestError::Load(_)
            | RequestError::Model(_)
            | RequestError::Panicked(_)
            | RequestError::Dropped => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "model", message)
            }
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Request(error) => error.into(),
            SubmitError::NotNow(why) => Self::busy(why),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let mut response = json_response(self.status, &self.json());
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// A response of JSON, with a line break at its end for people with a terminal.
pub fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, format!("{value}\n")).into_response()
}
