//! The true boxes of a recording, by the stamps of their frames.

use std::collections::HashMap;

use depth_camera::glam::{DQuat, DVec3};
use lisa_messages::Detection3DArray;
use object_geometry::OrientedBox;
use rosbag2::{Bag, Message, Pose, Selection, TFMessage, Vector3};
use tf_buffer::{TfBuffer, Transform};

use super::messages::{MessagePosition, MessagePositions};
use super::space::transforms;
use super::ReplayError;
use crate::frames::Stamp;
use crate::node::topics;

/// Transforms are read from so long before a frame was recorded to so long after, nanoseconds.
const AROUND: u64 = 2_000_000_000;

/// The true boxes of a recording: `vision_msgs/Detection3DArray` with the stamp of its frame, in a frame that `/tf` connects to
/// the one that places are in. An array without a box says that what was asked for is not in the frame.
///
/// Truth may use transforms that a robot would not have had in time.
pub struct TrueBoxes<'b> {
    bag: &'b Bag,
    topic: String,
    /// The positions of the messages of each stamp, in the bag's order.
    positions: HashMap<Stamp, Vec<MessagePosition>>,
}

impl<'b> TrueBoxes<'b> {
    /// Finds the boxes on a topic.
    ///
    /// # Errors
    /// [`ReplayError::WrongType`] for a topic of something else, [`ReplayError::Bag`] for one that is not there or cannot be read.
    pub fn open(bag: &'b Bag, topic: &str) -> Result<Self, ReplayError> {
        let known = bag.topic(topic)?;
        if known.ros_type != Detection3DArray::ROS_TYPE {
            return Err(ReplayError::WrongType {
                topic: topic.to_owned(),
                ros_type: known.ros_type.clone(),
                accepted: Detection3DArray::ROS_TYPE.to_owned(),
            });
        }
        let mut positions: HashMap<Stamp, Vec<MessagePosition>> = HashMap::new();
        let mut in_bag = MessagePositions::default();
        for message in bag.messages(&Selection::all().topics([topic]))? {
            let message = message?;
            let position = in_bag.next(message.log_time);
            let boxes: Detection3DArray = bag.decode(&message)?;
            let stamp = Stamp(boxes.header.stamp.nanoseconds());
            positions.entry(stamp).or_default().push(position);
        }
        Ok(Self {
            bag,
            topic: topic.to_owned(),
            positions,
        })
    }

    /// The boxes of what the `nth` instruction, counted from 0, of those about the frame of that stamp asks for, in the frame
    /// `target`; `None` if the bag has none for it, or if `/tf` does not say where they are in that frame. The frame was recorded
    /// at `log_time`, nanoseconds.
    ///
    /// # Errors
    /// A message that cannot be read.
    pub fn about(
        &self,
        stamp: Stamp,
        nth: usize,
        log_time: u64,
        target: &str,
    ) -> Result<Option<Vec<OrientedBox>>, ReplayError> {
        let positions = self.positions.get(&stamp);
        let Some(position) = positions.and_then(|positions| positions.get(nth)) else {
            return Ok(None);
        };
        let Some(message) = position.message(self.bag, &self.topic)? else {
            return Ok(None);
        };
        let truth: Detection3DArray = self.bag.decode(&message)?;
        let own = plain(&truth.header.frame_id);
        let in_target = match own == plain(target) {
            true => Some(Transform::IDENTITY),
            false => {
                let buffer = self.transforms(log_time)?;
                buffer.lookup(plain(target), own, stamp.0).ok()
            }
        };
        let boxes = truth.detections.iter().map(|detection| {
            let (pose, size) = (detection.bbox.center, detection.bbox.size);
            oriented(&in_target?, &pose, size)
        });
        Ok(boxes.collect())
    }

    /// The transforms around that moment, and those that always hold.
    fn transforms(&self, log_time: u64) -> Result<TfBuffer, ReplayError> {
        let mut buffer = TfBuffer::default();
        let (from, until) = (
            log_time.saturating_sub(AROUND),
            log_time.saturating_add(AROUND),
        );
        for (name, is_static) in [(topics::TF_STATIC, true), (topics::TF, false)] {
            let mut wanted = Selection::all().topics([name]);
            if self.bag.topics().iter().all(|topic| topic.name != name) {
                continue;
            }
            if !is_static {
                wanted = wanted.from(from).until(until);
            }
            for message in self.bag.messages(&wanted)? {
                let message: TFMessage = self.bag.decode(&message?)?;
                for new in transforms(message, is_static) {
                    let (parent, child) = (&new.parent, &new.child);
                    // What a sender has wrong is not the truth's fault: the others are taken.
                    let _ = match is_static {
                        true => buffer.insert_static(parent, child, new.transform),
                        false => buffer.insert(parent, child, new.stamp.0, new.transform),
                    };
                }
            }
        }
        Ok(buffer)
    }
}

/// A box of a message, by the transform from its frame into another one; `None` for one whose numbers are none.
pub(super) fn oriented(transform: &Transform, pose: &Pose, size: Vector3) -> Option<OrientedBox> {
    let (at, turn) = (pose.position, pose.orientation);
    let rotation = DQuat::from_xyzw(turn.x, turn.y, turn.z, turn.w);
    let size = DVec3::new(size.x, size.y, size.z);
    let center = transform.point(DVec3::new(at.x, at.y, at.z));
    let rotation = transform.rotation * rotation;
    let is_box = center.is_finite() && size.is_finite() && rotation.length() > 0.5;
    is_box.then(|| OrientedBox {
        center,
        rotation: rotation.normalize(),
        size,
    })
}

fn plain(frame_id: &str) -> &str {
    frame_id.strip_prefix('/').unwrap_or(frame_id)
}
