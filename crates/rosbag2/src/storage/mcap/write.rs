//! Writing an MCAP file as rosbag2's plugin does: profile `ros2`, definitions as schemas, QoS and type hash in a channel's
//! metadata, rosbag2's own metadata as a record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use mcap::records::{MessageHeader, Metadata};
use mcap::{McapResult, WriteOptions};

use crate::topic::Topic;
use crate::{qos, BagError, ChunkCompression};

/// A file being written.
pub struct McapWriter {
    path: PathBuf,
    writer: mcap::Writer<Counted>,
    written: Arc<AtomicU64>,
}

impl McapWriter {
    /// Begins a file that must not exist. Chunks hold `chunk` bytes of records, one message at least; `None`: no chunks.
    pub fn create(
        path: &Path,
        chunk: Option<u64>,
        compression: ChunkCompression,
    ) -> Result<Self, BagError> {
        let file = File::create_new(path).map_err(BagError::io(path))?;
        let written = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            file: BufWriter::new(file),
            written: written.clone(),
        };
        let writer = WriteOptions::new()
            .profile("ros2")
            .library("lisa_ros")
            .compression(match compression {
                ChunkCompression::None => None,
                ChunkCompression::Zstd => Some(mcap::Compression::Zstd),
                ChunkCompression::Lz4 => Some(mcap::Compression::Lz4),
            })
            .use_chunks(chunk.is_some())
            .chunk_size(chunk)
            .create(counted)
            .map_err(failed(path))?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            written,
        })
    }

    /// The number by which messages name the topic.
    pub fn add_topic(&mut self, topic: &Topic, version: u32) -> Result<u16, BagError> {
        let definition = topic.definition.as_ref();
        let encoding = definition.map_or("ros2msg", |definition| &definition.encoding);
        let text = definition.map_or("", |definition| &definition.text);
        let profiles = qos::to_text(&topic.qos, version);
        let mut metadata = BTreeMap::from([("offered_qos_profiles".to_owned(), profiles)]);
        if let Some(hash) = &topic.type_hash {
            metadata.insert("topic_type_hash".to_owned(), hash.clone());
        }
        let schema = self
            .writer
            .add_schema(&topic.ros_type, encoding, text.as_bytes());
        schema
            .and_then(|schema| {
                let format = &topic.serialization_format;
                self.writer
                    .add_channel(schema, &topic.name, format, &metadata)
            })
            .map_err(failed(&self.path))
    }

    pub fn write(&mut self, header: &MessageHeader, data: &[u8]) -> Result<(), BagError> {
        let written = self.writer.write_to_known_channel(header, data);
        written.map_err(failed(&self.path))
    }

    /// Bytes in the file so far, the chunk being filled aside.
    pub fn size(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Ends the file; `metadata` is rosbag2's.
    pub fn finish(mut self, metadata: String) -> Result<(), BagError> {
        let record = Metadata {
            name: "rosbag2".to_owned(),
            metadata: BTreeMap::from([("serialized_metadata".to_owned(), metadata)]),
        };
        let end = |writer: &mut mcap::Writer<Counted>| -> McapResult<()> {
            writer.write_metadata(&record)?;
            writer.finish()?;
            Ok(())
        };
        end(&mut self.writer).map_err(failed(&self.path))?;
        let mut file = self.writer.into_inner().file;
        file.flush().map_err(BagError::io(&self.path))
    }
}

fn failed(path: &Path) -> impl FnOnce(mcap::McapError) -> BagError + '_ {
    move |source| BagError::WriteMcap {
        path: path.to_owned(),
        source,
    }
}

/// Counts what is written, to know when a file is full.
struct Counted {
    file: BufWriter<File>,
    written: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
