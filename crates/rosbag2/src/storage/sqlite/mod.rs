//! SQLite databases, rosbag2's older storage.
//!
//! | file | what it is |
//! |---|---|
//! | `access.rs` | how a database is opened without changing it |
//! | `open.rs` | what a database says about itself |
//! | `messages.rs` | messages in log-time order |
//! | `salvage.rs` | messages of a damaged database |
//! | `write.rs` | writing |

mod access;
mod messages;
mod open;
mod salvage;
mod write;

pub use messages::Messages;
pub use open::SqliteFile;
pub use write::SqliteWriter;
