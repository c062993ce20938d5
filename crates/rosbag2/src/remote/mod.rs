//! Bags that lie elsewhere: in an object store or behind a web server. Only what is asked for is read, a range at a time.
//!
//! | file | one idea |
//! |---|---|
//! | `address.rs` | URLs of bags, and how they are shown |
//! | `store.rs` | asking a store for ranges, with errors by what can be done about them |
//! | `blocks.rs` | ranges in blocks that are kept for a while, and reading ahead |
//!
//! The crate `object_store` asks the stores: S3 and what speaks like it, Google Cloud Storage, HTTP. Credentials come from the
//! environment, by the names that the stores' own tools use.

mod address;
mod blocks;
mod store;

pub use address::without_query;
pub(crate) use address::{Address, Place};
pub(crate) use blocks::RemoteFile;
pub(crate) use store::Object;
pub use store::UrlFault;
