//! Writing answers into a bag, at the log times of the frames they are about. Interrupted runs resume.
//!
//! Until it is complete, the bag is in the folder `OUT.part`. An instruction's result is written after everything else that
//! belongs to it. So however the writing ended, an instruction whose result is there has all its messages there.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::RgbImage;
use lisa_messages::{
    Detection2DArray, Detection3DArray, LabelInfo, MarkerArray, PointCloud2, ReasoningResult,
};
use rosbag2::{
    check_topic, namespace, Bag, BagError, BagWriter, ChunkCompression, CompressedImage,
    Compression, Header, Image, Message, NewTopic, QosProfile, RawMessage, Selection, StorageKind,
    StringMessage, Topic, TopicId, WriterOptions,
};

use super::work_folder::WorkFolder;
use super::{AnsweredQuestion, ReplayError, ResolvedQuestion};
use crate::node::{
    answer_parts, compressed, mask_message, overlay_picture, points_message, text_message, topics,
    AnswerPart, Settings, ShownDetections, Subscribers, QUEUE_DEPTH,
};

/// What is written into a bag of answers.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnotateOptions {
    /// Before the topics' names, e.g. `/lisa`; see [`namespace`](rosbag2::namespace).
    pub namespace: String,
    /// The node's parameters. They say whether overlays are written, and the opacity of the masks in them, and whether boxes in
    /// space and markers are.
    pub node: Settings,
    /// Whether the objects' points are written, some hundred kB an object.
    pub object_points: bool,
    /// Whether the recording's own messages are copied into the bag as well.
    pub copy: bool,
    /// What the answers depend on, as names and values: a run with other settings does not resume an unfinished bag.
    pub settings: BTreeMap<String, String>,
}

/// JPEG quality of the overlays, 1 to 100.
const OVERLAY_QUALITY: u8 = 90;

/// A bag of answers that is being written.
pub struct Annotator<'b> {
    bag: &'b Bag,
    options: AnnotateOptions,
    writer: BagWriter,
    topics: Topics,
    shown: ShownDetections,
    /// Ids and log times of the instructions whose results are in the bag already.
    done: HashSet<(String, u64)>,
    /// Declared last, so that it is dropped, and its lock released, only after the writer has closed its file.
    folder: WorkFolder,
}

#[derive(Clone, Copy)]
struct Topics {
    result: TopicId,
    mask: TopicId,
    answer: TopicId,
    overlay: Option<TopicId>,
    detections: TopicId,
    label_info: TopicId,
    /// With depth only, as those that follow.
    detections_3d: Option<TopicId>,
    markers: Option<TopicId>,
    object_points: Option<TopicId>,
}

impl<'b> Annotator<'b> {
    /// Begins a bag at `out`, or resumes one that was begun there with the same settings.
    ///
    /// # Errors
    /// [`BagError::Exists`] where the bag is complete already, [`BagError::Name`], [`ReplayError::OtherSettings`],
    /// [`ReplayError::Foreign`] and [`ReplayError::Busy`] where something else, or another process, has its folder,
    /// [`BagError`] where a file cannot be read or written.
    pub fn begin(bag: &'b Bag, out: &Path, options: AnnotateOptions) -> Result<Self, ReplayError> {
        let names = Names::of(&options.namespace)?;
        let folder = WorkFolder::open(out, &options.settings)?;
        let (writer, topics) = create(&folder.new_bag(), &options, names)?;
        let mut annotator = Self {
            bag,
            folder,
            options,
            writer,
            topics,
            shown: ShownDetections::default(),
            done: HashSet::new(),
        };
        annotator.take_over(&annotator.folder.old())?;
        annotator.folder.remove_old()?;
        Ok(annotator)
    }

    /// How many instructions an earlier run has answered.
    pub fn done(&self) -> usize {
        self.done.len()
    }

    /// Whether an earlier run has answered this question.
    pub fn is_done(&self, resolved: &ResolvedQuestion) -> bool {
        let id = resolved.question.instruction_id.clone();
        self.done.contains(&(id, resolved.log_time))
    }

    /// Copies what an earlier run has finished.
    fn take_over(&mut self, old: &Path) -> Result<(), ReplayError> {
        let Ok(earlier) = Bag::open(old) else {
            // The earlier run ended before it had written anything.
            return Ok(());
        };
        let mut pending = Vec::new();
        // Only the last message can be unreadable: the one at which the writing stopped.
        for message in earlier.messages(&Selection::all())?.flatten() {
            let Some(topic) = earlier.topics().get(message.topic).cloned() else {
                continue;
            };
            let is_result = topic.ros_type == <ReasoningResult<'_> as Message>::ROS_TYPE;
            let finished = match is_result {
                true => Some(
                    earlier
                        .decode::<ReasoningResult<'_>>(&message)?
                        .instruction_id,
                ),
                false => None,
            };
            let asked = message.publish_time;
            pending.push((topic, message));
            if let Some(id) = finished {
                for (topic, message) in pending.drain(..) {
                    self.resume_shown(&earlier, &topic, &message)?;
                    let topic = self.writer.add_topic(topic.into())?;
                    let (at, published) = (message.log_time, message.publish_time);
                    self.writer.write_at(topic, at, published, &message.data)?;
                }
                self.done.insert((id, asked));
            }
        }
        Ok(())
    }

