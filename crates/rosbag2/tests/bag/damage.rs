//! Damaged bags: one clear line each, and everything that can be read.

use std::fs;
use std::path::Path;

use rosbag2::{
    Bag, BagError, BagWriter, ChunkCompression, Compression, McapFault, NewTopic, Note, Selection,
    StorageKind, StringMessage, WriterOptions,
};

use crate::sample::{self, ways, ROUNDS};

/// Whatever was opened or not: what it says is one line.
fn one_line(said: &str) {
    assert!(!said.contains('\n') && said.len() < 600, "{said}");
}

fn lines(bag: &Bag) {
    for note in bag.notes() {
        one_line(&note.to_string());
    }
}

fn sample(folder: &Path, name: &str) -> (std::path::PathBuf, Vec<sample::Plain>) {
    let (_, options) = ways().into_iter().find(|way| way.0 == name).unwrap();
    let messages = sample::messages();
    let path = sample::write(folder, name, options, &messages);
    (sample::first_file(&path), messages)
}

fn options(storage: StorageKind) -> WriterOptions {
    WriterOptions {
        storage,
        ..WriterOptions::default()
    }
}

#[test]
fn a_cut_mcap_is_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap", "mcap_zstd", "mcap_lz4", "mcap_unchunked"] {
        let (file, messages) = sample(folder.path(), name);
        let whole = fs::read(&file).unwrap();
        let mut before = 0;
        for cut in (8..whole.len()).step_by(whole.len() / 60) {
            fs::write(&file, &whole[..cut]).unwrap();
            let bag = Bag::open(&file).unwrap();
            let (read, errors) = sample::read(&bag, &Selection::all());
            // The chunk that the file ends in says so again; nothing else is wrong.
            assert!(errors.len() <= 1, "{name} {cut}: {errors:?}");
            assert!(messages.starts_with(&read), "{name} {cut}");
            assert!(read.len() >= before, "{name} {cut}");
            before = read.len();
            assert_eq!(bag.message_count(), read.len() as u64, "{name} {cut}");
            let note = bag.notes().first().unwrap();
            match note {
                Note::Truncated { read, bytes, .. } => {
                    assert!(*bytes == cut as u64 && read <= bytes, "{note}");
                }
                // All that is missing is the index.
                note => {
                    assert!(matches!(note, Note::Unindexed { .. }), "{note}");
                    assert_eq!(read.len(), messages.len(), "{name} {cut}");
                }
            }
            lines(&bag);
        }
        assert!(before > 250, "{name}: {before}");
    }
}

#[test]
fn a_cut_inside_a_chunk_gives_the_messages_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriterOptions {
        chunk_size: Some(1 << 30),
        compression: Compression::Chunk(ChunkCompression::Zstd),
        ..WriterOptions::default()
    };
    // Bytes that do not compress, so that half of the file is half of the messages.
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let messages: Vec<_> = (0..300)
        .map(|time| {
            let data = (0..2000).map(|_| byte()).collect();
            (sample::IMAGES.to_owned(), time, data)
        })
        .collect();
    let path = sample::write(folder.path(), "bag", options, &messages);
    let file = sample::first_file(&path);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let bag = Bag::open(&file).unwrap();
    let found = bag.message_count() as usize;
    // zstd gives its blocks of 128 KiB as they end.
    assert!((75..=155).contains(&found), "{found}");
    let (read, errors) = sample::read(&bag, &Selection::all());
    assert!(errors.len() == 1 && read == messages[..found]);
    lines(&bag);
}

#[test]
fn a_wrong_crc_costs_its_chunk_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap", "mcap_zstd", "mcap_lz4"] {
        let (file, messages) = sample(folder.path(), name);
        let mut bytes = fs::read(&file).unwrap();
        // Within the first chunk, whose records begin at byte 90 or a little later.
        bytes[300] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let bag = Bag::open(&file).unwrap();
        let (read, errors) = sample::read(&bag, &Selection::all());
        let [error] = &errors[..] else {
            panic!("{name}: {errors:?}");
        };
        let BagError::Mcap { fault, .. } = error else {
            panic!("{error}");
        };
        assert!(
            matches!(fault, McapFault::Crc { .. } | McapFault::Unpack { .. }),
            "{error}"
        );
        one_line(&error.to_string());
        assert!(read.len() > 200 && read.len() < messages.len(), "{name}");
        assert!(read.iter().all(|message| messages.contains(message)));
    }
}

#[test]
fn an_mcap_without_its_index_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap", "mcap_zstd", "mcap_unchunked"] {
        let (file, messages) = sample(folder.path(), name);
        let mut bytes = fs::read(&file).unwrap();
        // Within the summary, whose CRC is then wrong.
        let place = bytes.len() - 60;
        bytes[place] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let bag = Bag::open(&file).unwrap();
        assert!(
            matches!(bag.notes(), [Note::Unindexed { .. }]),
            "{name}: {:?}",
            bag.notes()
        );
        lines(&bag);
        assert_eq!(bag.message_count(), 3 * ROUNDS);
        assert!(
            sample::read(&bag, &Selection::all()).0 == messages,
            "{name}"
        );
    }
}

