//! The messages of a database in log-time order.
//!
//! Where messages are is asked for in batches, their bytes one by one: a batch of images would not fit in memory, and the
//! bytes of messages that are not wanted are never touched.

use std::sync::Arc;
use std::vec::IntoIter;

use rusqlite::{Connection, Row};

use super::open::{time, SqliteFile};
use super::salvage::{Salvage, Salvaged};
use crate::payload::{Payload, RawMessage};
use crate::select::MessageFilter;
use crate::BagError;

/// How many messages are listed at a time.
const BATCH: i64 = 4096;

/// A message by its number.
#[derive(Clone, Copy)]
struct Listed {
    id: i64,
    topic: i64,
    timestamp: i64,
}

/// See the module's text.
pub struct Messages {
    file: Arc<SqliteFile>,
    filter: MessageFilter,
    connection: Connection,
    batch: IntoIter<Listed>,
    /// The last timestamp that is wanted.
    last: i64,
    /// Behind which message the next batch begins.
    after: (i64, i64),
    salvaged: Option<(Arc<Salvage>, IntoIter<Salvaged>)>,
    /// Whether the last batch has been listed.
    ended: bool,
}

impl Messages {
    /// The messages of a file that are wanted.
    pub fn new(file: Arc<SqliteFile>, filter: MessageFilter) -> Result<Self, BagError> {
        let times = timestamps(&filter);
        let (first, last) = times.unwrap_or((i64::MAX, i64::MIN));
        let mut messages = Self {
            connection: file.connect()?,
            batch: Vec::new().into_iter(),
            last,
            after: (first, i64::MIN),
            salvaged: None,
            ended: filter.topics.is_empty() || times.is_none(),
            filter,
            file,
        };
        if let Some(salvage) = messages.file.salvaged.clone() {
            messages.go_on_with(salvage);
        }
        Ok(messages)
    }

    /// What comes next is from the pages of the database.
    fn go_on_with(&mut self, salvage: Arc<Salvage>) {
        self.ended = true;
        let mut messages = salvage.messages.clone();
        messages.retain(|message| {
            self.filter.topics.contains_key(&message.topic)
                && (message.timestamp, message.id) > self.after
                && message.timestamp <= self.last
        });
        messages.sort_by_key(|message| message.timestamp);
        self.salvaged = Some((salvage, messages.into_iter()));
    }

    fn list(&mut self) -> rusqlite::Result<()> {
        let keys: Vec<String> = self.filter.topics.keys().map(i64::to_string).collect();
        // Without an index, every batch would sort the whole table anew.
        let limited = if self.file.indexed { BATCH } else { -1 };
        let sql = format!(
            "SELECT id, topic_id, timestamp FROM messages WHERE topic_id IN ({}) \
             AND (timestamp, id) > (?1, ?2) AND timestamp <= ?3 ORDER BY timestamp, id LIMIT ?4",
            keys.join(", ")
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let listed = |row: &Row| {
            Ok(Listed {
                id: row.get(0)?,
                topic: row.get(1)?,
                timestamp: row.get(2)?,
            })
        };
        let (timestamp, id) = self.after;
        let rows = statement.query_map((timestamp, id, self.last, limited), listed)?;
        let batch: Vec<Listed> = rows.collect::<Result<_, _>>()?;
        self.ended = (batch.len() as i64) < BATCH || limited < 0;
        if let Some(last) = batch.last() {
            self.after = (last.timestamp, last.id);
        }
        self.batch = batch.into_iter();
        Ok(())
    }

    fn bytes(&self, id: i64) -> Result<Vec<u8>, BagError> {
        let sql = "SELECT data FROM messages WHERE id = ?1";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.query_row([id], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec()))
            })
            .map_err(BagError::sqlite(self.file.path()))
    }

    fn message(&self, listed: Listed, data: Vec<u8>) -> Option<RawMessage> {
        let time = time(listed.timestamp);
        Some(RawMessage {
            topic: *self.filter.topics.get(&listed.topic)?,
            log_time: time,
            publish_time: time,
            sequence: listed.id as u32,
            data: Payload::from(data),
        })
    }

    /// The next message, wherever it is listed, with its bytes.
    fn next_listed(&mut self) -> Option<(Listed, Result<Vec<u8>, BagError>)> {
        if let Some(listed) = self.batch.next() {
            return Some((listed, self.bytes(listed.id)));
        }
        let (salvage, messages) = self.salvaged.as_mut()?;
        let message = messages.next()?;
        let listed = Listed {
            id: message.id,
            topic: message.topic,
            timestamp: message.timestamp,
        };
        Some((listed, Ok(salvage.read(&message))))
    }
}

impl Iterator for Messages {
    type Item = Result<RawMessage, BagError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_listed() {
                Some((_, Err(error))) => return Some(Err(error)),
                Some((listed, Ok(data))) => {
                    if let Some(message) = self.message(listed, data) {
                        return Some(Ok(message));
                    }
                }
                None if self.ended => return None,
                None => {
                    if let Err(error) = self.list() {
                        self.ended = true;
                        // The lists are damaged; the messages may not be.
                        if let Ok(salvage) = self.file.salvage() {
                            self.go_on_with(Arc::new(salvage));
                        }
                        return Some(Err(BagError::sqlite(self.file.path())(error)));
                    }
                }
            }
        }
    }
}

/// The first and the last timestamp that are wanted; `None` where no timestamp could be.
fn timestamps(filter: &MessageFilter) -> Option<(i64, i64)> {
    let first = match filter.from {
        // What is before zero counts as zero.
        0 => i64::MIN,
        from => i64::try_from(from).ok()?,
    };
    let last = match filter.until {
        None => i64::MAX,
        Some(until) => i64::try_from(until.checked_sub(1)?).unwrap_or(i64::MAX),
    };
    Some((first, last))
}
