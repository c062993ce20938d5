//! Conversations about one image as one sequence that shares their common beginning.
//!
//! All conversations about an image begin alike: `<s>`, the system prompt, the image's features. The reference computes
//! each of them as a sequence of its own. Here the beginning is computed once and every conversation follows it as a branch:
//! a branch's rows have the positions that they would have alone, and see only the beginning and their own branch. The
//! results are equal to those of separate sequences; where the image has 150 rows and the words of each conversation 30, five
//! conversations cost half.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::data::{Encoded, IGNORED_LABEL, IMAGE_TOKEN};
use crate::nn::Result;

/// Rows of one forward pass of the language model.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedSequence {
    /// Runs of text ids, and the image between them.
    pub pieces: Vec<Piece>,
    /// Position of each row.
    pub positions: Vec<u32>,
    /// Branch of each row: 0 for the common beginning, then 1, 2, … for the conversations.
    branches: Vec<u32>,
    /// Each row that predicts a labelled id, and that id.
    pub targets: Vec<(u32, u32)>,
    /// Rows that predict a `[SEG]`, in the order of the masks.
    pub seg_rows: Vec<u32>,
    /// The answers of all conversations, in order.
    pub answers: Vec<PackedAnswer>,
}

/// An answer's place in a sequence, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedAnswer {
    /// The row that predicts the answer's first id: the last row of its prompt.
    pub row: u32,
    /// The answer's first id.
    pub word: u32,
    /// Which of the masks of all conversations belong to the answer.
    pub masks: Range<usize>,
    /// See [`Turn::absent`](crate::data::Turn::absent).
    pub absent: bool,
}

/// A part of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Ids of text, one row each.
    Text(Vec<u32>),
    /// All of the image's features.
    Image,
}

impl PackedSequence {
    /// Packs the conversations of one image, which takes `image_features` rows. `seg` is the id of `[SEG]`.
    ///
    /// Every conversation has to begin with the same [`prefix_len`](Encoded::prefix_len) ids, the image among them.
    pub fn new(conversations: &[Encoded], image_features: usize, seg: u32) -> Self {
        let mut packed = Self {
            pieces: Vec::new(),
            positions: Vec::new(),
            branches: Vec::new(),
            targets: Vec::new(),
            seg_rows: Vec::new(),
            answers: Vec::new(),
        };
        let Some(first) = conversations.first() else {
            return packed;
        };
        let prefix = &first.ids[..first.prefix_len];
        packed.append(prefix, 0, 0, image_features);
        let shared_rows = packed.positions.len();
        let mut masks = 0;
        for (branch, conversation) in conversations.iter().enumerate() {
            let start = packed.positions.len();
            let (ids, labels) = (
                &conversation.ids[conversation.prefix_len..],
                &conversation.labels[conversation.prefix_len..],
            );
            packed.append(ids, shared_rows as u32, branch as u32 + 1, image_features);
            // A row predicts the id that follows it. The row before a branch's first one is the last row of the beginning.
            let before = |i: usize| if i == 0 { shared_rows } else { start + i } as u32 - 1;
            for (i, label) in labels.iter().enumerate() {
                if *label == IGNORED_LABEL {
                    continue;
                }
                packed.targets.push((before(i), *label as u32));
                if *label == i64::from(seg) {
                    packed.seg_rows.push(before(i));
                }
            }
            for answer in &conversation.answers {
                let Some(place) = answer.first.checked_sub(conversation.prefix_len) else {
                    continue;
                };
                packed.answers.push(PackedAnswer {
                    row: before(place),
                    word: labels[place] as u32,
                    masks: masks + answer.masks.start..masks + answer.masks.end,
                    absent: answer.absent,
                });
            }
            masks += conversation.masks;
        }
        packed
    }

