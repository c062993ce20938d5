//! The ROS 2 messages of a bag, as types: their fields, their bytes, their definitions.
//!
//! A message is declared once, by `ros_message!`: the order of its fields is the order on the wire. Image bytes are
//! borrowed from the message they are read from.

mod definition;
mod geometry;
mod lisa;
mod sensor;
mod standard;

pub use definition::{definition, type_hash};
pub use geometry::{Quaternion, TFMessage, Transform, TransformStamped, Vector3};
pub use lisa::{
    Instruction, ReasoningResult, ResultStatus, SegmentedObject, SegmentedObjectStamped, StageTime,
    TextDelta, QUESTION_KINDS,
};
pub use sensor::{CameraInfo, CompressedImage, Image, RegionOfInterest};
pub use standard::{Clock, Header, StringMessage, Time};

use super::cdr::{ByteOrder, CdrError, Decoder, Encoder, Field};

/// A message that is published on a topic, with its bytes and its ROS name.
pub trait Message<'a>: Field<'a> {
    /// Its ROS name, e.g. `sensor_msgs/msg/Image`.
    const ROS_TYPE: &'static str;

    /// Its serialized form, in the order ROS 2 writes on today's machines.
    fn to_cdr(&self) -> Vec<u8> {
        self.to_cdr_in(ByteOrder::Little)
    }

    /// Its serialized form.
    fn to_cdr_in(&self, order: ByteOrder) -> Vec<u8> {
        let mut cdr = Encoder::new(order, Self::MIN_SIZE);
        self.write(&mut cdr);
        cdr.finish()
    }

    /// Reads a serialized message of either byte order.
    ///
    /// # Errors
    /// [`CdrError`], where the bytes are not one message of this type.
    fn from_cdr(bytes: &'a [u8]) -> Result<Self, CdrError> {
        let mut cdr = Decoder::new(bytes)?;
        let message = Self::read(&mut cdr)?;
        cdr.finish()?;
        Ok(message)
    }
}

/// Declares messages: `struct Name = "package/msg/Name" { fields }`, the fields in the order of the definition. One that
/// borrows names its lifetime, which has to be `'a`.
macro_rules! ros_message {
    ($(
        $(#[$doc:meta])*
        pub struct $name:ident $(<$life:lifetime>)? = $ros_type:literal {
            $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'a> $crate::bag::cdr::Field<'a> for $name $(<$life>)? {
            const MIN_SIZE: usize = 0 $(+ <$type as $crate::bag::cdr::Field>::MIN_SIZE)*;

            fn write(&self, cdr: &mut $crate::bag::cdr::Encoder) {
                $($crate::bag::cdr::Field::write(&self.$field, cdr);)*
            }

            fn read(
                cdr: &mut $crate::bag::cdr::Decoder<'a>,
            ) -> Result<Self, $crate::bag::cdr::CdrError> {
                Ok(Self {
                    $($field: $crate::bag::cdr::Field::read(cdr)?,)*
                })
            }
        }

        impl<'a> $crate::bag::messages::Message<'a> for $name $(<$life>)? {
            const ROS_TYPE: &'static str = $ros_type;
        }
    )*};
}
use ros_message;

#[cfg(test)]
mod tests;
