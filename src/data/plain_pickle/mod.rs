//! Python's pickles, protocols 0 to 5, as far as they hold plain data: numbers, texts, lists, tuples and dicts.
//!
//! Anything that would run code (classes, functions) is refused. Byte strings of Python 2 are read as UTF-8.
//!
//! `serde-pickle` (1.2.0) runs no code either, but its costs are not bounded by the size of a file, and these files come from
//! anywhere. It keeps values as trees and copies them whole: thirty times `DUP APPEND`, 60 bytes, make 2³⁰ values, and each
//! `MARK`, one byte, takes room for 128 of them. It nests as deep as the file says, in reading as in freeing, until the stack
//! overflows, and it reads shared values again at each place, also in fields that nobody asked for. A look at the
//! instructions beforehand would have to follow stack and memo to tell how deep a value is, which is all that this reader
//! does: its values are indices into one list, so a pickle takes memory in proportion to its bytes.

mod deserialize;

use std::collections::HashMap;
use std::fmt;

use serde::de::DeserializeOwned;

use self::deserialize::{deserialize, PlainValue};
use crate::pickle::{pairs, utf8, PickleBytes, PickleFault, PickleStack, ValueId};

/// What is wrong with a pickle, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlainPickleError(String);

impl fmt::Display for PlainPickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlainPickleError {}

impl From<PickleFault> for PlainPickleError {
    fn from(fault: PickleFault) -> Self {
        wrong(match fault {
            PickleFault::Short => "it is no pickle, or ends early",
            PickleFault::NotUtf8 => "a text is not UTF-8",
            PickleFault::KeyWithoutValue => "a dict has a key without a value",
        })
    }
}

impl serde::de::Error for PlainPickleError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Reads a whole pickle.
pub(super) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PlainPickleError> {
    let mut unpickler = PlainUnpickler {
        bytes: PickleBytes::new(bytes),
        values: Vec::new(),
        stack: PickleStack::default(),
        memo: HashMap::new(),
    };
    let root = unpickler.run().map_err(|PlainPickleError(reason)| {
        PlainPickleError(format!("{reason}, at byte {}", unpickler.bytes.offset()))
    })?;
    deserialize(&unpickler.values, root, bytes.len())
}

/// Runs the opcodes of plain data and refuses all others.
struct PlainUnpickler<'a> {
    bytes: PickleBytes<'a>,
    values: Vec<PlainValue>,
    stack: PickleStack,
    memo: HashMap<u64, ValueId>,
}