#[test]
fn a_cut_database_gives_what_its_pages_hold() {
    let folder = tempfile::tempdir().unwrap();
    let (file, messages) = sample(folder.path(), "sqlite");
    let whole = fs::read(&file).unwrap();
    for part in [3, 5, 8, 9] {
        fs::write(&file, &whole[..whole.len() * part / 10]).unwrap();
        let bag = Bag::open(&file).unwrap();
        let (read, errors) = sample::read(&bag, &Selection::all());
        assert!(errors.is_empty(), "{part}: {errors:?}");
        assert!(matches!(bag.notes(), [Note::Truncated { .. }]));
        lines(&bag);
        assert_eq!(bag.message_count(), read.len() as u64);
        assert!(read.iter().all(|message| messages.contains(message)));
        let least = messages.len() * (part - 2) / 10;
        assert!(read.len() >= least, "{part}: {} of {least}", read.len());
    }
}

#[test]
fn a_cut_compressed_file_is_unpacked_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap_file", "sqlite_file"] {
        let (file, messages) = sample(folder.path(), name);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() - 10]).unwrap();
        let bag = Bag::open(&file).unwrap();
        let unpacked = |note: &Note| matches!(note, Note::Unpacked { .. });
        assert!(
            bag.notes().iter().any(unpacked),
            "{name}: {:?}",
            bag.notes()
        );
        lines(&bag);
        let (read, _) = sample::read(&bag, &Selection::all());
        // zstd gives its blocks of 128 KiB as they end, and the sample has more than one.
        assert!(
            read.len() > 100 && read.len() < messages.len(),
            "{name}: {}",
            read.len()
        );
        assert!(
            read.iter().all(|message| messages.contains(message)),
            "{name}"
        );
        // The file does not hold even one whole block.
        fs::write(&file, &whole[..100]).unwrap();
        let error = Bag::open(&file).err().unwrap();
        one_line(&error.to_string());
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.to_string().contains("it is cut short"), "{error}");
    }
}

/// Also where the decoder sees nothing wrong: between two frames, of which some compressors make many.
#[test]
fn a_compressed_file_says_that_it_was_cut_wherever_that_was() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap", "sqlite"] {
        let (file, messages) = sample(folder.path(), name);
        let plain = fs::read(&file).unwrap();
        let frames: Vec<Vec<u8>> = plain
            .chunks(16_384)
            .map(|part| zstd::encode_all(part, 0).unwrap())
            .collect();
        let whole = frames.concat();
        let mut boundaries = vec![0];
        boundaries.extend(frames.iter().scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        }));
        let packed = folder.path().join(format!(
            "{name}.{}.zstd",
            match name {
                "mcap" => "mcap",
                _ => "db3",
            }
        ));
        fs::write(&packed, &whole).unwrap();
        let bag = Bag::open(&packed).unwrap();
        assert_eq!(bag.notes(), [], "{name}");
        assert!(sample::read(&bag, &Selection::all()).0 == messages);
        let between = boundaries.iter().copied();
        let within = between.clone().flat_map(|at| [at + 1, at + 4, at + 60]);
        let last = [1, 2, 3, 4].map(|missing| whole.len() - missing);
        for cut in between
            .chain(within)
            .chain(last)
            .filter(|cut| *cut < whole.len())
        {
            fs::write(&packed, &whole[..cut]).unwrap();
            match Bag::open(&packed) {
                Ok(bag) => {
                    assert!(
                        bag.notes().iter().any(Note::is_loss),
                        "{name} {cut}: {:?}",
                        bag.notes()
                    );
                    lines(&bag);
                    let within = !boundaries.contains(&cut);
                    let cut_short = |note: &Note| note.to_string().contains("it is cut short");
                    assert_eq!(bag.notes().iter().any(cut_short), within, "{name} {cut}");
                }
                Err(error) => one_line(&error.to_string()),
            }
        }
    }
}

#[test]
fn a_file_that_the_metadata_does_not_name_is_mentioned() {
    let folder = tempfile::tempdir().unwrap();
    for (name, left_over) in [
        ("mcap_split", "part_0.mcap"),
        ("sqlite_split", "part_0.db3"),
        ("mcap_file", "part_0.mcap.zstd"),
    ] {
        let (file, messages) = sample(folder.path(), name);
        let path = file.parent().unwrap();
        let left_over = path.join(left_over);
        fs::copy(&file, &left_over).unwrap();
        fs::write(path.join("notes.txt"), "no bag").unwrap();
        let bag = Bag::open(path).unwrap();
        let expected = Note::Unnamed {
            path: left_over.clone(),
        };
        assert_eq!(bag.notes(), [expected], "{name}");
        assert!(!bag.notes()[0].is_loss());
        assert!(bag.notes()[0]
            .to_string()
            .starts_with(&left_over.display().to_string()));
        lines(&bag);
        // The file that is left over is neither counted nor read.
        assert_eq!(bag.message_count(), messages.len() as u64);
        assert!(
            sample::read(&bag, &Selection::all()).0 == messages,
            "{name}"
        );
    }
}

