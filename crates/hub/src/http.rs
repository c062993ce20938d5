//! [`Client`]: requests to the hub and to where it leads.
//!
//! Redirects are followed here and not by the HTTP library: the token must not leave the hub, and the answer to a HEAD request
//! that leads to a storage address says more than that address would.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{header, HeaderMap, Response, Uri};
use ureq::{Agent, Body, Proxy};

use crate::address::{joined, origin, plain, retry_after, shown, text};
use crate::agent::{agent, read_proxy, tls};
use crate::event::{Event, Say};
use crate::proxy::Way;
use crate::{HubError, Repo, Settings, Stop};

/// Tries without a new byte.
const TRIES: u32 = 5;
/// The same while the hub has not answered at all: the name may be wrong, or there is no network.
const TRIES_AT_FIRST: u32 = 2;
/// The longest pause that a hub may ask for. The hub's limits are counted over five minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(330);
const REDIRECTS: usize = 10;
/// The longest answer that is read into memory; the largest repositories list some ten thousand files.
const LONGEST_ANSWER: u64 = 64 << 20;

/// What was asked about, for error texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub repo: &'a Repo,
    pub revision: &'a str,
    pub file: Option<&'a str>,
}

/// Why a request has no answer that can be used.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Another try may succeed.
    Again {
        reason: String,
        /// The pause that the server asks for.
        after: Option<Duration>,
        /// Scheme, host and port of a server that could not be reached.
        unreached: Option<String>,
    },
    /// It will not.
    Final(HubError),
}

impl From<HubError> for Trouble {
    fn from(error: HubError) -> Self {
        Self::Final(error)
    }
}

