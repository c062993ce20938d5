//! Reading the two instruction messages from their serialized bytes (CDR, OMG DDS-XTypes 7.4.1, plain encoding version 1).
//!
//! Instructions are taken as bytes and not as r2r's types, because those turn a string that is not UTF-8 into an empty one,
//! and a person deserves to hear which of the two it was.

/// Why bytes are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CdrError {
    #[error("encapsulation {id:#06x} is not plain CDR; accepted: 0x0000 (big endian), 0x0001 (little endian)")]
    Encapsulation { id: u16 },
    #[error("the message ends after {len} bytes, {needed} are needed")]
    Short { needed: usize, len: usize },
}

/// Takes fields off the front of a serialized message.
pub struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    /// # Errors
    /// [`CdrError`], for bytes that do not begin as plain CDR.
    pub fn new(bytes: &'a [u8]) -> Result<Self, CdrError> {
        let [a, b, _, _, body @ ..] = bytes else {
            return Err(CdrError::Short {
                needed: 4,
                len: bytes.len(),
            });
        };
        match u16::from_be_bytes([*a, *b]) {
            0 => Ok(Self {
                body,
                at: 0,
                big_endian: true,
            }),
            1 => Ok(Self {
                body,
                at: 0,
                big_endian: false,
            }),
            id => Err(CdrError::Encapsulation { id }),
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], CdrError> {
        let end = self.at.saturating_add(n);
        let taken = self.body.get(self.at..end).ok_or(CdrError::Short {
            needed: end,
            len: self.body.len(),
        })?;
        self.at = end;
        Ok(taken)
    }

    /// Aligned to 4 bytes from the start of the body.
    ///
    /// # Errors
    /// [`CdrError::Short`].
    pub fn u32(&mut self) -> Result<u32, CdrError> {
        self.at = self.at.next_multiple_of(4);
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        Ok(if self.big_endian {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        })
    }

    /// # Errors
    /// [`CdrError::Short`].
    pub fn i32(&mut self) -> Result<i32, CdrError> {
        self.u32()
            .map(|bits| i32::from_ne_bytes(bits.to_ne_bytes()))
    }

    /// A string's bytes, without the NUL that ends it on the wire.
    ///
    /// # Errors
    /// [`CdrError::Short`].
    pub fn string(&mut self) -> Result<&'a [u8], CdrError> {
        let len = self.u32()? as usize;
        let bytes = self.take(len)?;
        Ok(bytes.strip_suffix(&[0]).unwrap_or(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_byte_orders_with_alignment() {
        let little = [0, 1, 0, 0, 2, 0, 0, 0, b'h', 0, 9, 9, 5, 0, 0, 0];
        let big = [0, 0, 0, 0, 0, 0, 0, 2, b'h', 0, 9, 9, 0, 0, 0, 5];
        for bytes in [little, big] {
            let mut r = Reader::new(&bytes).unwrap();
            assert_eq!(r.string(), Ok(&b"h"[..]));
            assert_eq!(r.i32(), Ok(5));
            assert_eq!(
                r.u32(),
                Err(CdrError::Short {
                    needed: 16,
                    len: 12
                })
            );
        }
    }

    #[test]
    fn refuses_what_is_not_plain_cdr() {
        assert_eq!(
            Reader::new(&[0, 7, 0, 0]).err(),
            Some(CdrError::Encapsulation { id: 7 })
        );
        assert_eq!(
            Reader::new(&[0]).err(),
            Some(CdrError::Short { needed: 4, len: 1 })
        );
        let huge = [0, 1, 0, 0, 255, 255, 255, 255, b'h'];
        assert!(matches!(
            Reader::new(&huge).unwrap().string(),
            Err(CdrError::Short { .. })
        ));
    }
}
