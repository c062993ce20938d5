//! A question as it comes: JSON, with the picture in base64, or `multipart/form-data`, with the picture as a file.

use axum::body::{Body, Bytes};
use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{header, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::limits::Limits;
use crate::engine::AnswerOptions;
use crate::node::bounds;

/// How masks are written in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskFormat {
    /// COCO's compressed run lengths, of the whole picture.
    #[default]
    Rle,
    /// A PNG of the whole picture, 0 or 255, in base64.
    Png,
    /// Not at all.
    None,
}

/// The fields of a question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// The person's words.
    pub instruction: String,
    /// A picture file in base64, or a data URL. Of JSON only; in a form it is a file.
    #[serde(default)]
    image: Option<String>,
    /// A picture that was sent with an earlier question, by the id in its answer.
    #[serde(default)]
    pub picture: Option<String>,
    /// Which camera's newest frame it is about, where there are several; the first if it does not say.
    #[serde(default)]
    pub camera: Option<String>,
    /// Questions of the same conversation share their history.
    #[serde(default)]
    pub conversation: Option<String>,
    #[serde(default)]
    pub masks: MaskFormat,
    /// Whether the answer says where the model looked, if the model can.
    #[serde(default)]
    pub attention: bool,
    /// Whether the answer comes as server-sent events.
    #[serde(default)]
    pub stream: bool,
    #[serde(default)]
    max_new_tokens: Option<usize>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    mask_threshold: Option<f64>,
    #[serde(default)]
    min_mask_area: Option<usize>,
}

/// A question, with its picture's file if it brought one.
#[derive(Debug)]
pub struct Question {
    pub form: Form,
    pub file: Option<Bytes>,
}

/// Longest name of a conversation, bytes.
const MAX_CONVERSATION: usize = 128;

/// Fields of a form beside the picture are no longer than this, bytes. An instruction has 4096 at most.
const MAX_FIELD: usize = 16 << 10;

const MAX_FIELDS: usize = 16;

/// Fields whose text is what it says. The others hold numbers, `true` and `false`.
const TEXTS: [&str; 5] = ["instruction", "picture", "camera", "conversation", "masks"];

/// Reads a question within the limits.
///
/// # Errors
/// 400 for what cannot be read, 408 for what takes too long, 413 for what is too large, 415 for another type of content.
pub async fn read(request: Request, limits: &Limits) -> Result<Question, ApiError> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body() as u64) {
        return Err(too_large(limits));
    }
    let reading = async {
        match content_type(&request).as_str() {
            "application/json" => read_json(request, limits).await,
            "multipart/form-data" => read_multipart(request, limits).await,
            _ => Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_type",
                "accepted as Content-Type: application/json, multipart/form-data",
            )),
        }
    };
    let question = tokio::time::timeout(limits.upload, reading)
        .await
        .map_err(|_| {
            let seconds = limits.upload.as_secs_f64();
            ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                format!("the question was not complete after {seconds} s; accepted: a smaller picture, or a faster connection"),
            )
        })??;
    question.form.check()?;
    Ok(question)
}

/// The media type, without its parameters, in lower case.
fn content_type(request: &Request<Body>) -> String {
    let value = request.headers().get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = value.split(';').next().unwrap_or("");
    name.trim().to_ascii_lowercase()
}

async fn read_json(request: Request, limits: &Limits) -> Result<Question, ApiError> {
    let body = Bytes::from_request(request, &()).await.map_err(|error| {
        match error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            true => too_large(limits),
            false => ApiError::bad("body", error.body_text()),
        }
    })?;
    let unreadable = |found: String| {
        let accepted = "accepted: an object of JSON with an instruction";
        ApiError::bad(
            "json",
            format!("the question cannot be read: {found}; {accepted}"),
        )
    };
    // serde would also take a list of the fields' values.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(unreadable("it is a list".to_owned()));
    }
    let mut form: Form =
        serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))?;
    let file = match form.image.take() {
        Some(text) => Some(from_base64(&text, limits)?),
        None => None,
    };
    Ok(Question { form, file })
}

/// A file in base64, with line breaks or without, or a data URL.
fn from_base64(text: &str, limits: &Limits) -> Result<Bytes, ApiError> {
    let text = match text
        .strip_prefix("data:")
        .and_then(|url| url.split_once(','))
    {
        Some((kind, data)) if kind.ends_with(";base64") => data,
        _ => text,
    };
    let text: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let file = base64::decode(text).map_err(|error| {
        let found = format!(
            "image is not base64 ({error}); accepted: a picture file in base64, or a data URL"
        );
        ApiError::bad("picture", found)
    })?;
    match file.len() > limits.picture_bytes {
        true => Err(too_large(limits)),
        false => Ok(file.into()),
    }
}

