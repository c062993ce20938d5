//! `metadata.yaml`: what rosbag2 says about a bag beside its files.
//!
//! Versions: 1 and 2 the first ones, 3 compression, 4 QoS profiles, 5 what is in each file, 6 custom data, 7 type hashes, 8
//! the distribution, 9 QoS profiles as a list with names. All are read; 8 (which every rosbag2 from Humble on reads) and 9
//! are written.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_yaml_ng::Value;

use super::options::NEWEST_METADATA;
use super::qos::{self, QosProfile};
use super::BagError;

/// The name of the file.
pub(super) const FILE_NAME: &str = "metadata.yaml";

/// What rosbag2 says about a bag.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Metadata {
    /// The version of the format, 1 to 9. Version 3 added compression, 4 QoS profiles, 5 what is in each file, 6 custom data, 7
    /// type hashes, 8 the distribution, and 9 QoS profiles as a list with names.
    pub version: u32,
    /// `mcap` or `sqlite3`.
    pub storage_identifier: String,
    /// The files, in the order they were written, relative to the bag's folder.
    #[serde(default)]
    pub relative_file_paths: Vec<String>,
    /// The log time between the first message and the last.
    #[serde(default)]
    pub duration: Nanoseconds,
    /// The log time of the first message. For a bag without messages, rosbag2 writes the largest number there is.
    #[serde(default)]
    pub starting_time: SinceEpoch,
    /// The number of messages of all topics.
    #[serde(default)]
    pub message_count: u64,
    /// The topics, also those without messages.
    #[serde(default, rename = "topics_with_message_count")]
    pub topics: Vec<CountedTopic>,
    /// `zstd`, or empty.
    #[serde(default)]
    pub compression_format: Option<String>,
    /// `file`, `message`, or empty; compression inside the storage is not named here.
    #[serde(default)]
    pub compression_mode: Option<String>,
    /// What each file holds; empty before version 5.
    #[serde(default)]
    pub files: Vec<FileInformation>,
    /// Names and values that the recorder was told to note.
    #[serde(default)]
    pub custom_data: Option<BTreeMap<String, String>>,
    /// The ROS distribution that recorded the bag.
    #[serde(default)]
    pub ros_distro: Option<String>,
}

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nanoseconds {
    /// Its length in nanoseconds.
    pub nanoseconds: i64,
}

/// A moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinceEpoch {
    /// Nanoseconds since 1970, or since a simulation began.
    pub nanoseconds_since_epoch: i64,
}

/// A topic and how many messages were recorded on it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CountedTopic {
    /// The topic.
    pub topic_metadata: TopicMetadata,
    /// The number of its messages.
    #[serde(default)]
    pub message_count: u64,
}

/// What the metadata says about a topic.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TopicMetadata {
    /// Its name, e.g. `/camera/image_raw`.
    pub name: String,
    /// The type of its messages, e.g. `sensor_msgs/msg/Image`.
    #[serde(rename = "type")]
    pub ros_type: String,
    /// How its messages are serialized: `cdr`.
    pub serialization_format: String,
    /// The QoS profiles that its publishers offered.
    #[serde(default, deserialize_with = "qos::deserialize")]
    pub offered_qos_profiles: Vec<QosProfile>,
    /// The hash of its type (REP 2011).
    #[serde(default)]
    pub type_description_hash: Option<String>,
}

/// What the metadata says about one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInformation {
    /// Its path, relative to the bag's folder.
    pub path: String,
    /// The log time of its first message.
    pub starting_time: SinceEpoch,
    /// The log time between its first message and its last.
    pub duration: Nanoseconds,
    /// The number of its messages.
    pub message_count: u64,
}

#[derive(Deserialize)]
struct Document<T> {
    rosbag2_bagfile_information: T,
}

impl Metadata {
    /// Reads `metadata.yaml`.
    ///
    /// # Errors
    /// [`BagError::Io`], [`BagError::Metadata`], [`BagError::MetadataVersion`].
    pub fn read(path: &Path) -> Result<Self, BagError> {
        let text = std::fs::read(path).map_err(BagError::io(path))?;
        Self::parse(&String::from_utf8_lossy(&text), path)
    }

    /// Reads the text of `metadata.yaml`, or the copy of it that a file holds. Errors name `path` as its place.
    ///
    /// # Errors
    /// [`BagError::Metadata`], [`BagError::MetadataVersion`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, BagError> {
        let wrong = |error: serde_yaml_ng::Error| BagError::Metadata {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        // By way of a value, as a newer version is better named than called ill-formed. Storages hold the information alone.
        let value: Value = serde_yaml_ng::from_str(text).map_err(wrong)?;
        let information = match Document::deserialize(&value) {
            Ok(Document {
                rosbag2_bagfile_information: information,
            }) => information,
            Err(_) if value.get("version").is_some() => value,
            Err(error) => return Err(wrong(error)),
        };
        if let Some(version) = information.get("version").and_then(Value::as_u64) {
            if version > u64::from(NEWEST_METADATA) {
                return Err(BagError::MetadataVersion {
                    path: path.to_owned(),
                    version,
                });
            }
        }
        Self::deserialize(information).map_err(wrong)
    }

