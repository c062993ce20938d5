//! What a database says about itself.
//!
//! Schema versions: 1 has no QoS profiles, 2 has them, 3 has rosbag2's metadata, 4 has definitions and type hashes. What is
//! there is found by asking for tables and columns, as not every writer says its version.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::access::{Access, Sizes};
use super::salvage::Salvage;
use crate::qos;
use crate::source_file::SourceFile;
use crate::topic::{full_type, Definition, StoredTopic, Topic};
use crate::{BagError, Note};

/// A database, opened.
pub struct SqliteFile {
    source: SourceFile,
    access: Access,
    topics: Vec<StoredTopic>,
    span: Option<(u64, u64)>,
    metadata: Option<String>,
    /// How many messages there are, if their numbers have no gap.
    rows: u64,
    /// Whether messages are found by their time without reading all.
    pub(super) indexed: bool,
    /// The messages of a database that cannot be asked for them.
    pub(super) salvaged: Option<Arc<Salvage>>,
}

impl SqliteFile {
    /// # Errors
    /// [`BagError::Io`], [`BagError::Sqlite`]; [`BagError::Table`] for a database that is not a bag.
    pub fn open(source: SourceFile, notes: &mut Vec<Note>) -> Result<Self, BagError> {
        let (path, shown) = (&source.real, &source.shown);
        let sizes = Sizes::of(path).map_err(BagError::io(shown))?;
        let (access, connection) = Access::find(path, shown, &sizes, notes)?;
        for table in ["topics", "messages"] {
            if !has_table(&connection, table).map_err(BagError::sqlite(shown))? {
                return Err(BagError::Table {
                    path: shown.clone(),
                    table,
                });
            }
        }
        let topics = topics(&connection).map_err(BagError::sqlite(shown))?;
        let extent = match access {
            Access::Short => Err(format!(
                "the database has {} bytes, {} are there",
                sizes.declared, sizes.found
            )),
            _ => extent(&connection).map_err(|error| error.to_string()),
        };
        let mut file = Self {
            access,
            topics,
            span: None,
            // Metadata that cannot be read must not keep the messages from being read.
            metadata: metadata(&connection).unwrap_or_default(),
            rows: 0,
            indexed: has_index(&connection).unwrap_or_default(),
            salvaged: None,
            source,
        };
        match extent {
            Ok(extent) => file.found(extent, notes),
            Err(reason) => file.damaged(&sizes, reason, notes)?,
        }
        Ok(file)
    }

    /// The database can be asked for its messages.
    fn found(&mut self, extent: Extent, notes: &mut Vec<Note>) {
        let path = || self.source.shown.clone();
        if self.access.has_journal() {
            notes.push(Note::Journal { path: path() });
        }
        if extent.before_zero > 0 {
            notes.push(Note::BeforeZero {
                path: path(),
                messages: extent.before_zero,
            });
        }
        self.rows = extent.rows;
        self.span = extent.span.map(|(first, last)| (time(first), time(last)));
    }

    /// It cannot: its messages are looked for in its pages.
    fn damaged(
        &mut self,
        sizes: &Sizes,
        reason: String,
        notes: &mut Vec<Note>,
    ) -> Result<(), BagError> {
        let salvaged = self.salvage()?;
        let times = || salvaged.messages.iter().map(|message| message.timestamp);
        self.span = times().map(time).min().zip(times().map(time).max());
        let path = || self.source.shown.clone();
        if self.access.has_journal() {
            notes.push(Note::JournalUnread {
                path: path(),
                reason: reason.clone(),
            });
        }
        notes.push(Note::Truncated {
            path: path(),
            read: sizes.found,
            bytes: sizes.declared.max(sizes.found),
            messages: salvaged.messages.len() as u64,
            reason,
        });
        let before_zero = times().filter(|&timestamp| timestamp < 0).count() as u64;
        if before_zero > 0 {
            notes.push(Note::BeforeZero {
                path: path(),
                messages: before_zero,
            });
        }
        self.salvaged = Some(Arc::new(salvaged));
        Ok(())
    }

    pub fn topics(&self) -> Vec<StoredTopic> {
        let copy = |stored: &StoredTopic| StoredTopic {
            key: stored.key,
            topic: stored.topic.clone(),
        };
        self.topics.iter().map(copy).collect()
    }

    pub fn span(&self) -> Option<(u64, u64)> {
        self.span
    }

    pub fn metadata(&self) -> Option<&str> {
        self.metadata.as_deref()
    }

    /// How many messages there are, if that can be known without reading them: the difference of the first and last number.
    pub fn rows(&self) -> Option<u64> {
        self.salvaged.is_none().then_some(self.rows)
    }

