//! What is written reads back, whichever way it is written.

use lisa_messages::{Instruction, ReasoningResult};
use rosbag2::{
    ros_message, Bag, BagError, BagWriter, Clock, Compression, Image, Message, MessageDefinition,
    Metadata, NewTopic, Note, Selection, StorageKind, StringMessage, TFMessage, Vector3,
    WriterOptions,
};

use crate::sample::{self, ways, IMAGES, INFOS, MILLISECOND, ROUNDS, START, TEXTS};

#[test]
fn every_way_reads_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let messages = sample::messages();
    for (name, options) in ways() {
        let split = options.split_size.is_some() || options.split_duration.is_some();
        let path = sample::write(folder.path(), name, options, &messages);
        let bag = Bag::open(&path).unwrap();
        assert_eq!(bag.notes(), [], "{name}");
        assert_eq!(bag.files().len() > 2, split, "{name}");
        assert_eq!(bag.message_count(), 3 * ROUNDS, "{name}");
        assert_eq!(
            bag.span(),
            Some((START, START + 991 * MILLISECOND)),
            "{name}"
        );
        for topic in bag.topics() {
            assert_eq!(topic.messages, ROUNDS, "{name} {}", topic.name);
            assert!(topic.definition.is_some() && topic.type_hash.is_some());
        }
        assert_eq!(bag.topic(TEXTS).unwrap().qos.len(), 2, "{name}");
        let (read, errors) = sample::read(&bag, &Selection::all());
        assert!(errors.is_empty(), "{name}: {errors:?}");
        assert!(read == messages, "{name}");
    }
}

#[test]
fn topics_and_times_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let messages = sample::messages();
    let (from, until) = (START + 200 * MILLISECOND, START + 700 * MILLISECOND);
    let selection = Selection::all()
        .topics([TEXTS, INFOS])
        .from(from)
        .until(until);
    let wanted: Vec<_> = messages
        .iter()
        .filter(|(topic, time, _)| topic != IMAGES && (from..until).contains(time))
        .cloned()
        .collect();
    for (name, options) in ways() {
        let path = sample::write(folder.path(), name, options, &messages);
        let bag = Bag::open(&path).unwrap();
        let (read, errors) = sample::read(&bag, &selection);
        assert!(errors.is_empty() && read == wanted, "{name}");
        let unknown = bag.messages(&Selection::all().topics(["/nothing"]));
        let error = unknown.err().unwrap().to_string();
        assert!(
            error.contains("/nothing") && error.contains(IMAGES),
            "{error}"
        );
    }
}

#[test]
fn messages_come_in_the_order_of_their_times_not_of_their_writing() {
    let folder = tempfile::tempdir().unwrap();
    let mut ordered = sample::messages();
    ordered.sort_by_key(|message| message.1);
    // Chunks and files that overlap: even ones first.
    let (even, odd): (Vec<_>, Vec<_>) = ordered
        .iter()
        .cloned()
        .enumerate()
        .partition(|m| m.0 % 2 == 0);
    let shuffled: Vec<_> = even
        .into_iter()
        .chain(odd)
        .map(|message| message.1)
        .collect();
    for (name, options) in ways() {
        let options = WriterOptions {
            split_duration: None,
            ..options
        };
        let path = sample::write(folder.path(), name, options, &shuffled);
        let bag = Bag::open(&path).unwrap();
        assert!(sample::read(&bag, &Selection::all()).0 == ordered, "{name}");
    }
}

#[test]
fn a_file_of_a_bag_is_a_bag() {
    let folder = tempfile::tempdir().unwrap();
    let messages = sample::messages();
    for (name, options) in ways() {
        if options.split_size.is_some() || options.split_duration.is_some() {
            continue;
        }
        let path = sample::write(folder.path(), name, options, &messages);
        let bag = Bag::open(sample::first_file(&path)).unwrap();
        assert_eq!(bag.notes(), [], "{name}");
        assert_eq!(bag.message_count(), 3 * ROUNDS, "{name}");
        assert_eq!(bag.metadata().unwrap().message_count, 3 * ROUNDS, "{name}");
        assert!(
            sample::read(&bag, &Selection::all()).0 == messages,
            "{name}"
        );
    }
}