    /// The text of `metadata.yaml`.
    pub fn to_yaml(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            rosbag2_bagfile_information: WrittenMetadata<'a>,
        }
        let document = Document {
            rosbag2_bagfile_information: self.written(),
        };
        serde_yaml_ng::to_string(&document).unwrap_or_default()
    }

    /// As a storage holds it: the information alone.
    pub(super) fn to_storage_yaml(&self) -> String {
        serde_yaml_ng::to_string(&self.written()).unwrap_or_default()
    }

    fn written(&self) -> WrittenMetadata<'_> {
        let topics = self.topics.iter().map(|topic| WrittenCount {
            topic_metadata: WrittenTopic {
                name: &topic.topic_metadata.name,
                ros_type: &topic.topic_metadata.ros_type,
                serialization_format: &topic.topic_metadata.serialization_format,
                offered_qos_profiles: qos::to_value(
                    &topic.topic_metadata.offered_qos_profiles,
                    self.version,
                ),
                type_description_hash: topic
                    .topic_metadata
                    .type_description_hash
                    .as_deref()
                    .unwrap_or_default(),
            },
            message_count: topic.message_count,
        });
        WrittenMetadata {
            version: self.version,
            storage_identifier: &self.storage_identifier,
            duration: self.duration,
            starting_time: self.starting_time,
            message_count: self.message_count,
            topics_with_message_count: topics.collect(),
            compression_format: self.compression_format.as_deref().unwrap_or_default(),
            compression_mode: self.compression_mode.as_deref().unwrap_or_default(),
            relative_file_paths: &self.relative_file_paths,
            files: &self.files,
            custom_data: self.custom_data.as_ref().filter(|data| !data.is_empty()),
            ros_distro: self.ros_distro.as_deref().unwrap_or("unknown"),
        }
    }
}

/// The fields in the order in which rosbag2 writes them.
#[derive(Serialize)]
struct WrittenMetadata<'a> {
    version: u32,
    storage_identifier: &'a str,
    duration: Nanoseconds,
    starting_time: SinceEpoch,
    message_count: u64,
    topics_with_message_count: Vec<WrittenCount<'a>>,
    compression_format: &'a str,
    compression_mode: &'a str,
    relative_file_paths: &'a [String],
    files: &'a [FileInformation],
    custom_data: Option<&'a BTreeMap<String, String>>,
    ros_distro: &'a str,
}

#[derive(Serialize)]
struct WrittenCount<'a> {
    topic_metadata: WrittenTopic<'a>,
    message_count: u64,
}

#[derive(Serialize)]
struct WrittenTopic<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ros_type: &'a str,
    serialization_format: &'a str,
    offered_qos_profiles: Value,
    type_description_hash: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(version: u32) -> Metadata {
        Metadata {
            version,
            storage_identifier: "mcap".into(),
            relative_file_paths: vec!["a_0.mcap".into()],
            duration: Nanoseconds { nanoseconds: 5 },
            starting_time: SinceEpoch {
                nanoseconds_since_epoch: i64::MAX,
            },
            message_count: 2,
            topics: vec![CountedTopic {
                topic_metadata: TopicMetadata {
                    name: "/tf: odd\n'name'".into(),
                    ros_type: "tf2_msgs/msg/TFMessage".into(),
                    serialization_format: "cdr".into(),
                    offered_qos_profiles: vec![QosProfile::sensor_data(); 2],
                    type_description_hash: Some("RIHS01_00".into()),
                },
                message_count: 2,
            }],
            compression_format: Some("zstd".into()),
            compression_mode: Some("file".into()),
            files: vec![FileInformation {
                path: "a_0.mcap".into(),
                starting_time: SinceEpoch::default(),
                duration: Nanoseconds { nanoseconds: 5 },
                message_count: 2,
            }],
            custom_data: Some(BTreeMap::from([("who".into(), "me".into())])),
            ros_distro: Some("jazzy".into()),
        }
    }

    #[test]
    fn both_written_versions_read_back_with_and_without_their_frame() {
        for version in [8, 9] {
            let metadata = metadata(version);
            for text in [metadata.to_yaml(), metadata.to_storage_yaml()] {
                assert_eq!(Metadata::parse(&text, Path::new("m")).unwrap(), metadata);
            }
        }
    }

    #[test]
    fn version_4_lacks_much_and_is_read() {
        let text = "rosbag2_bagfile_information:\n  version: 4\n  storage_identifier: sqlite3\n  \
            relative_file_paths:\n    - a_0.db3\n  duration:\n    nanoseconds: 7\n  starting_time:\n    \
            nanoseconds_since_epoch: 9\n  message_count: 1\n  topics_with_message_count:\n    - \
            topic_metadata:\n        name: /a\n        type: std_msgs/msg/String\n        \
            serialization_format: cdr\n        offered_qos_profiles: \"- history: 3\\n  depth: 0\\n  \
            reliability: 1\"\n      message_count: 1\n  compression_format: \"\"\n  \
            compression_mode: \"\"";
        let read = Metadata::parse(text, Path::new("m")).unwrap();
        let topic = &read.topics[0].topic_metadata;
        assert_eq!(topic.offered_qos_profiles.len(), 1);
        assert_eq!((read.files.len(), read.custom_data), (0, None));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        let error = |text: &str| Metadata::parse(text, Path::new("m.yaml")).unwrap_err();
        let newer = error("rosbag2_bagfile_information: {version: 10}");
        assert!(matches!(
            newer,
            BagError::MetadataVersion { version: 10, .. }
        ));
        for text in [
            "",
            "[",
            "a: b",
            "rosbag2_bagfile_information: 3",
            "rosbag2_bagfile_information: {version: x}",
        ] {
            let said = error(text).to_string();
            assert!(said.contains("m.yaml") && !said.contains('\n'), "{said}");
        }
    }
}