    /// Numbers of labels and of markers go on where an earlier run has stopped.
    fn resume_shown(
        &mut self,
        earlier: &Bag,
        topic: &Topic,
        message: &RawMessage,
    ) -> Result<(), ReplayError> {
        if topic.ros_type == LabelInfo::ROS_TYPE {
            self.shown.resume_labels(&earlier.decode(message)?);
        } else if topic.ros_type == <MarkerArray<'_> as Message>::ROS_TYPE {
            self.shown.resume_markers(&earlier.decode(message)?);
        }
        Ok(())
    }

    /// Writes everything that the node publishes of an answer, in its order, so that the result comes last.
    ///
    /// # Errors
    /// [`BagError`], where the file cannot be written; [`ReplayError::Overlay`].
    pub fn write(&mut self, answered: &AnsweredQuestion) -> Result<(), ReplayError> {
        // The log time is the frame's, so that players show image and answer together; the publish time is the instruction's.
        let (at, asked) = (answered.frame_time, answered.log_time);
        let header = &answered.result.header;
        let mut write =
            |topic: TopicId, data: Vec<u8>| self.writer.write_at(topic, at, asked, &data);
        if let (Some(answer), Some(frame)) = (answered.answer(), &answered.frame) {
            let subscribers = Subscribers {
                overlay: self.topics.overlay.is_some(),
                attention: false,
            };
            let node = &self.options.node;
            for part in answer_parts(answer, node, subscribers) {
                match part {
                    AnswerPart::Mask => {
                        if let Some(mask) = mask_message(header, frame, answer) {
                            write(self.topics.mask, mask.to_cdr())?;
                        }
                    }
                    AnswerPart::Overlay => {
                        if let Some(topic) = self.topics.overlay {
                            let words = &answered.question().text.words;
                            let picture = overlay_picture(words, frame, answer, node.overlay_alpha);
                            write(topic, jpeg_message(header, &picture)?.to_cdr())?;
                        }
                    }
                    // A bag of answers has no such topic.
                    AnswerPart::Attention => {}
                    AnswerPart::Detections => {
                        let (topics, objects) = (&self.topics, &answered.result.objects);
                        let in_space = node.space.enabled;
                        let messages = self.shown.messages(header, objects, in_space);
                        if let Some(labels) = messages.label_info {
                            write(topics.label_info, labels.to_cdr())?;
                        }
                        write(topics.detections, messages.detections.to_cdr())?;
                        let boxes = topics.detections_3d.zip(messages.detections_3d);
                        if let Some((topic, boxes)) = boxes {
                            write(topic, boxes.to_cdr())?;
                        }
                        if let Some((topic, markers)) = topics.markers.zip(messages.markers) {
                            write(topic, markers.to_cdr())?;
                        }
                        if let Some(topic) = topics.object_points {
                            if let Some(points) = points_message(header, frame, objects) {
                                write(topic, points.to_cdr())?;
                            }
                        }
                    }
                    AnswerPart::Text => {
                        write(self.topics.answer, text_message(&answer.text).to_cdr())?;
                    }
                }
            }
        }
        write(self.topics.result, answered.result.message().to_cdr())?;
        Ok(())
    }

    /// Stops before the end, and returns the folder in which the unfinished bag is. A run with the same settings resumes it.
    ///
    /// # Errors
    /// [`BagError`], where the file cannot be written.
    pub fn pause(self) -> Result<PathBuf, ReplayError> {
        self.writer.finish()?;
        Ok(self.folder.path().to_owned())
    }

    /// Stops before anything was written: removes the unfinished bag, unless an earlier run has written answers into it.
    ///
    /// # Errors
    /// [`BagError`], where a file cannot be written or removed.
    pub fn abandon(self) -> Result<(), ReplayError> {
        self.writer.finish()?;
        match self.done.is_empty() {
            true => self.folder.close(),
            false => Ok(()),
        }
    }

    /// Completes the bag and moves it to its place.
    ///
    /// # Errors
    /// [`BagError`], where a file cannot be written.
    pub fn finish(self) -> Result<(), ReplayError> {
        self.writer.finish()?;
        let answers = self.folder.new_bag();
        if !self.options.copy {
            return self.folder.publish(&answers);
        }
        let whole = self.folder.whole()?;
        merge(self.bag, &Bag::open(&answers)?, &whole)?;
        self.folder.publish(&whole)
    }
}

