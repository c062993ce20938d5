//! The publishers of a camera, and the messages that outputs of the state machine become on them.

use std::sync::{Mutex, PoisonError};

use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::lisa_ros::msg::{ReasoningResult, SegmentedObjectStamped, TextDelta};
use r2r::sensor_msgs::msg::{Image, PointCloud2};
use r2r::std_msgs::msg::String as RosString;
use r2r::vision_msgs::msg::{Detection2DArray, Detection3DArray, LabelInfo};
use r2r::visualization_msgs::msg::MarkerArray;
use r2r::{Node, Publisher, QosProfile, WrappedTypesupport};
use rosbag2::{Header, Message};

use super::convert::{header, image, object, result, same_message, SourceImage};
use super::qos::QosOverrides;
use super::r2r_ext::send;
use super::stall::MiddlewareCall;
use crate::engine::Answer;
use crate::node::{
    mask_message, object_message, points_message, ros_text, text_message, topics, CameraNames,
    FoundObject, Question, QuestionResult, ShownDetections, Subscribers, QUEUE_DEPTH,
};

/// The publishers of a camera. All reliable, and of the depth [`QUEUE_DEPTH`], where parameters do not say otherwise.
pub struct Publishers {
    result: Publisher<ReasoningResult>,
    object: Publisher<SegmentedObjectStamped>,
    mask: Publisher<Image>,
    answer: Publisher<RosString>,
    delta: Publisher<TextDelta>,
    pub overlay: Publisher<Image>,
    pub attention: Publisher<Image>,
    detections: Publisher<Detection2DArray>,
    detections_3d: Publisher<Detection3DArray>,
    label_info: Publisher<LabelInfo>,
    markers: Publisher<MarkerArray>,
    object_points: Publisher<PointCloud2>,
    shown: Mutex<ShownDetections>,
}

impl Publishers {
    /// Creates all publishers.
    ///
    /// # Errors
    /// The middleware refuses a publisher.
    pub fn create(
        node: &mut Node,
        overrides: &QosOverrides,
        names: &CameraNames,
    ) -> r2r::Result<Self> {
        let qos = QosProfile::default().reliable().keep_last(QUEUE_DEPTH);
        Ok(Self {
            result: overrides.create_publisher(
                node,
                &names.private(topics::RESULT),
                qos.clone(),
            )?,
            object: overrides.create_publisher(
                node,
                &names.private(topics::OBJECT),
                qos.clone(),
            )?,
            mask: overrides.create_publisher(node, &names.private(topics::MASK), qos.clone())?,
            answer: overrides.create_publisher(
                node,
                &names.private(topics::ANSWER),
                qos.clone(),
            )?,
            delta: overrides.create_publisher(
                node,
                &names.private(topics::ANSWER_DELTA),
                qos.clone(),
            )?,
            overlay: overrides.create_publisher(
                node,
                &names.private(topics::OVERLAY),
                qos.clone(),
            )?,
            attention: overrides.create_publisher(
                node,
                &names.private(topics::ATTENTION),
                qos.clone(),
            )?,
            detections: overrides.create_publisher(
                node,
                &names.private(topics::DETECTIONS),
                qos.clone(),
            )?,
            detections_3d: overrides.create_publisher(
                node,
                &names.private(topics::DETECTIONS_3D),
                qos.clone(),
            )?,
            // Who comes later needs the latest, too.
            label_info: overrides.create_publisher(
                node,
                &names.private(topics::LABEL_INFO),
                qos.clone().keep_last(1).transient_local(),
            )?,
            markers: overrides.create_publisher(
                node,
                &names.private(topics::MARKERS),
                qos.clone(),
            )?,
            object_points: overrides.create_publisher(
                node,
                &names.private(topics::OBJECT_POINTS),
                qos.clone(),
            )?,
            shown: Mutex::default(),
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
        let messages = {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.messages(at, objects, in_space)
        };
        if let Some(labels) = &messages.label_info {
            send_same(&self.label_info, labels);
        }
        send_same(&self.detections, &messages.detections);
        if let Some(boxes) = &messages.detections_3d {
            send_same(&self.detections_3d, boxes);
        }
        if let Some(markers) = &messages.markers {
            send_same(&self.markers, markers);
        }
        // The engine has answered about this frame, so it was decoded then.
        if let (true, Ok(frame)) = (has_subscriber(&self.object_points), frame.frame()) {
            if let Some(points) = points_message(at, &frame, objects) {
                send_same(&self.object_points, &points);
            }
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
}

/// The publisher of `/diagnostics`.
pub struct Diagnostics(Publisher<DiagnosticArray>);

impl Diagnostics {
    /// Creates the publisher.
    ///
    /// # Errors
    /// The middleware refuses a publisher.
    pub fn create(node: &mut Node, overrides: &QosOverrides) -> r2r::Result<Self> {
        let qos = QosProfile::default().reliable().keep_last(QUEUE_DEPTH);
        Ok(Self(overrides.create_publisher(
            node,
            "/diagnostics",
            qos,
        )?))
    }

    /// Publishes the node's diagnostics.
    pub fn publish(&self, diagnostics: &DiagnosticArray) {
        send(&self.0, diagnostics);
    }
}

/// Publishes a message that the library has as a type of its own.
fn send_same<'a, T: WrappedTypesupport + 'static>(
    publisher: &Publisher<T>,
    message: &impl Message<'a>,
) {
    match same_message(message) {
        Ok(message) => send(publisher, &message),
        Err(error) => tracing::error!(
            "a {} could not be made: {error}",
            std::any::type_name::<T>()
        ),
    }
}

fn has_subscriber<T: WrappedTypesupport + 'static>(publisher: &Publisher<T>) -> bool {
    let _call = MiddlewareCall::begin("counting subscribers");
    publisher
        .get_inter_process_subscription_count()
        .is_ok_and(|n| n > 0)
}
