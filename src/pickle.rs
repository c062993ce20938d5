//! What every reader of Python's pickles needs: opcodes and their arguments, read within bounds, and the stack with its marks.
//!
//! Which opcodes are accepted, and which values they make, is decided by the readers: `convert::torch` knows PyTorch's tensors,
//! `data::plain_pickle` plain data. Nothing here runs anything. An argument is a slice of the pickle, and each opcode adds at
//! most one index or one mark, so that a pickle takes memory in proportion to its bytes.

/// Index of a value in a reader's flat list of values. Values refer to each other by it, since a pickle may name one value in
/// several places, and in itself.
pub(crate) type ValueId = usize;

/// What is wrong with a pickle before its values matter. Each reader has its own words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PickleFault {
    /// An opcode needs more bytes, values or marks than there are.
    Short,
    /// A text is not UTF-8.
    NotUtf8,
    /// A dict is given an odd number of values.
    KeyWithoutValue,
}

/// The bytes of a pickle and how far they have been read.
pub(crate) struct PickleBytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> PickleBytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub fn offset(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], PickleFault> {
        let end = self.at.checked_add(count);
        let end = end.filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(PickleFault::Short)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// The next byte, which is an opcode or an argument of one.
    pub fn byte(&mut self) -> Result<u8, PickleFault> {
        Ok(self.take(1)?[0])
    }

    /// The bytes up to the next line feed, which is left out.
    pub fn line(&mut self) -> Result<&'a [u8], PickleFault> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n');
        let length = length.ok_or(PickleFault::Short)?;
        Ok(&self.take(length + 1)?[..length])
    }

    /// A number of up to eight bytes, lowest byte first.
    pub fn unsigned(&mut self, bytes: usize) -> Result<u64, PickleFault> {
        let taken = self.take(bytes)?.iter().rev();
        Ok(taken.fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// A number of bytes, which is itself written in `bytes` bytes.
    pub fn length(&mut self, bytes: usize) -> Result<usize, PickleFault> {
        usize::try_from(self.unsigned(bytes)?).map_err(|_| PickleFault::Short)
    }

    /// A text after its length, which is written in `length_bytes` bytes.
    pub fn text(&mut self, length_bytes: usize) -> Result<&'a str, PickleFault> {
        let length = self.length(length_bytes)?;
        utf8(self.take(length)?)
    }
}

/// The stack of a pickle with its marks.
#[derive(Default)]
pub(crate) struct PickleStack {
    values: Vec<ValueId>,
    marks: Vec<usize>,
}

impl PickleStack {
    pub fn push(&mut self, value: ValueId) {
        self.values.push(value);
    }

    /// The values above the last mark. Those below it are out of reach until it is taken off, as in Python, whose unpickler
    /// raises there.
    fn reachable(&self) -> usize {
        self.values.len() - self.marks.last().copied().unwrap_or_default()
    }

    pub fn pop(&mut self) -> Result<ValueId, PickleFault> {
        let top = self.top()?;
        self.values.pop();
        Ok(top)
    }

    pub fn top(&self) -> Result<ValueId, PickleFault> {
        let top = self.values.last().filter(|_| self.reachable() > 0);
        top.copied().ok_or(PickleFault::Short)
    }

    /// Takes the uppermost `count` values, the lowest of them first.
    pub fn pop_many(&mut self, count: usize) -> Result<Vec<ValueId>, PickleFault> {
        if count > self.reachable() {
            return Err(PickleFault::Short);
        }
        Ok(self.values.split_off(self.values.len() - count))
    }

    pub fn mark(&mut self) {
        self.marks.push(self.values.len());
    }

    /// Does what the opcode POP does: takes the uppermost value off, or the last mark if no value lies above it.
    pub fn pop_value_or_mark(&mut self) -> Result<(), PickleFault> {
        match self.marks.last() == Some(&self.values.len()) {
            true => drop(self.marks.pop()),
            false => drop(self.pop()?),
        }
        Ok(())
    }

    /// Takes the last mark off with all values above it, the lowest of them first.
    pub fn pop_to_mark(&mut self) -> Result<Vec<ValueId>, PickleFault> {
        let mark = self.marks.pop().ok_or(PickleFault::Short)?;
        Ok(self.values.split_off(mark))
    }
}

/// Bytes as a text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, PickleFault> {
    std::str::from_utf8(bytes).map_err(|_| PickleFault::NotUtf8)
}

/// A dict's keys and values, which lie on the stack in turns.
pub(crate) fn pairs(values: &[ValueId]) -> Result<Vec<(ValueId, ValueId)>, PickleFault> {
    match values.len() % 2 {
        0 => Ok(values.chunks_exact(2).map(|p| (p[0], p[1])).collect()),
        _ => Err(PickleFault::KeyWithoutValue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_length_reaches_past_the_end() {
        let mut bytes = PickleBytes::new(b"\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(bytes.text(8), Err(PickleFault::Short));
        let mut bytes = PickleBytes::new(b"\x03ab");
        assert_eq!(bytes.text(1), Err(PickleFault::Short));
        assert_eq!(PickleBytes::new(b"ab").line(), Err(PickleFault::Short));
        let mut bytes = PickleBytes::new(b"\x02ab\x01\xffc\n");
        assert_eq!(bytes.text(1), Ok("ab"));
        assert_eq!(bytes.text(1), Err(PickleFault::NotUtf8));
        assert_eq!(bytes.line(), Ok(&b"c"[..]));
        assert_eq!((bytes.offset(), bytes.byte()), (7, Err(PickleFault::Short)));
    }

    #[test]
    fn values_below_a_mark_are_out_of_reach() {
        let mut stack = PickleStack::default();
        stack.push(5);
        stack.mark();
        assert_eq!(stack.pop(), Err(PickleFault::Short));
        assert_eq!(stack.top(), Err(PickleFault::Short));
        assert_eq!(stack.pop_many(1), Err(PickleFault::Short));
        stack.push(6);
        assert_eq!((stack.top(), stack.pop()), (Ok(6), Ok(6)));
        stack.push(7);
        assert_eq!(stack.pop_to_mark(), Ok(vec![7]));
        assert_eq!(stack.pop(), Ok(5));
        assert_eq!(stack.pop_to_mark(), Err(PickleFault::Short));
        stack.mark();
        assert_eq!(stack.pop_value_or_mark(), Ok(()));
        assert_eq!(stack.pop_value_or_mark(), Err(PickleFault::Short));
        stack.push(1);
        assert_eq!(stack.pop_many(2), Err(PickleFault::Short));
        assert_eq!(stack.pop_many(1), Ok(vec![1]));
        assert_eq!(pairs(&[1, 2, 3]), Err(PickleFault::KeyWithoutValue));
    }
}
