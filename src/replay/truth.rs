//! What is true: masks of a recording, by the stamp of their frame.

use std::collections::HashMap;

use super::masks::first_channel;
use super::ReplayError;
use crate::bag::{Bag, Image, Message, Selection};
use crate::data::TruthMask;
use crate::frames::Stamp;

/// The true masks of a recording: `sensor_msgs/Image`, `mono8`, in which every value but 0 is object. One without a pixel
/// says that what was asked for is not there.
///
/// Only their places in the bag are held.
pub struct Truths<'b> {
    bag: &'b Bag,
    topic: String,
    /// Log times of each stamp's masks, in their order.
    places: HashMap<Stamp, Vec<u64>>,
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
        let mut places: HashMap<Stamp, Vec<u64>> = HashMap::new();
        for message in bag.messages(&Selection::all().topics([topic]))? {
            let message = message?;
            let stamp = bag.decode::<Image<'_>>(&message)?.header.stamp;
            let stamp = Stamp(stamp.nanoseconds());
            places.entry(stamp).or_default().push(message.log_time);
        }
        Ok(Self {
            bag,
            topic: topic.to_owned(),
            places,
        })
    }

    /// The truth about the `nth` instruction (from 0) about the frame of that stamp; `None` where nothing is known.
    ///
    /// # Errors
    /// A mask that cannot be read.
    pub fn about(&self, stamp: Stamp, nth: usize) -> Result<Option<Truth>, ReplayError> {
        let Some(&at) = self.places.get(&stamp).and_then(|places| places.get(nth)) else {
            return Ok(None);
        };
        let wanted = Selection::all()
            .topics([&self.topic])
            .from(at)
            .until(at + 1);
        for message in self.bag.messages(&wanted)? {
            let message = message?;
            let image: Image<'_> = self.bag.decode(&message)?;
            if Stamp(image.header.stamp.nanoseconds()) == stamp {
                let mask = first_channel(&image)?;
                let inside = mask.as_raw().iter().map(|v| u8::from(*v > 0));
                let mask = TruthMask {
                    width: mask.width(),
                    height: mask.height(),
                    pixels: inside.collect(),
                };
                let there = mask.pixels.contains(&1);
                return Ok(Some(match there {
                    true => Truth::There(mask),
                    false => Truth::Absent,
                }));
            }
        }
        Ok(None)
    }
}

/// Whether what was asked for is in the frame, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    There(TruthMask),
    Absent,
}
