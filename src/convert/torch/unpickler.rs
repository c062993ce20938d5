//! Reads the pickles in files of `torch.save`, protocols 2 to 5.
//!
//! A pickle is a program, and whoever wrote the file wrote the program. The unpickler here runs only what a dict of tensors needs:
//! plain data, and calls of the few names of [`Global`]. It cannot import or call anything else, and refuses a file that asks for
//! it, with the name and the byte. Values lie in a flat list and refer to each other by number, so that a value inside itself, or
//! one that is used a million times, takes no more memory than the bytes that say so.

use std::collections::HashMap;

use super::rebuild::{self, Rebuilt};
use super::value::{Global, Storage, TorchValue};
use crate::pickle::{pairs, utf8, PickleBytes, PickleFault, PickleStack, ValueId};

/// Most values of one pickle. That of a language model's checkpoint has some ten thousands.
const MOST_VALUES: usize = 1 << 20;
/// Most bytes of one pickle. That of a language model's checkpoint has some hundred thousands, because the numbers lie elsewhere.
pub(super) const LONGEST: usize = 16 << 20;

const ACCEPTED: &str =
    "accepted: tensors in dicts, and plain data, as torch.save(model.state_dict(), …) writes them";

/// What is wrong with a pickle, and at which byte of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of its pickle: {reason}")]
pub(super) struct TorchPickleError {
    pub at: usize,
    pub reason: String,
}

/// The values of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    pub values: Vec<TorchValue>,
    pub root: ValueId,
    /// Its length, in bytes.
    pub length: usize,
}

impl Pickle {
    pub fn root(&self) -> &TorchValue {
        &self.values[self.root]
    }
}

/// Reads the pickle at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, TorchPickleError> {
    let mut unpickler = TorchUnpickler {
        bytes: PickleBytes::new(bytes),
        opcode_at: 0,
        values: Vec::new(),
        stack: PickleStack::default(),
        memo: HashMap::new(),
    };
    let root = unpickler.run().map_err(|reason| TorchPickleError {
        at: unpickler.opcode_at,
        reason,
    })?;
    Ok(Pickle {
        values: unpickler.values,
        root,
        length: unpickler.bytes.offset(),
    })
}

struct TorchUnpickler<'a> {
    bytes: PickleBytes<'a>,
    /// Offset of the opcode that is being run.
    opcode_at: usize,
    values: Vec<TorchValue>,
    stack: PickleStack,
    memo: HashMap<u32, ValueId>,
}

/// What is wrong, in words, to which [`read`] adds the byte.
type Reason = String;

impl From<PickleFault> for Reason {
    fn from(fault: PickleFault) -> Self {
        let reason = match fault {
            PickleFault::Short => "it ends early, or is no pickle",
            PickleFault::NotUtf8 => "a text in it is not UTF-8",
            PickleFault::KeyWithoutValue => "a dict has a key without a value",
        };
        reason.to_owned()
    }
}

