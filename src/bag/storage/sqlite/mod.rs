//! SQLite databases, rosbag2's older storage.
//!
//! | file | what it is |
//! |---|---|
//! | `open.rs` | what a database says about itself |
//! | `messages.rs` | messages in log-time order |
//! | `salvage.rs` | messages of a damaged database |
//! | `write.rs` | writing |

mod messages;
mod open;
mod salvage;
mod write;

pub use messages::Messages;
pub use open::SqliteFile;
pub use write::SqliteWriter;
