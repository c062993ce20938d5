//! The keys and values of one attention layer, kept between calls.

use candle_core::Tensor;

use super::Result;

/// Keys and values in memory that is allocated ahead: it grows by doubling, and truncating copies nothing.
///
/// It is for inference only: appended tensors are detached from the graph, so no gradient flows through the cache.
#[derive(Debug, Default)]
pub struct KvCache {
    /// Keys and values, each `(1, heads, capacity, head_dim)`.
    storage: Option<(Tensor, Tensor)>,
    len: usize,
}

/// Positions that the first allocation has room for.
const FIRST_CAPACITY: usize = 512;

impl KvCache {
    /// Number of positions held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Forgets position `len` and all that follow it; the memory stays allocated.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends keys and values after the last position, and returns all keys and values.
    ///
    /// # Shapes
    /// `k`, `v`: `(1, heads, new, head_dim)` → `(1, heads, len, head_dim)`, strided views of the cache.
    pub fn append(&mut self, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let (batch, heads, new, head_dim) = k.dims4()?;
        let needed = self.len + new;
        let capacity = match &self.storage {
            Some((keys, _)) => keys.dim(2)?,
            None => 0,
        };
        if needed > capacity {
            let capacity = needed.max(2 * capacity).max(FIRST_CAPACITY);
            let grow = |old: Option<&Tensor>| -> Result<Tensor> {
                let fresh =
                    Tensor::zeros((batch, heads, capacity, head_dim), k.dtype(), k.device())?;
                if let (Some(old), true) = (old, self.len > 0) {
                    fresh.slice_set(&old.narrow(2, 0, self.len)?.contiguous()?, 2, 0)?;
                }
                Ok(fresh)
            };
            let old = self.storage.as_ref();
            let grown = (grow(old.map(|s| &s.0))?, grow(old.map(|s| &s.1))?);
            self.storage = Some(grown);
        }
        let Some((keys, values)) = &self.storage else {
            candle_core::bail!("a KV cache of no capacity was asked to hold {needed} positions")
        };
        keys.slice_set(&k.detach().contiguous()?, 2, self.len)?;
        values.slice_set(&v.detach().contiguous()?, 2, self.len)?;
        self.len = needed;
        Ok((keys.narrow(2, 0, needed)?, values.narrow(2, 0, needed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{random, relative_error};

    #[test]
    fn grows_and_truncates_like_concatenation() {
        let mut cache = KvCache::default();
        let (a, b, c) = (
            random((1, 2, 300, 4)),
            random((1, 2, 400, 4)),
            random((1, 2, 3, 4)),
        );
        cache.append(&a, &a).unwrap();
        cache.append(&b, &b).unwrap();
        cache.truncate(310);
        let (k, v) = cache.append(&c, &c).unwrap();
        let b10 = b.narrow(2, 0, 10).unwrap();
        let expected = Tensor::cat(&[&a, &b10, &c], 2).unwrap();
        assert_eq!(relative_error(&k, &expected), 0.0);
        assert_eq!(relative_error(&v, &expected), 0.0);
        assert_eq!(cache.len(), 313);
    }
}
