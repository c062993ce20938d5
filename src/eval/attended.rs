//! How much of the guided head's attention lies on what was asked for.

use super::Case;
use crate::train::objective::TokenGrid;
use crate::train::ATTEND_SHARE;

impl Case<'_> {
    /// The guided head's attention on its target, in 0..=1. The target is the one that training guides attention to: the
    /// image tokens that the true mask covers by [`ATTEND_SHARE`], or the token that it covers best if there is none such, and
    /// `<s>` where the object is absent.
    ///
    /// `None` where it is not known where the model looked, and where the vision tower sees nothing of the mask.
    pub fn attended(&self) -> Option<f64> {
        let attention = self.attention?;
        let Some(truth) = self.truth else {
            return Some(f64::from(attention.sink));
        };
        let grid = TokenGrid {
            view: attention.view,
            side: attention.grid,
            first_patch: 0, // the weights begin with it
            share: ATTEND_SHARE,
        };
        let target = grid.targets(std::slice::from_ref(truth));
        let weights = target.iter().filter_map(|i| attention.weights.get(*i));
        let weights = weights.map(|weight| f64::from(*weight));
        (!target.is_empty()).then(|| weights.sum::<f64>().min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{attention, case, truth};

    #[test]
    fn it_is_the_mass_on_the_tokens_under_the_mask_or_on_the_beginning() {
        let looked = attention((4, 4), [0.5, 0.25, 0.125, 0.0], 0.0625);
        let attended = |pixels: Option<[u8; 16]>| {
            let there = pixels.map(|pixels| truth(4, 4, &pixels));
            let mut mug = case("a", "explicit");
            (mug.truth, mug.attention) = (there.as_ref(), Some(&looked));
            mug.attended()
        };
        assert_eq!(attended(None), Some(0.0625));
        // Tokens are 2 × 2 pixels. Two and a quarter of them; the quarter is below the share.
        let mut mask = [1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(attended(Some(mask)), Some(0.75));
        mask[9] = 1;
        assert_eq!(attended(Some(mask)), Some(0.875));
        // A small one has its best token.
        let mut small = [0; 16];
        small[8] = 1;
        assert_eq!(attended(Some(small)), Some(0.125));
        assert_eq!(attended(Some([0; 16])), None);
        assert_eq!(case("a", "explicit").attended(), None);
    }
}