    fn append(&mut self, ids: &[i64], first_position: u32, branch: u32, image_features: usize) {
        let mut position = first_position;
        let mut push = |packed: &mut Self, rows: usize| {
            packed.positions.extend(position..position + rows as u32);
            packed.branches.extend(std::iter::repeat_n(branch, rows));
            position += rows as u32;
        };
        for run in ids.chunk_by(|a, b| *a != IMAGE_TOKEN && *b != IMAGE_TOKEN) {
            if run == [IMAGE_TOKEN] {
                push(self, image_features);
                self.pieces.push(Piece::Image);
            } else {
                push(self, run.len());
                let run = run.iter().map(|id| *id as u32).collect();
                self.pieces.push(Piece::Text(run));
            }
        }
    }

    /// Length of the sequence.
    pub fn rows(&self) -> usize {
        self.positions.len()
    }

    /// The row of the image's first feature; `None` where the sequence ends before the image.
    pub fn image_row(&self) -> Option<u32> {
        let mut row = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Text(ids) => row += ids.len() as u32,
                Piece::Image => return Some(row),
            }
        }
        None
    }

    /// The attention mask, which is added to the scores: 0 where a row may look, −∞ where not.
    ///
    /// # Shapes
    /// `(rows, rows)`: a line for each row that looks, a column for each that is looked at.
    pub fn mask(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let rows = self.rows();
        let mut mask = vec![f32::NEG_INFINITY; rows * rows];
        for (i, row) in mask.chunks_exact_mut(rows.max(1)).enumerate() {
            let branch = self.branches[i];
            for (value, other) in row[..=i].iter_mut().zip(&self.branches) {
                if *other == 0 || *other == branch {
                    *value = 0.0;
                }
            }
        }
        Tensor::from_vec(mask, (rows, rows), device)?.to_dtype(dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(words: &[i64], labelled_from: usize) -> Encoded {
        let mut ids = vec![1, 5, IMAGE_TOKEN, 6];
        let prefix_len = ids.len();
        ids.extend(words);
        let mut labels = ids.clone();
        labels[..prefix_len + labelled_from].fill(IGNORED_LABEL);
        Encoded {
            ids,
            labels,
            prefix_len,
            ..Encoded::default()
        }
    }

    #[test]
    fn answers_keep_their_rows_and_count_the_masks_of_all_conversations() {
        use crate::data::EncodedAnswer;
        let answer = |first, masks, absent| EncodedAnswer {
            first,
            masks,
            absent,
        };
        let mut conversations = [encoded(&[10, 11, 99, 12, 13], 1), encoded(&[20, 99], 1)];
        conversations[0].answers = vec![answer(5, 0..1, false), answer(8, 1..1, true)];
        conversations[0].masks = 1;
        conversations[1].answers = vec![answer(5, 0..1, false)];
        let packed = PackedSequence::new(&conversations, 3, 99);
        let rows: Vec<_> = packed.answers.iter().map(|a| (a.row, a.word)).collect();
        assert_eq!(rows, [(6, 11), (9, 13), (11, 99)]);
        let masks: Vec<_> = packed.answers.iter().map(|a| a.masks.clone()).collect();
        assert_eq!(masks, [0..1, 1..1, 1..2]);
        assert_eq!(packed.image_row(), Some(2));
    }

    #[test]
    fn branches_share_the_beginning_and_nothing_else() {
        let conversations = [encoded(&[10, 11, 99], 1), encoded(&[20, 99], 1)];
        let packed = PackedSequence::new(&conversations, 3, 99);
        assert_eq!(packed.positions, [0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 7]);
        assert_eq!(packed.targets, [(6, 11), (7, 99), (9, 99)]);
        assert_eq!(packed.seg_rows, [7, 9]);
        let mask = packed.mask(DType::F32, &Device::Cpu).unwrap();
        let sees = |row: usize| -> Vec<usize> {
            let row = mask.get(row).unwrap().to_vec1::<f32>().unwrap();
            (0..row.len()).filter(|i| row[*i] == 0.0).collect()
        };
        assert_eq!(sees(2), [0, 1, 2]);
        assert_eq!(sees(7), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(sees(10), [0, 1, 2, 3, 4, 5, 9, 10]);
    }
}