impl Trouble {
    pub fn again(reason: impl Into<String>) -> Self {
        Self::Again {
            reason: reason.into(),
            after: None,
            unreached: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Head,
    Get,
}

/// A client of one hub.
#[derive(Debug)]
pub(crate) struct Client {
    pub settings: Settings,
    pub stop: Arc<Stop>,
    endpoint: Uri,
    direct: Agent,
    by_http_proxy: Option<Agent>,
    by_https_proxy: Option<Agent>,
    /// Whether any server has answered yet.
    reached: AtomicBool,
}

impl Client {
    pub fn new(settings: Settings, stop: Arc<Stop>) -> Result<Self, HubError> {
        let endpoint = settings.endpoint.parse().map_err(|_| HubError::Setting {
            name: "HF_ENDPOINT".to_owned(),
            reason: format!("is {:?}; accepted: an address", settings.endpoint),
        })?;
        let tls = tls(&settings)?;
        let agent = |proxy: Option<Proxy>| {
            let agent = agent(&settings, &tls, proxy);
            stop.closes(&agent);
            agent
        };
        let by = |proxy: &Option<(String, String)>| match proxy {
            Some((name, address)) => {
                read_proxy(name, address).map(|proxy| Some(agent(Some(proxy))))
            }
            None => Ok(None),
        };
        Ok(Self {
            endpoint,
            direct: agent(None),
            by_http_proxy: by(&settings.proxies.http)?,
            by_https_proxy: by(&settings.proxies.https)?,
            reached: AtomicBool::new(false),
            settings,
            stop,
        })
    }

    /// The length and the names of a file, from the first answer that has a checksum.
    pub fn head(&self, url: &str, about: About<'_>) -> Result<HeaderMap, Trouble> {
        let response = self.send(Method::Head, url, None, about)?;
        Ok(response.into_parts().0.headers)
    }

    /// A file from a byte on: status 200 or 206, and the body.
    pub fn get(&self, url: &str, from: u64, about: About<'_>) -> Result<Response<Body>, Trouble> {
        self.send(Method::Get, url, (from > 0).then_some(from), about)
    }

    /// A whole answer of a moderate length.
    pub fn read(&self, url: &str, about: About<'_>) -> Result<Vec<u8>, Trouble> {
        let response = self.send(Method::Get, url, None, about)?;
        let body = response.into_body().into_with_config();
        body.limit(LONGEST_ANSWER)
            .read_to_vec()
            .map_err(|error| self.trouble(error, &self.endpoint))
    }

    fn send(
        &self,
        method: Method,
        url: &str,
        from: Option<u64>,
        about: About<'_>,
    ) -> Result<Response<Body>, Trouble> {
        let parse = |url: &str| {
            url.parse::<Uri>().map_err(|error| HubError::NotAHub {
                url: shown(url),
                reason: format!("this is no address: {error}"),
            })
        };
        let mut uri = parse(url)?;
        // Once it has left the hub, a request has no token any more, even if it is led back.
        let mut at_home = true;
        for _ in 0..=REDIRECTS {
            at_home &= origin(&uri) == origin(&self.endpoint);
            let response = self.send_once(method, &uri, from, at_home)?;
            self.reached.store(true, Ordering::Relaxed);
            let status = response.status().as_u16();
            let headers = response.headers();
            match status {
                200 | 206 => return Ok(response),
                301 | 302 | 303 | 307 | 308 => {
                    if method == Method::Head && headers.contains_key("x-linked-etag") {
                        return Ok(response);
                    }
                    let Some(to) = text(headers, header::LOCATION.as_str()) else {
                        return Err(HubError::NotAHub {
                            url: shown(&uri.to_string()),
                            reason: format!("status {status} without a location"),
                        }
                        .into());
                    };
                    let next = parse(&joined(&uri, to))?;
                    if uri.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                        return Err(HubError::Redirect {
                            url: shown(&uri.to_string()),
                            to: shown(&next.to_string()),
                            reason: "it is not encrypted",
                        }
                        .into());
                    }
                    uri = next;
                }
                _ => return Err(self.refusal(status, headers, &uri, at_home, about)),
            }
        }
        Err(HubError::Redirect {
            url: shown(url),
            to: shown(&uri.to_string()),
            reason: "it is led on and on",
        }
        .into())
    }

    fn send_once(
        &self,
        method: Method,
        uri: &Uri,
        from: Option<u64>,
        at_home: bool,
    ) -> Result<Response<Body>, Trouble> {
        if self.stop.is_asked() {
            return Err(HubError::Interrupted.into());
        }
        let agent = match self.settings.proxies.way(uri) {
            Way::Direct => Some(&self.direct),
            Way::HttpProxy => self.by_http_proxy.as_ref(),
            Way::HttpsProxy => self.by_https_proxy.as_ref(),
        };
        let agent = agent.unwrap_or(&self.direct);
        let mut request = match method {
            Method::Head => agent.head(uri),
            Method::Get => agent.get(uri),
        };
        if let Some(from) = from {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = self.settings.token.as_ref().filter(|_| at_home) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.secret));
        }
        request.call().map_err(|error| self.trouble(error, uri))
    }

    /// What an error of the connection means.
    pub fn trouble(&self, error: ureq::Error, uri: &Uri) -> Trouble {
        use ureq::Error as E;
        if self.stop.is_asked() {
            return HubError::Interrupted.into();
        }
        let unreached = match &error {
            E::HostNotFound
            | E::ConnectionFailed
            | E::ConnectProxyFailed(_)
            | E::Tls(_)
            | E::Rustls(_) => true,
            E::Timeout(timeout) => {
                matches!(timeout, ureq::Timeout::Connect | ureq::Timeout::Resolve)
            }
            E::Io(error) => matches!(
                error.kind(),
                ErrorKind::ConnectionRefused
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::NetworkDown
                    | ErrorKind::AddrNotAvailable
                    // A certificate that is not trusted comes as this.
                    | ErrorKind::InvalidData
            ),
            _ => false,
        };
        let reason = match error {
            E::Io(error) => error.to_string(),
            E::Timeout(_) => format!("no answer for {} s", self.settings.silence.as_secs()),
            other => other.to_string(),
        };
        Trouble::Again {
            reason,
            after: None,
            unreached: unreached.then(|| origin(uri)),
        }
    }

    /// What a status means that is neither success nor a redirect.
    fn refusal(
        &self,
        status: u16,
        headers: &HeaderMap,
        uri: &Uri,
        at_home: bool,
        about: About<'_>,
    ) -> Trouble {
        let url = shown(&uri.to_string());
        let said = text(headers, "x-error-message")
            .map(plain)
            .filter(|said| !said.is_empty());
        let endpoint = self.settings.endpoint.clone();
        let repo = about.repo.to_string();
        let with_token = self.settings.token.is_some();
        let no_such_repo = || HubError::NoSuchRepo {
            repo: repo.clone(),
            endpoint: endpoint.clone(),
            with_token,
        };
        let after = text(headers, header::RETRY_AFTER.as_str()).and_then(retry_after);
        let error = match (status, text(headers, "x-error-code").unwrap_or_default()) {
            (408 | 429 | 500 | 502 | 503 | 504, _) => {
                return match after.filter(|after| *after > LONGEST_PAUSE) {
                    Some(after) => HubError::Busy {
                        url,
                        seconds: after.as_secs(),
                    }
                    .into(),
                    None => Trouble::Again {
                        reason: format!("{url} answered {status}"),
                        after,
                        unreached: None,
                    },
                }
            }
            // A storage address is signed, and its signature has run out; the hub gives a new one.
            (401 | 403 | 404 | 410, _) if !at_home => {
                return Trouble::again(format!("{} answered {status}", origin(uri)))
            }
            (401 | 403, "GatedRepo") => HubError::Gated {
                repo,
                endpoint,
                said: said
                    .map(|said| format!("; it says: {said}"))
                    .unwrap_or_default(),
            },
            (401 | 404, "RepoNotFound") => no_such_repo(),
            (404, "RevisionNotFound") => HubError::NoSuchRevision {
                repo,
                revision: about.revision.to_owned(),
            },
            (401, _) => match &self.settings.token {
                Some(token) => HubError::Token {
                    endpoint,
                    origin: token.origin.clone(),
                },
                None => no_such_repo(),
            },
            (404, _) => match about.file {
                Some(file) => HubError::NoSuchFile {
                    repo,
                    file: file.to_owned(),
                },
                None => no_such_repo(),
            },
            // A part that is as long as the file, or longer; whoever asked for a range knows.
            (416, _) => return Trouble::again("the server has no such range"),
            _ => HubError::Status {
                url,
                status,
                said: said.map(|said| format!(": {said}")).unwrap_or_default(),
            },
        };
        error.into()
    }
}

