//! The node's publishers, and the messages that outputs of the state machine become on them.

use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::lisa_ros::msg::{ReasoningResult, SegmentedObjectStamped, TextDelta};
use r2r::sensor_msgs::msg::Image;
use r2r::std_msgs::msg::String as RosString;
use r2r::{Node, Publisher, QosProfile, WrappedTypesupport};
use rosbag2::Header;

use super::convert::{header, image, object, result, SourceImage};
use super::r2r_ext::send;
use super::stall::MiddlewareCall;
use crate::engine::{Answer, ObjectMask};
use crate::node::{
    mask_message, object_message, private_name, ros_text, text_message, topics, Question,
    QuestionResult, Subscribers, QUEUE_DEPTH,
};

/// The node's publishers. All reliable, and of the depth [`QUEUE_DEPTH`].
pub struct Publishers {
    result: Publisher<ReasoningResult>,
    object: Publisher<SegmentedObjectStamped>,
    mask: Publisher<Image>,
    answer: Publisher<RosString>,
    delta: Publisher<TextDelta>,
    pub overlay: Publisher<Image>,
    pub attention: Publisher<Image>,
    diagnostics: Publisher<DiagnosticArray>,
}

impl Publishers {
    /// Creates all publishers.
    ///
    /// # Errors
    /// The middleware refuses a publisher.
    pub fn create(node: &mut Node) -> r2r::Result<Self> {
        let qos = QosProfile::default().reliable().keep_last(QUEUE_DEPTH);
        Ok(Self {
            result: node.create_publisher(&private_name(topics::RESULT), qos.clone())?,
            object: node.create_publisher(&private_name(topics::OBJECT), qos.clone())?,
            mask: node.create_publisher(&private_name(topics::MASK), qos.clone())?,
            answer: node.create_publisher(&private_name(topics::ANSWER), qos.clone())?,
            delta: node.create_publisher(&private_name(topics::ANSWER_DELTA), qos.clone())?,
            overlay: node.create_publisher(&private_name(topics::OVERLAY), qos.clone())?,
            attention: node.create_publisher(&private_name(topics::ATTENTION), qos.clone())?,
            diagnostics: node.create_publisher("/diagnostics", qos)?,
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

    /// Publishes an object's mask.
    pub fn object(&self, of: &Question, at: &Header, mask: &ObjectMask) {
        let stamped = SegmentedObjectStamped {
            header: header(at),
            instruction_id: ros_text(&of.instruction_id),
            conversation_id: ros_text(&of.conversation_id),
            object: object(object_message(at, mask)),
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
