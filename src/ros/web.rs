//! The page for a browser on the node ([`crate::web`]), with the parameter `web.enable`.
//!
//! A question of the page goes to the engine directly, as a client of its own beside the state machine: it is about the newest
//! frame or an uploaded picture, its answer is shown on the page, and nothing of it is published. A node that is not active, or
//! disabled, refuses it with the reason.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::node::NodeError;
use super::params::ParamError;
use super::shared::Shared;
use crate::engine::{AnswerOptions, CancelToken, EngineLoad, Frame, ModelInfo, Request};
use crate::web::{Backend, EventSink, Limits, Listener, Server, SubmitError, Token, WebConfig};

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

/// Serves the page if the parameters ask for it.
///
/// # Errors
/// A parameter is wrong, or the operating system refuses the address or a thread.
pub fn start(shared: &Arc<Shared>) -> Result<Option<Server>, NodeError> {
    let params = shared.params();
    let Some(web) = &params.web else {
        return Ok(None);
    };
    let backend = NodeBackend {
        shared: Arc::clone(shared),
    };
    let server = Listener::bind(web.config()?)?.serve(Arc::new(backend))?;
    tracing::info!("a page for a browser at http://{}/", server.address());
    Ok(Some(server))
}

struct NodeBackend {
    shared: Arc<Shared>,
}

impl NodeBackend {
    /// Why nothing is answered now, if that is so.
    fn refusal(&self) -> Option<String> {
        let core = self.shared.core();
        match core.standby() {
            Some(why) => Some(why.to_owned()),
            None if !core.is_enabled() => {
                Some(format!("the node is disabled; {}", core.how_to_enable()))
            }
            None => None,
        }
    }
}

impl Backend for NodeBackend {
    fn submit(&self, request: Request, sink: EventSink) -> Result<CancelToken, SubmitError> {
        if let Some(why) = self.refusal() {
            return Err(SubmitError::NotNow(why));
        }
        let engine = self.shared.engine();
        let engine = engine.ok_or_else(|| SubmitError::NotNow("no model is loaded".to_owned()))?;
        Ok(engine.submit_to(request, sink)?)
    }

    fn reset_conversation(&self, id: &str) {
        if let Some(engine) = self.shared.engine() {
            engine.reset_conversation(Some(id));
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

    fn newest_frame(&self) -> Result<Frame, SubmitError> {
        if let Some(why) = self.refusal() {
            return Err(SubmitError::NotNow(why));
        }
        let newest = self.shared.core().frames().newest();
        let none = || SubmitError::NotNow("no picture has come from the camera yet".to_owned());
        // Decoded without the lock, which the camera's thread needs.
        newest
            .ok_or_else(none)?
            .frame
            .frame()
            .map_err(SubmitError::NotNow)
    }
}
