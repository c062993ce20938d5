//! Reads the pickles in files of `torch.save`, protocols 2 to 5.
//!
//! A pickle is a program, and whoever wrote the file wrote the program. The machine here runs only what a dict of tensors needs:
//! plain data, and calls of the few names of [`Global`]. It cannot import or call anything else, and refuses a file that asks for
//! it, with the name and the byte. Values lie in a flat list and refer to each other by number, so that a value inside itself, or
//! one that is used a million times, takes no more memory than the bytes that say so.

use std::collections::HashMap;

use super::node::{Global, Id, Node, Storage};
use super::rebuild::{self, Made};

/// Most values of one pickle. That of a language model's checkpoint has some ten thousands.
const MOST_VALUES: usize = 1 << 20;
/// Most bytes of one pickle. That of a language model's checkpoint has some hundred thousands, because the numbers lie elsewhere.
pub(super) const LONGEST: usize = 16 << 20;

const ACCEPTED: &str =
    "accepted: tensors in dicts, and plain data, as torch.save(model.state_dict(), …) writes them";

/// What is wrong with a pickle, and at which byte of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of its pickle: {reason}")]
pub(super) struct PickleError {
    pub at: usize,
    pub reason: String,
}

/// The values of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    pub nodes: Vec<Node>,
    pub root: Id,
    /// Its length, in bytes.
    pub length: usize,
}

impl Pickle {
    pub fn root(&self) -> &Node {
        &self.nodes[self.root]
    }
}

