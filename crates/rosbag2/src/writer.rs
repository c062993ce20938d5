//! Writing a bag: a folder of files, and `metadata.yaml` when it is finished.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use lisa_files::make_folder;

use super::messages::{standard_definition, Message};
use super::metadata::{
    CountedTopic, FileInformation, Metadata, Nanoseconds, SinceEpoch, TopicMetadata, FILE_NAME,
};
use super::options::{Compression, WriterOptions};
use super::source_file::PACKED;
use super::storage::StorageWriter;
use super::topic::{full_type, Definition, NewTopic, Topic};
use super::BagError;

/// Names a topic of a [`BagWriter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicId(usize);

/// A bag that is being written. One that is not ended by [`BagWriter::finish`] has no metadata and is read with a note.
pub struct BagWriter {
    path: PathBuf,
    options: WriterOptions,
    topics: Vec<Topic>,
    sequences: Vec<u32>,
    current: Option<Current>,
    done: Vec<Tally>,
}

/// The file that is being written.
struct Current {
    path: PathBuf,
    storage: StorageWriter,
    tally: Tally,
}

/// What is in a file.
#[derive(Clone, Debug, Default)]
struct Tally {
    name: String,
    counts: Vec<u64>,
    span: Option<(u64, u64)>,
}

impl BagWriter {
    /// Begins a bag in a new folder.
    ///
    /// # Errors
    /// [`BagError::Exists`], [`BagError::Options`], [`BagError::Io`].
    pub fn create(path: impl AsRef<Path>, options: WriterOptions) -> Result<Self, BagError> {
        // `bag/` and `bag/.` are `bag`.
        let path: &Path = &path.as_ref().components().collect::<PathBuf>();
        let refused = |reason| BagError::Options { reason };
        options.check().map_err(refused)?;
        if let Some(parent) = path.parent() {
            make_folder(parent).map_err(BagError::io(parent))?;
        }
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BagError::Exists {
                    path: path.to_owned(),
                })
            }
            made => made.map_err(BagError::io(path))?,
        }
        let mut writer = Self {
            path: path.to_owned(),
            options,
            topics: Vec::new(),
            sequences: Vec::new(),
            current: None,
            done: Vec::new(),
        };
        // A bag without messages also has a file.
        writer.current = Some(writer.begin()?);
        Ok(writer)
    }

    /// Adds a topic. If it was added before with the same type, that one is given.
    ///
    /// # Errors
    /// [`BagError::TopicTwice`], [`BagError::Definition`]; [`BagError`], where the file cannot be written.
    pub fn add_topic(&mut self, topic: NewTopic) -> Result<TopicId, BagError> {
        let ros_type = full_type(&topic.ros_type);
        let known = self.topics.iter();
        if let Some(place) = known.clone().position(|known| known.name == topic.name) {
            return match self.topics.get(place) {
                Some(known) if known.ros_type != ros_type => Err(BagError::TopicTwice {
                    topic: topic.name,
                    ros_type: known.ros_type.clone(),
                    asked: ros_type,
                }),
                _ => Ok(TopicId(place)),
            };
        }
        let mut given = self.options.definitions.iter().copied();
        let known = given
            .find(|known| known.ros_type == ros_type)
            .or_else(|| standard_definition(&ros_type));
        let definition = topic.definition.or_else(|| known.map(Definition::ros2msg));
        let Some(definition) = definition else {
            return Err(BagError::Definition { ros_type });
        };
        let topic = Topic {
            name: topic.name,
            serialization_format: "cdr".to_owned(),
            qos: topic.qos,
            definition: Some(definition),
            type_hash: topic
                .type_hash
                .or_else(|| known.map(|known| known.hash.to_owned())),
            messages: 0,
            ros_type,
        };
        if let Some(current) = &mut self.current {
            current
                .storage
                .add_topic(&topic, self.options.metadata_version)?;
        }
        self.topics.push(topic);
        self.sequences.push(0);
        Ok(TopicId(self.topics.len() - 1))
    }

    /// Writes a serialized message that was published and recorded at `time`, nanoseconds.
    ///
    /// # Errors
    /// [`BagError`], where the file cannot be written.
    pub fn write(&mut self, topic: TopicId, time: u64, data: &[u8]) -> Result<(), BagError> {
        self.write_at(topic, time, time, data)
    }

    /// Writes a serialized message with the times at which it was recorded and published, nanoseconds.
    ///
    /// # Errors
    /// [`BagError`], where the file cannot be written.
    pub fn write_at(
        &mut self,
        topic: TopicId,
        log_time: u64,
        publish_time: u64,
        data: &[u8],
    ) -> Result<(), BagError> {
        if self
            .current
            .as_ref()
            .is_some_and(|current| self.full(current, log_time))
        {
            self.end()?;
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.begin()?,
        };
        let packed;
        let data = match self.options.compression {
            Compression::Message => {
                packed = zstd::bulk::compress(data, 0).map_err(BagError::io(&current.path))?;
                &packed
            }
            _ => data,
        };
        let sequence = self.sequences.get(topic.0).copied().unwrap_or_default();
        let written = current
            .storage
            .write(topic.0, sequence, (log_time, publish_time), data);
        if written.is_ok() {
            current.tally.add(topic.0, log_time);
            if let Some(next) = self.sequences.get_mut(topic.0) {
                *next = next.wrapping_add(1);
            }
        }
        self.current = Some(current);
        written
    }

    /// Serializes and writes a message that was published and recorded at `time`, nanoseconds.
    ///
    /// # Errors
    /// [`BagError::Type`] for a topic of another type; [`BagError`], where the file cannot be written.
    pub fn write_message<'a, T: Message<'a>>(
        &mut self,
        topic: TopicId,
        time: u64,
        message: &T,
    ) -> Result<(), BagError> {
        match self.topics.get(topic.0) {
            Some(known) if known.ros_type != T::ROS_TYPE => Err(BagError::Type {
                topic: known.name.clone(),
                ros_type: known.ros_type.clone(),
                asked: T::ROS_TYPE,
            }),
            _ => self.write(topic, time, &message.to_cdr()),
        }
    }

    /// Ends the last file and writes the metadata.
    ///
    /// # Errors
    /// [`BagError`], where a file cannot be written.
    pub fn finish(mut self) -> Result<Metadata, BagError> {
        self.end()?;
        let metadata = self.metadata(&self.done);
        let path = self.path.join(FILE_NAME);
        // Written beside its place and renamed, so that nobody ever reads half of it.
        let beside = path.with_extension("yaml.part");
        fs::write(&beside, metadata.to_yaml()).map_err(BagError::io(&beside))?;
        fs::rename(&beside, &path).map_err(BagError::io(&path))?;
        Ok(metadata)
    }

    fn full(&self, current: &Current, time: u64) -> bool {
        let size = self.options.split_size;
        let long = match (self.options.split_duration, current.tally.span) {
            (Some(most), Some((first, _))) => u128::from(time.abs_diff(first)) >= most.as_nanos(),
            _ => false,
        };
        current.tally.span.is_some()
            && (long || size.is_some_and(|most| current.storage.size() >= most))
    }

    fn begin(&self) -> Result<Current, BagError> {
        let folder = self.path.file_name().unwrap_or_default().to_string_lossy();
        let extension = self.options.storage.extension();
        let name = format!("{folder}_{}.{extension}", self.done.len());
        let path = self.path.join(&name);
        let mut storage = StorageWriter::create(&path, &self.options)?;
        for topic in &self.topics {
            storage.add_topic(topic, self.options.metadata_version)?;
        }
        let tally = Tally {
            name,
            ..Tally::default()
        };
        Ok(Current {
            path,
            storage,
            tally,
        })
    }

    /// Ends the current file.
    fn end(&mut self) -> Result<(), BagError> {
        let Some(Current {
            path,
            storage,
            mut tally,
        }) = self.current.take()
        else {
            return Ok(());
        };
        let metadata = self.metadata(std::slice::from_ref(&tally));
        storage.finish(&metadata)?;
        if self.options.compression == Compression::File {
            tally.name = format!("{}.{PACKED}", tally.name);
            pack(&path, &self.path.join(&tally.name)).map_err(BagError::io(&path))?;
        }
        self.done.push(tally);
        Ok(())
    }

    fn metadata(&self, files: &[Tally]) -> Metadata {
        let counts = |topic: usize| {
            let counts = files.iter().filter_map(|file| file.counts.get(topic));
            counts.sum::<u64>()
        };
        let topics = self.topics.iter().enumerate().map(|(number, topic)| {
            let topic_metadata = TopicMetadata {
                name: topic.name.clone(),
                ros_type: topic.ros_type.clone(),
                serialization_format: topic.serialization_format.clone(),
                offered_qos_profiles: topic.qos.clone(),
                type_description_hash: topic.type_hash.clone(),
            };
            CountedTopic {
                topic_metadata,
                message_count: counts(number),
            }
        });
        let spans = || files.iter().filter_map(|file| file.span);
        let span = spans().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (starting_time, duration) = times(span);
        let (format, mode) = match self.options.compression {
            Compression::None | Compression::Chunk(_) => ("", ""),
            Compression::Message => ("zstd", "MESSAGE"),
            Compression::File => ("zstd", "FILE"),
        };
        Metadata {
            version: self.options.metadata_version,
            storage_identifier: self.options.storage.identifier().to_owned(),
            relative_file_paths: files.iter().map(|file| file.name.clone()).collect(),
            duration,
            starting_time,
            message_count: files.iter().map(Tally::messages).sum(),
            topics: topics.collect(),
            compression_format: Some(format.to_owned()),
            compression_mode: Some(mode.to_owned()),
            files: files.iter().map(Tally::information).collect(),
            custom_data: Some(self.options.custom_data.clone()),
            ros_distro: Some(self.options.ros_distro.clone()),
        }
    }
}

