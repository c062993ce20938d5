//! The routes, and what each of them does.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::http::{header, Response, StatusCode, Uri};
use axum::middleware::{from_fn_with_state, Next};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::Router;
use serde_json::json;
use tokio::sync::{watch, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;

use super::answer::AnswerWriter;
use super::backend::{Backend, CameraPicture, PageQuestion};
use super::error::{json_response, ApiError};
use super::events;
use super::form::{self, check_conversation, Question};
use super::limits::Limits;
use super::metrics::Metrics;
use super::page;
use super::pictures::{Picture, Pictures};
use super::running::Running;
use super::security::{set_headers, Access};
use crate::engine::{Frame, Request as EngineRequest};
use crate::image::{encode_jpeg, encode_png, Pixels};
use crate::text::Instruction;

/// What all requests share.
pub struct App {
    pub backend: Arc<dyn Backend>,
    pub access: Access,
    pub limits: Limits,
    pub pictures: Arc<Pictures>,
    pub metrics: Metrics,
    /// Questions whose picture may be received or decoded.
    pub uploads: Semaphore,
    /// Becomes true when the server ends.
    pub closing: watch::Receiver<bool>,
}

/// Quality of the JPEGs that show the camera's frames and kept pictures.
const JPEG_QUALITY: u8 = 90;

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/model", get(model))
        .route("/v1/segment", post(segment))
        .route("/v1/conversations/{id}", delete(forget))
        .route("/v1/camera", get(camera))
        .route("/v1/cameras/{*name}", get(named_camera))
        .route("/v1/pictures/{id}", get(picture));
    for path in page::paths() {
        router = router.route(path, get(page_file));
    }
    let body = DefaultBodyLimit::max(app.limits.body());
    router
        .fallback(nothing_there)
        .method_not_allowed_fallback(other_method)
        .layer(body)
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| {
                let message = "the server made a mistake; its log says which";
                let error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "panic", message);
                error.into_response()
            },
        ))
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// Lets in who may call, and adds to every response what a browser has to know.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("other", MatchedPath::as_str).to_owned();
    let mut response = match app.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    app.metrics.responded(&route, response.status().as_u16());
    set_headers(response.headers_mut());
    response
}

async fn page_file(uri: Uri) -> Result<Response<Body>, ApiError> {
    page::file(uri.path()).ok_or_else(no_such_path)
}

async fn nothing_there() -> ApiError {
    no_such_path()
}

fn no_such_path() -> ApiError {
    let message = "there is nothing at this path; accepted: /, /v1/segment, /v1/model, /v1/camera, /v1/cameras/NAME, /v1/pictures/ID, \
                   /v1/conversations/ID, /metrics, /healthz";
    ApiError::new(StatusCode::NOT_FOUND, "path", message)
}

async fn other_method() -> ApiError {
    let message = "this path takes another method; accepted: POST for /v1/segment, DELETE for /v1/conversations/ID, GET for the others";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", message)
}

async fn health(State(app): State<Arc<App>>) -> Response<Body> {
    let ready = app.backend.model().is_some();
    let (code, status) = match ready {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "no model is loaded"),
    };
    json_response(code, &json!({"status": status}))
}

async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    let text = app.metrics.text(&app.backend.load());
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn model(State(app): State<Arc<App>>) -> Response<Body> {
    let model = app.backend.model().map(|model| {
        json!({
            "name": model.model,
            "device": model.device,
            "dtype": model.dtype,
            "parameters": model.parameters,
            "guided_head": model.guided_head.is_some(),
        })
    });
    let limits = json!({
        "picture_bytes": app.limits.picture_bytes,
        "picture_pixels": app.limits.picture_pixels,
        "instruction_bytes": Instruction::MAX_BYTES,
        "max_new_tokens": app.backend.options().max_new_tokens,
    });
    let said = json!({
        "model": model,
        "camera": app.backend.has_camera(),
        "cameras": app.backend.cameras(),
        "limits": limits,
        "version": env!("CARGO_PKG_VERSION"),
    });
    json_response(StatusCode::OK, &said)
}

/// The form of the reply.
enum Reply {
    Json,
    Events,
    /// The picture with the answer drawn on it, as PNG.
    Drawn,
}

impl Reply {
    fn of(request: &Request) -> Result<Self, ApiError> {
        let stream = match request.uri().query() {
            None | Some("") | Some("stream=false") => false,
            Some("stream=true") => true,
            Some(_) => {
                return Err(ApiError::bad(
                    "query",
                    "accepted in the query: stream=true or stream=false",
                ))
            }
        };
        let accept = request.headers().get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or("");
        let first = accept.split([',', ';']).next().unwrap_or("").trim();
        Ok(match first {
            "text/event-stream" => Self::Events,
            _ if stream => Self::Events,
            "image/png" => Self::Drawn,
            _ => Self::Json,
        })
    }
}