fn jpeg_message(
    header: &Header,
    picture: &RgbImage,
) -> Result<CompressedImage<'static>, ReplayError> {
    let mut data = Vec::new();
    JpegEncoder::new_with_quality(&mut data, OVERLAY_QUALITY)
        .encode_image(picture)
        .map_err(ReplayError::Overlay)?;
    Ok(CompressedImage {
        header: header.clone(),
        format: "rgb8; jpeg compressed rgb8".to_owned(),
        data: data.into(),
    })
}

/// Names of the topics that are written.
struct Names {
    result: String,
    mask: String,
    answer: String,
    overlay: String,
    detections: String,
    label_info: String,
    detections_3d: String,
    markers: String,
    object_points: String,
}

impl Names {
    fn of(space: &str) -> Result<Self, BagError> {
        let space = namespace(space)?;
        let name = |topic: &str| {
            let name = format!("{space}/{topic}");
            check_topic(&name).map(|()| name)
        };
        Ok(Self {
            result: name(topics::RESULT)?,
            mask: name(topics::MASK)?,
            answer: name(topics::ANSWER)?,
            overlay: name(&compressed(topics::OVERLAY))?,
            detections: name(topics::DETECTIONS)?,
            label_info: name(topics::LABEL_INFO)?,
            detections_3d: name(topics::DETECTIONS_3D)?,
            markers: name(topics::MARKERS)?,
            object_points: name(topics::OBJECT_POINTS)?,
        })
    }
}

