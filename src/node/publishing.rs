//! What is published of an answer: in which order, and as which messages and pictures. The ROS 2 node publishes it and a replay
//! writes it into a bag, so that a bag of answers looks like a recording of the node.

use std::borrow::Cow;

use image::RgbImage;
use rosbag2::{Header, Image, StringMessage};

use super::settings::{Settings, Subscribers};
use crate::engine::{Answer, Frame};

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
    /// Its objects as boxes in the picture and in space, as markers and as points.
    Detections,
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
        (AnswerPart::Mask, answer.status.names_objects()),
        (AnswerPart::Overlay, overlay),
        (
            AnswerPart::Attention,
            attention && answer.attention.is_some(),
        ),
        (AnswerPart::Detections, true),
        (AnswerPart::Text, true),
    ];
    let published = parts.into_iter().filter(|(_, published)| *published);
    published.map(|(part, _)| part)
}

/// The text as a ROS message can carry it: with U+FFFD for NUL, at which a ROS string ends and r2r panics.
pub fn ros_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The message of [`AnswerPart::Mask`], at the frame's size; `None` if the answer names no object.
pub fn mask_message(header: &Header, frame: &Frame, answer: &Answer) -> Option<Image<'static>> {
    let union = answer.union_mask(frame.width(), frame.height())?;
    Some(mono8(header, union.dimensions(), union.into_raw()))
}

/// The picture of [`AnswerPart::Overlay`]; `alpha` is the opacity of the masks, 0 to 1.
pub fn overlay_picture(instruction: &str, frame: &Frame, answer: &Answer, alpha: f32) -> RgbImage {
    answer.overlay(frame.pixels(), instruction, alpha)
}

/// The picture of [`AnswerPart::Attention`]; `None` if the answer does not say where the model looked. `alpha` is the opacity of
/// the heat, 0 to 1.
pub fn attention_picture(frame: &Frame, answer: &Answer, alpha: f32) -> Option<RgbImage> {
    let attention = answer.attention.as_ref()?;
    Some(attention.draw(frame.pixels(), alpha))
}

/// The message of [`AnswerPart::Text`].
pub fn text_message(text: &str) -> StringMessage {
    StringMessage {
        data: ros_text(text),
    }
}

/// A mask as a message. `pixels` are (height, width) bytes.
pub(super) fn mono8<'a>(
    header: &Header,
    size: (u32, u32),
    pixels: impl Into<Cow<'a, [u8]>>,
) -> Image<'a> {
    unpadded(header, size, ("mono8", 1), pixels.into())
}

/// A picture as a message.
pub fn rgb8(header: &Header, picture: RgbImage) -> Image<'static> {
    let size = picture.dimensions();
    unpadded(header, size, ("rgb8", 3), picture.into_raw().into())
}

/// Rows of pixels without padding as a message.
fn unpadded<'a>(
    header: &Header,
    (width, height): (u32, u32),
    (encoding, bytes_per_pixel): (&str, u32),
    data: Cow<'a, [u8]>,
) -> Image<'a> {
    Image {
        header: header.clone(),
        height,
        width,
        encoding: encoding.to_owned(),
        is_bigendian: 0,
        step: width * bytes_per_pixel,
        data,
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
        use AnswerPart::{Detections, Mask, Overlay, Text};
        for status in [AnswerStatus::Segmented, AnswerStatus::EmptyMask] {
            assert_eq!(
                parts(status, &settings, all),
                [Mask, Overlay, Detections, Text]
            );
        }
        let text_only = AnswerStatus::TextOnly;
        assert_eq!(
            parts(text_only, &settings, all),
            [Overlay, Detections, Text]
        );
        assert_eq!(
            parts(text_only, &settings, Subscribers::default()),
            [Detections, Text]
        );
        let plain = Settings {
            publish_overlay: false,
            ..settings
        };
        assert_eq!(parts(text_only, &plain, all), [Detections, Text]);
    }
}
