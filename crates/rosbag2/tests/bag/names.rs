//! Files that are not what their names say, and files that are there twice.

use std::fs;
use std::path::Path;

use rosbag2::{Bag, BagError, Note, Selection, StorageKind};
use rusqlite::Connection;

use crate::sample;

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

fn sample(folder: &Path, name: &str) -> (std::path::PathBuf, Vec<sample::Plain>) {
    let (_, options) = sample::ways()
        .into_iter()
        .find(|way| way.0 == name)
        .unwrap();
    let messages = sample::messages();
    let path = sample::write(folder, name, options, &messages);
    (sample::first_file(&path), messages)
}

#[test]
fn pointers_empty_files_and_the_other_storage_are_named_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (mcap, _) = sample(folder.path(), "mcap");
    let (database, _) = sample(folder.path(), "sqlite");
    let error = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = Bag::open(&path).err().unwrap();
        assert!(
            error.to_string().starts_with(&path.display().to_string()),
            "{error}"
        );
        error
    };
    for name in ["p.mcap", "p.db3", "p.mcap.zstd", "p.db3.zstd"] {
        let pointer = error(name, POINTER.as_bytes());
        assert!(matches!(pointer, BagError::Pointer { .. }), "{pointer}");
        let empty = error(name, b"");
        assert!(matches!(empty, BagError::EmptyFile { .. }), "{empty}");
    }
    let (mcap, database) = (fs::read(mcap).unwrap(), fs::read(database).unwrap());
    let said = error("a.db3", &mcap).to_string();
    assert!(said.ends_with("is stored as mcap by its content, and as sqlite3 by its name; accepted: a name that ends in .mcap"), "{said}");
    for (name, bytes) in [
        ("b.mcap", database.clone()),
        ("c.mcap.zstd", zstd::encode_all(&database[..], 0).unwrap()),
    ] {
        let other = error(name, &bytes);
        let is = matches!(
            other,
            BagError::OtherStorage {
                found: StorageKind::Sqlite3,
                ..
            }
        );
        assert!(is, "{other}");
    }
}

#[test]
fn a_file_that_is_there_packed_too_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap", "sqlite"] {
        let (file, messages) = sample(folder.path(), name);
        let path = file.parent().unwrap();
        fs::remove_file(path.join("metadata.yaml")).unwrap();
        let packed = format!("{}.zstd", file.display());
        // Its recorder was ended while it packed the file.
        let bytes = zstd::encode_all(&fs::read(&file).unwrap()[..], 0).unwrap();
        fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
        let bag = Bag::open(path).unwrap();
        let twice = Note::Twice {
            path: packed.into(),
        };
        assert!(bag.notes().contains(&twice), "{:?}", bag.notes());
        assert!(!bag.notes().iter().any(Note::is_loss));
        assert!(
            sample::read(&bag, &Selection::all()).0 == messages,
            "{name}"
        );
    }
}

#[test]
fn what_another_system_leaves_beside_a_file_is_no_file_of_a_bag() {
    let folder = tempfile::tempdir().unwrap();
    let (file, messages) = sample(folder.path(), "mcap");
    let path = file.parent().unwrap();
    fs::write(path.join("._mcap_0.mcap"), [0, 5, 22, 7]).unwrap();
    for metadata in [true, false] {
        if !metadata {
            fs::remove_file(path.join("metadata.yaml")).unwrap();
        }
        let bag = Bag::open(path).unwrap();
        assert_eq!(
            bag.notes().len(),
            usize::from(!metadata),
            "{:?}",
            bag.notes()
        );
        assert_eq!(bag.message_count(), messages.len() as u64);
    }
}

#[test]
fn a_file_behind_the_end_of_another_is_said_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap", "mcap_zstd", "mcap_unchunked"] {
        let (file, messages) = sample(folder.path(), name);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, [&whole[..], &whole[..]].concat()).unwrap();
        let bag = Bag::open(&file).unwrap();
        let appended = Note::Appended {
            path: file.clone(),
            at: whole.len() as u64,
        };
        assert!(bag.notes().contains(&appended), "{name}: {:?}", bag.notes());
        assert!(appended.is_loss());
        let command = format!("`tail -c +{}`", whole.len() + 1);
        assert!(appended.to_string().contains(&command), "{appended}");
        assert!(
            sample::read(&bag, &Selection::all()).0 == messages,
            "{name}"
        );
        // Zeros behind the end are no file.
        fs::write(&file, [&whole[..], &[0; 100]].concat()).unwrap();
        let bag = Bag::open(&file).unwrap();
        assert!(!bag.notes().iter().any(Note::is_loss), "{:?}", bag.notes());
    }
}

#[test]
fn messages_of_a_topic_that_a_database_does_not_describe_are_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, messages) = sample(folder.path(), "sqlite");
    let path = file.parent().unwrap();
    let database = Connection::open(&file).unwrap();
    let sql = "DELETE FROM topics WHERE name = ?1 RETURNING id";
    let id: i64 = database
        .query_row(sql, [sample::TEXTS], |row| row.get(0))
        .unwrap();
    drop(database);
    for metadata in [true, false] {
        if !metadata {
            fs::remove_file(path.join("metadata.yaml")).unwrap();
        }
        let bag = Bag::open(path).unwrap();
        let lost = Note::NoTopic {
            path: file.clone(),
            topics: vec![id],
            messages: sample::ROUNDS,
        };
        assert!(bag.notes().contains(&lost), "{:?}", bag.notes());
        assert!(lost.is_loss());
        let said = lost.to_string();
        assert!(
            said.contains(&format!(
                "100 messages are of topics that its table of topics lacks (number {id})"
            )),
            "{said}"
        );
        let (read, errors) = sample::read(&bag, &Selection::all());
        assert_eq!((read.len(), errors.len()), (messages.len() - 100, 0));
        assert_eq!(bag.message_count(), read.len() as u64);
    }
}
