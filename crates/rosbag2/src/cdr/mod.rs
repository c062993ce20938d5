//! Messages as ROS 2 serializes them: CDR of the plain encoding, version 1, in either byte order.
//!
//! Four bytes of encapsulation name the byte order; the body follows, each number aligned to its own size from the
//! start of the body (OMG DDS-XTypes 1.3, 7.4.1 and 7.6.2). Decoding takes bytes from anywhere: every length is checked
//! against the bytes that are there before anything is reserved for it.

mod decode;
mod encode;
mod field;

pub use decode::Decoder;
pub use encode::Encoder;
pub use field::Field;

/// Encapsulation: identifier (big endian) and options.
pub(crate) const ENCAPSULATION_LEN: usize = 4;

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// `CDR_BE`, identifier 0x0000.
    Big,
    /// `CDR_LE`, identifier 0x0001: what ROS 2 writes on today's machines.
    #[default]
    Little,
}

/// Why bytes are not a message of the expected type. Offsets count from the first byte of the serialized message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CdrError {
    /// The first two bytes name another encoding.
    #[error("encapsulation {id:#06x} is not plain CDR; accepted: 0x0000 (big endian), 0x0001 (little endian)")]
    Encapsulation {
        /// The identifier that is there.
        id: u16,
    },
    /// A field goes beyond the end of the message.
    #[error("the message is {len} bytes long, a field at byte {at} needs {needed}")]
    Short {
        /// Where the field begins.
        at: usize,
        /// How many bytes it takes.
        needed: usize,
        /// How many bytes the whole message has.
        len: usize,
    },
    /// A sequence or string says it is longer than what is left could hold.
    #[error("the sequence at byte {at} claims {count} elements of at least {size} bytes, {left} bytes are left")]
    Length {
        /// Where the elements begin.
        at: usize,
        /// The number of elements that it claims.
        count: u32,
        /// The fewest bytes one of them takes.
        size: usize,
        /// How many bytes are left.
        left: usize,
    },
    /// A string is not UTF-8.
    #[error("the string at byte {at} is not UTF-8")]
    Utf8 {
        /// Where the bytes of the string begin.
        at: usize,
    },
    /// A bool is neither 0 nor 1.
    #[error("the bool at byte {at} is {value}; accepted: 0, 1")]
    Bool {
        /// Where the byte is.
        at: usize,
        /// The value of the byte.
        value: u8,
    },
    /// More than padding is left after the last field, so that the bytes are of another type.
    #[error("{left} bytes are left after the last field; accepted: up to 3 of padding")]
    Trailing {
        /// The number of bytes.
        left: usize,
    },
}

#[cfg(test)]
mod tests;