async fn segment(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response<Body>, ApiError> {
    let reply = Reply::of(&request)?;
    let (question, picture) = {
        let _turn = app.uploads.try_acquire().map_err(|_| {
            ApiError::busy("too many questions are being received; ask again later")
        })?;
        let mut question = form::read(request, &app.limits).await?;
        let picture = chosen_picture(&app, &mut question).await?;
        (question.form, picture)
    };
    let request = EngineRequest {
        options: question.options(app.backend.options())?,
        instruction: question.instruction.clone(),
        frame: picture.frame.clone(),
        conversation_id: question.conversation.clone(),
    };
    let taken = picture.taken.clone();
    let running = Running::submit(app, PageQuestion { request, taken })?;
    let writer = AnswerWriter {
        picture,
        instruction: question.instruction,
        conversation: question.conversation,
        masks: question.masks,
    };
    match reply {
        Reply::Events => Ok(events::respond(running, writer)),
        Reply::Json if question.stream => Ok(events::respond(running, writer)),
        Reply::Json => {
            let complete = running.answer().await?;
            Ok(json_response(StatusCode::OK, &writer.answer(&complete)))
        }
        Reply::Drawn => {
            let answer = running.answer().await?.answer;
            let png = tokio::task::block_in_place(|| {
                let pixels = writer.picture.frame.pixels();
                encode_png(&Pixels::Rgb(answer.overlay(
                    pixels,
                    &writer.instruction,
                    0.5,
                )))
            });
            encoded(png, "image/png")
        }
    }
}

/// The picture that the question is about.
async fn chosen_picture(app: &App, question: &mut Question) -> Result<Picture, ApiError> {
    let camera = match &question.form.camera {
        Some(_) if question.file.is_some() || question.form.picture.is_some() => {
            return Err(ApiError::bad(
                "picture",
                "camera excludes image and picture; accepted: one of them",
            ))
        }
        Some(name) => place(app, name)?,
        None => 0,
    };
    match (question.file.take(), &question.form.picture) {
        (Some(_), Some(_)) => Err(ApiError::bad(
            "picture",
            "image and picture exclude each other; accepted: one of them",
        )),
        (Some(file), None) => app.pictures.decode(file).await,
        (None, Some(id)) => app.pictures.find(id),
        (None, None) if app.backend.has_camera() => {
            Ok(app.pictures.keep_frame(newest_frame(app, camera)?))
        }
        (None, None) => Err(ApiError::bad(
            "picture",
            "there is no picture; accepted: image, a PNG, JPEG, WebP or BMP file, or picture, the id of one that was sent before",
        )),
    }
}

/// The place of the camera of this name, which may lack the slash that it begins with.
fn place(app: &App, name: &str) -> Result<usize, ApiError> {
    let plain = |name: &str| name.strip_prefix('/').unwrap_or(name).to_owned();
    let cameras = app.backend.cameras();
    let found = cameras.iter().position(|known| plain(known) == plain(name));
    found.ok_or_else(|| {
        let accepted = match cameras.is_empty() {
            true => "no name, because there are not several".to_owned(),
            false => cameras.join(", "),
        };
        let message = format!("there is no camera of that name; accepted: {accepted}");
        ApiError::new(StatusCode::NOT_FOUND, "camera", message)
    })
}

fn newest_frame(app: &App, camera: usize) -> Result<CameraPicture, ApiError> {
    Ok(tokio::task::block_in_place(|| {
        app.backend.newest_frame(camera)
    })?)
}

async fn camera(State(app): State<Arc<App>>) -> Result<Response<Body>, ApiError> {
    if !app.backend.has_camera() {
        let message = "this server has no camera; accepted: questions with a picture";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "camera", message));
    }
    as_jpeg(&newest_frame(&app, 0)?.frame)
}

async fn named_camera(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response<Body>, ApiError> {
    as_jpeg(&newest_frame(&app, place(&app, &name)?)?.frame)
}

async fn picture(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response<Body>, ApiError> {
    as_jpeg(&app.pictures.find(&id)?.frame)
}

/// Pictures are encoded anew, so that no byte that was uploaded is served as it came.
fn as_jpeg(frame: &Frame) -> Result<Response<Body>, ApiError> {
    let jpeg = tokio::task::block_in_place(|| {
        encode_jpeg(&Pixels::Rgb(frame.pixels().clone()), JPEG_QUALITY)
    });
    encoded(jpeg, "image/jpeg")
}

fn encoded(
    file: Result<Vec<u8>, crate::image::EncodeError>,
    kind: &'static str,
) -> Result<Response<Body>, ApiError> {
    match file {
        Ok(file) => Ok(([(header::CONTENT_TYPE, kind)], file).into_response()),
        Err(error) => Err(ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "picture",
            format!("the picture {error}"),
        )),
    }
}

async fn forget(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    check_conversation(&id)?;
    app.backend.reset_conversation(&id);
    Ok(StatusCode::NO_CONTENT)
}