impl<'a> PlainUnpickler<'a> {
    fn run(&mut self) -> Result<usize, PlainPickleError> {
        loop {
            let code = self.bytes.byte()?;
            match code {
                b'.' => return Ok(self.stack.pop()?),
                0x80 => drop(self.bytes.take(1)?),
                0x95 => drop(self.bytes.take(8)?),
                b'(' => self.stack.mark(),
                b'0' => self.stack.pop_value_or_mark()?,
                b'1' => drop(self.stack.pop_to_mark()?),
                b'2' => {
                    let top = self.stack.top()?;
                    self.stack.push(top);
                }
                b'N' => self.push(PlainValue::None),
                0x88 | 0x89 => self.push(PlainValue::Bool(code == 0x88)),
                b'I' => {
                    let value = match self.line()? {
                        "00" => PlainValue::Bool(false),
                        "01" => PlainValue::Bool(true),
                        digits => PlainValue::Int(number(digits)?),
                    };
                    self.push(value);
                }
                b'L' => {
                    let digits = self.line()?;
                    let value = number(digits.strip_suffix('L').unwrap_or(digits))?;
                    self.push(PlainValue::Int(value));
                }
                b'F' => {
                    let value = number(self.line()?)?;
                    self.push(PlainValue::Float(value));
                }
                b'J' | b'K' | b'M' | 0x8a => self.binary_int(code)?,
                b'G' => {
                    let bits = self
                        .bytes
                        .take(8)?
                        .iter()
                        .fold(0, |n, b| n << 8 | u64::from(*b));
                    self.push(PlainValue::Float(f64::from_bits(bits)));
                }
                b'S' => {
                    let text = unquote(self.line()?)?;
                    self.push(PlainValue::Text(text));
                }
                b'V' => {
                    let text = raw_unicode(self.raw_line()?);
                    self.push(PlainValue::Text(text));
                }
                b'U' | 0x8c => self.text(1)?,
                b'T' | b'X' => self.text(4)?,
                0x8d => self.text(8)?,
                b']' | b')' => self.push(PlainValue::List(Vec::new())),
                b'l' | b't' => {
                    let items = self.stack.pop_to_mark()?;
                    self.push(PlainValue::List(items));
                }
                0x85..=0x87 => {
                    let count = usize::from(code - 0x84);
                    let items = self.stack.pop_many(count)?;
                    self.push(PlainValue::List(items));
                }
                b'}' => self.push(PlainValue::Dict(Vec::new())),
                b'd' => {
                    let items = self.stack.pop_to_mark()?;
                    self.push(PlainValue::Dict(pairs(&items)?));
                }
                b'a' => {
                    let item = self.stack.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.stack.pop_to_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let value = self.stack.pop()?;
                    let key = self.stack.pop()?;
                    self.set(vec![key, value])?;
                }
                b'u' => {
                    let items = self.stack.pop_to_mark()?;
                    self.set(items)?;
                }
                b'p' | b'q' | b'r' | 0x94 => {
                    let id = match code {
                        b'p' => number(self.line()?)?,
                        b'q' => self.bytes.unsigned(1)?,
                        b'r' => self.bytes.unsigned(4)?,
                        _ => self.memo.len() as u64,
                    };
                    let top = self.stack.top()?;
                    self.memo.insert(id, top);
                }
                b'g' | b'h' | b'j' => {
                    let id = match code {
                        b'g' => number(self.line()?)?,
                        b'h' => self.bytes.unsigned(1)?,
                        _ => self.bytes.unsigned(4)?,
                    };
                    let known = self.memo.get(&id).copied();
                    let value =
                        known.ok_or_else(|| wrong("it refers to a value it does not hold"))?;
                    self.stack.push(value);
                }
                b'c' | b'R' | b'i' | b'o' | b'b' | 0x81 | 0x92 | 0x93 => {
                    return Err(wrong("it holds an object of a class; accepted: plain data"));
                }
                other => {
                    return Err(wrong(&format!(
                        "0x{other:02x} is no instruction of plain data"
                    )))
                }
            }
        }
    }

    fn push(&mut self, value: PlainValue) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn append(&mut self, mut items: Vec<ValueId>) -> Result<(), PlainPickleError> {
        let top = self.stack.top()?;
        match &mut self.values[top] {
            PlainValue::List(list) => list.append(&mut items),
            _ => return Err(wrong("it appends to what is no list")),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<ValueId>) -> Result<(), PlainPickleError> {
        let (top, mut items) = (self.stack.top()?, pairs(&items)?);
        match &mut self.values[top] {
            PlainValue::Dict(dict) => dict.append(&mut items),
            _ => return Err(wrong("it sets a key of what is no dict")),
        }
        Ok(())
    }

    /// A line without its end, which some have written as Windows does.
    fn raw_line(&mut self) -> Result<&'a [u8], PlainPickleError> {
        let line = self.bytes.line()?;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn line(&mut self) -> Result<&'a str, PlainPickleError> {
        Ok(utf8(self.raw_line()?)?)
    }