/// How often something was tried without a new byte, and how long to wait.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    tries: u32,
}

impl Patience {
    /// Waits before another try.
    ///
    /// # Errors
    /// The trouble, if another try is of no use or it was tried often enough; [`HubError::Interrupted`].
    pub fn wait(
        &mut self,
        client: &Client,
        what: &str,
        trouble: Trouble,
        say: Say<'_>,
    ) -> Result<(), HubError> {
        let (reason, after, unreached) = match trouble {
            Trouble::Final(error) => return Err(error),
            Trouble::Again {
                reason,
                after,
                unreached,
            } => (reason, after, unreached),
        };
        if client.stop.is_asked() {
            return Err(HubError::Interrupted);
        }
        self.tries += 1;
        let at_first = unreached.is_some() && !client.reached.load(Ordering::Relaxed);
        let most = if at_first { TRIES_AT_FIRST } else { TRIES };
        if self.tries >= most {
            return Err(match unreached {
                Some(url) => HubError::Unreachable { url, reason },
                None => HubError::GaveUp {
                    what: what.to_owned(),
                    tries: self.tries,
                    reason,
                },
            });
        }
        let time = after.unwrap_or(Duration::from_secs(1 << (self.tries - 1)));
        let seconds = time.as_secs();
        say(Event::Note(&format!(
            "{what}: {reason}; trying again in {seconds} s"
        )));
        client.settings.pause.pause(time, &client.stop);
        match client.stop.is_asked() {
            true => Err(HubError::Interrupted),
            false => Ok(()),
        }
    }

    /// Something came, so that what follows is a new beginning.
    pub fn renew(&mut self) {
        self.tries = 0;
    }
}

/// Tries until it succeeds or is tried often enough.
pub(crate) fn patiently<T>(
    client: &Client,
    what: &str,
    say: Say<'_>,
    mut attempt: impl FnMut() -> Result<T, Trouble>,
) -> Result<T, HubError> {
    let mut patience = Patience::default();
    loop {
        match attempt() {
            Ok(found) => return Ok(found),
            Err(trouble) => patience.wait(client, what, trouble, say)?,
        }
    }
}