impl<'a> TorchUnpickler<'a> {
    fn run(&mut self) -> Result<ValueId, Reason> {
        loop {
            self.opcode_at = self.bytes.offset();
            let code = self.bytes.byte()?;
            match code {
                b'.' => return Ok(self.stack.pop()?),
                0x80 => match self.bytes.byte()? {
                    2..=5 => {}
                    other => {
                        return Err(format!(
                            "it has protocol {other}; accepted: protocols 2 to 5"
                        ))
                    }
                },
                0x95 => drop(self.bytes.take(8)?), // a frame, whose length is a hint to read ahead
                b'N' => self.push(TorchValue::None)?,
                0x88 | 0x89 => self.push(TorchValue::Bool(code == 0x88))?,
                b'J' | b'K' | b'M' | 0x8a | 0x8b => {
                    let number = self.number(code)?;
                    self.push(number)?;
                }
                b'G' => {
                    self.bytes.take(8)?;
                    self.push(TorchValue::Other)?;
                }
                b'U' | 0x8c => self.text(1)?,
                b'T' | b'X' => self.text(4)?,
                0x8d => self.text(8)?,
                b'C' => self.blob(1)?,
                b'B' => self.blob(4)?,
                0x8e | 0x96 => self.blob(8)?,
                b'c' => {
                    let module = self.line()?;
                    let name = self.line()?;
                    self.global("GLOBAL", module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.stack.pop()?, self.stack.pop()?);
                    let word = |id: ValueId| match &self.values[id] {
                        TorchValue::Text(text) => Ok(text.clone()),
                        _ => Err("STACK_GLOBAL of what is no name".to_owned()),
                    };
                    let (module, name) = (word(module)?, word(name)?);
                    self.global("STACK_GLOBAL", &module, &name)?;
                }
                b'R' => {
                    let (arguments, callable) = (self.stack.pop()?, self.stack.pop()?);
                    let made = self.reduce(callable, arguments)?;
                    match made {
                        Rebuilt::New(value) => self.push(value)?,
                        Rebuilt::Old(id) => self.stack.push(id),
                    }
                }
                b'Q' => {
                    let id = self.stack.pop()?;
                    let storage = Storage::read(&self.values, id)?;
                    self.push(TorchValue::Storage(storage))?;
                }
                b'b' => self.build()?,
                _ => self.plain(code)?,
            }
        }
    }

