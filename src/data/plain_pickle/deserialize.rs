//! A pickle's values as serde reads them: no deeper than [`DEEPEST`], and no more of them than [`MOST_PER_BYTE`] allows.

use std::cell::Cell;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::{wrong, PlainPickleError};
use crate::pickle::ValueId;

/// Deeper nesting is refused, so that a list which holds itself ends.
const DEEPEST: usize = 64;

/// Values and bytes of text that are read for each byte of the pickle. A value that is referred to in many places is read at
/// each of them, so that a list of 1000 references to a list of 1000 would be a million. A reference takes at least two bytes,
/// so texts of up to 31 bytes may be shared without limit; in the published files the shared ones are the dicts' keys.
const MOST_PER_BYTE: usize = 16;

/// A value; what it holds are indices of others, since a pickle may say one value in several places.
pub(super) enum PlainValue {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<ValueId>),
    Dict(Vec<(ValueId, ValueId)>),
}

/// Makes a `T` of the value `root`. `length` is the number of bytes of the pickle that has the values.
pub(super) fn deserialize<T: DeserializeOwned>(
    values: &[PlainValue],
    root: ValueId,
    length: usize,
) -> Result<T, PlainPickleError> {
    T::deserialize(ValueDeserializer {
        values,
        left: &Cell::new(length.saturating_mul(MOST_PER_BYTE)),
        at: root,
        depth: 0,
    })
}

/// A value as serde reads it.
#[derive(Clone, Copy)]
struct ValueDeserializer<'a> {
    values: &'a [PlainValue],
    /// Values and bytes of text that may still be read; see [`MOST_PER_BYTE`].
    left: &'a Cell<usize>,
    at: ValueId,
    depth: usize,
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = PlainPickleError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PlainPickleError> {
        if self.depth > DEEPEST {
            return Err(PlainPickleError::custom(
                "its values are nested without an end",
            ));
        }
        let value = &self.values[self.at];
        let size = match value {
            PlainValue::Text(text) => 1 + text.len(),
            _ => 1,
        };
        let left = self.left.get().checked_sub(size);
        self.left.set(left.ok_or_else(|| {
            wrong("it says its values again in so many places that they could fill the memory")
        })?);
        let deserializer = |at: ValueId| ValueDeserializer {
            at,
            depth: self.depth + 1,
            ..self
        };
        match value {
            PlainValue::None => visitor.visit_unit(),
            PlainValue::Bool(value) => visitor.visit_bool(*value),
            PlainValue::Int(value) => visitor.visit_i64(*value),
            PlainValue::Float(value) => visitor.visit_f64(*value),
            PlainValue::Text(text) => visitor.visit_str(text),
            PlainValue::List(items) => visitor.visit_seq(SeqDeserializer::new(
                items.iter().map(|at| deserializer(*at)),
            )),
            PlainValue::Dict(items) => visitor.visit_map(MapDeserializer::new(
                items
                    .iter()
                    .map(|(key, value)| (deserializer(*key), deserializer(*value))),
            )),
        }
    }

    /// Fields that nobody reads cost nothing.
    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, PlainPickleError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

impl<'de> IntoDeserializer<'de, PlainPickleError> for ValueDeserializer<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