    /// How many messages each topic has, which reads a part of the whole table.
    pub fn counts(&self) -> Result<BTreeMap<i64, u64>, BagError> {
        if let Some(salvaged) = &self.salvaged {
            let mut counts = BTreeMap::new();
            for message in &salvaged.messages {
                *counts.entry(message.topic).or_default() += 1;
            }
            return Ok(counts);
        }
        let count = |connection: &Connection| -> rusqlite::Result<_> {
            let mut statement =
                connection.prepare("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id")?;
            let rows = statement.query_map([], |row| {
                let count: i64 = row.get(1)?;
                Ok((row.get(0)?, count.max(0) as u64))
            })?;
            rows.collect::<Result<_, _>>()
        };
        self.connect()
            .and_then(|connection| count(&connection).map_err(BagError::sqlite(&self.source.shown)))
    }

    /// The path that errors and notes name.
    pub fn path(&self) -> &Path {
        &self.source.shown
    }

    /// Another connection: they cannot be shared among threads.
    pub(super) fn connect(&self) -> Result<Connection, BagError> {
        let connection = self.access.connect(&self.source.real);
        connection.map_err(BagError::sqlite(&self.source.shown))
    }

    /// The messages that can be found in the database's pages without SQLite.
    pub(super) fn salvage(&self) -> Result<Salvage, BagError> {
        Salvage::of(&self.source.real)
    }
}

/// Log times are not negative: a moment before 1970, or before a simulation began, counts as its beginning.
pub(super) fn time(timestamp: i64) -> u64 {
    timestamp.max(0) as u64
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1";
    let found = connection.query_row(sql, [name], |_| Ok(())).optional();
    found.map(|found| found.is_some())
}

fn has_index(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'timestamp_idx'";
    let found = connection.query_row(sql, [], |_| Ok(())).optional();
    found.map(|found| found.is_some())
}

fn metadata(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT metadata FROM metadata ORDER BY id DESC LIMIT 1";
    connection.query_row(sql, [], |row| row.get(0)).optional()
}

/// What the messages span.
struct Extent {
    /// The number of messages, or more.
    rows: u64,
    /// Timestamps of the first and the last, nanoseconds.
    span: Option<(i64, i64)>,
    /// The number of messages with a negative timestamp.
    before_zero: u64,
}

fn extent(connection: &Connection) -> rusqlite::Result<Extent> {
    // One question each: SQLite finds an extreme by an index if it is asked for nothing else.
    let sql = "SELECT (SELECT MIN(id) FROM messages), (SELECT MAX(id) FROM messages), \
        (SELECT MIN(timestamp) FROM messages), (SELECT MAX(timestamp) FROM messages)";
    let (rows, span) = connection.query_row(sql, [], |row| {
        let ids: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let times: (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
        let rows = match ids {
            (Some(first), Some(last)) => last.abs_diff(first).saturating_add(1),
            _ => 0,
        };
        Ok((rows, times.0.zip(times.1)))
    })?;
    let before_zero = match span {
        Some((..0, _)) => {
            let sql = "SELECT COUNT(*) FROM messages WHERE timestamp < 0";
            connection.query_row(sql, [], |row| row.get::<_, i64>(0))?
        }
        _ => 0,
    };
    Ok(Extent {
        rows,
        span,
        before_zero: before_zero.unsigned_abs(),
    })
}

fn topics(connection: &Connection) -> rusqlite::Result<Vec<StoredTopic>> {
    let columns = columns(connection, "topics")?;
    let definitions = definitions(connection).unwrap_or_default();
    let or_null = |name| match columns.iter().any(|column| column == name) {
        true => name,
        false => "NULL",
    };
    let sql = format!(
        "SELECT id, name, type, serialization_format, {}, {} FROM topics ORDER BY id",
        or_null("offered_qos_profiles"),
        or_null("type_description_hash")
    );
    let mut statement = connection.prepare(&sql)?;
    let topic = |row: &Row| {
        let ros_type: String = row.get(2)?;
        let ros_type = full_type(&ros_type);
        let profiles: Option<String> = row.get(4)?;
        let hash: Option<String> = row.get(5)?;
        Ok(StoredTopic {
            key: row.get(0)?,
            topic: Topic {
                name: row.get(1)?,
                serialization_format: row.get(3)?,
                qos: profiles.map(|text| qos::parse(&text)).unwrap_or_default(),
                definition: definitions.get(&ros_type).cloned(),
                type_hash: hash.filter(|hash| !hash.is_empty()),
                messages: 0,
                ros_type,
            },
        })
    };
    let topics = statement.query_map([], topic)?;
    topics.collect()
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

fn definitions(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Definition>> {
    let sql = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions";
    let mut statement = connection.prepare(sql)?;
    let definitions = statement.query_map([], |row| {
        let ros_type: String = row.get(0)?;
        let definition = Definition {
            encoding: row.get(1)?,
            text: row.get(2)?,
        };
        Ok((full_type(&ros_type), definition))
    })?;
    definitions.collect()
}