impl Drop for BagWriter {
    /// What was written of an unfinished bag stays readable.
    fn drop(&mut self) {
        // Whoever drops a writer cannot be told; `finish` tells.
        let _ = self.end();
    }
}

impl Tally {
    fn add(&mut self, topic: usize, time: u64) {
        if self.counts.len() <= topic {
            self.counts.resize(topic + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(topic) {
            *count += 1;
        }
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
    }

    fn messages(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn information(&self) -> FileInformation {
        let (starting_time, duration) = times(self.span);
        FileInformation {
            path: self.name.clone(),
            starting_time,
            duration,
            message_count: self.messages(),
        }
    }
}

/// Start and duration as rosbag2 writes them. A bag without messages starts at the largest time there is.
fn times(span: Option<(u64, u64)>) -> (SinceEpoch, Nanoseconds) {
    let signed = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    let (first, last) = span.unwrap_or((u64::MAX, u64::MAX));
    let starting_time = SinceEpoch {
        nanoseconds_since_epoch: signed(first),
    };
    let nanoseconds = signed(last.saturating_sub(first));
    (starting_time, Nanoseconds { nanoseconds })
}

/// Compresses a file as a whole and removes it.
fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let mut plain = BufReader::new(File::open(from)?);
    let packed = BufWriter::new(File::create_new(to)?);
    let mut encoder = zstd::stream::write::Encoder::new(packed, 0)?;
    io::copy(&mut plain, &mut encoder)?;
    encoder.finish()?.flush()?;
    fs::remove_file(from)
}
