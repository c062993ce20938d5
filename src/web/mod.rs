//! A page for a browser, and the HTTP interface beneath it: `lisa serve`, and the node with `web.enable`.
//!
//! [`Server`] answers on a thread and a runtime of its own; whom it asks is a [`Backend`]. The calls and their answers are
//! described in `docs/WEB.md`, where every example is run by a test.
//!
//! | file | what it is |
//! |---|---|
//! | `backend` | what the server asks: a model, and a camera if there is one |
//! | `server` | the listening socket, its connections, and their end |
//! | `limits` | how much of everything one request, and all of them together, may take |
//! | `security` | who may call: names of the host, origins, the token; and what a browser is told to refuse |
//! | `api` | the routes, and what each of them does |
//! | `form` | a question as it comes: JSON or `multipart/form-data` |
//! | `pictures` | uploaded pictures, decoded, and the last ones of them |
//! | `running` | a question that is being answered, and that it is cancelled when its client has gone |
//! | `events` | the same as server-sent events |
//! | `answer` | an answer as JSON |
//! | `metrics` | numbers for Prometheus |
//! | `error` | what goes wrong, as status and JSON |
//! | `page` | the page's files, which are part of the program |
//!
//! **Invariant:** nothing here opens a file. What a request names is looked up in memory, and everything that is served is part
//! of the program or was sent by a client. r2r and the tensor library are not named.

mod answer;
mod api;
mod backend;
mod error;
mod events;
mod form;
mod limits;
mod metrics;
mod page;
mod pictures;
mod running;
mod security;
mod server;

pub use backend::{
    Backend, CameraPicture, EngineBackend, EventSink, PageQuestion, SubmitError, Taken,
};
pub use limits::Limits;
pub use security::{Token, TokenError};
pub use server::{Listener, Server, WebConfig, WebError};
