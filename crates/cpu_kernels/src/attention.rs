//! Attention of many queries, one head and one block of queries at a time, so that the scores never leave the processor's cache.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::packed::Packed;
use crate::product::{Destination, Product, Rows, SliceDestination};
use crate::shared::{written, Shared};
use crate::softmax::{softmax, softmax_decomposed};
use crate::vector_unit::vectorised;

/// Queries, keys or values: element (batch, head, position, i) is
/// `data[batch · batch_stride + head · head_stride + position · stride + i]`.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// Distance of two batches.
    pub batch_stride: usize,
    /// Distance of two heads.
    pub head_stride: usize,
    /// Distance of two positions.
    pub stride: usize,
}

/// The sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Independent sequences, images or windows.
    pub batch: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values, of which each serves `heads / kv_heads` neighbouring heads.
    pub kv_heads: usize,
    /// Queries of each head.
    pub queries: usize,
    /// Keys of each head.
    pub keys: usize,
    /// Numbers of a query, key or value.
    pub head_dim: usize,
}

/// What is added to the scaled scores.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a> {
    /// Nothing.
    None,
    /// −∞ for keys that come after the query; query i is at position `first + i`.
    Causal {
        /// Position of the first query among the keys.
        first: usize,
    },
    /// SAM's relative positions.
    Decomposed(&'a DecomposedBias),
}

/// The relative positions of SAM on a square grid of `side` × `side`: the score of a query at row y and column x with the key at
/// row r and column c gets `q · rows[y][r] + q · columns[x][c]`.
#[derive(Clone, Debug)]
pub struct DecomposedBias {
    rows: Vec<Packed>,
    columns: Vec<Packed>,
}

impl DecomposedBias {
    /// Packs the tables.
    ///
    /// # Shapes
    /// `rows` and `columns` `(side, side, head_dim)`: \[coordinate of the query, coordinate of the key\].
    ///
    /// # Panics
    /// Where a length does not fit, or no kernel is [available](crate::available).
    pub fn new(rows: &[f32], columns: &[f32], side: usize, head_dim: usize) -> Self {
        let pack = |table: &[f32]| {
            assert_eq!(table.len(), side * side * head_dim, "the table's length");
            table
                .chunks_exact(side * head_dim)
                .map(|keys| Packed::of_columns(keys, head_dim, head_dim, side))
                .collect()
        };
        Self {
            rows: pack(rows),
            columns: pack(columns),
        }
    }

    /// Patches along a side of the grid.
    fn side(&self) -> usize {
        self.rows.len()
    }
}

/// Queries of a block. With 4096 keys its scores take three quarters of a MiB.
const BLOCK: usize = 48;

/// `softmax(q · kᵀ · scale + bias) · v`, with the heads side by side. `None` where `stop` answered true, which is asked once for
/// each head of a large image and for each batch of a small one.
///
/// # Shapes
/// → `(batch, queries, heads · head_dim)`
///
/// # Panics
/// Where a length does not fit.
pub fn attention(
    (q, k, v): (Heads<'_>, Heads<'_>, Heads<'_>),
    sizes: Sizes,
    scale: f32,
    bias: Bias<'_>,
    stop: &dyn Fn() -> bool,
) -> Option<Vec<f32>> {
    if let Bias::Decomposed(bias) = bias {
        let patches = bias.side() * bias.side();
        assert!(
            sizes.queries == patches && sizes.keys == patches,
            "{patches} queries and keys"
        );
    }
    let attention = Attention {
        q,
        k,
        v,
        sizes,
        scale,
        bias,
    };
    let mut stopped = false;
    let out = written(
        sizes.batch * sizes.queries,
        sizes.heads * sizes.head_dim,
        |out| stopped = !attention.run(out, stop),
    );
    (!stopped).then_some(out)
}

struct Attention<'a> {
    q: Heads<'a>,
    k: Heads<'a>,
    v: Heads<'a>,
    sizes: Sizes,
    scale: f32,
    bias: Bias<'a>,
}