#[test]
fn metadata_says_what_the_files_hold() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in ways() {
        let path = sample::write(folder.path(), name, options.clone(), &sample::messages());
        let metadata = Metadata::read(&path.join("metadata.yaml")).unwrap();
        assert_eq!(metadata.version, options.metadata_version);
        assert_eq!(metadata.message_count, 3 * ROUNDS);
        let files: u64 = metadata.files.iter().map(|file| file.message_count).sum();
        assert_eq!(files, 3 * ROUNDS, "{name}");
        for file in &metadata.relative_file_paths {
            assert!(path.join(file).is_file(), "{file}");
        }
    }
}

#[test]
fn types_are_checked_when_written_and_when_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let clock = writer.add_topic(NewTopic::of::<Clock>("/clock")).unwrap();
    assert_eq!(
        writer.add_topic(NewTopic::of::<Clock>("/clock")).unwrap(),
        clock
    );
    let twice = writer.add_topic(NewTopic::of::<Image>("/clock"));
    assert!(matches!(twice, Err(BagError::TopicTwice { .. })));
    let unknown = NewTopic {
        ros_type: "my_msgs/msg/Mine".into(),
        definition: None,
        type_hash: None,
        ..NewTopic::of::<Image>("/mine")
    };
    let error = writer.add_topic(unknown);
    assert!(matches!(error, Err(BagError::Definition { .. })));
    let wrong = writer.write_message(clock, 1, &StringMessage::default());
    assert!(matches!(wrong, Err(BagError::Type { .. })));
    writer.write_message(clock, 1, &Clock::default()).unwrap();
    writer.write(clock, 2, &[0, 1, 0, 0, 7]).unwrap();
    writer.finish().unwrap();

    let bag = Bag::open(&path).unwrap();
    let messages = bag.messages(&Selection::all()).unwrap();
    let messages: Vec<_> = messages.map(Result::unwrap).collect();
    assert_eq!(bag.decode::<Clock>(&messages[0]).unwrap(), Clock::default());
    let error = bag.decode::<Image>(&messages[0]).unwrap_err().to_string();
    assert_eq!(
        error,
        "/clock is of type rosgraph_msgs/msg/Clock, not sensor_msgs/msg/Image"
    );
    let error = bag.decode::<Clock>(&messages[1]).unwrap_err().to_string();
    assert!(error.starts_with("/clock at 2 ns: not a rosgraph_msgs/msg/Clock: the message is 5"));
}

#[test]
fn nothing_is_overwritten_and_options_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriterOptions::default();
    let exists = BagWriter::create(folder.path(), options.clone());
    assert!(matches!(exists, Err(BagError::Exists { .. })));
    for wrong in [
        WriterOptions {
            metadata_version: 5,
            ..options.clone()
        },
        WriterOptions {
            storage: StorageKind::Sqlite3,
            compression: Compression::Chunk(rosbag2::ChunkCompression::Lz4),
            ..options
        },
    ] {
        let made = BagWriter::create(folder.path().join("new"), wrong);
        assert!(matches!(made, Err(BagError::Options { .. })));
        assert!(!folder.path().join("new").exists());
    }
}

#[test]
fn a_bag_that_was_not_finished_is_read_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    for storage in [StorageKind::Mcap, StorageKind::Sqlite3] {
        let path = folder.path().join(storage.identifier());
        let options = WriterOptions {
            storage,
            ..WriterOptions::default()
        };
        let mut writer = BagWriter::create(&path, options).unwrap();
        let tf = writer.add_topic(NewTopic::of::<TFMessage>("/tf")).unwrap();
        writer.write_message(tf, 5, &TFMessage::default()).unwrap();
        drop(writer);
        let bag = Bag::open(&path).unwrap();
        assert_eq!(bag.notes(), [Note::NoMetadata { path }]);
        assert_eq!(bag.message_count(), 1);
    }
}

