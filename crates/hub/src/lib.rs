//! A client of a model hub: gets named files of a repository into the cache that all clients of the hub share.
//!
//! Rust's usual client, `hf-hub`, is not used. Its version 0.5 appends a whole file to a partial one where a server ignores
//! ranges and does not read `HF_TOKEN`, version 1.0 needs Rust 1.89 and never resumes, and none of them checks what came or
//! knows `HF_HUB_OFFLINE`. What is left of a client without these is the layout of the cache, which is in `cache.rs`.
//!
//! A file names only files above it in this table:
//!
//! | file | what it is about |
//! |---|---|
//! | `name.rs` | names of repositories, revisions and files, none of which leads out of the cache |
//! | `error.rs` | what can go wrong, in one line with the way out |
//! | `event.rs`, `stop.rs` | progress; ends a download from another thread, and waits |
//! | `settings.rs`, `proxy.rs` | what the environment says: endpoint, cache, token, offline, proxies, timeouts |
//! | `digest.rs` | the name of a blob is the checksum of its content |
//! | `space.rs` | whether the files fit on the disk |
//! | `cache.rs` | `refs/`, `blobs/`, `snapshots/` and locks |
//! | `address.rs`, `agent.rs` | addresses and headers; what the HTTP library is told: trust, timeouts, proxies |
//! | `http.rs` | requests: redirects, the token, retries, and what a status means |
//! | `download.rs` | one file from its first missing byte to its checked place |
//! | `hub.rs` | a repository at a revision, and several of its files |
//!
//! **Invariants.** A file stands under a name in `blobs/` only after its length and its checksum were compared; until then it is
//! `blobs/ETAG.incomplete`, which is resumed. The token leaves for the endpoint's own origin only. Nothing that a hub answers
//! can name a file outside the repository's folder.
//!
//! ```no_run
//! use std::sync::Arc;
//! use model_hub::{Hub, Revision, Settings, Stop};
//!
//! # fn main() -> Result<(), model_hub::HubError> {
//! let hub = Hub::new(Settings::from_env()?, Arc::new(Stop::default()))?;
//! let mut say = |event: model_hub::Event<'_>| println!("{event:?}");
//! let snapshot = hub.open(&"openai/clip-vit-large-patch14".parse()?, &Revision::default(), &mut say)?;
//! let plan = hub.plan(&snapshot, &["config.json".to_owned()], &mut say)?;
//! hub.fetch(&[plan], &mut say)?;
//! hub.remember(&snapshot)?;
//! println!("{}", snapshot.folder().join("config.json").display());
//! # Ok(())
//! # }
//! ```

mod address;
mod agent;
mod cache;
mod digest;
mod download;
mod error;
mod event;
mod http;
mod hub;
mod name;
mod proxy;
mod settings;
mod space;
mod stop;

pub use self::error::HubError;
pub use self::event::Event;
pub use self::hub::{Hub, Plan, Snapshot};
pub use self::name::{Repo, Revision};
pub use self::settings::{Proxies, Settings, Token};
pub use self::space::{check_space, Need};
pub use self::stop::{Pause, Stop};
