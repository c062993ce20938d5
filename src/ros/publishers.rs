//! The node's publishers, and the messages that outputs of the state machine become on them.

use std::sync::{Mutex, PoisonError};

use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::lisa_ros::msg::{ReasoningResult, SegmentedObjectStamped, TextDelta};
use r2r::sensor_msgs::msg::{Image, PointCloud2};
use r2r::std_msgs::msg::String as RosString;
use r2r::vision_msgs::msg::{Detection2DArray, Detection3DArray, LabelInfo};
use r2r::visualization_msgs::msg::MarkerArray;
use r2r::{Node, Publisher, QosProfile, WrappedTypesupport};
use rosbag2::Header;

use super::convert::{header, image, object, result, SourceImage};
use super::detections::{self, Labels};
use super::qos::QosOverrides;
use super::r2r_ext::send;
use super::stall::MiddlewareCall;
use crate::engine::Answer;
use crate::node::{
    mask_message, object_message, private_name, ros_text, text_message, topics, FoundObject,
    Question, QuestionResult, Subscribers, QUEUE_DEPTH,
};

/// The node's publishers. All reliable, and of the depth [`QUEUE_DEPTH`], where parameters do not say otherwise.
pub struct Publishers {
    result: Publisher<ReasoningResult>,
    object: Publisher<SegmentedObjectStamped>,
    mask: Publisher<Image>,
    answer: Publisher<RosString>,
    delta: Publisher<TextDelta>,
    pub overlay: Publisher<Image>,
    pub attention: Publisher<Image>,
    diagnostics: Publisher<DiagnosticArray>,
    detections: Publisher<Detection2DArray>,
    detections_3d: Publisher<Detection3DArray>,
    label_info: Publisher<LabelInfo>,
    markers: Publisher<MarkerArray>,
    object_points: Publisher<PointCloud2>,
    shown: Mutex<Shown>,
}

/// What consumers of detections have been shown so far.
#[derive(Default)]
struct Shown {
    labels: Labels,
    /// How many objects the markers are of.
    markers: usize,
}

impl Publishers {
    /// Creates all publishers.
    ///
    /// # Errors
    /// The middleware refuses a publisher.
    pub fn create(node: &mut Node, overrides: &QosOverrides) -> r2r::Result<Self> {
        let qos = QosProfile::default().reliable().keep_last(QUEUE_DEPTH);
        Ok(Self {
            result: overrides.create_publisher(node, &private_name(topics::RESULT), qos.clone())?,
            object: overrides.create_publisher(node, &private_name(topics::OBJECT), qos.clone())?,
            mask: overrides.create_publisher(node, &private_name(topics::MASK), qos.clone())?,
            answer: overrides.create_publisher(node, &private_name(topics::ANSWER), qos.clone())?,
            delta: overrides.create_publisher(
                node,
                &private_name(topics::ANSWER_DELTA),
                qos.clone(),
            )?,
            overlay: overrides.create_publisher(
                node,
                &private_name(topics::OVERLAY),
                qos.clone(),
            )?,
            attention: overrides.create_publisher(
                node,
                &private_name(topics::ATTENTION),
                qos.clone(),
            )?,
            detections: overrides.create_publisher(
                node,
                &private_name(topics::DETECTIONS),
                qos.clone(),
            )?,
            detections_3d: overrides.create_publisher(
                node,
                &private_name(topics::DETECTIONS_3D),
                qos.clone(),
            )?,
            // Who comes later needs the latest, too.
            label_info: overrides.create_publisher(
                node,
                &private_name(topics::LABEL_INFO),
                qos.clone().keep_last(1).transient_local(),
            )?,
            markers: overrides.create_publisher(
                node,
                &private_name(topics::MARKERS),
                qos.clone(),
            )?,
            object_points: overrides.create_publisher(
                node,
                &private_name(topics::OBJECT_POINTS),
                qos.clone(),
            )?,
            shown: Mutex::default(),
            diagnostics: overrides.create_publisher(node, "/diagnostics", qos)?,
        })
    }

