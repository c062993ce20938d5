//! MCAP files (mcap.dev/spec).
//!
//! | file | what it is |
//! |---|---|
//! | `records.rs` | the records, one after another |
//! | `index.rs` | what a file says about itself |
//! | `summary.rs` | the index at the end |
//! | `scan.rs` | the same without it, as far as a file goes |
//! | `chunk.rs` | messages inside a chunk |
//! | `open.rs` | a file, opened by its summary or by a scan |
//! | `messages.rs` | messages in log-time order |
//! | `write.rs` | writing |

mod chunk;
mod index;
mod messages;
mod open;
mod records;
mod scan;
mod summary;
mod write;

pub use messages::Messages;
pub use open::McapFile;
pub use write::McapWriter;

#[cfg(test)]
mod tests;
