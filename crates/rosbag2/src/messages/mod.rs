//! The ROS 2 messages of a bag, as types: their fields, their bytes, their definitions.
//!
//! A message is declared once, by `ros_message!`: the order of its fields is the order on the wire. Image bytes are
//! borrowed from the message they are read from.

mod definition;
mod types;

pub use definition::{standard_definition, MessageDefinition};
pub use types::{
    CameraInfo, Clock, CompressedImage, Header, Image, Point, Pose, PoseStamped, Quaternion,
    RegionOfInterest, StringMessage, TFMessage, Time, Transform, TransformStamped, Vector3,
};

use super::cdr::{ByteOrder, CdrError, Decoder, Encoder, Field};

/// A message type: its ROS name and definition, and how it is written and read.
pub trait Message<'a>: Field<'a> {
    /// Its definition, which bags carry.
    const DEFINITION: &'static MessageDefinition;

    /// Its ROS name, e.g. `sensor_msgs/msg/Image`.
    const ROS_TYPE: &'static str = Self::DEFINITION.ros_type;

    /// Its serialized form in little-endian order, in which ROS 2 writes on today's machines.
    fn to_cdr(&self) -> Vec<u8> {
        self.to_cdr_in(ByteOrder::Little)
    }

    /// Its serialized form in this byte order.
    fn to_cdr_in(&self, order: ByteOrder) -> Vec<u8> {
        let mut cdr = Encoder::new(order, Self::MIN_SIZE);
        self.write(&mut cdr);
        cdr.finish()
    }

    /// Reads a serialized message of either byte order.
    ///
    /// # Errors
    /// [`CdrError`], if the bytes are not one message of this type.
    fn from_cdr(bytes: &'a [u8]) -> Result<Self, CdrError> {
        let mut cdr = Decoder::new(bytes)?;
        let message = Self::read(&mut cdr)?;
        cdr.finish()?;
        Ok(message)
    }
}

/// Declares messages as types, also for your own package: `struct Name = DEFINITION { fields }`, with a constant
/// [`MessageDefinition`] and the fields in its order, which is the order on the wire. A message that borrows bytes from the one it
/// is read from names its lifetime, which has to be `'a`.
///
/// ```
/// use rosbag2::messages::Message;
/// use rosbag2::{ros_message, MessageDefinition};
///
/// const BATTERY: MessageDefinition = MessageDefinition {
///     ros_type: "kitchen_msgs/msg/Battery",
///     text: "float32 volts\n",
///     hash: "RIHS01_0000000000000000000000000000000000000000000000000000000000000000",
///     parts: &[],
/// };
///
/// ros_message! {
///     /// How much is left.
///     pub struct Battery = BATTERY {
///         /// At the poles.
///         pub volts: f32,
///     }
/// }
///
/// let bytes = Battery { volts: 11.5 }.to_cdr();
/// assert_eq!(Battery::from_cdr(&bytes).unwrap().volts, 11.5);
/// ```
#[macro_export]
macro_rules! ros_message {
    ($(
        $(#[$doc:meta])*
        pub struct $name:ident $(<$life:lifetime>)? = $definition:ident {
            $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'a> $crate::cdr::Field<'a> for $name $(<$life>)? {
            const MIN_SIZE: usize = 0 $(+ <$type as $crate::cdr::Field>::MIN_SIZE)*;

            fn write(&self, cdr: &mut $crate::cdr::Encoder) {
                $($crate::cdr::Field::write(&self.$field, cdr);)*
            }

            fn read(
                cdr: &mut $crate::cdr::Decoder<'a>,
            ) -> Result<Self, $crate::cdr::CdrError> {
                Ok(Self {
                    $($field: $crate::cdr::Field::read(cdr)?,)*
                })
            }
        }

        impl<'a> $crate::Message<'a> for $name $(<$life>)? {
            const DEFINITION: &'static $crate::MessageDefinition = &$definition;
        }
    )*};
}

#[cfg(test)]
mod tests;
