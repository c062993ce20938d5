//! Writing a message, field by field.

use super::{ByteOrder, ENCAPSULATION_LEN};

/// Writes the fields of a message, one after another. Numbers are aligned to their size from the start of the body.
#[derive(Clone, Debug)]
pub struct Encoder {
    bytes: Vec<u8>,
    order: ByteOrder,
}

macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {$(
        /// Writes a number, aligned to its own size.
        pub fn $name(&mut self, value: $type) {
            self.align(size_of::<$type>());
            match self.order {
                ByteOrder::Big => self.bytes.extend(value.to_be_bytes()),
                ByteOrder::Little => self.bytes.extend(value.to_le_bytes()),
            }
        }
    )*};
}

impl Encoder {
    /// Begins a message; `room` bytes are reserved for its body.
    pub fn new(order: ByteOrder, room: usize) -> Self {
        let mut bytes = Vec::with_capacity(ENCAPSULATION_LEN + room);
        let id = match order {
            ByteOrder::Big => 0,
            ByteOrder::Little => 1,
        };
        bytes.extend([0, id, 0, 0]);
        Self { bytes, order }
    }

    numbers!(u8: u8, i8: i8, u16: u16, i16: i16, u32: u32, i32: i32, u64: u64, i64: i64, f32: f32, f64: f64);

    /// Writes the length of a sequence or string.
    ///
    /// CDR has 32 bits for it. What does not fit is written as the largest length, which no decoder takes for the
    /// elements that follow; a message of 4 GiB is refused by DDS before that.
    pub fn length(&mut self, len: usize) {
        self.u32(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// Writes a `uint8[]`.
    pub fn byte_sequence(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a `string`, which a NUL ends on the wire.
    pub fn string(&mut self, text: &str) {
        self.length(text.len() + 1);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    /// Ends the message and gives its serialized form.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn align(&mut self, size: usize) {
        let body = self.bytes.len() - ENCAPSULATION_LEN;
        self.bytes
            .resize(ENCAPSULATION_LEN + body.next_multiple_of(size), 0);
    }
}
