//! The page for a browser on the node ([`crate::web`]), with the parameter `web.enable`.
//!
//! A question of the page goes to the engine directly: it is about the newest frame or an uploaded picture, its answer is shown on
//! the page, and nothing of it is published. Where it is about a frame of the camera, what the engine says comes back through the
//! state machine, which gives the objects their places as it does for topics. A node that is not active, or disabled, refuses
//! it with the reason.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::node::NodeError;
use super::params::ParamError;
use super::shared::{Ros, Shared};
use super::submitter::{submit_reporting, Reports};
use crate::engine::{AnswerOptions, CancelToken, EngineLoad, ModelInfo};
use crate::node::{CameraFrame, NodeCore, PageEvent, QuestionId};
use crate::web::{
    Backend, CameraPicture, EventSink, Limits, Listener, PageQuestion, Server, SubmitError, Taken,
    Token, WebConfig,
};

/// Where the page is served, as the parameters say.
#[derive(Clone, PartialEq, Eq)]
pub struct WebParams {
    /// `web.address`.
    pub address: String,
    /// `web.port`.
    pub port: u16,
    /// `web.token`; empty: `LISA_WEB_TOKEN` of the environment, if it is set.
    pub token: String,
}

/// Does not show the secret.
impl std::fmt::Debug for WebParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebParams({}:{})", self.address, self.port)
    }
}

impl WebParams {
    fn config(&self) -> Result<WebConfig, NodeError> {
        let refused = |name, value: &str, accepted: String| {
            NodeError::Param(ParamError::Range {
                name,
                value: format!("'{value}'"),
                accepted,
            })
        };
        let address = self.address.parse::<IpAddr>().map_err(|_| {
            let accepted = "an IP address, such as 127.0.0.1 or 0.0.0.0".to_owned();
            refused("web.address", &self.address, accepted)
        })?;
        let token = match self.token.is_empty() {
            true => std::env::var("LISA_WEB_TOKEN").ok(),
            false => Some(self.token.clone()),
        };
        let token = token.map(|token| token.parse::<Token>()).transpose();
        // The refusal does not repeat what may be a secret with a mistake in it.
        let token = token.map_err(|_| {
            let accepted =
                "16 to 256 letters, digits and signs without spaces, or nothing".to_owned();
            refused("web.token", "…", accepted)
        })?;
        Ok(WebConfig {
            address: SocketAddr::new(address, self.port),
            token,
            hosts: Vec::new(),
            limits: Limits::default(),
        })
    }
}

/// Serves the page if the parameters ask for it. What the engine says of its questions is sent to the `reports` of
/// the cameras that they are about.
///
/// # Errors
/// A parameter is wrong, or the operating system refuses the address or a thread.
pub fn start(shared: &Arc<Shared>, reports: Vec<Reports>) -> Result<Option<Server>, NodeError> {
    let params = shared.params();
    let Some(web) = &params.web else {
        return Ok(None);
    };
    let backend = NodeBackend {
        shared: Arc::clone(shared),
        reports,
    };
    let server = Listener::bind(web.config()?)?.serve(Arc::new(backend))?;
    tracing::info!("a page for a browser at http://{}/", server.address());
    Ok(Some(server))
}

/// Who has asked from the page, by the numbers of their questions.
#[derive(Default)]
pub struct PageClients(Mutex<HashMap<QuestionId, EventSink>>);

impl PageClients {
    fn insert(&self, id: QuestionId, sink: EventSink) {
        self.locked().insert(id, sink);
    }

    fn remove(&self, id: QuestionId) {
        self.locked().remove(&id);
    }

    /// Tells who has asked what happens.
    pub fn tell(&self, id: QuestionId, event: PageEvent) {
        let mut clients = self.locked();
        let is_last = matches!(
            event,
            PageEvent::Done { .. } | PageEvent::Failed(_) | PageEvent::Refused(_)
        );
        if let Some(sink) = clients.get_mut(&id) {
            sink(event);
        }
        if is_last {
            clients.remove(&id);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<QuestionId, EventSink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct NodeBackend {
    shared: Arc<Shared>,
    /// Of each camera.
    reports: Vec<Reports>,
}

/// Why nothing is answered now, if that is so.
fn refusal(core: &NodeCore<Ros>) -> Option<String> {
    match core.standby() {
        Some(why) => Some(why.to_owned()),
        None if !core.is_enabled() => {
            Some(format!("the node is disabled; {}", core.how_to_enable()))
        }
        None => None,
    }
}

impl Backend for NodeBackend {
    fn submit(
        &self,
        question: PageQuestion,
        mut sink: EventSink,
    ) -> Result<CancelToken, SubmitError> {
        let engine = self.shared.engine();
        let engine = engine.ok_or_else(|| SubmitError::NotNow("no model is loaded".to_owned()))?;
        let PageQuestion { request, taken } = question;
        // A picture of somebody's own is asked about at the expense of the first camera.
        let place = taken.as_ref().map_or(0, |taken| taken.camera);
        let camera = &self.shared.cameras[place];
        let mut core = camera.core();
        if let Some(why) = refusal(&core) {
            return Err(SubmitError::NotNow(why));
        }
        let Some(Taken { header, .. }) = taken else {
            let sink = move |event| sink(PageEvent::from(event));
            return Ok(engine.submit_from(camera.source, request, sink)?);
        };
        let id = core.handle_page_question(header, request.frame.clone(), Instant::now());
        // Under the lock: the state machine may have something to tell as soon as it is free.
        camera.page.insert(id, sink);
        drop(core);
        let reports = &self.reports[place];
        let submitted = submit_reporting(&engine, camera.source, id, request, reports);
        submitted.map_err(|error| {
            camera.core().handle_page_refusal(id);
            camera.page.remove(id);
            error.into()
        })
    }

    fn reset_conversation(&self, id: &str) {
        if let Some(engine) = self.shared.engine() {
            for camera in &self.shared.cameras {
                engine.reset_conversation_of(camera.source, Some(id));
            }
        }
    }

    fn model(&self) -> Option<ModelInfo> {
        self.shared.engine().map(|engine| engine.model().clone())
    }

    fn load(&self) -> EngineLoad {
        let engine = self.shared.engine();
        engine.map(|engine| engine.load()).unwrap_or_default()
    }

    fn options(&self) -> AnswerOptions {
        self.shared.params().settings.answer.clone()
    }

    fn has_camera(&self) -> bool {
        true
    }

    fn cameras(&self) -> Vec<String> {
        let names = self.shared.cameras.iter();
        let names = names.filter_map(|camera| camera.names.camera());
        names.map(str::to_owned).collect()
    }

    fn newest_frame(&self, camera: usize) -> Result<CameraPicture, SubmitError> {
        let newest = {
            let core = self.shared.cameras[camera].core();
            if let Some(why) = refusal(&core) {
                return Err(SubmitError::NotNow(why));
            }
            core.frames().newest()
        };
        let none = || SubmitError::NotNow("no picture has come from the camera yet".to_owned());
        // Decoded without the lock, which the camera's thread needs.
        let newest = newest.ok_or_else(none)?.frame;
        Ok(CameraPicture {
            frame: newest.frame().map_err(SubmitError::NotNow)?,
            taken: Taken {
                camera,
                header: newest.header(),
            },
        })
    }
}
