//! What is true: masks of a recording, by the stamp of their frame.

use std::collections::HashMap;

use rosbag2::{Bag, Image, Message, Selection};

use super::masks::first_channel;
use super::message_position::{MessagePosition, MessagePositions};
use super::ReplayError;
use crate::data::TruthMask;
use crate::frames::Stamp;
use crate::image::Depth;

/// The true masks of a recording: `sensor_msgs/Image`, `mono8`, in which every value but 0 is object. One without a pixel
/// says that what was asked for is not there.
///
/// Only their positions in the bag are held.
pub struct Truths<'b> {
    bag: &'b Bag,
    topic: String,
    /// Of each stamp's masks, in their order.
    positions: HashMap<Stamp, Vec<MessagePosition>>,
}

impl<'b> Truths<'b> {
    /// # Errors
    /// A topic that is not there, or carries no images; a bag that cannot be read.
    pub fn open(bag: &'b Bag, topic: &str) -> Result<Self, ReplayError> {
        let known = bag.topic(topic)?;
        if known.ros_type != <Image<'_> as Message>::ROS_TYPE {
            return Err(ReplayError::WrongType {
                topic: topic.to_owned(),
                ros_type: known.ros_type.clone(),
                accepted: "sensor_msgs/msg/Image".to_owned(),
            });
        }
        let mut positions: HashMap<Stamp, Vec<MessagePosition>> = HashMap::new();
        let mut told = MessagePositions::default();
        for message in bag.messages(&Selection::all().topics([topic]))? {
            let message = message?;
            let position = told.next(message.log_time);
            let mask = bag.decode::<Image<'_>>(&message)?;
            if let Some(depth) = Depth::of_encoding(&mask.encoding) {
                let topic = topic.to_owned();
                return Err(ReplayError::DepthTruth { topic, depth });
            }
            let stamp = Stamp(mask.header.stamp.nanoseconds());
            positions.entry(stamp).or_default().push(position);
        }
        Ok(Self {
            bag,
            topic: topic.to_owned(),
            positions,
        })
    }

    /// The truth about the `nth` instruction (from 0) about the frame of that stamp; `None` where nothing is known.
    ///
    /// # Errors
    /// A mask that cannot be read.
    pub fn about(&self, stamp: Stamp, nth: usize) -> Result<Option<Truth>, ReplayError> {
        let Some(position) = self
            .positions
            .get(&stamp)
            .and_then(|positions| positions.get(nth))
        else {
            return Ok(None);
        };
        let Some(message) = position.message(self.bag, &self.topic)? else {
            return Ok(None);
        };
        let image: Image<'_> = self.bag.decode(&message)?;
        let mask = first_channel(&image)?;
        let inside = mask.as_raw().iter().map(|v| u8::from(*v > 0));
        let mask = TruthMask {
            width: mask.width(),
            height: mask.height(),
            pixels: inside.collect(),
        };
        Ok(Some(match mask.pixels.contains(&1) {
            true => Truth::There(mask),
            false => Truth::Absent,
        }))
    }
}

/// Whether what was asked for is in the frame, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    There(TruthMask),
    Absent,
}