async fn read_multipart(request: Request, limits: &Limits) -> Result<Question, ApiError> {
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|error| ApiError::bad("form", error.body_text()))?;
    let unreadable = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(limits),
        _ => ApiError::bad(
            "form",
            format!("the form cannot be read: {}", error.body_text()),
        ),
    };
    let (mut fields, mut file) = (Map::new(), None);
    while let Some(mut part) = parts.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or_default().to_owned();
        let is_file = name == "image";
        let max = if is_file {
            limits.picture_bytes
        } else {
            MAX_FIELD
        };
        let mut content = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
            if content.len() + chunk.len() > max {
                return Err(match is_file {
                    true => too_large(limits),
                    false => field_error(&name, &format!("is longer than {MAX_FIELD} bytes")),
                });
            }
            content.extend_from_slice(&chunk);
        }
        if fields.len() + usize::from(file.is_some()) >= MAX_FIELDS {
            return Err(ApiError::bad(
                "form",
                format!("the form has more than {MAX_FIELDS} fields; accepted: each field of docs/WEB.md once"),
            ));
        }
        let twice = match is_file {
            true => file.replace(Bytes::from(content)).is_some(),
            false => {
                let value = field_value(&name, content)?;
                fields.insert(name.clone(), value).is_some()
            }
        };
        if twice {
            return Err(field_error(&name, "is there twice; accepted: once"));
        }
    }
    let form = serde_json::from_value(Value::Object(fields))
        .map_err(|error| ApiError::bad("form", format!("the form cannot be read: {error}")))?;
    Ok(Question { form, file })
}

/// A field of a form as JSON.
fn field_value(name: &str, content: Vec<u8>) -> Result<Value, ApiError> {
    let text = String::from_utf8(content).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        field_error(name, &format!("is not UTF-8 at byte {at}"))
    })?;
    if TEXTS.contains(&name) {
        return Ok(Value::String(text));
    }
    let parsed = serde_json::from_str(text.trim());
    Ok(parsed.unwrap_or(Value::String(text)))
}

fn field_error(name: &str, fault: &str) -> ApiError {
    let name: String = name.chars().take(100).collect();
    ApiError::bad("form", format!("the field {name:?} {fault}"))
}

fn too_large(limits: &Limits) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!(
            "the picture is too large; accepted: a file of up to {} bytes",
            limits.picture_bytes
        ),
    )
}

impl Form {
    /// Checks what [`options`](Self::options) does not.
    fn check(&self) -> Result<(), ApiError> {
        let Some(id) = &self.conversation else {
            return Ok(());
        };
        check_conversation(id)
    }

    /// The options of the question: what it says, and for the rest what the server says.
    ///
    /// # Errors
    /// 400 for a number out of its range.
    pub fn options(&self, own: AnswerOptions) -> Result<AnswerOptions, ApiError> {
        let mut options = own.clone();
        if let Some(tokens) = self.max_new_tokens {
            let accepted = 1..=own.max_new_tokens;
            if !accepted.contains(&tokens) {
                return Err(out_of_range(
                    "max_new_tokens",
                    tokens,
                    (1, own.max_new_tokens),
                ));
            }
            options.max_new_tokens = tokens;
        }
        let number = |name, given: Option<f64>, own: f64, range: std::ops::RangeInclusive<f64>| {
            match given {
                Some(value) if !range.contains(&value) => {
                    Err(out_of_range(name, value, (*range.start(), *range.end())))
                }
                given => Ok(given.unwrap_or(own)),
            }
        };
        options.temperature = number(
            "temperature",
            self.temperature,
            own.temperature,
            bounds::TEMPERATURE,
        )?;
        options.mask_threshold = number(
            "mask_threshold",
            self.mask_threshold,
            f64::from(own.mask_threshold),
            bounds::MASK_THRESHOLD,
        )? as f32;
        options.seed = self.seed.unwrap_or(own.seed);
        options.min_mask_area = self.min_mask_area.unwrap_or(own.min_mask_area);
        options.attention = self.attention;
        Ok(options)
    }
}

/// Checks the name of a conversation.
///
/// # Errors
/// 400 where it is empty, too long, or holds control characters.
pub fn check_conversation(id: &str) -> Result<(), ApiError> {
    match (1..=MAX_CONVERSATION).contains(&id.len()) && !id.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(ApiError::bad(
            "conversation",
            format!("accepted as a conversation: a name of 1 to {MAX_CONVERSATION} bytes without control characters"),
        )),
    }
}

fn out_of_range<T: std::fmt::Display>(name: &str, value: T, (min, max): (T, T)) -> ApiError {
    let message = format!("{name} is {value}; accepted: {min} to {max}");
    ApiError::bad("option", message)
}
