//! The messages of a damaged database, from its pages.
//!
//! A tree whose root or branches are lost cannot be asked for anything, while its leaves may all be there. So every page that
//! looks like a leaf is read, and every record that looks like a message is taken (sqlite.org/fileformat2, 1.6 and 2.1). A
//! message whose bytes go on in a page that is missing is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::payload::Backing;
use crate::BagError;

/// What stands at the beginning of a leaf of a table.
const TABLE_LEAF: u8 = 13;
/// Bytes of a leaf's header, which the places of its cells follow.
const LEAF_HEADER: usize = 8;
/// Bytes of the database's header, before the content of the first page.
const FILE_HEADER: usize = 100;

/// The messages that were found.
pub struct Salvage {
    pages: Pages,
    pub messages: Vec<Salvaged>,
}

/// A message that was found.
#[derive(Clone)]
pub struct Salvaged {
    pub id: i64,
    pub topic: i64,
    pub timestamp: i64,
    cell: Cell,
    /// Where its bytes begin in the cell's content.
    data: usize,
}

impl Salvage {
    /// Looks through a database.
    pub fn of(path: &Path) -> Result<Self, BagError> {
        let pages = Pages::new(Arc::new(Backing::map(path)?));
        let mut found = BTreeMap::new();
        for number in 1..=pages.count() {
            for message in pages.leaf(number) {
                found.insert(message.id, message);
            }
        }
        Ok(Self {
            messages: found.into_values().collect(),
            pages,
        })
    }

    /// The bytes of a message.
    pub fn read(&self, message: &Salvaged) -> Vec<u8> {
        let content = self.pages.content(&message.cell).unwrap_or_default();
        content.get(message.data..).unwrap_or_default().to_vec()
    }
}

/// A record where it stands: its beginning in the leaf, the rest in a chain of pages.
#[derive(Clone)]
struct Cell {
    /// Where the content begins in the file.
    at: usize,
    local: usize,
    /// The length of the whole content, bytes.
    len: usize,
    /// The first page of the rest.
    overflow: Option<u32>,
}

struct Pages {
    file: Arc<Backing>,
    size: usize,
    /// Of each page, without what is reserved at its end.
    usable: usize,
}

impl Pages {
    fn new(file: Arc<Backing>) -> Self {
        let size = match file.get(16..18) {
            Some(&[0, 1]) => 65_536,
            Some(&[a, b]) => usize::from(u16::from_be_bytes([a, b])),
            _ => 0,
        };
        let reserved = file.get(20).copied().unwrap_or_default();
        let usable = size.saturating_sub(reserved.into());
        Self { file, size, usable }
    }

    /// How many pages are there whole.
    fn count(&self) -> u32 {
        // No database has smaller ones; the arithmetic below depends on it.
        if self.size < 512 || self.usable < 480 {
            return 0;
        }
        u32::try_from(self.file.len() / self.size).unwrap_or(u32::MAX)
    }

    /// Where a page begins; pages count from 1.
    fn at(&self, number: u32) -> Option<usize> {
        let before = usize::try_from(number.checked_sub(1)?).ok()?;
        let at = before.checked_mul(self.size)?;
        (at.checked_add(self.size)? <= self.file.len()).then_some(at)
    }

    /// The messages of a leaf; none, where the page is something else.
    fn leaf(&self, number: u32) -> Vec<Salvaged> {
        let messages = || {
            let at = self.at(number)?;
            let page = self.file.get(at..at + self.usable)?;
            let header = if number == 1 { FILE_HEADER } else { 0 };
            let leaf = page.get(header..)?;
            if *leaf.first()? != TABLE_LEAF {
                return None;
            }
            let count = u16::from_be_bytes([*leaf.get(3)?, *leaf.get(4)?]);
            let places = leaf.get(LEAF_HEADER..LEAF_HEADER + 2 * usize::from(count))?;
            let cells = places.chunks_exact(2).filter_map(|place| {
                let place = usize::from(u16::from_be_bytes([*place.first()?, *place.get(1)?]));
                self.message(at, page, place)
            });
            Some(cells.collect())
        };
        messages().unwrap_or_default()
    }

