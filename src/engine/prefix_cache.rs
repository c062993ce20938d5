//! The language model's keys and values, reused for whatever the next prompt shares with the last sequence.
//!
//! A prompt is compared position by position with what the cache holds: the system prompt is shared by all, the
//! image by questions about the same frame, the history by turns of a conversation. Only the rest is computed.

use candle_core::{Device, Tensor};

use super::FrameId;
use crate::image::ClipFit;
use crate::model::{Llama, LlamaCache, ModelError, Stop};
use crate::nn::Result;
use crate::weights::GuidedHead;

/// What stands at one position of the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Token(u32),
    /// A row of a frame's image tokens.
    Image {
        frame: FrameId,
        fit: ClipFit,
        row: u32,
    },
}

/// What the last position of a prompt gave.
pub(super) struct Prefilled {
    /// `(1, hidden)`.
    pub hidden: Tensor,
    /// `(1, prompt)`, before the softmax, where they were asked for.
    pub scores: Option<Tensor>,
}

/// One sequence of cells and its keys and values.
pub(super) struct PrefixCache {
    cells: Vec<Cell>,
    cache: LlamaCache,
}

impl PrefixCache {
    pub fn new(llama: &Llama) -> Self {
        Self {
            cells: Vec::new(),
            cache: llama.new_cache(),
        }
    }

    pub fn clear(&mut self) {
        self.cells.clear();
        self.cache.truncate(0);
    }

    /// Positions of `prompt` that need no work; always leaves at least one to be computed.
    fn shared(&self, prompt: &[Cell]) -> usize {
        let equal = self
            .cells
            .iter()
            .zip(prompt)
            .take_while(|(a, b)| a == b)
            .count();
        equal.min(prompt.len().saturating_sub(1))
    }

    /// Makes the cache hold `prompt`. `look` asks for a head's scores at the last position.
    pub fn prefill(
        &mut self,
        llama: &Llama,
        prompt: &[Cell],
        image_tokens: &Tensor,
        look: Option<GuidedHead>,
        stop: Stop<'_>,
    ) -> Result<Prefilled, ModelError> {
        let shared = self.shared(prompt);
        self.cells.truncate(shared);
        self.cache.truncate(shared);
        let rest = &prompt[shared..];
        let last = rest.len() - 1;
        let look = look
            .map(|head| llama.look(head, &[last as u32]))
            .transpose()?;
        let embeddings = embed(llama, rest, image_tokens)?.unsqueeze(0)?;
        let cache = Some(&mut self.cache);
        let (hidden, scores) = llama.forward_looking(&embeddings, cache, look.as_ref(), stop)?;
        self.cells.extend_from_slice(rest);
        Ok(Prefilled {
            hidden: hidden.narrow(1, last, 1)?.squeeze(0)?,
            scores,
        })
    }

    /// Appends one token; returns its hidden state, `(1, hidden)`.
    pub fn step(
        &mut self,
        llama: &Llama,
        token: u32,
        device: &Device,
        stop: Stop<'_>,
    ) -> Result<Tensor, ModelError> {
        let embedding = llama.embed(&[token], device)?.unsqueeze(0)?;
        let hidden = llama.forward(&embedding, Some(&mut self.cache), stop)?;
        self.cells.push(Cell::Token(token));
        Ok(hidden.squeeze(0)?)
    }
}

/// # Shapes
/// → `(cells, hidden)`.
fn embed(llama: &Llama, cells: &[Cell], image_tokens: &Tensor) -> Result<Tensor> {
    let device = image_tokens.device();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < cells.len() {
        let rest = &cells[at..];
        let part = match rest[0] {
            Cell::Token(_) => {
                let ids: Vec<u32> = rest
                    .iter()
                    .map_while(|cell| match cell {
                        Cell::Token(id) => Some(*id),
                        Cell::Image { .. } => None,
                    })
                    .collect();
                at += ids.len();
                llama.embed(&ids, device)?
            }
            Cell::Image { row, .. } => {
                let rows = rest
                    .iter()
                    .take_while(|cell| matches!(cell, Cell::Image { .. }))
                    .count();
                at += rows;
                image_tokens.narrow(0, row as usize, rows)?
            }
        };
        parts.push(part);
    }
    Tensor::cat(&parts, 0)
}
