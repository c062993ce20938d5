//! What the node says: its publishers, and what an answer looks like on them.
//!
//! The result goes out last, so that whoever acts on it finds the mask already there.

use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::lisa_ros::msg::{ReasoningResult, TextDelta};
use r2r::sensor_msgs::msg::Image;
use r2r::std_msgs::msg::{Header, String as RosString};
use r2r::{Node, Publisher, QosProfile, WrappedTypesupport};

use super::convert::{mono8, rgb8, ros_text};
use super::instructions::Ask;
use super::params::NodeParams;
use crate::engine::{Answer, AnswerStatus, Attention, Frame};
use crate::image::union_masks;

/// The node's publishers. All reliable, depth 10.
pub struct Outputs {
    result: Publisher<ReasoningResult>,
    mask: Publisher<Image>,
    answer: Publisher<RosString>,
    delta: Publisher<TextDelta>,
    overlay: Publisher<Image>,
    attention: Publisher<Image>,
    diagnostics: Publisher<DiagnosticArray>,
}

impl Outputs {
    /// # Errors
    /// r2r's, where the middleware refuses a publisher.
    pub fn create(node: &mut Node) -> r2r::Result<Self> {
        let qos = QosProfile::default();
        Ok(Self {
            result: node.create_publisher("~/result", qos.clone())?,
            mask: node.create_publisher("~/mask", qos.clone())?,
            answer: node.create_publisher("~/answer", qos.clone())?,
            delta: node.create_publisher("~/answer_delta", qos.clone())?,
            overlay: node.create_publisher("~/overlay", qos.clone())?,
            attention: node.create_publisher("~/attention", qos.clone())?,
            diagnostics: node.create_publisher("/diagnostics", qos)?,
        })
    }

    /// More of an answer; `done` with the last of it.
    pub fn delta(&self, ask: &Ask, header: &Header, text: &str, tokens: usize, done: bool) {
        let delta = TextDelta {
            header: header.clone(),
            instruction_id: ros_text(&ask.id),
            conversation_id: ros_text(&ask.conversation_id),
            delta: ros_text(text),
            tokens: tokens as u32,
            done,
        };
        send(&self.delta, &delta);
    }

    /// The masks and the words of an answer, and the pictures that somebody watches.
    pub fn answer(
        &self,
        ask: &Ask,
        header: &Header,
        frame: &Frame,
        answer: &Answer,
        params: &NodeParams,
    ) {
        let (width, height) = (frame.width(), frame.height());
        match answer.status {
            // "Named, and nothing was found" is an answer to act on, so an earlier mask must not stay the latest: with no
            // objects the union is all zero.
            AnswerStatus::Segmented | AnswerStatus::EmptyMask => {
                let masks = answer.objects.iter().map(|o| (o.roi, &o.mask));
                send(
                    &self.mask,
                    &mono8(header, union_masks(width, height, masks)),
                );
            }
            AnswerStatus::TextOnly => {}
        }
        let (pixels, alpha) = (frame.pixels(), params.overlay_alpha);
        if params.publish_overlay && watched(&self.overlay) {
            let drawn = answer.overlay(pixels, &ask.text.words, alpha);
            send(&self.overlay, &rgb8(header, drawn));
        }
        // It is known where somebody watched when the question was asked, and that somebody may have gone since.
        let attention = answer.attention.as_ref();
        let wanted = |_: &&Attention| params.publish_attention && self.attention_watched();
        if let Some(attention) = attention.filter(wanted) {
            let drawn = attention.draw(pixels, alpha);
            send(&self.attention, &rgb8(header, drawn));
        }
        send(
            &self.answer,
            &RosString {
                data: ros_text(&answer.text),
            },
        );
    }

    /// Somebody subscribes to `~/attention`.
    pub fn attention_watched(&self) -> bool {
        watched(&self.attention)
    }

    pub fn result(&self, result: &ReasoningResult) {
        send(&self.result, result);
    }

    pub fn diagnostics(&self, diagnostics: &DiagnosticArray) {
        send(&self.diagnostics, diagnostics);
    }
}

fn watched<T: WrappedTypesupport + 'static>(publisher: &Publisher<T>) -> bool {
    publisher
        .get_inter_process_subscription_count()
        .is_ok_and(|n| n > 0)
}

/// Publishes; a message the middleware refuses is logged and lost, the node goes on.
pub fn send<T: WrappedTypesupport + 'static>(publisher: &Publisher<T>, message: &T) {
    if let Err(error) = publisher.publish(message) {
        tracing::error!(
            "a {} could not be published: {error}",
            std::any::type_name::<T>()
        );
    }
}
