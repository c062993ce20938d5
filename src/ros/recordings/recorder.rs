//! Records topics of a ROS 2 graph into a bag.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use lisa_messages::DEFINITIONS;
use r2r::qos::ReliabilityPolicy;
use r2r::{Node, QosProfile};
use rosbag2::{
    check_topic, standard_definition, BagError, BagWriter, ChunkCompression, Compression, NewTopic,
    TopicId, WriterOptions,
};

use super::qos::asked;
use super::{node, RecordingError, StopCount};
use crate::ros::r2r_ext::{drain, r2r_stream, R2rStream};

/// What is recorded, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// The topics to record.
    pub topics: Vec<TopicSpec>,
    /// The bag to write; must not exist.
    pub out: PathBuf,
    /// After the first signal recording goes on until no message has come for this long.
    pub drain: Duration,
}

/// A topic to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name with namespace, e.g. `/lisa/result`.
    pub name: String,
    /// Its type, e.g. `lisa_ros/msg/ReasoningResult`, with which it is subscribed to at once and reliably. With `None` it is
    /// subscribed to when somebody publishes it, and as reliably as they do.
    pub ros_type: Option<String>,
}

const SPIN_TIMEOUT: Duration = Duration::from_millis(20);
/// How often publishers are last_discovery for.
const DISCOVERY_PERIOD: Duration = Duration::from_millis(200);

struct Subscription {
    topic: TopicId,
    messages: R2rStream<Vec<u8>>,
}

struct Recorder {
    node: Node,
    writer: BagWriter,
    subscriptions: Vec<Subscription>,
    messages: u64,
    last: Instant,
}

/// Records until a signal comes and then no more messages do; a second signal ends it at once. Returns the number of messages.
///
/// # Errors
/// The bag exists or cannot be written, a name is no ROS name, or a type is not built in.
pub fn record(options: &RecordOptions, stop: &StopCount) -> Result<u64, RecordingError> {
    // Checked before the bag is created, because an empty bag would be in the way of the next attempt.
    for topic in &options.topics {
        check_topic(&topic.name).map_err(BagError::from)?;
    }
    let mut types = options.topics.iter().filter_map(|t| t.ros_type.as_ref());
    let known = |ros_type: &str| {
        let mut own = DEFINITIONS.iter();
        own.any(|own| own.ros_type == ros_type) || standard_definition(ros_type).is_some()
    };
    if let Some(unknown) = types.find(|ros_type| !known(ros_type)) {
        let ros_type = unknown.clone();
        return Err(BagError::Definition { ros_type }.into());
    }
    let writer = BagWriter::create(
        &options.out,
        WriterOptions {
            compression: Compression::Chunk(ChunkCompression::Zstd),
            definitions: DEFINITIONS,
            ..WriterOptions::default()
        },
    )?;
    let mut recorder = Recorder {
        node: node("lisa_bag_recorder")?,
        writer,
        subscriptions: Vec::new(),
        messages: 0,
        last: Instant::now(),
    };
    let mut unpublished = Vec::new();
    for topic in &options.topics {
        match &topic.ros_type {
            Some(ros_type) => recorder.subscribe(&topic.name, ros_type, QosProfile::default())?,
            None => unpublished.push(topic.name.clone()),
        }
    }
    tracing::info!("recording into {}; Ctrl-C ends", options.out.display());
    let (mut last_discovery, mut asked_to_stop) = (None::<Instant>, None);
    loop {
        recorder.node.spin_once(SPIN_TIMEOUT);
        recorder.write_received()?;
        if last_discovery.is_none_or(|at| at.elapsed() >= DISCOVERY_PERIOD) {
            recorder.subscribe_to_published(&mut unpublished)?;
            last_discovery = Some(Instant::now());
        }
        match (stop.get(), asked_to_stop) {
            (0, _) => {}
            (1, None) => asked_to_stop = Some(Instant::now()),
            (1, Some(at)) => {
                if recorder.last.max(at).elapsed() >= options.drain {
                    break;
                }
            }
            _ => break,
        }
    }
    for name in unpublished {
        tracing::warn!("{name} was never published");
    }
    recorder.writer.finish()?;
    Ok(recorder.messages)
}

impl Recorder {
    fn subscribe(
        &mut self,
        name: &str,
        ros_type: &str,
        qos: QosProfile,
    ) -> Result<(), RecordingError> {
        let topic = self.writer.add_topic(NewTopic {
            name: name.to_owned(),
            ros_type: ros_type.to_owned(),
            qos: vec![asked(&qos)],
            definition: None,
            type_hash: None,
        })?;
        let messages = r2r_stream(self.node.subscribe_raw(name, ros_type, qos)?);
        self.subscriptions.push(Subscription { topic, messages });
        Ok(())
    }

    /// Writes the messages that have arrived, with the present time.
    fn write_received(&mut self) -> Result<(), RecordingError> {
        let mut failed = None;
        for subscription in &mut self.subscriptions {
            let (writer, topic) = (&mut self.writer, subscription.topic);
            let (count, last) = (&mut self.messages, &mut self.last);
            drain(&mut subscription.messages, |data| {
                let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
                match writer.write(topic, now, &data) {
                    Ok(()) => *count += 1,
                    Err(error) => failed = Some(error),
                }
                *last = Instant::now();
            });
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Subscribes to those of the topics that are published by now, and removes them from `unpublished`.
    fn subscribe_to_published(
        &mut self,
        unpublished: &mut Vec<String>,
    ) -> Result<(), RecordingError> {
        if unpublished.is_empty() {
            return Ok(());
        }
        for name in std::mem::take(unpublished) {
            let publishers = self.node.get_publishers_info_by_topic(&name, false)?;
            let Some(first) = publishers.first() else {
                unpublished.push(name);
                continue;
            };
            let reliable = |qos: &QosProfile| qos.reliability == ReliabilityPolicy::Reliable;
            let qos = match publishers.iter().all(|p| reliable(&p.qos_profile)) {
                true => QosProfile::default(),
                false => QosProfile::sensor_data(),
            };
            match self.subscribe(&name, &first.topic_type, qos) {
                Ok(()) => tracing::info!("recording {name}"),
                // The others are recorded all the same.
                Err(RecordingError::Bag(error @ BagError::Definition { .. })) => {
                    tracing::error!("{name} is not recorded: {error}");
                }
                Err(RecordingError::Ros(error)) => tracing::error!(
                    "{name} is not recorded: its type {} is not built in ({error})",
                    first.topic_type
                ),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
