//! The true masks of a recording, by the stamps of their frames.

use std::collections::HashMap;

use rosbag2::{Bag, Image, Message, Selection};

use super::messages::{first_channel, MessagePosition, MessagePositions};
use super::ReplayError;
use crate::data::TruthMask;
use crate::frames::Stamp;
use crate::image::Depth;

/// The true masks of a recording: `sensor_msgs/Image`, `mono8`, in which every value other than 0 is the object. A mask without a
/// pixel says that what was asked for is not in the frame.
///
/// Only the masks' positions in the bag are kept in memory.
pub struct GroundTruth<'b> {
    bag: &'b Bag,
    topic: String,
    /// The positions of the masks of each stamp, in the bag's order.
    positions: HashMap<Stamp, Vec<MessagePosition>>,
}

impl<'b> GroundTruth<'b> {
    /// Finds the masks on a topic.
    ///
    /// # Errors
    /// [`ReplayError::WrongType`] and [`ReplayError::DepthTruth`] for a topic of something else, [`ReplayError::Bag`] for one
    /// that is not there or cannot be read.
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
        let mut positions_in_bag = MessagePositions::default();
        for message in bag.messages(&Selection::all().topics([topic]))? {
            let message = message?;
            let position = positions_in_bag.next(message.log_time);
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

    /// The truth about the `nth` instruction, counted from 0, of those about the frame of that stamp; `None` if the bag has no
    /// mask for it.
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
    /// It is there, and this is its mask.
    There(TruthMask),
    /// It is not in the frame, so that the right answer has no `[SEG]`.
    Absent,
}
