//! The listening socket, its connections, and their end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{watch, Semaphore};
use tracing::{debug, warn};

use super::api::{router, App};
use super::backend::Backend;
use super::limits::Limits;
use super::metrics::Metrics;
use super::pictures::Pictures;
use super::security::{Access, Token};

/// Where the server listens, and who may call it.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Port 0 is any free one.
    pub address: SocketAddr,
    /// What callers have to know. An address that is not of the loopback interface needs one.
    pub token: Option<Token>,
    /// Names of this computer that requests may carry beside localhost, for a proxy in front of the server.
    pub hosts: Vec<String>,
    /// How much is taken.
    pub limits: Limits,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Everybody in the network could ask.
    #[error("{0} can be reached from other computers, so a token is needed; accepted: a token, or an address of the loopback interface such as 127.0.0.1")]
    NeedsToken(SocketAddr),
    /// The operating system refuses the address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The operating system refuses a thread.
    #[error("cannot start the threads of the server: {0}")]
    Thread(#[from] io::Error),
}

/// A socket that listens already. Who connects waits until [`serve`](Self::serve) is called, so that a wrong address is known
/// before a model is loaded.
#[must_use = "nothing is answered until it serves"]
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    config: WebConfig,
}

/// A running server. Dropping it ends it.
#[must_use = "dropping a server ends it"]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// How long connections may go on when the server ends: long enough to send that it does.
const LAST_WORDS: Duration = Duration::from_millis(700);

/// Bytes of the head of a request. Browsers send one or two thousand.
const MAX_HEAD: usize = 32 << 10;

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// [`WebError::NeedsToken`], [`WebError::Listen`].
    pub fn bind(config: WebConfig) -> Result<Self, WebError> {
        let address = config.address;
        if config.token.is_none() && !address.ip().is_loopback() {
            return Err(WebError::NeedsToken(address));
        }
        let refused = |source| WebError::Listen { address, source };
        let socket = TcpListener::bind(address).map_err(refused)?;
        socket.set_nonblocking(true).map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self {
            socket,
            address,
            config,
        })
    }

    /// Answers on a thread of its own from now on.
    ///
    /// # Errors
    /// [`WebError::Thread`].
    pub fn serve(self, backend: Arc<dyn Backend>) -> Result<Server, WebError> {
        let Self {
            socket,
            address,
            config,
        } = self;
        let runtime = Builder::new_multi_thread()
            .thread_name("lisa-web")
            .worker_threads(2)
            .max_blocking_threads(config.limits.decodes + 8)
            .enable_all()
            .build()?;
        let (stop, closing) = watch::channel(false);
        let app = Arc::new(App {
            backend,
            access: Access {
                token: config.token,
                hosts: config
                    .hosts
                    .iter()
                    .map(|host| host.to_lowercase())
                    .collect(),
            },
            pictures: Arc::new(Pictures::new(config.limits)),
            metrics: Metrics::default(),
            uploads: Semaphore::new(config.limits.uploads),
            limits: config.limits,
            closing,
        });
        let thread = std::thread::Builder::new()
            .name("lisa-web".to_owned())
            .spawn(move || run(runtime, socket, app))?;
        Ok(Server {
            address,
            stop,
            thread: Some(thread),
        })
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    /// Open answers end with an error that says why, and their questions are cancelled.
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            if thread.join().is_err() {
                tracing::error!("the thread of the web server had panicked");
            }
        }
    }
}

fn run(runtime: Runtime, listener: TcpListener, app: Arc<App>) {
    runtime.block_on(accept(listener, app));
    runtime.shutdown_timeout(LAST_WORDS);
}

/// Accepts connections until the server ends.
async fn accept(listener: TcpListener, app: Arc<App>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the web server cannot listen: {error}"),
    };
    let max = app.limits.connections;
    let places = Arc::new(Semaphore::new(max));
    let router = router(Arc::clone(&app));
    let mut closing = app.closing.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, say: some will be closed.
                warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let (app, router) = (Arc::clone(&app), router.clone());
                tokio::spawn(async move {
                    app.metrics.connections.fetch_add(1, Relaxed);
                    serve(stream, &app, router).await;
                    app.metrics.connections.fetch_sub(1, Relaxed);
                    drop(place);
                });
            }
            Err(_) => {
                app.metrics.refused_connections.fetch_add(1, Relaxed);
                refuse(&stream);
            }
        }
    }
    drop(listener);
    // All places are free when all connections have ended.
    let all = places.acquire_many(u32::try_from(max).unwrap_or(u32::MAX));
    let _ = tokio::time::timeout(LAST_WORDS, all).await;
}

/// Tells a client that there are too many. It fits into the socket's empty buffer, so nothing waits for it.
fn refuse(stream: &TcpStream) {
    const BODY: &str =
        "{\"error\": \"too many connections; come back later\", \"kind\": \"busy\"}\n";
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    // A client that has gone already misses nothing.
    let _ = stream.try_write(response.as_bytes());
}

/// Answers the requests of one connection.
async fn serve(stream: TcpStream, app: &App, router: Router) {
    // Words of an answer leave at once.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.limits.head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let mut closing = app.closing.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = tokio::time::sleep(app.limits.connection) => None,
        _ = closing.wait_for(|closing| *closing) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let rest = tokio::time::timeout(LAST_WORDS, connection).await;
            rest.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!("a connection ended: {error}");
    }
}
