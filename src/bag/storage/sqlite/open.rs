//! What a database says about itself.
//!
//! Schema versions: 1 has no QoS profiles, 2 has them, 3 has rosbag2's metadata, 4 has definitions and type hashes. What is
//! there is found by asking for tables and columns, as not every writer says its version.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::salvage::Salvage;
use crate::bag::place::Place;
use crate::bag::qos;
use crate::bag::storage::StoredTopic;
use crate::bag::topic::{full_type, Definition, Topic};
use crate::bag::{BagError, Note};

/// A database, opened.
pub struct SqliteFile {
    place: Place,
    how: How,
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

/// How a database is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Nobody writes it: no locks, and no files beside it.
    Closed,
    /// It has a journal that is to be read with it.
    Journal,
    /// It is shorter than it says.
    Short,
}

impl SqliteFile {
    /// # Errors
    /// [`BagError::Io`], [`BagError::Sqlite`]; [`BagError::Table`] for a database that is not a bag.
    pub fn open(place: Place, notes: &mut Vec<Note>) -> Result<Self, BagError> {
        let (path, shown) = (&place.real, &place.shown);
        let (found, declared) = sizes(path).map_err(BagError::io(shown))?;
        let how = if found < declared {
            How::Short
        } else if journal(path) {
            notes.push(Note::Journal {
                path: shown.clone(),
            });
            How::Journal
        } else {
            How::Closed
        };
        let connection = connect(path, how).map_err(BagError::sqlite(shown))?;
        for table in ["topics", "messages"] {
            if !has_table(&connection, table).map_err(BagError::sqlite(shown))? {
                return Err(BagError::Table {
                    path: shown.clone(),
                    table,
                });
            }
        }
        let topics = topics(&connection).map_err(BagError::sqlite(shown))?;
        let mut file = Self {
            how,
            topics,
            span: None,
            // What is said about the whole is of less weight than the messages.
            metadata: metadata(&connection).unwrap_or_default(),
            rows: 0,
            indexed: has_index(&connection).unwrap_or_default(),
            salvaged: None,
            place,
        };
        let extent = (how != How::Short).then(|| extent(&connection));
        let reason = match extent {
            Some(Ok((rows, span))) => {
                (file.rows, file.span) = (rows, span);
                return Ok(file);
            }
            Some(Err(error)) => error.to_string(),
            None => format!("the database has {declared} bytes, {found} are there"),
        };
        let salvaged = file.salvage()?;
        let times = || {
            let messages = salvaged.messages.iter();
            messages.map(|message| time(message.timestamp))
        };
        file.span = times().min().zip(times().max());
        notes.push(Note::Truncated {
            path: file.place.shown.clone(),
            read: found,
            bytes: declared.max(found),
            messages: salvaged.messages.len() as u64,
            reason,
        });
        file.salvaged = Some(Arc::new(salvaged));
        Ok(file)
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
            .and_then(|connection| count(&connection).map_err(BagError::sqlite(&self.place.shown)))
    }

    /// As errors name it.
    pub(super) fn path(&self) -> &Path {
        &self.place.shown
    }

    /// Another connection: they cannot be shared among threads.
    pub(super) fn connect(&self) -> Result<Connection, BagError> {
        connect(&self.place.real, self.how).map_err(BagError::sqlite(&self.place.shown))
    }

    /// What can be had without SQLite's help.
    pub(super) fn salvage(&self) -> Result<Salvage, BagError> {
        Salvage::of(&self.place.real)
    }
}

/// Log times are not negative.
pub(super) fn time(timestamp: i64) -> u64 {
    timestamp.max(0) as u64
}

/// How many bytes there are, and how many the header says there are (sqlite.org/fileformat2, 1.3).
fn sizes(path: &Path) -> std::io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    let found = file.metadata()?.len();
    let mut header = [0; 32];
    if file.read_exact(&mut header).is_err() {
        return Ok((found, found));
    }
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    Ok((found, page * u64::from(pages)))
}

/// Whether there is something beside the database that belongs to it.
fn journal(path: &Path) -> bool {
    ["-wal", "-journal"].into_iter().any(|end| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        std::fs::metadata(beside).is_ok_and(|metadata| metadata.len() > 0)
    })
}

fn connect(path: &Path, how: How) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = match how {
        // A journal is applied by whoever opens the database next, who needs to write it.
        How::Journal => {
            let write = OpenFlags::SQLITE_OPEN_READ_WRITE;
            Connection::open_with_flags(path, flags | write)?
        }
        How::Closed | How::Short => {
            let uri = format!("file:{}?immutable=1", escaped(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_READ_ONLY)?
        }
    };
    if how == How::Short {
        // Without it, SQLite refuses a database that is shorter than it says.
        connection.pragma_update(None, "writable_schema", true)?;
    }
    // Large messages span many pages, which are then not copied twice.
    connection.pragma_update(None, "mmap_size", i64::from(i32::MAX))?;
    Ok(connection)
}

/// A path inside a URI (sqlite.org/uri.html).
fn escaped(path: &Path) -> String {
    let mut uri = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(byte.into());
            }
            _ => uri += &format!("%{byte:02x}"),
        }
    }
    uri
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

/// How many messages at most, and the log times of the first and the last.
fn extent(connection: &Connection) -> rusqlite::Result<(u64, Option<(u64, u64)>)> {
    // One question each: SQLite finds an extreme by an index if it is asked for nothing else.
    let sql = "SELECT (SELECT MIN(id) FROM messages), (SELECT MAX(id) FROM messages), \
        (SELECT MIN(timestamp) FROM messages), (SELECT MAX(timestamp) FROM messages)";
    connection.query_row(sql, [], |row| {
        let ids: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let times: (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
        let rows = match ids {
            (Some(first), Some(last)) => last.abs_diff(first).saturating_add(1),
            _ => 0,
        };
        Ok((rows, times.0.map(time).zip(times.1.map(time))))
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