    /// The message of the cell at a place of a page, if it is one and is whole.
    fn message(&self, page_at: usize, page: &[u8], place: usize) -> Option<Salvaged> {
        let mut varints = Varints(page.get(place..)?);
        let len = usize::try_from(varints.next()?).ok()?;
        let id = varints.next()? as i64;
        let content = page.len() - varints.0.len();
        let local = self.local(len);
        let after = content.checked_add(local)?;
        let beginning = page.get(content..after)?;
        let overflow = match local < len {
            true => {
                let number = page.get(after..)?.first_chunk()?;
                Some(u32::from_be_bytes(*number))
            }
            false => None,
        };
        let (topic, timestamp, data, data_len) = record(beginning)?;
        let cell = Cell {
            at: page_at + content,
            local,
            len,
            overflow,
        };
        let whole = data.checked_add(data_len)? == len && self.chain(&cell, |_| ())?;
        whole.then_some(Salvaged {
            id,
            topic,
            timestamp,
            cell,
            data,
        })
    }

    /// How much of a record stands in the leaf (sqlite.org/fileformat2, 1.6).
    fn local(&self, len: usize) -> usize {
        let most = self.usable - 35;
        if len <= most {
            return len;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        match least + (len - least) % (self.usable - 4) {
            fits if fits <= most => fits,
            _ => least,
        }
    }

    fn content(&self, cell: &Cell) -> Option<Vec<u8>> {
        let mut content = Vec::with_capacity(cell.len.min(self.file.len()));
        content.extend_from_slice(self.file.get(cell.at..cell.at + cell.local)?);
        self.chain(cell, |part| content.extend_from_slice(part))?;
        Some(content)
    }

    /// Hands out what stands outside of the leaf, page by page; whether all of it is there.
    fn chain(&self, cell: &Cell, mut part: impl FnMut(&[u8])) -> Option<bool> {
        let mut left = cell.len - cell.local;
        // A record is not longer than its file; a chain that runs in a circle would be.
        if left > self.file.len() {
            return Some(false);
        }
        let mut number = cell.overflow.unwrap_or_default();
        while left > 0 {
            let Some(at) = self.at(number) else {
                return Some(false);
            };
            let page = self.file.get(at..at + self.usable)?;
            let (next, content) = page.split_first_chunk()?;
            number = u32::from_be_bytes(*next);
            let taken = left.min(content.len());
            part(content.get(..taken)?);
            left -= taken;
        }
        Some(true)
    }
}

/// Topic, timestamp, and where the bytes are, of a record with the columns of a message: nothing (the number stands outside),
/// two integers, a blob.
fn record(content: &[u8]) -> Option<(i64, i64, usize, usize)> {
    let mut header = Varints(content);
    let header_len = usize::try_from(header.next()?).ok()?;
    let used = content.len() - header.0.len();
    let mut types = Varints(content.get(used..header_len)?);
    let (id, topic, timestamp, data) = (types.next()?, types.next()?, types.next()?, types.next()?);
    if id != 0 || !types.0.is_empty() || data < 12 || data % 2 != 0 {
        return None;
    }
    let (topic, after) = integer(content, header_len, topic)?;
    let (timestamp, after) = integer(content, after, timestamp)?;
    let len = usize::try_from((data - 12) / 2).ok()?;
    Some((topic, timestamp, after, len))
}

/// An integer of a serial type, and what comes after it.
fn integer(content: &[u8], at: usize, serial: u64) -> Option<(i64, usize)> {
    let len = match serial {
        1..=4 => serial as usize,
        5 => 6,
        6 => 8,
        8 => return Some((0, at)),
        9 => return Some((1, at)),
        _ => return None,
    };
    let bytes = content.get(at..at + len)?;
    let sign = if *bytes.first()? < 128 { 0 } else { -1 };
    let value = bytes
        .iter()
        .fold(sign, |value: i64, &byte| value << 8 | i64::from(byte));
    Some((value, at + len))
}

/// Numbers of one to nine bytes.
struct Varints<'a>(&'a [u8]);

impl Iterator for Varints<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..9 {
            let (&byte, left) = self.0.split_first()?;
            self.0 = left;
            if place == 8 {
                return Some(value << 8 | u64::from(byte));
            }
            value = value << 7 | u64::from(byte & 127);
            if byte < 128 {
                break;
            }
        }
        Some(value)
    }
}