    fn binary_int(&mut self, code: u8) -> Result<(), PlainPickleError> {
        let value = match code {
            b'J' => self.bytes.unsigned(4)? as u32 as i32 as i64,
            b'K' => self.bytes.unsigned(1)? as i64,
            b'M' => self.bytes.unsigned(2)? as i64,
            _ => {
                // Little endian two's complement, often with more bytes than it needs.
                let length = self.bytes.unsigned(1)? as usize;
                let bytes = self.bytes.take(length)?;
                let sign = match bytes.last() {
                    Some(last) if *last >= 0x80 => 0xff,
                    _ => 0,
                };
                let mut value = [sign; 8];
                for (i, byte) in bytes.iter().enumerate() {
                    match value.get_mut(i) {
                        Some(place) => *place = *byte,
                        None if *byte == sign => (),
                        None => return Err(wrong("a number has more than 64 bits")),
                    }
                }
                i64::from_le_bytes(value)
            }
        };
        self.push(PlainValue::Int(value));
        Ok(())
    }

    fn text(&mut self, length_bytes: usize) -> Result<(), PlainPickleError> {
        let text = self.bytes.text(length_bytes)?.to_owned();
        self.push(PlainValue::Text(text));
        Ok(())
    }
}

fn wrong(reason: &str) -> PlainPickleError {
    PlainPickleError(reason.to_owned())
}

fn number<T: std::str::FromStr>(digits: &str) -> Result<T, PlainPickleError> {
    let wrong = |_| wrong(&format!("'{digits}' is no number"));
    digits.trim().parse().map_err(wrong)
}

/// Python 2's `repr` of a byte string.
fn unquote(line: &str) -> Result<String, PlainPickleError> {
    let odd = || wrong(&format!("{line} is no text"));
    let quote = line
        .chars()
        .next()
        .filter(|c| matches!(c, '\'' | '"'))
        .ok_or_else(odd)?;
    let inner = line[1..].strip_suffix(quote).ok_or_else(odd)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().ok_or_else(odd)? {
            same @ (b'\\' | b'\'' | b'"') => same,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit().ok_or_else(odd)?, digit().ok_or_else(odd)?);
                (16 * high + low) as u8
            }
            _ => return Err(odd()),
        });
    }
    String::from_utf8(bytes).map_err(|_| PickleFault::NotUtf8.into())
}

