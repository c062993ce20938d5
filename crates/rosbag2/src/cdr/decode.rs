//! Reading a message, field by field. No bytes make it panic, and it reserves nothing itself.

use super::{ByteOrder, CdrError, ENCAPSULATION_LEN};

/// Reads the fields of a serialized message, one after another.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    /// The whole message, the encapsulation included.
    bytes: &'a [u8],
    /// Where the next field may begin, before alignment.
    at: usize,
    order: ByteOrder,
}

macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {$(
        /// Reads a number that is aligned to its own size.
        ///
        /// # Errors
        /// [`CdrError::Short`].
        pub fn $name(&mut self) -> Result<$type, CdrError> {
            let raw = self.aligned()?;
            Ok(match self.order {
                ByteOrder::Big => <$type>::from_be_bytes(raw),
                ByteOrder::Little => <$type>::from_le_bytes(raw),
            })
        }
    )*};
}

impl<'a> Decoder<'a> {
    /// Begins to read a message.
    ///
    /// # Errors
    /// [`CdrError`], for bytes that do not begin as plain CDR.
    pub fn new(bytes: &'a [u8]) -> Result<Self, CdrError> {
        let [a, b, _, _, ..] = bytes else {
            return Err(CdrError::Short {
                at: 0,
                needed: ENCAPSULATION_LEN,
                len: bytes.len(),
            });
        };
        let order = match u16::from_be_bytes([*a, *b]) {
            0 => ByteOrder::Big,
            1 => ByteOrder::Little,
            id => return Err(CdrError::Encapsulation { id }),
        };
        Ok(Self {
            bytes,
            at: ENCAPSULATION_LEN,
            order,
        })
    }

    /// The byte order of the message.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    numbers!(u8: u8, i8: i8, u16: u16, i16: i16, u32: u32, i32: i32, u64: u64, i64: i64, f32: f32, f64: f64);

    /// Reads a `bool`.
    ///
    /// # Errors
    /// [`CdrError::Short`]; [`CdrError::Bool`] for anything but 0 and 1.
    pub fn bool(&mut self) -> Result<bool, CdrError> {
        let at = self.at;
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(CdrError::Bool { at, value }),
        }
    }

    /// Reads the number of elements of a sequence, and checks that the rest can hold that many of at least `size` bytes each.
    ///
    /// # Errors
    /// [`CdrError::Short`], [`CdrError::Length`].
    pub fn length(&mut self, size: usize) -> Result<usize, CdrError> {
        let count = self.u32()?;
        let left = self.bytes.len() - self.at;
        if (count as usize).saturating_mul(size) > left {
            return Err(CdrError::Length {
                at: self.at,
                count,
                size,
                left,
            });
        }
        Ok(count as usize)
    }

    /// Reads a `uint8[]` and borrows its bytes from the message.
    ///
    /// # Errors
    /// [`CdrError::Short`], [`CdrError::Length`].
    pub fn byte_sequence(&mut self) -> Result<&'a [u8], CdrError> {
        let len = self.length(1)?;
        self.take(len)
    }

    /// Reads a `string`, without the NUL that ends it on the wire.
    ///
    /// # Errors
    /// [`CdrError::Short`], [`CdrError::Length`], [`CdrError::Utf8`].
    pub fn string(&mut self) -> Result<&'a str, CdrError> {
        let bytes = self.byte_sequence()?;
        let at = self.at - bytes.len();
        std::str::from_utf8(unterminated(bytes)).map_err(|_| CdrError::Utf8 { at })
    }

    /// Reads a `string` that may be other than UTF-8, without the NUL that ends it on the wire.
    ///
    /// # Errors
    /// [`CdrError::Short`], [`CdrError::Length`].
    pub fn string_bytes(&mut self) -> Result<&'a [u8], CdrError> {
        self.byte_sequence().map(unterminated)
    }

    /// Ends reading after the last field: more than padding may not be left.
    ///
    /// # Errors
    /// [`CdrError::Trailing`], if more than padding is left.
    pub fn finish(self) -> Result<(), CdrError> {
        match self.bytes.len() - self.at {
            0..=3 => Ok(()),
            left => Err(CdrError::Trailing { left }),
        }
    }

    fn aligned<const N: usize>(&mut self) -> Result<[u8; N], CdrError> {
        let body = self.at - ENCAPSULATION_LEN;
        let at = ENCAPSULATION_LEN + body.next_multiple_of(N);
        match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(raw) => {
                self.at = at + N;
                Ok(*raw)
            }
            None => Err(self.short(at, N)),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CdrError> {
        let taken = self.bytes.get(self.at..).and_then(|left| left.get(..len));
        let taken = taken.ok_or_else(|| self.short(self.at, len))?;
        self.at += len;
        Ok(taken)
    }

    fn short(&self, at: usize, needed: usize) -> CdrError {
        CdrError::Short {
            at,
            needed,
            len: self.bytes.len(),
        }
    }
}

fn unterminated(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}
