//! How a database is opened, so that reading a recording never changes it.
//!
//! A recorder that was killed leaves something beside its database: a write-ahead log (`-wal`) with messages that are not in
//! the database yet, or a rollback journal (`-journal`) with what stood there before an unfinished transaction. Whoever opens
//! the database next usually brings it up to date and removes the journal. That is a recorder's business, not a reader's.
//!
//! | beside the database | how it is read |
//! |---|---|
//! | nothing | `immutable`: no locks, and no files |
//! | `-wal` and its index, `-shm` | read-only with locks, as a recorder may still write; the index is read, not written |
//! | `-wal` alone, so that nobody writes | read-only without locks; SQLite keeps the index in its memory |
//! | `-journal` | read-only with locks; where something is to be rolled back, in a copy |

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::source_file::Temporary;
use crate::{BagError, Note};

/// See the module's text.
#[derive(Clone)]
pub enum Access {
    /// Nobody writes it, and nothing beside it belongs to it.
    Closed,
    /// A write-ahead log with its index.
    Shared,
    /// A write-ahead log without its index.
    Log,
    /// A rollback journal that has nothing to roll back.
    Journal,
    /// A rollback journal, applied to a copy.
    Copy(Arc<Copied>),
    /// The database is shorter than it says.
    Short,
}

/// A database and its journal, copied beside the system's temporary files.
pub struct Copied {
    database: Temporary,
    _journal: Temporary,
}

/// How many bytes a database has, and how many its header says it has.
pub struct Sizes {
    pub found: u64,
    pub declared: u64,
}

impl Access {
    /// Opens a database in the way that fits what stands beside it. `shown` is the path that errors and notes name.
    ///
    /// # Errors
    /// [`BagError::Io`], [`BagError::Sqlite`].
    pub fn find(
        path: &Path,
        shown: &Path,
        sizes: &Sizes,
        notes: &mut Vec<Note>,
    ) -> Result<(Self, Connection), BagError> {
        // SQLite looks beside the file that a link leads to.
        let real = fs::canonicalize(path).map_err(BagError::io(shown))?;
        let there = |end: &str| {
            let file = fs::metadata(beside(&real, end));
            file.is_ok_and(|file| file.len() > 0)
        };
        let with_journal = match sizes.found {
            // SQLite removes what stands beside an empty database.
            0 => None,
            _ if there("-wal") && there("-shm") => Some(Self::Shared),
            _ if there("-wal") => Some(Self::Log),
            _ if there("-journal") => Some(Self::Journal),
            _ => None,
        };
        if let Some(access) = with_journal {
            match access.or_copied(&real, shown) {
                Ok(opened) => return Ok(opened),
                // Somebody writes in this moment: what stands in the database is only half of the truth.
                Err(error) if is_busy(&error) => return Err(error),
                Err(error) => notes.push(Note::JournalUnread {
                    path: shown.to_owned(),
                    reason: error.to_string(),
                }),
            }
        }
        let access = match sizes.found < sizes.declared {
            true => Self::Short,
            false => Self::Closed,
        };
        let connection = access.connect(path).map_err(BagError::sqlite(shown))?;
        Ok((access, connection))
    }

    /// Whether something beside the database is read with it.
    pub fn has_journal(&self) -> bool {
        !matches!(self, Self::Closed | Self::Short)
    }

    /// Opens it, and reads its first page, with which SQLite looks at the journal.
    fn or_copied(self, path: &Path, shown: &Path) -> Result<(Self, Connection), BagError> {
        let opened = |access: Self| {
            let connection = access.connect(path)?;
            connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |_| Ok(()))?;
            Ok((access, connection))
        };
        match opened(self) {
            Err(error) if wants_rollback(&error) => {
                let copied = Self::Copy(Arc::new(Copied::of(path)?));
                opened(copied).map_err(BagError::sqlite(shown))
            }
            opened => opened.map_err(BagError::sqlite(shown)),
        }
    }

    /// Another connection: they cannot be shared among threads.
    pub fn connect(&self, path: &Path) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let read = flags | OpenFlags::SQLITE_OPEN_READ_ONLY;
        let uri = |how: &str| format!("file:{}{how}", escaped(path));
        let connection = match self {
            Self::Closed | Self::Short => Connection::open_with_flags(uri("?immutable=1"), read)?,
            Self::Shared => Connection::open_with_flags(uri("?readonly_shm=1"), read)?,
            Self::Log => {
                let connection = Connection::open_with_flags_and_vfs(uri(""), read, "unix-none")?;
                // Whoever has a database for himself needs no index that others share.
                connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
                connection
            }
            Self::Journal => Connection::open_with_flags(uri(""), read)?,
            Self::Copy(copied) => {
                let write = flags | OpenFlags::SQLITE_OPEN_READ_WRITE;
                Connection::open_with_flags(copied.database.path(), write)?
            }
        };
        // The last one to close a database would write its log into it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        if matches!(self, Self::Short) {
            // Without it, SQLite refuses a database that is shorter than it says.
            connection.pragma_update(None, "writable_schema", true)?;
        }
        // Large messages span many pages, which are then not copied twice.
        connection.pragma_update(None, "mmap_size", i64::from(i32::MAX))?;
        Ok(connection)
    }
}

impl Copied {
    fn of(path: &Path) -> Result<Self, BagError> {
        let copy = |from: &Path, mut to: File| {
            let copied = File::open(from).and_then(|mut from| io::copy(&mut from, &mut to));
            copied.map_err(BagError::io(from))
        };
        let (database, file) = Temporary::new()?;
        copy(path, file)?;
        let (journal, file) = Temporary::at(beside(database.path(), "-journal"))?;
        copy(&beside(path, "-journal"), file)?;
        Ok(Self {
            database,
            _journal: journal,
        })
    }
}

impl Sizes {
    /// Reads the sizes from the header (sqlite.org/fileformat2, 1.3).
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let found = file.metadata()?.len();
        let mut header = [0; 32];
        if file.read_exact(&mut header).is_err() {
            return Ok(Self {
                found,
                declared: found,
            });
        }
        let page = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => u64::from(size),
        };
        let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
        Ok(Self {
            found,
            declared: page * u64::from(pages),
        })
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn wants_rollback(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

fn is_busy(error: &BagError) -> bool {
    let BagError::Sqlite { source, .. } = error else {
        return false;
    };
    let busy = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked];
    source
        .sqlite_error_code()
        .is_some_and(|code| busy.contains(&code))
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