/// Latin-1 with `\uXXXX` and `\UXXXXXXXX`, and no other escape.
fn raw_unicode(line: &[u8]) -> String {
    let line: String = line.iter().map(|b| char::from(*b)).collect();
    let mut text = String::with_capacity(line.len());
    let mut rest = line.as_str();
    while let Some(at) = rest.find('\\') {
        text += &rest[..at];
        let (digits, code) = match rest.as_bytes().get(at + 1) {
            Some(b'u') => (4, rest.get(at + 2..at + 6)),
            Some(b'U') => (8, rest.get(at + 2..at + 10)),
            _ => {
                text.push('\\');
                rest = &rest[at + 1..];
                continue;
            }
        };
        let code = code.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        text.push(
            code.and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER),
        );
        rest = rest.get(at + 2 + digits..).unwrap_or_default();
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Item {
        id: i64,
        words: Vec<String>,
    }

    fn read(pickle: &[u8]) -> Result<Vec<Item>, String> {
        from_slice(pickle).map_err(|e| e.to_string())
    }

    fn item(id: i64, words: &[&str]) -> Item {
        let words = words.iter().map(|w| (*w).to_owned()).collect();
        Item { id, words }
    }

    #[test]
    fn every_protocol_gives_the_same() {
        let want = [
            item(7, &["left", "it's \"x\""]),
            item(-300, &["left", "it's \"x\""]),
        ];
        // [{'id': 7, 'words': w}, {'id': -300, 'words': w}] with w = ['left', 'it\'s "x"']; the keys and w are shared.
        let python2_text = b"(lp0\n(dp1\nS'id'\np2\nI7\nsS'words'\np3\n(lp4\nS'left'\np5\naS'it\\'s \"x\"'\np6\nas\
            a(dp7\ng2\nL-300L\nsg3\ng4\nsa.";
        let python2_binary =
            b"\x80\x02]q\x00(}q\x01(U\x02idq\x02K\x07U\x05wordsq\x03]q\x04(U\x04leftq\x05\
            U\x08it's \"x\"q\x06eu}q\x07(h\x02J\xd4\xfe\xff\xffh\x03h\x04ue.";
        let python3 = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00]\x94(}\x94(\x8c\x02id\x94K\x07\x8c\x05words\x94]\x94(\
            \x8c\x04left\x94\x8c\x08it's \"x\"\x94eu}\x94(h\x02\x8a\x02\xd4\xfeh\x03h\x04ue.";
        for pickle in [&python2_text[..], python2_binary, python3] {
            assert_eq!(read(pickle).as_deref(), Ok(&want[..]));
        }
    }

    #[test]
    fn escapes_are_python_s() {
        let read = |pickle: &[u8]| from_slice::<String>(pickle).unwrap();
        assert_eq!(read(b"S'a\\\\b\\tc\\xc3\\xa9\\'\"'\n."), "a\\b\tcé'\"");
        assert_eq!(read(b"S\"it's\"\n."), "it's");
        assert_eq!(read(b"Vcaf\xe9 \\u0153 \\U0001f600\n."), "café œ 😀");
    }

    #[test]
    fn long_numbers_may_have_more_bytes_than_they_need() {
        let read = |pickle: &[u8]| from_slice::<i64>(pickle).map_err(|e| e.0);
        assert_eq!(read(b"\x8a\x00."), Ok(0));
        assert_eq!(read(b"\x8a\x05\x00\x5e\xd0\xb2\x00."), Ok(3_000_000_000));
        assert_eq!(
            read(b"\x8a\x09\x00\x5e\xd0\xb2\0\0\0\0\0."),
            Ok(3_000_000_000)
        );
        assert_eq!(read(b"\x8a\x01\xfb."), Ok(-5));
        assert!(read(b"\x8a\x09\0\0\0\0\0\0\0\0\x01.")
            .unwrap_err()
            .contains("64 bits"));
    }

    #[test]
    fn what_is_no_plain_data_is_refused_in_one_line() {
        for (pickle, reason) in [
            (&b"garbage"[..], "no pickle"),
            (b"\xff\xd8\xff", "no instruction"),
            (b"", "ends early"),
            (b"]", "ends early"),
            (b"\x80\x02]q\x00(K\x01", "ends early"),
            (b"U\xff", "ends early"),
            (b"cos\nsystem\n(S'ls'\ntR.", "object of a class"),
            (b"h\x09.", "does not hold"),
            (b"K\x01K\x02a.", "no list"),
            (b"(K\x01d.", "without a value"),
            (b"](U\x01ae.", "invalid type"),
        ] {
            let refused = read(pickle).unwrap_err();
            assert!(
                refused.contains(reason) && !refused.contains('\n'),
                "{refused}"
            );
        }
        let endless = from_slice::<serde_json::Value>(b"]q\x00h\x00a.").unwrap_err();
        assert!(endless.0.contains("nested without an end"), "{endless}");
    }

    #[test]
    fn values_said_in_many_places_do_not_fill_the_memory() {
        // A list of as many references to a list of as many references to a text.
        let shared = |count: usize| {
            let text = "(l(lp1\nS'left'\np2\na".to_owned();
            let (texts, lists) = ("g2\na".repeat(count - 1), "g1\na".repeat(count - 1));
            let pickle = format!("{text}{texts}a{lists}.");
            from_slice::<Vec<Vec<String>>>(pickle.as_bytes())
        };
        let few = shared(4).unwrap();
        assert_eq!(
            (few.len(), few[3].join(" ")),
            (4, "left left left left".to_owned())
        );
        let refused = shared(1000).unwrap_err();
        assert!(refused.0.contains("so many places"), "{refused}");
    }
}