    /// Publishes more of an answer's text; `done` says that it is the last.
    pub fn delta(&self, of: &Question, at: &Header, text: &str, tokens: usize, done: bool) {
        let delta = TextDelta {
            header: header(at),
            instruction_id: ros_text(&of.instruction_id),
            conversation_id: ros_text(&of.conversation_id),
            delta: ros_text(text),
            tokens: tokens as u32,
            done,
        };
        send(&self.delta, &delta);
    }

    /// Publishes an object's mask and place.
    pub fn object(&self, of: &Question, at: &Header, found: &FoundObject) {
        let stamped = SegmentedObjectStamped {
            header: header(at),
            instruction_id: ros_text(&of.instruction_id),
            conversation_id: ros_text(&of.conversation_id),
            object: object(object_message(at, &found.mask, found.place.as_ref())),
        };
        send(&self.object, &stamped);
    }

    /// Publishes the union of the answer's masks, at the frame's size.
    pub fn mask(&self, at: &Header, frame: &SourceImage, answer: &Answer) {
        // The engine has answered about this frame, so it was decoded then.
        let Ok(frame) = frame.frame() else {
            return;
        };
        if let Some(mask) = mask_message(at, &frame, answer) {
            send(&self.mask, &image(mask));
        }
    }

    /// Publishes an answer's objects as boxes, markers and points; also where there is none, so that nobody keeps those of an earlier
    /// answer; those in space only with a depth topic, `in_space`.
    pub fn detections(
        &self,
        at: &Header,
        frame: &SourceImage,
        objects: &[FoundObject],
        in_space: bool,
    ) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any_new = false;
        let numbers = objects.iter().map(|object| {
            let (number, is_new) = shown.labels.number(&object.mask.label);
            any_new |= is_new;
            number
        });
        let numbers: Vec<u16> = numbers.collect();
        if any_new {
            send(&self.label_info, &shown.labels.message(at));
        }
        send(
            &self.detections,
            &detections::detections(at, objects, &numbers),
        );
        if in_space {
            let boxes = detections::detections_3d(at, objects, &numbers);
            send(&self.detections_3d, &boxes);
        }
        let placed = |object: &FoundObject| matches!(object.place, Some(Ok(_)));
        if shown.markers > 0 || objects.iter().any(placed) {
            let markers = detections::markers(at, objects, shown.markers);
            send(&self.markers, &markers);
            shown.markers = objects.len();
        }
        // The engine has answered about this frame, so it was decoded then.
        let (watched, frame) = (has_subscriber(&self.object_points), frame.frame());
        if let (true, true, Ok(frame)) = (watched, objects.iter().any(placed), frame) {
            let points = detections::points(at, &frame, objects);
            send(&self.object_points, &points);
        }
    }

    /// Publishes the text of an answer.
    pub fn answer(&self, text: &str) {
        let data = text_message(text).data;
        send(&self.answer, &RosString { data });
    }

    /// Publishes the result of a question.
    pub fn result(&self, ended: &QuestionResult) {
        send(&self.result, &result(ended.message()));
    }

    /// Which of the drawn images somebody subscribes to.
    pub fn subscribers(&self) -> Subscribers {
        Subscribers {
            overlay: has_subscriber(&self.overlay),
            attention: has_subscriber(&self.attention),
        }
    }

    /// Publishes the node's diagnostics.
    pub fn diagnostics(&self, diagnostics: &DiagnosticArray) {
        send(&self.diagnostics, diagnostics);
    }
}

fn has_subscriber<T: WrappedTypesupport + 'static>(publisher: &Publisher<T>) -> bool {
    let _call = MiddlewareCall::begin("counting subscribers");
    publisher
        .get_inter_process_subscription_count()
        .is_ok_and(|n| n > 0)
}
