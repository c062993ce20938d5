//! Writing a database as rosbag2's plugin does, schema version 4.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::topic::Topic;
use crate::{qos, BagError};

const SCHEMA: &str = "
    CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
    CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, metadata TEXT NOT NULL);
    CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
        serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL, type_description_hash TEXT NOT NULL);
    CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL, encoding TEXT NOT NULL,
        encoded_message_definition TEXT NOT NULL, type_description_hash TEXT NOT NULL);
    CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
        data BLOB NOT NULL);
    CREATE INDEX timestamp_idx ON messages (timestamp ASC);
";

/// How many bytes of messages are written before they are made to last.
const COMMIT: u64 = 64 << 20;

/// A file being written.
pub struct SqliteWriter {
    path: PathBuf,
    connection: Connection,
    defined: BTreeSet<String>,
    size: u64,
    uncommitted: u64,
}

impl SqliteWriter {
    /// Begins a file that must not exist.
    pub fn create(path: &Path, ros_distro: &str) -> Result<Self, BagError> {
        // SQLite would open what is there.
        std::fs::File::create_new(path).map_err(BagError::io(path))?;
        let begin = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            // A recording that is interrupted is written again, or salvaged: nothing is to be waited for.
            connection.pragma_update(None, "journal_mode", "MEMORY")?;
            connection.pragma_update(None, "synchronous", "OFF")?;
            connection.execute_batch(SCHEMA)?;
            let sql = "INSERT INTO schema(schema_version, ros_distro) VALUES (4, ?1)";
            connection.execute(sql, [ros_distro])?;
            connection.execute_batch("BEGIN")?;
            Ok(connection)
        };
        Ok(Self {
            connection: begin().map_err(BagError::sqlite(path))?,
            path: path.to_owned(),
            defined: BTreeSet::new(),
            size: 0,
            uncommitted: 0,
        })
    }

    /// The number by which messages name the topic.
    pub fn add_topic(&mut self, topic: &Topic, version: u32) -> Result<i64, BagError> {
        let hash = topic.type_hash.as_deref().unwrap_or_default();
        let defined = self.defined.insert(topic.ros_type.clone());
        let definition = topic.definition.as_ref().filter(|_| defined);
        let add = |connection: &Connection| {
            if let Some(definition) = definition {
                connection.execute(
                    "INSERT INTO message_definitions(topic_type, encoding, encoded_message_definition, \
                     type_description_hash) VALUES (?1, ?2, ?3, ?4)",
                    (
                        &topic.ros_type,
                        &definition.encoding,
                        &definition.text,
                        hash,
                    ),
                )?;
            }
            connection.execute(
                "INSERT INTO topics(name, type, serialization_format, offered_qos_profiles, \
                 type_description_hash) VALUES (?1, ?2, ?3, ?4, ?5)",
                (
                    &topic.name,
                    &topic.ros_type,
                    &topic.serialization_format,
                    qos::to_text(&topic.qos, version),
                    hash,
                ),
            )?;
            Ok(connection.last_insert_rowid())
        };
        add(&self.connection).map_err(BagError::sqlite(&self.path))
    }

    pub fn write(&mut self, topic: i64, time: u64, data: &[u8]) -> Result<(), BagError> {
        let Ok(time) = i64::try_from(time) else {
            return Err(BagError::LogTime {
                path: self.path.clone(),
                time,
            });
        };
        self.size += data.len() as u64;
        self.uncommitted += data.len() as u64;
        let commit = self.uncommitted >= COMMIT;
        if commit {
            self.uncommitted = 0;
        }
        let write = |connection: &Connection| {
            let sql = "INSERT INTO messages(topic_id, timestamp, data) VALUES (?1, ?2, ?3)";
            connection
                .prepare_cached(sql)?
                .execute((topic, time, data))?;
            if commit {
                connection.execute_batch("COMMIT; BEGIN")?;
            }
            Ok(())
        };
        write(&self.connection).map_err(BagError::sqlite(&self.path))
    }

    /// Bytes of the messages so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the file; `metadata` is rosbag2's.
    pub fn finish(self, version: u32, metadata: &str) -> Result<(), BagError> {
        let end = |connection: &Connection| {
            let sql = "INSERT INTO metadata(metadata_version, metadata) VALUES (?1, ?2)";
            connection.execute(sql, (version, metadata))?;
            connection.execute_batch("COMMIT")
        };
        end(&self.connection).map_err(BagError::sqlite(&self.path))?;
        let closed = self.connection.close();
        closed.map_err(|(_, error)| BagError::sqlite(&self.path)(error))
    }
}
