//! A remote file in blocks, which are kept for a while and fetched ahead where it is read from front to back.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::store::Object;
use super::Address;
use crate::BagError;

/// A block: small against a chunk of pictures, large against what a request costs.
const BLOCK: u64 = 256 << 10;
/// Blocks that are fetched ahead at most.
const MOST_AHEAD: u64 = 16;
/// Bytes of all remote files that are kept.
const KEPT: usize = 128 << 20;
/// What is fetched at a time where a file is copied.
const COPIED: u64 = 8 << 20;

/// A file in a store.
pub(crate) struct RemoteFile {
    object: Object,
    size: u64,
    /// Among all that were opened.
    number: u64,
    ahead: Mutex<Ahead>,
}

/// How far is read ahead.
#[derive(Default)]
struct Ahead {
    /// Where the last read ended, in blocks.
    end: u64,
    /// Blocks to fetch ahead at the next read that goes on from there.
    blocks: u64,
}

impl RemoteFile {
    /// Opens a file, with its end, where an MCAP file has its index.
    ///
    /// # Errors
    /// [`BagError::Url`], [`BagError::EmptyFile`].
    pub fn open(address: &Address) -> Result<Self, BagError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut object = Object::at(address)?;
        let tail = object.open(BLOCK)?;
        let file = Self {
            object,
            size: tail.size,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            ahead: Mutex::default(),
        };
        // Its last block begins at a multiple of the size, and the end that came may begin before.
        let last = (tail.size - 1) / BLOCK;
        let begin = tail.size - tail.bytes.len() as u64;
        if let Some(skip) = (last * BLOCK).checked_sub(begin) {
            let block = tail.bytes.get(skip as usize..).unwrap_or_default();
            blocks().put((file.number, last), block.into());
        }
        Ok(file)
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of a range, as far as the file goes.
    ///
    /// # Errors
    /// [`BagError::Url`].
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, BagError> {
        let range = range.start.min(self.size)..range.end.min(self.size);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let ahead = self.ahead(&wanted);
        let mut found: BTreeMap<u64, Arc<[u8]>> = BTreeMap::new();
        let mut missing: Vec<Range<u64>> = Vec::new();
        for block in wanted.clone() {
            match blocks().get((self.number, block)) {
                Some(bytes) => drop(found.insert(block, bytes)),
                None => match missing.last_mut() {
                    Some(run) if run.end == block => run.end += 1,
                    _ => missing.push(block..block + 1),
                },
            }
        }
        for mut run in missing {
            if run.end == wanted.end {
                run.end = (run.end + ahead).min(self.size.div_ceil(BLOCK));
            }
            let bytes = run.start * BLOCK..(run.end * BLOCK).min(self.size);
            let fetched = self.object.read(bytes)?;
            for (block, bytes) in run.zip(fetched.chunks(BLOCK as usize)) {
                let bytes: Arc<[u8]> = bytes.into();
                blocks().put((self.number, block), Arc::clone(&bytes));
                found.insert(block, bytes);
            }
        }
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        for (block, found) in found.range(wanted) {
            let at = block * BLOCK;
            let from = range.start.saturating_sub(at) as usize;
            let until = (range.end - at).min(BLOCK) as usize;
            bytes.extend_from_slice(found.get(from..until).unwrap_or_default());
        }
        Ok(bytes)
    }

    /// How many blocks to fetch behind these: more each time, as long as each read goes on where the last one ended.
    fn ahead(&self, wanted: &Range<u64>) -> u64 {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = ahead.end > 0 && (wanted.start == ahead.end || wanted.start + 1 == ahead.end);
        ahead.blocks = match goes_on {
            true => (ahead.blocks * 2).clamp(1, MOST_AHEAD),
            false => 0,
        };
        ahead.end = wanted.end;
        ahead.blocks
    }

    /// Copies all of it into a file.
    ///
    /// # Errors
    /// [`BagError::Url`]; [`BagError::Io`] for the file at `path`.
    pub fn copy_to(&self, file: &mut File, path: &Path) -> Result<(), BagError> {
        let mut at = 0;
        while at < self.size {
            let end = (at + COPIED).min(self.size);
            let bytes = self.object.read(at..end)?;
            file.write_all(&bytes).map_err(BagError::io(path))?;
            at = end;
        }
        Ok(())
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        blocks().forget(self.number);
    }
}

/// A block of all files: the file's number, and the block's place in it.
type BlockKey = (u64, u64);

/// The blocks of all remote files that were used last.
#[derive(Default)]
struct Blocks {
    kept: HashMap<BlockKey, (u64, Arc<[u8]>)>,
    /// The keys by when they were last used.
    used: BTreeMap<u64, BlockKey>,
    now: u64,
    bytes: usize,
}

fn blocks() -> MutexGuard<'static, Blocks> {
    static ALL: LazyLock<Mutex<Blocks>> = LazyLock::new(Mutex::default);
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Blocks {
    fn get(&mut self, key: BlockKey) -> Option<Arc<[u8]>> {
        self.now += 1;
        let now = self.now;
        let (used, bytes) = self.kept.get_mut(&key)?;
        self.used.remove(used);
        *used = now;
        self.used.insert(now, key);
        Some(Arc::clone(bytes))
    }

    fn put(&mut self, key: BlockKey, bytes: Arc<[u8]>) {
        self.remove(key);
        self.now += 1;
        self.bytes += bytes.len();
        self.used.insert(self.now, key);
        self.kept.insert(key, (self.now, bytes));
        while self.bytes > KEPT {
            let Some((_, oldest)) = self.used.pop_first() else {
                return;
            };
            if let Some((_, bytes)) = self.kept.remove(&oldest) {
                self.bytes -= bytes.len();
            }
        }
    }

    fn remove(&mut self, key: BlockKey) {
        if let Some((used, bytes)) = self.kept.remove(&key) {
            self.used.remove(&used);
            self.bytes -= bytes.len();
        }
    }

    fn forget(&mut self, file: u64) {
        let keys = self.kept.keys().filter(|(of, _)| *of == file);
        for key in keys.copied().collect::<Vec<_>>() {
            self.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_kept_within_the_limit() {
        let mut blocks = Blocks::default();
        let megabyte: Arc<[u8]> = vec![0; 1 << 20].into();
        let most = (KEPT >> 20) as u64;
        for block in 0..most {
            blocks.put((1, block), Arc::clone(&megabyte));
        }
        assert!(blocks.get((1, 0)).is_some());
        blocks.put((2, 0), Arc::clone(&megabyte));
        assert!(blocks.get((1, 0)).is_some() && blocks.get((1, 1)).is_none());
        assert_eq!(blocks.bytes, KEPT);
        blocks.put((2, 0), Arc::clone(&megabyte));
        assert_eq!(blocks.bytes, KEPT);
        blocks.forget(1);
        assert_eq!((blocks.bytes, blocks.kept.len()), (1 << 20, 1));
        assert_eq!(blocks.used.len(), 1);
    }
}