#[test]
fn our_own_messages_are_written_with_their_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let result = NewTopic::of::<ReasoningResult>("/lisa/result");
    let result = writer.add_topic(result).unwrap();
    let instruction = NewTopic::of::<Instruction>("/instruction_stamped");
    writer.add_topic(instruction).unwrap();
    let message = ReasoningResult {
        answer: "It is [SEG].".into(),
        ..ReasoningResult::default()
    };
    writer.write_message(result, 9, &message).unwrap();
    writer.finish().unwrap();
    let bag = Bag::open(&path).unwrap();
    let topic = bag.topic("/lisa/result").unwrap();
    let text = &topic.definition.as_ref().unwrap().text;
    assert!(text.contains("MSG: lisa_ros/SegmentedObject\n"));
    assert_eq!(bag.topic("/instruction_stamped").unwrap().messages, 0);
    let raw = bag
        .messages(&Selection::all())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(bag.decode::<ReasoningResult>(&raw).unwrap(), message);
}

const FLAT_VECTOR: MessageDefinition = MessageDefinition {
    ros_type: "geometry_msgs/msg/Vector3",
    text: "# As it was once.\nfloat64 x\nfloat64 y\n",
    hash: "RIHS01_0000000000000000000000000000000000000000000000000000000000000000",
    parts: &[],
};

ros_message! {
    /// A message from before its type got another field.
    pub struct FlatVector = FLAT_VECTOR {
        /// Along the first axis.
        pub x: f64,
        /// Along the second axis.
        pub y: f64,
    }
}

/// It was "not a geometry_msgs/msg/Vector3", which it is.
#[test]
fn a_message_from_before_its_type_changed_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let hashed = NewTopic::of::<FlatVector>("/hashed");
    // As recorded by ROS 2 Humble, which has no hashes.
    let defined = NewTopic {
        name: "/defined".into(),
        type_hash: Some(String::new()),
        ..hashed.clone()
    };
    let damaged = NewTopic::of::<Vector3>("/damaged");
    for (time, topic) in [hashed, defined, damaged].into_iter().enumerate() {
        let topic = writer.add_topic(topic).unwrap();
        let bytes = FlatVector::default().to_cdr();
        writer.write(topic, time as u64, &bytes).unwrap();
    }
    writer.finish().unwrap();
    let bag = Bag::open(&path).unwrap();
    let read: Result<Vec<_>, _> = bag.messages(&Selection::all()).unwrap().collect();
    let errors: Vec<_> = (read.unwrap().iter())
        .map(|message| bag.decode::<Vector3>(message).unwrap_err())
        .collect();
    let other = "recorded with other fields of geometry_msgs/msg/Vector3 than this version has";
    let (there, here) = (FLAT_VECTOR.hash, Vector3::DEFINITION.hash);
    let starts = [
        format!("/hashed at 0 ns: {other} (there {there}, here {here}): "),
        format!("/defined at 1 ns: {other} (here {here}): "),
        "/damaged at 2 ns: not a geometry_msgs/msg/Vector3: ".to_owned(),
    ];
    for (error, start) in errors.iter().zip(starts) {
        assert!(error.to_string().starts_with(&start), "{error}");
    }
    assert_eq!(errors.len(), 3);
}

/// As a recorder has it that knows its topics' types by name only.
#[test]
fn a_topic_without_a_definition_has_the_known_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let options = WriterOptions {
        definitions: lisa_messages::DEFINITIONS,
        ..WriterOptions::default()
    };
    let mut writer = BagWriter::create(&path, options).unwrap();
    let declared = NewTopic::of::<Instruction>("/instruction");
    let standard = NewTopic::of::<Clock>("/clock");
    for topic in [&declared, &standard] {
        let by_name = NewTopic {
            definition: None,
            type_hash: None,
            ..topic.clone()
        };
        writer.add_topic(by_name).unwrap();
    }
    writer.finish().unwrap();
    let bag = Bag::open(&path).unwrap();
    for (read, topic) in bag.topics().iter().zip([declared, standard]) {
        assert_eq!(read.name, topic.name);
        assert_eq!(read.definition, topic.definition);
        assert_eq!(read.type_hash, topic.type_hash);
    }
}