/// Reads the pickle at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, PickleError> {
    let mut machine = Machine {
        bytes,
        at: 0,
        code_at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let root = machine.run().map_err(|reason| PickleError {
        at: machine.code_at,
        reason,
    })?;
    Ok(Pickle {
        nodes: machine.nodes,
        root,
        length: machine.at,
    })
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Offset of the opcode that is being run.
    code_at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

/// The result of a step; an error is the reason in words, to which [`read`] adds the byte.
type Done<T> = Result<T, String>;

impl<'a> Machine<'a> {
    fn run(&mut self) -> Done<Id> {
        loop {
            self.code_at = self.at;
            let code = self.take(1)?[0];
            match code {
                b'.' => return self.pop(),
                0x80 => match self.take(1)?[0] {
                    2..=5 => {}
                    other => {
                        return Err(format!(
                            "it has protocol {other}; accepted: protocols 2 to 5"
                        ))
                    }
                },
                0x95 => drop(self.take(8)?), // a frame, whose length is a hint to read ahead
                b'N' => self.push(Node::None)?,
                0x88 | 0x89 => self.push(Node::Bool(code == 0x88))?,
                b'J' | b'K' | b'M' | 0x8a | 0x8b => {
                    let number = self.number(code)?;
                    self.push(number)?;
                }
                b'G' => {
                    self.take(8)?;
                    self.push(Node::Other)?;
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
                    let (name, module) = (self.pop()?, self.pop()?);
                    let word = |id: Id| match &self.nodes[id] {
                        Node::Text(text) => Ok(text.clone()),
                        _ => Err("STACK_GLOBAL of what is no name".to_owned()),
                    };
                    let (module, name) = (word(module)?, word(name)?);
                    self.global("STACK_GLOBAL", &module, &name)?;
                }
                b'R' => {
                    let (arguments, callable) = (self.pop()?, self.pop()?);
                    let made = self.reduce(callable, arguments)?;
                    match made {
                        Made::New(node) => self.push(node)?,
                        Made::Old(id) => self.stack.push(id),
                    }
                }
                b'Q' => {
                    let id = self.pop()?;
                    let storage = Storage::read(&self.nodes, id)?;
                    self.push(Node::Storage(storage))?;
                }
                b'b' => self.build()?,
                _ => self.plain(code)?,
            }
        }
    }

    /// Runs the opcodes of the stack, the memo and containers.
    fn plain(&mut self, code: u8) -> Done<()> {
        match code {
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b't' => {
                let items = self.since_mark()?;
                self.push(Node::Tuple(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let from = self.stack.len().checked_sub(count).ok_or_else(short)?;
                let items = self.stack.split_off(from);
                self.push(Node::Tuple(items))?;
            }
            b']' | 0x8f => self.push(Node::List(Vec::new()))?,
            b'l' | 0x91 => {
                let items = self.since_mark()?;
                self.push(Node::List(items))?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let items = pairs(&self.since_mark()?)?;
                self.push(Node::Dict(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = pairs(&self.since_mark()?)?;
                self.set(items)?;
            }
            b'q' | b'r' | 0x94 => {
                let key = match code {
                    b'q' => self.unsigned(1)? as u32,
                    b'r' => self.unsigned(4)? as u32,
                    _ => self.memo.len() as u32,
                };
                if self.memo.len() >= MOST_VALUES {
                    return Err(too_many());
                }
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            b'h' | b'j' => {
                let key = self.unsigned(if code == b'h' { 1 } else { 4 })? as u32;
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

    fn push(&mut self, node: Node) -> Done<()> {
        if self.nodes.len() >= MOST_VALUES {
            return Err(too_many());
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    fn pop(&mut self) -> Done<Id> {
        self.stack.pop().ok_or_else(short)
    }

    fn top(&self) -> Done<Id> {
        self.stack.last().copied().ok_or_else(short)
    }

    fn since_mark(&mut self) -> Done<Vec<Id>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or_else(short)?))
    }

    fn append(&mut self, mut items: Vec<Id>) -> Done<()> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::List(list) => list.append(&mut items),
            _ => return Err("it appends to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, mut items: Vec<(Id, Id)>) -> Done<()> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::Dict(dict) => dict.append(&mut items),
            _ => return Err("it sets a key of what is no dict".to_owned()),
        }
        Ok(())
    }

    fn global(&mut self, opcode: &str, module: &str, name: &str) -> Done<()> {
        match Global::find(module, name) {
            Some(global) => self.push(Node::Global(global)),
            None => {
                let (module, name) = (shown(module), shown(name));
                Err(format!("{opcode} {module}.{name} is refused; {ACCEPTED}"))
            }
        }
    }

    fn reduce(&self, callable: Id, arguments: Id) -> Done<Made> {
        match (&self.nodes[callable], &self.nodes[arguments]) {
            (Node::Global(global), Node::Tuple(arguments)) => {
                rebuild::call(*global, &self.nodes, arguments)
            }
            _ => Err(format!("REDUCE calls what cannot be called; {ACCEPTED}")),
        }
    }

    /// BUILD sets the attributes of an object. Only dicts may have some, because a state dict has `_metadata`; they are dropped.
    fn build(&mut self) -> Done<()> {
        self.pop()?;
        match &self.nodes[self.top()?] {
            Node::Dict(_) => Ok(()),
            _ => Err(format!(
                "BUILD of something else than a dict is refused; {ACCEPTED}"
            )),
        }
    }

    fn take(&mut self, count: usize) -> Done<&'a [u8]> {
        let end = self.at.checked_add(count);
        let end = end
            .filter(|end| *end <= self.bytes.len())
            .ok_or_else(short)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn line(&mut self) -> Done<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or_else(short)?;
        utf8(&self.take(length + 1)?[..length])
    }

    fn unsigned(&mut self, bytes: usize) -> Done<u64> {
        let taken = self.take(bytes)?.iter().rev();
        Ok(taken.fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    fn length(&mut self, bytes: usize) -> Done<usize> {
        usize::try_from(self.unsigned(bytes)?).map_err(|_| short())
    }

    fn number(&mut self, code: u8) -> Done<Node> {
        let length = match code {
            b'J' => return Ok(Node::Int(i64::from(self.unsigned(4)? as u32 as i32))),
            b'K' => return Ok(Node::Int(self.unsigned(1)? as i64)),
            b'M' => return Ok(Node::Int(self.unsigned(2)? as i64)),
            0x8a => self.length(1)?,
            _ => self.length(4)?,
        };
        // Two's complement, lowest byte first, in as many bytes as the number needs.
        let bytes = self.take(length)?;
        if bytes.len() > 8 {
            return Ok(Node::Long(bytes.to_vec()));
        }
        let negative = bytes.last().is_some_and(|last| *last >= 0x80);
        let mut value = if negative { [0xff; 8] } else { [0; 8] };
        value[..bytes.len()].copy_from_slice(bytes);
        Ok(Node::Int(i64::from_le_bytes(value)))
    }

    fn text(&mut self, length_bytes: usize) -> Done<()> {
        let length = self.length(length_bytes)?;
        let text = utf8(self.take(length)?)?.to_owned();
        self.push(Node::Text(text))
    }

    fn blob(&mut self, length_bytes: usize) -> Done<()> {
        let length = self.length(length_bytes)?;
        self.take(length)?;
        self.push(Node::Other)
    }
}

fn short() -> String {
    "it ends early, or is no pickle".to_owned()
}

fn too_many() -> String {
    format!("it makes more than {MOST_VALUES} values, which no checkpoint does")
}

fn utf8(bytes: &[u8]) -> Done<&str> {
    std::str::from_utf8(bytes).map_err(|_| "a text in it is not UTF-8".to_owned())
}

/// A name from the file as a person can read it: at most 80 characters in one line.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(80).collect();
    short.escape_debug().to_string()
}

fn pairs(items: &[Id]) -> Done<Vec<(Id, Id)>> {
    match items.len() % 2 {
        0 => Ok(items.chunks_exact(2).map(|p| (p[0], p[1])).collect()),
        _ => Err("a dict has a key without a value".to_owned()),
    }
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