fn create(
    part: &Path,
    options: &AnnotateOptions,
    names: Names,
) -> Result<(BagWriter, Topics), ReplayError> {
    let mut writer = BagWriter::create(part, writer_options())?;
    let in_space = options.node.space.enabled;
    // The quality of service with which the node publishes.
    let qos = || QosProfile::reliable(QUEUE_DEPTH as u64);
    let overlay = |writer: &mut BagWriter| {
        writer.add_topic(NewTopic::of::<CompressedImage<'_>>(names.overlay).qos(qos()))
    };
    let topics = Topics {
        result: writer.add_topic(NewTopic::of::<ReasoningResult<'_>>(names.result).qos(qos()))?,
        mask: writer.add_topic(NewTopic::of::<Image<'_>>(names.mask).qos(qos()))?,
        answer: writer.add_topic(NewTopic::of::<StringMessage>(names.answer).qos(qos()))?,
        overlay: match options.node.publish_overlay {
            true => Some(overlay(&mut writer)?),
            false => None,
        },
        detections: writer
            .add_topic(NewTopic::of::<Detection2DArray>(names.detections).qos(qos()))?,
        label_info: writer.add_topic(
            NewTopic::of::<LabelInfo>(names.label_info).qos(QosProfile::transient_local(1)),
        )?,
        detections_3d: match in_space {
            true => Some(
                writer
                    .add_topic(NewTopic::of::<Detection3DArray>(names.detections_3d).qos(qos()))?,
            ),
            false => None,
        },
        markers: match in_space {
            true => {
                Some(writer.add_topic(NewTopic::of::<MarkerArray<'_>>(names.markers).qos(qos()))?)
            }
            false => None,
        },
        object_points: match in_space && options.object_points {
            true => Some(
                writer
                    .add_topic(NewTopic::of::<PointCloud2<'_>>(names.object_points).qos(qos()))?,
            ),
            false => None,
        },
    };
    Ok((writer, topics))
}

/// Compressed, because masks then take almost no space.
fn writer_options() -> WriterOptions {
    WriterOptions {
        storage: StorageKind::Mcap,
        compression: Compression::Chunk(ChunkCompression::Zstd),
        definitions: lisa_messages::DEFINITIONS,
        ..WriterOptions::default()
    }
}

/// Both bags' messages in one, in the order of their log times.
fn merge(recording: &Bag, answers: &Bag, out: &Path) -> Result<(), ReplayError> {
    let mut writer = BagWriter::create(out, writer_options())?;
    let mut sources = Vec::new();
    for bag in [recording, answers] {
        let mut topics = Vec::new();
        for topic in bag.topics() {
            topics.push(match writer.add_topic(topic.clone().into()) {
                Ok(id) => Some(id),
                // A type without a definition cannot be written; the answers do not depend on it.
                Err(BagError::Definition { .. }) => {
                    tracing::warn!("{} is left out: its type is not defined", topic.name);
                    None
                }
                Err(error) => return Err(error.into()),
            });
        }
        let messages = bag.messages(&Selection::all())?;
        let messages = messages.filter_map(|message| match message {
            Ok(message) => Some(message),
            Err(error) => {
                tracing::warn!("not copied: {error}");
                None
            }
        });
        let messages = messages.peekable();
        sources.push((topics, messages));
    }
    loop {
        let due = |source: &mut (Vec<_>, std::iter::Peekable<_>)| {
            let message: Option<&rosbag2::RawMessage> = source.1.peek();
            message.map(|message| message.log_time)
        };
        let times: Vec<Option<u64>> = sources.iter_mut().map(due).collect();
        let next = (0..times.len())
            .filter(|i| times[*i].is_some())
            .min_by_key(|i| times[*i]);
        let Some((topics, messages)) = next.and_then(|i| sources.get_mut(i)) else {
            break;
        };
        if let Some(message) = messages.next() {
            if let Some(topic) = topics.get(message.topic).copied().flatten() {
                writer.write_at(topic, message.log_time, message.publish_time, &message.data)?;
            }
        }
    }
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use rosbag2::RawMessage;

    use super::*;
    use crate::engine::{Answer, AnswerStatus, Frame};
    use crate::node::tests::answer;
    use crate::node::{InstructionText, Origin, Question, QuestionId, QuestionResult};

    /// A bag of one answer, as a node with these parameters publishes it.
    fn annotated(folder: &Path, node: Settings) -> Bag {
        let at = |name: &str| folder.join(name);
        let writer = BagWriter::create(at("recording"), WriterOptions::default()).unwrap();
        writer.finish().unwrap();
        let recording = Bag::open(at("recording")).unwrap();
        let options = AnnotateOptions {
            namespace: "/lisa".to_owned(),
            node,
            object_points: false,
            copy: false,
            settings: BTreeMap::new(),
        };
        let mut annotator = Annotator::begin(&recording, &at("out"), options).unwrap();
        let question = Question {
            id: QuestionId(1),
            origin: Origin::Newest,
            instruction_id: "1".to_owned(),
            conversation_id: String::new(),
            text: InstructionText::new(b"the cup"),
            max_new_tokens: None,
            received: Instant::now(),
        };
        let answer = Answer {
            status: AnswerStatus::EmptyMask,
            text: "Sure\0 [SEG].".to_owned(),
            objects: Vec::new(),
            ..answer()
        };
        let (question, answer) = (Arc::new(question), Ok(Arc::new(answer)));
        let answered = AnsweredQuestion {
            result: QuestionResult::ended(question, Header::default(), answer),
            log_time: 5,
            frame_time: 4,
            frame: Some(Frame::new(RgbImage::new(32, 24))),
            scene: None,
            total: Duration::ZERO,
        };
        annotator.write(&answered).unwrap();
        annotator.finish().unwrap();
        Bag::open(at("out")).unwrap()
    }

    /// The messages of a bag, and the names of their topics.
    fn written(bag: &Bag) -> (Vec<RawMessage>, Vec<&str>) {
        let messages = bag.messages(&Selection::all()).unwrap();
        let messages: Vec<_> = messages.map(Result::unwrap).collect();
        let topics = messages.iter().map(|m| bag.topics()[m.topic].name.as_str());
        let topics = topics.collect();
        (messages, topics)
    }

    /// A replay once wrote the text before the overlay, and a NUL as it is.
    #[test]
    fn an_answer_is_written_in_the_order_and_the_words_in_which_the_node_publishes_it() {
        let folder = tempfile::tempdir().unwrap();
        let bag = annotated(folder.path(), Settings::default());
        let (messages, topics) = written(&bag);
        let expected = [
            "/lisa/mask",
            "/lisa/overlay/compressed",
            "/lisa/detections",
            "/lisa/answer",
            "/lisa/result",
        ];
        assert_eq!(topics, expected);
        let text: StringMessage = bag.decode(&messages[3]).unwrap();
        assert_eq!(text.data, "Sure\u{fffd} [SEG].");
        let result: ReasoningResult<'_> = bag.decode(&messages[4]).unwrap();
        assert_eq!(result.answer, text.data);
    }

    /// A replay once asked the defaults what to write, whatever the parameters of its run were.
    #[test]
    fn a_node_without_overlays_writes_none() {
        let folder = tempfile::tempdir().unwrap();
        let node = Settings {
            publish_overlay: false,
            ..Settings::default()
        };
        let bag = annotated(folder.path(), node);
        let (_, topics) = written(&bag);
        let expected = [
            "/lisa/mask",
            "/lisa/detections",
            "/lisa/answer",
            "/lisa/result",
        ];
        assert_eq!(topics, expected);
    }
}
