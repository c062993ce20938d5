//! Attention guidance: one head looks at what is asked for before the answer's first word is said.
//!
//! Whether an answer begins with "Sure" or with "There is no …" is decided at the last row of the prompt. Cross-entropy alone
//! says whether the word was right, not which part of the picture shows it, and a small model takes very long to find the one
//! patch of many that decides. Here the loss draws one head's attention at that row to the image tokens under the answer's
//! masks, or to `<s>` where there is nothing to look at. That needs only masks, which every dataset of reasoning segmentation
//! has.

use std::ops::Range;

use candle_core::{DType, Tensor, D};
use serde::{Deserialize, Serialize};

use crate::data::TruthMask;
use crate::image::ClipView;
use crate::nn::Result;
use crate::train::PackedSequence;

/// Shares are sums of floats, so a share that is less than required by no more than this is taken as enough.
const ROUNDING: f64 = 1e-9;

/// The row of `<s>`, with which every sequence begins.
const SINK: u32 = 0;

/// An answer whose attention is guided, because there is something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuidedAnswer {
    /// The row that predicts the answer's first word.
    pub row: u32,
    /// Rows of the sequence that the first row should look at; at least one.
    pub columns: Vec<u32>,
    /// Ids of the first words that are right; the labelled one comes first.
    pub words: Vec<u32>,
    /// See [`Turn::absent`](crate::data::Turn::absent).
    pub absent: bool,
}

/// How one guided answer came out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuidanceScore {
    /// Attention on the target's columns together, in 0..=1.
    pub mass: f64,
    /// Whether the likeliest first word is a right one.
    pub right: bool,
    /// Whether what was asked for is absent.
    pub absent: bool,
}

/// Where a sequence's image tokens lie on the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenGrid {
    /// The part of the picture that the vision tower sees.
    pub view: ClipView,
    /// Number of patches along a side.
    pub side: usize,
    /// Number of features before that of the first patch: 1 with a class token, else 0.
    pub first_patch: usize,
    /// Share of a token that a mask has to cover for the token to be looked at.
    pub share: f64,
}

impl TokenGrid {
    /// The numbers of the patches that a mask covers far enough. If there is none, the patch that it covers best; none at all
    /// if the tower sees nothing of the mask.
    fn patches(&self, mask: &TruthMask) -> Vec<usize> {
        let width = mask.width as usize;
        let shares = self
            .view
            .shares(self.side, width, &mask.pixels, |p| *p == 1);
        let covered: Vec<usize> = (0..shares.len())
            .filter(|i| shares[*i] > 0.0 && shares[*i] >= self.share - ROUNDING)
            .collect();
        if !covered.is_empty() {
            return covered;
        }
        let best = (0..shares.len())
            .rev()
            .max_by(|a, b| shares[*a].total_cmp(&shares[*b]));
        best.filter(|i| shares[*i] > 0.0).into_iter().collect()
    }

    /// The patches that an answer about these masks should look at, as numbers from 0 row by row; empty if the tower sees
    /// nothing of the masks.
    pub fn targets(&self, masks: &[TruthMask]) -> Vec<usize> {
        let mut patches: Vec<usize> = masks.iter().flat_map(|m| self.patches(m)).collect();
        patches.sort_unstable();
        patches.dedup();
        patches
    }

    /// What every answer should look at. Answers about masks that the tower does not see, and answers that neither have a mask
    /// nor refuse, are left out.
    ///
    /// `openings` are the first words of LISA's answers with a mask. Which of these a sample has is drawn at random, so where
    /// one of them is right, all are.
    pub fn guide(
        &self,
        sequence: &PackedSequence,
        masks: &[TruthMask],
        openings: &[u32],
    ) -> Vec<GuidedAnswer> {
        let Some(image) = sequence.image_row() else {
            return Vec::new();
        };
        let first = image + self.first_patch as u32;
        let columns = |own: &Range<usize>, absent: bool| -> Vec<u32> {
            if absent {
                return vec![SINK];
            }
            let own = masks.get(own.clone()).unwrap_or_default();
            let patches = self.targets(own).into_iter();
            patches.map(|p| first + p as u32).collect()
        };
        sequence
            .answers
            .iter()
            .map(|answer| {
                let mut words = vec![answer.word];
                if !answer.absent {
                    words.extend(openings.iter().filter(|word| **word != answer.word));
                }
                GuidedAnswer {
                    row: answer.row,
                    columns: columns(&answer.masks, answer.absent),
                    words,
                    absent: answer.absent,
                }
            })
            .filter(|guided| !guided.columns.is_empty())
            .collect()
    }
}

