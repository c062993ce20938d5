//! What a field of a message can be.

use std::borrow::Cow;

use super::{CdrError, Decoder, Encoder};

/// A type that can be a field of a message, and how it is written and read.
pub trait Field<'a>: Sized {
    /// The fewest bytes that a value takes, padding aside. It bounds how many elements a sequence may claim.
    const MIN_SIZE: usize;

    /// Writes the value.
    fn write(&self, cdr: &mut Encoder);

    /// Reads a value.
    ///
    /// # Errors
    /// [`CdrError`].
    fn read(cdr: &mut Decoder<'a>) -> Result<Self, CdrError>;
}

macro_rules! numbers {
    ($($type:ident),*) => {$(
        impl<'a> Field<'a> for $type {
            const MIN_SIZE: usize = size_of::<$type>();

            fn write(&self, cdr: &mut Encoder) {
                cdr.$type(*self);
            }

            fn read(cdr: &mut Decoder<'a>) -> Result<Self, CdrError> {
                cdr.$type()
            }
        }
    )*};
}

numbers!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

impl<'a> Field<'a> for bool {
    const MIN_SIZE: usize = 1;

    fn write(&self, cdr: &mut Encoder) {
        cdr.u8(u8::from(*self));
    }

    fn read(cdr: &mut Decoder<'a>) -> Result<Self, CdrError> {
        cdr.bool()
    }
}

/// `string`. Some writers send an empty one as length 0, without its NUL.
impl<'a> Field<'a> for String {
    const MIN_SIZE: usize = 4;

    fn write(&self, cdr: &mut Encoder) {
        cdr.string(self);
    }

    fn read(cdr: &mut Decoder<'a>) -> Result<Self, CdrError> {
        cdr.string().map(str::to_owned)
    }
}

/// `uint8[]`, borrowed from the message it is read from.
impl<'a> Field<'a> for Cow<'a, [u8]> {
    const MIN_SIZE: usize = 4;

    fn write(&self, cdr: &mut Encoder) {
        cdr.byte_sequence(self);
    }

    fn read(cdr: &mut Decoder<'a>) -> Result<Self, CdrError> {
        cdr.byte_sequence().map(Cow::Borrowed)
    }
}

/// `T[]`.
impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    const MIN_SIZE: usize = 4;

    fn write(&self, cdr: &mut Encoder) {
        cdr.length(self.len());
        for element in self {
            element.write(cdr);
        }
    }

    fn read(cdr: &mut Decoder<'a>) -> Result<Self, CdrError> {
        let count = cdr.length(T::MIN_SIZE.max(1))?;
        // Grown element by element: an element in memory may be several times its bytes in the message.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(T::read(cdr)?);
        }
        Ok(elements)
    }
}

/// `float64[N]`: its length is in the type.
impl<'a, const N: usize> Field<'a> for [f64; N] {
    const MIN_SIZE: usize = 8 * N;

    fn write(&self, cdr: &mut Encoder) {
        for value in self {
            cdr.f64(*value);
        }
    }

    fn read(cdr: &mut Decoder<'a>) -> Result<Self, CdrError> {
        let mut values = [0.0; N];
        for value in &mut values {
            *value = cdr.f64()?;
        }
        Ok(values)
    }
}
