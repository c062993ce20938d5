//! The language model's keys and values, reused for whatever the next prompt shares with the last sequence.
//!
//! A prompt is compared position by position with what the cache holds: the system prompt is shared by all, the
//! image by questions about the same frame, the history by turns of a conversation. Only the rest is computed.

use candle_core::{Device, Tensor};

use super::{FrameKey, HitCount};
use crate::image::ClipFit;
use crate::model::{Llama, LlamaCache, ModelError, Stop};
use crate::nn::Result;
use crate::weights::GuidedHead;

/// Identity of what is at one position of the sequence: equal keys behind equal predecessors have equal keys and values in
/// the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PositionKey {
    Token(u32),
    /// One of a frame's image tokens, by its row in them.
    Image {
        frame: FrameKey,
        fit: ClipFit,
        row: u32,
    },
}

/// The outcome of reading a prompt, at its last position.
pub(super) struct Prefilled {
    /// `(1, hidden)`.
    pub hidden: Tensor,
    /// The guided head's scores `(1, prompt)`, before the softmax, if they were asked for.
    pub scores: Option<Tensor>,
}

/// One sequence of positions, with its attention keys and values.
pub(super) struct PrefixCache {
    keys: Vec<PositionKey>,
    cache: LlamaCache,
    /// Positions of all prompts so far: those that were reused, and those that were computed.
    pub positions: HitCount,
}

impl PrefixCache {
    pub fn new(llama: &Llama) -> Self {
        Self {
            keys: Vec::new(),
            cache: llama.new_cache(),
            positions: HitCount::default(),
        }
    }

    pub fn clear(&mut self) {
        self.keys.clear();
        self.cache.truncate(0);
    }

    /// Positions of `prompt` that need no work; always leaves at least one to be computed.
    fn shared(&self, prompt: &[PositionKey]) -> usize {
        let equal = self
            .keys
            .iter()
            .zip(prompt)
            .take_while(|(a, b)| a == b)
            .count();
        equal.min(prompt.len().saturating_sub(1))
    }

    /// Makes the cache hold `prompt`. `guided_head` asks for the scores of that head at the last position.
    ///
    /// # Errors
    /// [`ModelError::Stopped`] if `stop` said so.
    pub fn prefill(
        &mut self,
        llama: &Llama,
        prompt: &[PositionKey],
        image_tokens: &Tensor,
        guided_head: Option<GuidedHead>,
        stop: Stop<'_>,
    ) -> Result<Prefilled, ModelError> {
        let shared = self.shared(prompt);
        self.keys.truncate(shared);
        self.cache.truncate(shared);
        let rest = &prompt[shared..];
        self.positions.hits += shared as u64;
        self.positions.misses += rest.len() as u64;
        let last = rest.len() - 1;
        let query = guided_head
            .map(|head| llama.attention_query(head, &[last as u32]))
            .transpose()?;
        let embeddings = embed(llama, rest, image_tokens)?.unsqueeze(0)?;
        let cache = Some(&mut self.cache);
        let (hidden, scores) =
            llama.forward_with_scores(&embeddings, cache, query.as_ref(), stop)?;
        self.keys.extend_from_slice(rest);
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
        self.keys.push(PositionKey::Token(token));
        Ok(hidden.squeeze(0)?)
    }
}

/// Embeds tokens by the language model's table and takes image tokens as they are.
///
/// # Shapes
/// → `(keys, hidden)`.
fn embed(llama: &Llama, keys: &[PositionKey], image_tokens: &Tensor) -> Result<Tensor> {
    let device = image_tokens.device();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < keys.len() {
        let rest = &keys[at..];
        let part = match rest[0] {
            PositionKey::Token(_) => {
                let ids: Vec<u32> = rest
                    .iter()
                    .map_while(|key| match key {
                        PositionKey::Token(id) => Some(*id),
                        PositionKey::Image { .. } => None,
                    })
                    .collect();
                at += ids.len();
                llama.embed(&ids, device)?
            }
            PositionKey::Image { row, .. } => {
                let rows = rest
                    .iter()
                    .take_while(|key| matches!(key, PositionKey::Image { .. }))
                    .count();
                at += rows;
                image_tokens.narrow(0, row as usize, rows)?
            }
        };
        parts.push(part);
    }
    Tensor::cat(&parts, 0)
}
