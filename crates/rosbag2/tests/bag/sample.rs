//! A bag to test with: images, infos of cameras, and texts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rosbag2::{
    Bag, BagError, BagWriter, CameraInfo, ChunkCompression, Compression, Header, Image, Message,
    NewTopic, QosProfile, Selection, StorageKind, StringMessage, Time, WriterOptions,
};

pub const IMAGES: &str = "/camera/image_raw";
pub const INFOS: &str = "/camera/camera_info";
pub const TEXTS: &str = "/instruction";
pub const START: u64 = 1_700_000_000_000_000_000;
pub const MILLISECOND: u64 = 1_000_000;
/// One message of each topic.
pub const ROUNDS: u64 = 100;

/// A message: topic, log time, bytes.
pub type Plain = (String, u64, Vec<u8>);

/// Every way to write a bag that there is, by name.
pub fn ways() -> Vec<(&'static str, WriterOptions)> {
    let with = |storage, compression| WriterOptions {
        storage,
        compression,
        chunk_size: Some(10_000),
        ..WriterOptions::default()
    };
    let (mcap, sqlite) = (StorageKind::Mcap, StorageKind::Sqlite3);
    let zstd = Compression::Chunk(ChunkCompression::Zstd);
    vec![
        ("mcap", with(mcap, Compression::None)),
        ("mcap_zstd", with(mcap, zstd)),
        (
            "mcap_lz4",
            with(mcap, Compression::Chunk(ChunkCompression::Lz4)),
        ),
        ("mcap_message", with(mcap, Compression::Message)),
        ("mcap_file", with(mcap, Compression::File)),
        (
            "mcap_unchunked",
            WriterOptions {
                chunk_size: None,
                ..with(mcap, Compression::None)
            },
        ),
        (
            "mcap_split",
            WriterOptions {
                split_duration: Some(Duration::from_millis(300)),
                metadata_version: 9,
                ..with(mcap, zstd)
            },
        ),
        ("sqlite", with(sqlite, Compression::None)),
        ("sqlite_message", with(sqlite, Compression::Message)),
        ("sqlite_file", with(sqlite, Compression::File)),
        (
            "sqlite_split",
            WriterOptions {
                split_size: Some(50_000),
                metadata_version: 9,
                ..with(sqlite, Compression::None)
            },
        ),
    ]
}

/// The sample's messages in log-time order.
pub fn messages() -> Vec<Plain> {
    let mut messages = Vec::new();
    for round in 0..ROUNDS {
        let time = START + round * 10 * MILLISECOND;
        let header = Header {
            stamp: Time::from_nanoseconds(time as i64),
            frame_id: "camera".into(),
        };
        let pixels: Vec<u8> = (0..32 * 24u64).map(|at| (at * round) as u8).collect();
        let image = Image {
            header: header.clone(),
            height: 24,
            width: 32,
            encoding: "mono8".into(),
            is_bigendian: 0,
            step: 32,
            data: pixels.into(),
        };
        let info = CameraInfo {
            header,
            height: 24,
            width: 32,
            distortion_model: "plumb_bob".into(),
            d: vec![0.1; 5],
            k: [1.0; 9],
            ..CameraInfo::default()
        };
        let text = StringMessage {
            data: format!("number {round}: \u{e9}"),
        };
        messages.push((IMAGES.into(), time, image.to_cdr()));
        messages.push((INFOS.into(), time + 1, info.to_cdr()));
        messages.push((TEXTS.into(), time + MILLISECOND, text.to_cdr()));
    }
    messages
}

/// Writes messages of the sample's topics to a bag named `name` in a folder.
pub fn write(folder: &Path, name: &str, options: WriterOptions, messages: &[Plain]) -> PathBuf {
    let path = folder.join(name);
    let mut writer = BagWriter::create(&path, options).unwrap();
    let sensor = QosProfile::sensor_data;
    let ids = [
        NewTopic::of::<Image>(IMAGES).qos(sensor()),
        NewTopic::of::<CameraInfo>(INFOS).qos(sensor()),
        NewTopic::of::<StringMessage>(TEXTS)
            .qos(QosProfile::reliable(10))
            .qos(QosProfile::transient_local(1)),
    ]
    .map(|topic| (topic.name.clone(), writer.add_topic(topic).unwrap()));
    for (topic, time, data) in messages {
        let id = ids.iter().find(|(name, _)| name == topic).unwrap().1;
        writer.write(id, *time, data).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// Every message of a bag that is wanted, and what could not be read.
pub fn read(bag: &Bag, selection: &Selection) -> (Vec<Plain>, Vec<BagError>) {
    let (mut plain, mut errors) = (Vec::new(), Vec::new());
    for message in bag.messages(selection).unwrap() {
        match message {
            Ok(message) => {
                let topic = bag.topics()[message.topic].name.clone();
                plain.push((topic, message.log_time, message.data.to_vec()));
            }
            Err(error) => errors.push(error),
        }
    }
    (plain, errors)
}

/// The first file of a bag.
pub fn first_file(bag: &Path) -> PathBuf {
    Bag::open(bag).unwrap().files()[0].path.clone()
}