    /// Runs the opcodes of the stack, the memo and containers.
    fn plain(&mut self, code: u8) -> Result<(), Reason> {
        match code {
            b'(' => self.stack.mark(),
            b'0' => self.stack.pop_value_or_mark()?,
            b'1' => drop(self.stack.pop_to_mark()?),
            b'2' => {
                let top = self.stack.top()?;
                self.stack.push(top);
            }
            b')' => self.push(TorchValue::Tuple(Vec::new()))?,
            b't' => {
                let items = self.stack.pop_to_mark()?;
                self.push(TorchValue::Tuple(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let items = self.stack.pop_many(count)?;
                self.push(TorchValue::Tuple(items))?;
            }
            b']' | 0x8f => self.push(TorchValue::List(Vec::new()))?,
            b'l' | 0x91 => {
                let items = self.stack.pop_to_mark()?;
                self.push(TorchValue::List(items))?;
            }
            b'}' => self.push(TorchValue::Dict(Vec::new()))?,
            b'd' => {
                let items = pairs(&self.stack.pop_to_mark()?)?;
                self.push(TorchValue::Dict(items))?;
            }
            b'a' => {
                let item = self.stack.pop()?;
                self.append(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.stack.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.stack.pop()?, self.stack.pop()?);
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = pairs(&self.stack.pop_to_mark()?)?;
                self.set(items)?;
            }
            b'q' | b'r' | 0x94 => {
                let key = match code {
                    b'q' => self.bytes.unsigned(1)? as u32,
                    b'r' => self.bytes.unsigned(4)? as u32,
                    _ => self.memo.len() as u32,
                };
                if self.memo.len() >= MOST_VALUES {
                    return Err(too_many());
                }
                let top = self.stack.top()?;
                self.memo.insert(key, top);
            }
            b'h' | b'j' => {
                let key = self.bytes.unsigned(if code == b'h' { 1 } else { 4 })? as u32;
                let known = self.memo.get(&key).copied();
                self.stack
                    .push(known.ok_or("it refers to a value it does not hold")?);
            }
            _ => {
                return Err(match name_of(code) {
                    Some(name) => format!("{name} is refused; {ACCEPTED}"),
                    None => format!("0x{code:02x} is no opcode of a pickle; is the file damaged?"),
                })
            }
        }
        Ok(())
    }

    fn push(&mut self, value: TorchValue) -> Result<(), Reason> {
        if self.values.len() >= MOST_VALUES {
            return Err(too_many());
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn append(&mut self, mut items: Vec<ValueId>) -> Result<(), Reason> {
        let top = self.stack.top()?;
        match &mut self.values[top] {
            TorchValue::List(list) => list.append(&mut items),
            _ => return Err("it appends to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, mut items: Vec<(ValueId, ValueId)>) -> Result<(), Reason> {
        let top = self.stack.top()?;
        match &mut self.values[top] {
            TorchValue::Dict(dict) => dict.append(&mut items),
            _ => return Err("it sets a key of what is no dict".to_owned()),
        }
        Ok(())
    }

    fn global(&mut self, opcode: &str, module: &str, name: &str) -> Result<(), Reason> {
        match Global::find(module, name) {
            Some(global) => self.push(TorchValue::Global(global)),
            None => {
                let (module, name) = (shown(module), shown(name));
                Err(format!("{opcode} {module}.{name} is refused; {ACCEPTED}"))
            }
        }
    }

    fn reduce(&self, callable: ValueId, arguments: ValueId) -> Result<Rebuilt, Reason> {
        match (&self.values[callable], &self.values[arguments]) {
            (TorchValue::Global(global), TorchValue::Tuple(arguments)) => {
                rebuild::call(*global, &self.values, arguments)
            }
            _ => Err(format!("REDUCE calls what cannot be called; {ACCEPTED}")),
        }
    }

    /// BUILD sets the attributes of an object. Only dicts may have some, because a state dict has `_metadata`; they are dropped.
    fn build(&mut self) -> Result<(), Reason> {
        self.stack.pop()?;
        match &self.values[self.stack.top()?] {
            TorchValue::Dict(_) => Ok(()),
            _ => Err(format!(
                "BUILD of something else than a dict is refused; {ACCEPTED}"
            )),
        }
    }

    fn line(&mut self) -> Result<&'a str, Reason> {
        Ok(utf8(self.bytes.line()?)?)
    }

    fn number(&mut self, code: u8) -> Result<TorchValue, Reason> {
        let length = match code {
            b'J' => {
                return Ok(TorchValue::Int(i64::from(
                    self.bytes.unsigned(4)? as u32 as i32
                )))
            }
            b'K' => return Ok(TorchValue::Int(self.bytes.unsigned(1)? as i64)),
            b'M' => return Ok(TorchValue::Int(self.bytes.unsigned(2)? as i64)),
            0x8a => self.bytes.length(1)?,
            _ => self.bytes.length(4)?,
        };
        // Two's complement, lowest byte first, in as many bytes as the number needs.
        let bytes = self.bytes.take(length)?;
        if bytes.len() > 8 {
            return Ok(TorchValue::Long(bytes.to_vec()));
        }
        let negative = bytes.last().is_some_and(|last| *last >= 0x80);
        let mut value = if negative { [0xff; 8] } else { [0; 8] };
        value[..bytes.len()].copy_from_slice(bytes);
        Ok(TorchValue::Int(i64::from_le_bytes(value)))
    }

    fn text(&mut self, length_bytes: usize) -> Result<(), Reason> {
        let text = self.bytes.text(length_bytes)?.to_owned();
        self.push(TorchValue::Text(text))
    }

    fn blob(&mut self, length_bytes: usize) -> Result<(), Reason> {
        let length = self.bytes.length(length_bytes)?;
        self.bytes.take(length)?;
        self.push(TorchValue::Other)
    }
}

fn too_many() -> String {
    format!("it makes more than {MOST_VALUES} values, which no checkpoint does")
}

/// A name from the file as a person can read it: at most 80 characters in one line.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(80).collect();
    short.escape_debug().to_string()
}

/// Names of the opcodes that are refused, as Python's `pickletools` prints them.
fn name_of(code: u8) -> Option<&'static str> {
    Some(match code {
        b'i' => "INST",
        b'o' => "OBJ",
        0x81 => "NEWOBJ",
        0x92 => "NEWOBJ_EX",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        b'P' => "PERSID",
        b'I' => "INT",
        b'L' => "LONG",
        b'F' => "FLOAT",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'p' => "PUT",
        b'g' => "GET",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return None,
    })
}
