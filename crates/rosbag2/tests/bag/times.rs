//! Messages at the ends of time: none is left out, and what a storage cannot hold is refused.

use std::path::{Path, PathBuf};

use rosbag2::{
    Bag, BagError, BagWriter, NewTopic, Note, Selection, StorageKind, StringMessage, WriterOptions,
};
use rusqlite::Connection;

use crate::sample::{self, Plain, TEXTS};

fn text(time: u64) -> Plain {
    (TEXTS.into(), time, vec![0, 1, 0, 0])
}

fn write(folder: &Path, storage: StorageKind, chunk_size: Option<u64>, times: &[u64]) -> PathBuf {
    let messages: Vec<Plain> = times.iter().map(|&time| text(time)).collect();
    let options = WriterOptions {
        storage,
        chunk_size,
        ..WriterOptions::default()
    };
    sample::write(folder, &format!("bag{chunk_size:?}"), options, &messages)
}

fn times(bag: &Bag, selection: &Selection) -> Vec<u64> {
    let (read, errors) = sample::read(bag, selection);
    assert!(errors.is_empty(), "{errors:?}");
    read.into_iter().map(|(_, time, _)| time).collect()
}

#[test]
fn the_last_moment_there_is_belongs_to_a_bag() {
    const LAST: u64 = u64::MAX;
    let folder = tempfile::tempdir().unwrap();
    let all = [3, LAST - 1, LAST, LAST];
    for chunk_size in [Some(40), None] {
        let path = write(folder.path(), StorageKind::Mcap, chunk_size, &all);
        let bag = Bag::open(path).unwrap();
        assert_eq!(bag.message_count(), 4);
        assert_eq!(bag.span(), Some((3, LAST)));
        assert_eq!(times(&bag, &Selection::all()), all);
        assert_eq!(times(&bag, &Selection::all().from(LAST)), [LAST, LAST]);
        assert_eq!(times(&bag, &Selection::all().until(LAST)), [3, LAST - 1]);
        assert_eq!(times(&bag, &Selection::all().at(LAST)), [LAST, LAST]);
        assert_eq!(times(&bag, &Selection::all().at(3)), [3]);
        assert!(times(&bag, &Selection::all().until(0)).is_empty());
    }
}

#[test]
fn negative_times_of_a_database_count_as_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let bag = write(folder.path(), StorageKind::Sqlite3, None, &[0; 5]);
    let path = sample::first_file(&bag);
    let database = Connection::open(&path).unwrap();
    for (id, time) in [(1, -5), (2, i64::MIN), (3, 0), (4, i64::MAX), (5, 7)] {
        let sql = "UPDATE messages SET timestamp = ?2 WHERE id = ?1";
        database.execute(sql, (id, time)).unwrap();
    }
    let last = i64::MAX as u64;
    for index in [true, false] {
        if !index {
            database.execute("DROP INDEX timestamp_idx", []).unwrap();
        }
        let bag = Bag::open(&path).unwrap();
        assert_eq!(bag.message_count(), 5);
        assert_eq!(bag.span(), Some((0, last)));
        let [note @ Note::BeforeZero { messages: 2, .. }] = bag.notes() else {
            panic!("{:?}", bag.notes());
        };
        assert!(!note.is_loss());
        assert_eq!(times(&bag, &Selection::all()), [0, 0, 0, 7, last]);
        assert_eq!(times(&bag, &Selection::all().at(0)), [0, 0, 0]);
        assert_eq!(times(&bag, &Selection::all().from(1)), [7, last]);
        assert_eq!(times(&bag, &Selection::all().at(last)), [last]);
        assert!(times(&bag, &Selection::all().from(last + 1)).is_empty());
        assert!(times(&bag, &Selection::all().until(0)).is_empty());
        assert_eq!(times(&bag, &Selection::all().until(u64::MAX)).len(), 5);
    }
}

#[test]
fn a_time_that_a_database_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let options = WriterOptions {
        storage: StorageKind::Sqlite3,
        ..WriterOptions::default()
    };
    let mut writer = BagWriter::create(&path, options).unwrap();
    let topic = NewTopic::of::<StringMessage>(TEXTS);
    let topic = writer.add_topic(topic).unwrap();
    let error = writer.write(topic, 1 << 63, &[0, 1, 0, 0]).unwrap_err();
    assert!(matches!(error, BagError::LogTime { .. }), "{error}");
    assert!(error
        .to_string()
        .ends_with("accepted in a database: 0 to 9223372036854775807"));
    writer.write(topic, (1 << 63) - 1, &[0, 1, 0, 0]).unwrap();
    writer.finish().unwrap();
    let bag = Bag::open(&path).unwrap();
    assert_eq!(times(&bag, &Selection::all()), [(1 << 63) - 1]);
}