#[test]
fn missing_and_broken_metadata_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap_split", "sqlite_split"] {
        let (file, messages) = sample(folder.path(), name);
        let path = file.parent().unwrap();
        let metadata = path.join("metadata.yaml");
        for text in ["[", "rosbag2_bagfile_information: {version: 10}"] {
            fs::write(&metadata, text).unwrap();
            let bag = Bag::open(path).unwrap();
            assert!(matches!(bag.notes(), [Note::BadMetadata { .. }]), "{name}");
            lines(&bag);
            assert!(
                sample::read(&bag, &Selection::all()).0 == messages,
                "{name}"
            );
        }
        fs::remove_file(&metadata).unwrap();
        let bag = Bag::open(path).unwrap();
        assert!(matches!(bag.notes(), [Note::NoMetadata { .. }]), "{name}");
        assert!(
            sample::read(&bag, &Selection::all()).0 == messages,
            "{name}"
        );
    }
}

#[test]
fn a_missing_or_unreadable_file_leaves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mcap_split", "sqlite_split"] {
        let (file, messages) = sample(folder.path(), name);
        let path = file.parent().unwrap();
        let files = Bag::open(path).unwrap().files();
        fs::remove_file(&file).unwrap();
        fs::write(&files[1].path, "not a bag").unwrap();
        let bag = Bag::open(path).unwrap();
        let notes = bag.notes();
        assert!(notes.contains(&Note::MissingFile { path: file.clone() }));
        let bad = |note: &&Note| matches!(note, Note::BadFile { .. });
        assert_eq!(notes.iter().filter(bad).count(), 1, "{notes:?}");
        assert!(notes.iter().any(|note| matches!(note, Note::Count { .. })));
        lines(&bag);
        let (read, errors) = sample::read(&bag, &Selection::all());
        assert!(errors.is_empty() && messages.ends_with(&read) && !read.is_empty());
        for file in files {
            let _ = fs::remove_file(file.path);
        }
        let error = Bag::open(path).err().unwrap();
        assert!(matches!(error, BagError::NoFiles { .. }), "{error}");
        one_line(&error.to_string());
    }
}

#[test]
fn a_bag_without_messages_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for storage in [StorageKind::Mcap, StorageKind::Sqlite3] {
        let name = storage.identifier();
        let path = sample::write(folder.path(), name, options(storage), &[]);
        let bag = Bag::open(&path).unwrap();
        assert_eq!(bag.notes(), [Note::Empty { path }]);
        assert_eq!((bag.span(), bag.topics().len()), (None, 3));
        assert_eq!(sample::read(&bag, &Selection::all()).0, []);
    }
}

#[test]
fn an_unknown_type_is_read_as_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for storage in [StorageKind::Mcap, StorageKind::Sqlite3] {
        let path = folder.path().join(storage.identifier());
        let mut writer = BagWriter::create(&path, options(storage)).unwrap();
        let topic = NewTopic {
            ros_type: "my_msgs/msg/Mine".into(),
            definition: Some(rosbag2::Definition {
                encoding: "ros2msg".into(),
                text: "uint8 mine\n".into(),
            }),
            ..NewTopic::of::<StringMessage>("/mine")
        };
        let topic = writer.add_topic(topic).unwrap();
        writer.write(topic, 3, &[0, 1, 0, 0, 42]).unwrap();
        writer.finish().unwrap();
        let bag = Bag::open(&path).unwrap();
        let mut messages = bag.messages(&Selection::all()).unwrap();
        let raw = messages.next().unwrap().unwrap();
        assert_eq!(raw.data[4], 42);
        let error = bag.decode::<StringMessage>(&raw).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/mine is of type my_msgs/msg/Mine, not std_msgs/msg/String"
        );
    }
}

#[test]
fn what_is_not_a_bag_is_told_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let error = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = Bag::open(&path).err().unwrap();
        one_line(&error.to_string());
        assert!(error.to_string().contains(name));
        error
    };
    assert!(matches!(error("a.txt", b"hello"), BagError::NotABag { .. }));
    assert!(matches!(error("b.mcap", b"hello"), BagError::Mcap { .. }));
    assert!(matches!(error("b.db3", &[7; 500]), BagError::Sqlite { .. }));
    assert!(matches!(
        error("a.mcap.zstd", b"hello"),
        BagError::Unpack { .. }
    ));
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let error = Bag::open(&empty).err().unwrap();
    assert!(matches!(error, BagError::NotABag { .. }));
    let error = Bag::open(folder.path().join("nowhere")).err().unwrap();
    assert!(matches!(error, BagError::Io { .. }));
}