/// −log of the attention that each row pays to its columns.
///
/// # Shapes
/// `scores` and `visible` `(rows, keys)`, f32, before the softmax; `visible` is 0 where a row may look and −∞ where
/// not. One list of columns for each row → `(rows)`.
pub fn attention_losses(scores: &Tensor, visible: &Tensor, columns: &[&[u32]]) -> Result<Tensor> {
    let (rows, keys) = scores.dims2()?;
    let mut wanted = vec![f32::NEG_INFINITY; rows * keys];
    for (line, columns) in wanted.chunks_exact_mut(keys.max(1)).zip(columns) {
        for column in *columns {
            line[*column as usize] = 0.0;
        }
    }
    let wanted = Tensor::from_vec(wanted, (rows, keys), scores.device())?;
    let scores = (scores.to_dtype(DType::F32)? + visible)?;
    log_sum_exp(&scores)? - log_sum_exp(&(scores + wanted)?)?
}

/// log Σ exp of each row. The largest value is taken out first, so that nothing overflows; −∞ counts as 0.
fn log_sum_exp(scores: &Tensor) -> Result<Tensor> {
    let max = scores.max_keepdim(D::Minus1)?.detach();
    let sum = scores.broadcast_sub(&max)?.exp()?.sum(D::Minus1)?;
    sum.log()? + max.squeeze(D::Minus1)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Encoded, EncodedAnswer, IMAGE_TOKEN};
    use crate::image::{ClipFit, ClipPreprocessor};
    use crate::nn::testing::{assert_same_forward_and_gradient, random};
    use candle_core::{Device, Var};

    /// 4 × 4 tokens of a picture of `size`, seen with `fit`; a class token before them where `class` says so.
    fn grid(size: (u32, u32), fit: ClipFit, class: bool) -> TokenGrid {
        let clip = ClipPreprocessor {
            size: 16,
            crop: 16,
            ..ClipPreprocessor::default()
        };
        TokenGrid {
            view: ClipView::new(&clip, size, fit),
            side: 4,
            first_patch: usize::from(class),
            share: 0.5,
        }
    }

    /// Everything between the corners, right and lower side excluded.
    fn mask((width, height): (u32, u32), [left, top, right, bottom]: [u32; 4]) -> TruthMask {
        let inside = |x, y| (left..right).contains(&x) && (top..bottom).contains(&y);
        TruthMask {
            width,
            height,
            pixels: (0..height)
                .flat_map(|y| (0..width).map(move |x| u8::from(inside(x, y))))
                .collect(),
        }
    }

    /// `<s>`, a word, the image's `features` rows, a word, then each turn: a question, an answer of a word and its end.
    fn sequence(turns: &[(Range<usize>, bool)], features: usize) -> PackedSequence {
        let mut ids = vec![1, 5, IMAGE_TOKEN, 6];
        let (mut labels, mut answers) = (vec![-100; 4], Vec::new());
        for (i, (masks, absent)) in turns.iter().enumerate() {
            answers.push(EncodedAnswer {
                first: ids.len() + 1,
                masks: masks.clone(),
                absent: *absent,
            });
            let word = 20 + i as i64;
            ids.extend([7, word, 2]);
            labels.extend([-100, word, 2]);
        }
        let encoded = Encoded {
            prefix_len: 4,
            masks: turns.last().map_or(0, |(masks, _)| masks.end),
            ids,
            labels,
            answers,
        };
        PackedSequence::new(&[encoded], features, 99)
    }

    fn columns(grid: &TokenGrid, masks: &[TruthMask]) -> Vec<u32> {
        let sequence = sequence(&[(0..masks.len(), false)], 16 + grid.first_patch);
        let guided = grid.guide(&sequence, masks, &[]);
        guided.into_iter().flat_map(|g| g.columns).collect()
    }

    #[test]
    fn a_mask_s_tokens_are_where_each_fit_puts_them() {
        let size = (64, 32);
        let upper_left = mask(size, [0, 0, 32, 16]);
        // Squashed, a token is 16 × 8 pixels; the first image token is the sequence's third row.
        let of =
            |fit, mask: &TruthMask| columns(&grid(size, fit, false), std::slice::from_ref(mask));
        assert_eq!(of(ClipFit::Squash, &upper_left), [2, 3, 6, 7]);
        // The middle 32 × 32: a token is 8 × 8, and half of the mask is cut off.
        assert_eq!(of(ClipFit::Crop, &upper_left), [2, 3, 6, 7]);
        let right_of_it = mask(size, [16, 0, 24, 32]);
        assert_eq!(of(ClipFit::Crop, &right_of_it), [2, 6, 10, 14]);
        // 64 × 64 with 16 lines of padding above and below: a token is 16 × 16.
        assert_eq!(of(ClipFit::Pad, &upper_left), [6, 7]);
        // A class token comes first.
        let with_class = grid(size, ClipFit::Squash, true);
        assert_eq!(columns(&with_class, &[upper_left]), [3, 4, 7, 8]);
    }

    #[test]
    fn what_covers_no_token_so_far_takes_its_best_one_and_what_is_not_seen_none() {
        let size = (64, 32);
        let squashed = grid(size, ClipFit::Squash, false);
        // On four tokens, most of it on the second row's third.
        let small = mask(size, [30, 7, 36, 12]);
        assert_eq!(columns(&squashed, std::slice::from_ref(&small)), [8]);
        // Of an answer's two masks each has its own.
        let large = mask(size, [0, 16, 32, 32]);
        assert_eq!(columns(&squashed, &[small, large]), [8, 10, 11, 14, 15]);
        let at_the_side = mask(size, [0, 0, 10, 32]);
        assert!(columns(&grid(size, ClipFit::Crop, false), &[at_the_side]).is_empty());
        assert!(columns(&squashed, &[mask(size, [0; 4])]).is_empty());
        // Ignored pixels are nothing to look at.
        let mut ignored = mask(size, [0, 0, 32, 16]);
        ignored
            .pixels
            .iter_mut()
            .for_each(|p| *p *= TruthMask::IGNORED);
        assert!(columns(&squashed, &[ignored]).is_empty());
    }

    #[test]
    fn each_turn_has_its_own_row_and_target() {
        let size = (64, 32);
        let squashed = grid(size, ClipFit::Squash, false);
        let masks = [mask(size, [0, 0, 16, 8]), mask(size, [48, 24, 64, 32])];
        // A mask; plain words; a refusal; another mask.
        let turns = [(0..1, false), (1..1, false), (1..1, true), (1..2, false)];
        let guided = squashed.guide(&sequence(&turns, 16), &masks, &[21, 20, 40]);
        let want = |row, columns: &[u32], words: &[u32], absent| GuidedAnswer {
            row,
            columns: columns.to_vec(),
            words: words.to_vec(),
            absent,
        };
        // 19 rows of beginning; each turn has a question's row, which is the one that predicts.
        assert_eq!(
            guided,
            [
                want(19, &[2], &[20, 21, 40], false),
                want(25, &[0], &[22], true),
                want(28, &[17], &[23, 21, 20, 40], false),
            ]
        );
    }

    #[test]
    fn it_is_the_logarithm_of_the_softmax_s_sum() {
        let visible: Vec<f32> = (0..24)
            .map(|i| {
                if i % 8 > 4 + i / 8 {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
            .collect();
        let visible = Tensor::from_vec(visible, (3, 8), &Device::Cpu).unwrap();
        let columns: [&[u32]; 3] = [&[0], &[1, 2, 4], &[0, 5]];
        let wanted: Vec<f32> = (0..24)
            .map(|i| f32::from(u8::from(columns[i / 8].contains(&(i as u32 % 8)))))
            .collect();
        let wanted = Tensor::from_vec(wanted, (3, 8), &Device::Cpu).unwrap();
        assert_same_forward_and_gradient(
            &[random((3, 8))],
            |v| attention_losses(&v[0], &visible, &columns),
            |v| {
                let p = candle_nn::ops::softmax(&(&v[0] + &visible)?, 1)?;
                (p * &wanted)?.sum(1)?.log()?.neg()
            },
            1e-5,
        );
    }

    #[test]
    fn scores_of_any_size_stay_finite() {
        let scores = Var::from_tensor(
            &Tensor::new(&[[-4000f32, 3000.0, 0.0], [1e4, -1e4, 5.0]], &Device::Cpu).unwrap(),
        )
        .unwrap();
        let visible =
            Tensor::new(&[[0f32, 0.0, f32::NEG_INFINITY], [0.0; 3]], &Device::Cpu).unwrap();
        let losses = attention_losses(scores.as_tensor(), &visible, &[&[0], &[0]]).unwrap();
        assert_eq!(losses.to_vec1::<f32>().unwrap(), [7000.0, 0.0]);
        let grads = losses.sum_all().unwrap().backward().unwrap();
        let grad = grads.get(&scores).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(grad, [[-1.0, 1.0, 0.0], [0.0; 3]]);
    }
}