impl Attention<'_> {
    /// Returns whether it ran to the end.
    fn run(&self, out: Shared, stop: &dyn Fn() -> bool) -> bool {
        let Sizes {
            batch,
            heads,
            queries,
            ..
        } = self.sizes;
        // Many small problems go to the threads as they are; of few large ones each is shared by all threads.
        let small = queries <= 4 * BLOCK;
        for b in 0..batch {
            if stop() {
                return false;
            }
            if small {
                (0..heads).into_par_iter().for_each(|head| {
                    let head = self.prepare(b, head);
                    for first in (0..queries).step_by(BLOCK) {
                        head.block(out, first);
                    }
                });
                continue;
            }
            for head in 0..heads {
                if stop() {
                    return false;
                }
                let head = self.prepare(b, head);
                (0..queries.div_ceil(BLOCK))
                    .into_par_iter()
                    .for_each(|block| head.block(out, block * BLOCK));
            }
        }
        true
    }

    fn prepare(&self, batch: usize, head: usize) -> Head<'_> {
        let Sizes {
            heads,
            kv_heads,
            keys,
            head_dim,
            queries,
            ..
        } = self.sizes;
        let shared_head = head * kv_heads / heads;
        let at = |x: &Heads<'_>, head: usize| batch * x.batch_stride + head * x.head_stride;
        let q = &self.q.data[at(&self.q, head)..];
        let of = |x: &Heads<'_>| at(x, shared_head);
        let (packed_keys, values) = rayon::join(
            || Packed::of_columns(&self.k.data[of(&self.k)..], self.k.stride, head_dim, keys),
            || Packed::of_rows(&self.v.data[of(&self.v)..], self.v.stride, keys, head_dim),
        );
        let bias = match self.bias {
            Bias::None => Added::Nothing,
            Bias::Causal { first } => Added::Causal { first },
            Bias::Decomposed(tables) => {
                let side = tables.side();
                let mut rows = vec![0.0; queries * side];
                let mut columns = vec![0.0; queries * side];
                for i in 0..side {
                    product(
                        Rows {
                            data: &q[i * side * self.q.stride..],
                            stride: self.q.stride,
                            rows: side,
                        },
                        &tables.rows[i],
                        &mut SliceDestination {
                            data: &mut rows[i * side * side..],
                            stride: side,
                        },
                    );
                    product(
                        Rows {
                            data: &q[i * self.q.stride..],
                            stride: side * self.q.stride,
                            rows: side,
                        },
                        &tables.columns[i],
                        &mut SliceDestination {
                            data: &mut columns[i * side..],
                            stride: side * side,
                        },
                    );
                }
                Added::Decomposed {
                    rows,
                    columns,
                    side,
                }
            }
        };
        Head {
            q,
            stride: self.q.stride,
            keys: packed_keys,
            values,
            bias,
            scale: self.scale,
            queries,
            row: batch * queries,
            column: head * head_dim,
        }
    }
}

fn product<D: Destination>(left: Rows<'_>, right: &Packed, destination: &mut D) {
    vectorised(Product {
        left,
        right,
        panels: 0..right.panels(),
        destination,
    });
}

/// What is added to the scores of one head.
enum Added {
    Nothing,
    Causal {
        first: usize,
    },
    Decomposed {
        rows: Vec<f32>,    // (queries, side)
        columns: Vec<f32>, // (queries, side)
        side: usize,
    },
}

/// One head of one batch, ready for its queries.
struct Head<'a> {
    q: &'a [f32],
    stride: usize,
    keys: Packed,
    values: Packed,
    bias: Added,
    scale: f32,
    queries: usize,
    /// Place in the output.
    row: usize,
    column: usize,
}

impl Head<'_> {
    /// Attention of the queries `first..first + BLOCK`, as far as there are any.
    fn block(&self, out: Shared, first: usize) {
        let rows = BLOCK.min(self.queries - first);
        let keys = self.keys.columns();
        let mut scores = vec![0.0; rows * keys];
        product(
            Rows {
                data: &self.q[first * self.stride..],
                stride: self.stride,
                rows,
            },
            &self.keys,
            &mut SliceDestination {
                data: &mut scores,
                stride: keys,
            },
        );
        vectorised(Softmax {
            scores: &mut scores,
            keys,
            head: self,
            first,
        });
        product(
            Rows {
                data: &scores,
                stride: keys,
                rows,
            },
            &self.values,
            &mut out.block(self.row + first, self.column),
        );
    }
}

/// Softmax of the scores of some queries.
struct Softmax<'a> {
    scores: &'a mut [f32],
    keys: usize,
    head: &'a Head<'a>,
    first: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let scale = self.head.scale;
        for (i, scores) in self.scores.chunks_exact_mut(self.keys).enumerate() {
            let query = self.first + i;
            match &self.head.bias {
                Added::Nothing => softmax(scores, scale),
                Added::Causal { first } => {
                    let seen = (first + query + 1).min(scores.len());
                    let (seen, unseen) = scores.split_at_mut(seen);
                    softmax(seen, scale);
                    unseen.fill(0.0);
                }
                Added::Decomposed {
                    rows,
                    columns,
                    side,
                } => softmax_decomposed(
                    scores,
                    scale,
                    &rows[query * side..][..*side],
                    &columns[query * side..][..*side],
                ),
            }
        }
    }
}
