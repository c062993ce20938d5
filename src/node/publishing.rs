//! What is published of an answer: on which topics, in which order, and as which messages. The ROS 2 node publishes it and a
//! replay writes it into a bag, so that a bag of answers looks like a recording of the node.

use std::borrow::Cow;

use rosbag2::{Header, Image};

use super::settings::{Settings, Subscribers};
use crate::engine::Answer;

/// How many messages a publisher keeps for a subscriber that is slow: ROS 2's default. All publishers are reliable.
pub const QUEUE_DEPTH: usize = 10;

/// A part of what is published of a complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerPart {
    /// The union of its masks: [`Answer::union_mask`].
    Mask,
    /// The answer over its frame.
    Overlay,
    /// Where the model looked, over the frame.
    Attention,
    /// Its text.
    Text,
}

/// What is published of a complete answer, in this order. Its result follows after all of it.
pub fn answer_parts(
    answer: &Answer,
    settings: &Settings,
    subscribers: Subscribers,
) -> impl Iterator<Item = AnswerPart> {
    let overlay = settings.publish_overlay && subscribers.overlay;
    // The answer has an attention if somebody subscribed when the question was asked; they may have gone since.
    let attention = settings.publish_attention && subscribers.attention;
    let parts = [
        // An answer whose objects all have empty masks has a mask, too: otherwise an earlier answer's would stay the latest.
        (AnswerPart::Mask, answer.names_objects()),
        (AnswerPart::Overlay, overlay),
        (
            AnswerPart::Attention,
            attention && answer.attention.is_some(),
        ),
        (AnswerPart::Text, true),
    ];
    let published = parts.into_iter().filter(|(_, published)| *published);
    published.map(|(part, _)| part)
}

/// The text as a ROS message can carry it: with U+FFFD for NUL, at which a ROS string ends and r2r panics.
pub fn ros_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A mask as a message, rows without padding. `pixels` are (height, width) bytes.
pub fn mono8<'a>(
    header: &Header,
    (width, height): (u32, u32),
    pixels: impl Into<Cow<'a, [u8]>>,
) -> Image<'a> {
    Image {
        header: header.clone(),
        height,
        width,
        encoding: "mono8".to_owned(),
        is_bigendian: 0,
        step: width,
        data: pixels.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::answer;
    use super::*;
    use crate::engine::AnswerStatus;

    #[test]
    fn a_mask_is_published_wherever_objects_are_named_and_the_text_comes_after_the_pictures() {
        let settings = Settings::default();
        let all = Subscribers {
            overlay: true,
            attention: true,
        };
        let parts = |status, settings: &Settings, subscribers| -> Vec<AnswerPart> {
            let answer = Answer { status, ..answer() };
            assert_eq!(
                answer.union_mask(2, 1).is_some(),
                status != AnswerStatus::TextOnly
            );
            answer_parts(&answer, settings, subscribers).collect()
        };
        use AnswerPart::{Mask, Overlay, Text};
        for status in [AnswerStatus::Segmented, AnswerStatus::EmptyMask] {
            assert_eq!(parts(status, &settings, all), [Mask, Overlay, Text]);
        }
        let text_only = AnswerStatus::TextOnly;
        assert_eq!(parts(text_only, &settings, all), [Overlay, Text]);
        assert_eq!(parts(text_only, &settings, Subscribers::default()), [Text]);
        let plain = Settings {
            publish_overlay: false,
            ..settings
        };
        assert_eq!(parts(text_only, &plain, all), [Text]);
    }
}
