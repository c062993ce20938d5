//! Databases that were not closed: what their journals hold is read, and nothing of the recording changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rosbag2::{Bag, Note, Selection, StorageKind, WriterOptions};
use rusqlite::Connection;

use crate::sample::{self, Plain};

/// How many of the sample's messages stand in the database; the others came after it was opened again.
const BEFORE: usize = 200;

/// Every file of a folder, with its bytes.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// A closed database with the first messages of the sample, and the others.
fn begun(folder: &Path) -> (PathBuf, Vec<Plain>) {
    let messages = sample::messages();
    let options = WriterOptions {
        storage: StorageKind::Sqlite3,
        ..WriterOptions::default()
    };
    let bag = sample::write(folder, "begun", options, &messages[..BEFORE]);
    (sample::first_file(&bag), messages)
}

fn insert(connection: &Connection, messages: &[Plain]) {
    let sql = "INSERT INTO messages(topic_id, timestamp, data) \
        SELECT id, ?2, ?3 FROM topics WHERE name = ?1";
    for (topic, time, data) in messages {
        connection
            .execute(sql, (topic, *time as i64, data))
            .unwrap();
    }
}

/// What a recorder leaves behind that is killed in this moment.
fn killed(database: &Path, folder: &Path, ends: &[&str]) -> PathBuf {
    fs::create_dir(folder).unwrap();
    let left = folder.join("left.db3");
    for end in ["", "-wal", "-shm", "-journal"] {
        let beside = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        if end.is_empty() || ends.contains(&end) {
            fs::copy(beside(database), beside(&left)).unwrap();
        }
    }
    left
}

/// Reads a bag, twice over, and sees that nothing has changed.
fn read(path: &Path) -> (Vec<Plain>, Vec<Note>) {
    let folder = path.parent().unwrap();
    let before = bytes(folder);
    let (read, notes) = {
        let bag = Bag::open(path).unwrap();
        let (read, errors) = sample::read(&bag, &Selection::all());
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(bag.message_count(), read.len() as u64);
        assert_eq!(sample::read(&bag, &Selection::all()).0, read);
        (read, bag.notes().to_vec())
    };
    assert!(bytes(folder) == before, "{} changed", folder.display());
    (read, notes)
}

#[test]
fn a_write_ahead_log_is_read_and_stays_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (database, messages) = begun(folder.path());
    let recorder = Connection::open(&database).unwrap();
    recorder.pragma_update(None, "journal_mode", "WAL").unwrap();
    insert(&recorder, &messages[BEFORE..]);
    for (name, ends) in [("index", &["-wal", "-shm"][..]), ("log", &["-wal"])] {
        let left = killed(&database, &folder.path().join(name), ends);
        let (read, notes) = read(&left);
        assert!(read == messages, "{name}: {} messages", read.len());
        assert!(matches!(notes[..], [Note::Journal { .. }]), "{notes:?}");
        // The database itself holds less: it is the log that was read.
        let alone = killed(&database, &folder.path().join(format!("{name}-no")), &[]);
        assert!(
            sample::read(&Bag::open(&alone).unwrap(), &Selection::all())
                .0
                .len()
                < messages.len()
        );
    }
    // The recorder goes on meanwhile.
    assert_eq!(
        Bag::open(&database).unwrap().message_count(),
        messages.len() as u64
    );
    insert(&recorder, &messages[..1]);
    assert_eq!(
        Bag::open(&database).unwrap().message_count(),
        messages.len() as u64 + 1
    );
    drop(recorder);
    let (read, notes) = read(&database);
    assert_eq!((read.len(), notes), (messages.len() + 1, Vec::new()));
}

#[test]
fn a_log_that_a_link_leads_to_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (database, messages) = begun(folder.path());
    let recorder = Connection::open(&database).unwrap();
    recorder.pragma_update(None, "journal_mode", "WAL").unwrap();
    insert(&recorder, &messages[BEFORE..]);
    let left = killed(&database, &folder.path().join("left"), &["-wal"]);
    let link = folder.path().join("link.db3");
    std::os::unix::fs::symlink(&left, &link).unwrap();
    let bag = Bag::open(&link).unwrap();
    assert!(sample::read(&bag, &Selection::all()).0 == messages);
}

#[test]
fn an_unfinished_transaction_is_rolled_back_in_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (database, messages) = begun(folder.path());
    let recorder = Connection::open(&database).unwrap();
    recorder
        .pragma_update(None, "journal_mode", "DELETE")
        .unwrap();
    // Pages are written before the transaction ends.
    recorder.pragma_update(None, "cache_size", 1).unwrap();
    recorder.execute_batch("BEGIN").unwrap();
    insert(&recorder, &messages[BEFORE..]);
    recorder
        .execute("DELETE FROM messages WHERE id < 50", [])
        .unwrap();
    let left = killed(&database, &folder.path().join("left"), &["-journal"]);
    recorder.execute_batch("ROLLBACK").unwrap();
    let (found, notes) = read(&left);
    assert!(found == messages[..BEFORE], "{} messages", found.len());
    assert!(matches!(notes[..], [Note::Journal { .. }]), "{notes:?}");
    // A journal that was ended by overwriting its header has nothing to roll back.
    let journal = folder.path().join("left/left.db3-journal");
    fs::copy(&database, &left).unwrap();
    let mut old = fs::read(&journal).unwrap();
    old[..28].fill(0);
    fs::write(&journal, &old).unwrap();
    assert!(read(&left).0 == messages[..BEFORE]);
}

#[test]
fn a_journal_that_cannot_be_read_is_said_and_the_database_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (database, messages) = begun(folder.path());
    let left = killed(&database, &folder.path().join("left"), &[]);
    // Neither a log nor a journal, but a folder, is in the place of both.
    let log = folder.path().join("left/left.db3-wal");
    fs::create_dir(&log).unwrap();
    fs::write(log.join("note.txt"), "").unwrap();
    let bag = Bag::open(&left).unwrap();
    assert!(sample::read(&bag, &Selection::all()).0 == messages[..BEFORE]);
    let [note @ Note::JournalUnread { .. }] = bag.notes() else {
        panic!("{:?}", bag.notes());
    };
    assert!(
        note.is_loss()
            && note
                .to_string()
                .contains("left.db3: its journal could not be read")
    );
    assert!(log.join("note.txt").is_file());
}

/// SQLite removes what stands beside an empty database.
#[test]
fn what_stands_beside_an_empty_database_stays() {
    for end in ["-wal", "-journal"] {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.db3");
        fs::write(&empty, "").unwrap();
        fs::write(format!("{}{end}", empty.display()), [7; 5000]).unwrap();
        let before = bytes(folder.path());
        let error = Bag::open(&empty).err().unwrap().to_string();
        assert!(error.contains("empty.db3 is empty (0 bytes)"), "{error}");
        assert!(bytes(folder.path()) == before, "{end}");
    }
}
