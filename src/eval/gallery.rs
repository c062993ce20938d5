//! Which cases are shown: of each kind the best, those about the median, and the worst.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use ::image::RgbImage;

use super::case_image::{draw, CaseImages};
use super::picture_folder::PictureFolder;
use super::{Case, EvalError, Verdict};
use crate::data::Turn;

/// Candidates kept beyond those shown while the median is still moving.
const SLACK: usize = 16;

/// Keeps the cases to show, as small pictures, while all cases go by.
///
/// Memory is bounded by the number of kinds, not of cases: each kind keeps as many candidates as there are cases to show and a
/// few more, each a JPEG file of some ten kilobytes, or two files where it is known where the model looked.
///
/// The best and the worst cases are exact. The median ones are exact as long as all cases can be kept. After that they lie at
/// the median or beside it if the cases come in no particular order; sorted input shifts them.
#[derive(Clone, Debug)]
pub struct Gallery {
    shown: usize,
    folder: Option<PictureFolder>,
    kinds: BTreeMap<String, KindCandidates>,
}

/// A case as it is shown.
#[derive(Clone, Debug)]
pub(super) struct ShownCase {
    pub name: String,
    pub kind: String,
    pub history: Vec<Turn>,
    pub instruction: String,
    pub answer: String,
    pub absent: bool,
    /// Number of `[SEG]` that the model wrote; `None` where the answer was given to it.
    pub emitted: Option<usize>,
    pub verdict: Verdict,
    pub names_right: Option<bool>,
    pub latency_ms: f64,
    /// See [`Case::attended`].
    pub attended: Option<f64>,
    pub images: CaseImages,
}

/// Cases of all kinds in the order they are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct SelectedCases {
    pub best: Vec<Arc<ShownCase>>,
    pub median: Vec<Arc<ShownCase>>,
    pub worst: Vec<Arc<ShownCase>>,
}

/// Candidates of one kind. `best`, `worst` and `middle` go from the lowest IoU up.
#[derive(Clone, Debug, Default)]
struct KindCandidates {
    seen: usize,
    best: Vec<Arc<ShownCase>>,
    worst: Vec<Arc<ShownCase>>,
    middle: Vec<Arc<ShownCase>>,
    /// Number of cases that lie below all of `middle` and are not kept.
    below: usize,
}

impl Gallery {
    /// A gallery of about `shown` cases: as many of each kind, and at least three of each. With 0 it keeps nothing.
    pub fn new(shown: usize) -> Self {
        Self {
            shown,
            folder: None,
            kinds: BTreeMap::new(),
        }
    }

    /// Also writes every case into a folder, as it goes by.
    pub fn writing_all(mut self, folder: PictureFolder) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Whether it draws anything: otherwise nobody has to decode the images of its cases.
    pub fn draws(&self) -> bool {
        self.shown > 0 || self.folder.is_some()
    }

    /// Looks at one more case and draws it if it may be shown. `verdict` is what [`Tally::add`](super::Tally::add) returned.
    ///
    /// # Shapes
    /// `image` has the size of the case's masks.
    ///
    /// # Errors
    /// [`EvalError::ImageSize`], [`EvalError::CaseImage`]; [`EvalError::Write`] where all cases go into a folder.
    pub fn offer(
        &mut self,
        case: &Case<'_>,
        verdict: &Verdict,
        image: &RgbImage,
    ) -> Result<(), EvalError> {
        let Some(folder) = &mut self.folder else {
            return self.offer_with(case, verdict, || draw(case, image));
        };
        let pictures = draw(case, image)?;
        folder.add(case, verdict, &pictures)?;
        self.offer_with(case, verdict, || Ok(pictures))
    }

    /// [`offer`](Self::offer) with the pictures made by `draw`, which is called only where they are kept.
    pub(super) fn offer_with(
        &mut self,
        case: &Case<'_>,
        verdict: &Verdict,
        draw: impl FnOnce() -> Result<CaseImages, EvalError>,
    ) -> Result<(), EvalError> {
        if self.shown == 0 {
            return Ok(());
        }
        let most = self.shown.div_ceil(3);
        let rank = (verdict.iou, case.name);
        let candidates = self.kinds.entry(case.kind.to_owned()).or_default();
        if !candidates.wants(rank, most) {
            candidates.pass_by(rank);
            return Ok(());
        }
        let shown = Arc::new(ShownCase {
            name: case.name.to_owned(),
            kind: case.kind.to_owned(),
            history: case.history.to_vec(),
            instruction: case.instruction.to_owned(),
            answer: case.answer.to_owned(),
            absent: case.truth.is_none(),
            emitted: case.emitted,
            verdict: *verdict,
            names_right: case.names_right,
            latency_ms: case.latency.total.as_secs_f64() * 1e3,
            attended: case.attended(),
            images: draw()?,
        });
        candidates.keep(shown, most);
        Ok(())
    }

    /// The cases to show of those seen so far. None is shown twice.
    pub(super) fn selection(&self) -> SelectedCases {
        let each = (self.shown / (3 * self.kinds.len().max(1))).max(1);
        let mut all = SelectedCases::default();
        for candidates in self.kinds.values() {
            let of_kind = candidates.selection(each);
            all.best.extend(of_kind.best);
            all.median.extend(of_kind.median);
            all.worst.extend(of_kind.worst);
        }
        all.best.sort_by(|a, b| order(b.rank(), a.rank()));
        all.median.sort_by(|a, b| order(a.rank(), b.rank()));
        all.worst.sort_by(|a, b| order(a.rank(), b.rank()));
        all
    }
}

impl ShownCase {
    fn rank(&self) -> (f64, &str) {
        (self.verdict.iou, &self.name)
    }
}

fn order(a: (f64, &str), b: (f64, &str)) -> Ordering {
    a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1))
}

impl KindCandidates {
    fn wants(&self, rank: (f64, &str), most: usize) -> bool {
        let above = |shown: Option<&Arc<ShownCase>>| {
            shown.is_some_and(|shown| order(rank, shown.rank()) == Ordering::Greater)
        };
        let is_best = self.best.len() < most || above(self.best.first());
        let is_worst = self.worst.len() < most || !above(self.worst.last());
        is_best || is_worst || self.beyond_middle(rank).is_none()
    }

    /// On which side a case lies outside the range in which every case is kept.
    fn beyond_middle(&self, rank: (f64, &str)) -> Option<Ordering> {
        let (first, last) = (self.middle.first()?, self.middle.last()?);
        let above = self.seen - self.below - self.middle.len();
        if self.below > 0 && order(rank, first.rank()) == Ordering::Less {
            return Some(Ordering::Less);
        }
        (above > 0 && order(rank, last.rank()) == Ordering::Greater).then_some(Ordering::Greater)
    }

    /// Counts a case that is not kept in the middle.
    fn pass_by(&mut self, rank: (f64, &str)) {
        self.below += usize::from(self.beyond_middle(rank) == Some(Ordering::Less));
        self.seen += 1;
    }

    fn keep(&mut self, shown: Arc<ShownCase>, most: usize) {
        let insert = |list: &mut Vec<Arc<ShownCase>>| {
            let at = list.partition_point(|s| order(s.rank(), shown.rank()) == Ordering::Less);
            list.insert(at, shown.clone());
        };
        insert(&mut self.best);
        if self.best.len() > most {
            self.best.remove(0);
        }
        insert(&mut self.worst);
        self.worst.truncate(most);
        if self.beyond_middle(shown.rank()).is_some() {
            return self.pass_by(shown.rank());
        }
        insert(&mut self.middle);
        self.seen += 1;
        if self.middle.len() > most + SLACK {
            // Both sides lose equally many cases, so that the median stays within those kept.
            let above = self.seen - self.below - self.middle.len();
            if self.below <= above {
                self.middle.remove(0);
                self.below += 1;
            } else {
                self.middle.pop();
            }
        }
    }

    fn selection(&self, each: usize) -> SelectedCases {
        let mut taken: Vec<Arc<ShownCase>> = Vec::new();
        let mut take = |candidates: Vec<&Arc<ShownCase>>| {
            let free = |c: &&Arc<ShownCase>| !taken.iter().any(|t| Arc::ptr_eq(t, c));
            let chosen: Vec<_> = candidates
                .into_iter()
                .filter(free)
                .take(each)
                .cloned()
                .collect();
            taken.extend(chosen.iter().cloned());
            chosen
        };
        let best = take(self.best.iter().rev().collect());
        let worst = take(self.worst.iter().collect());
        let median = (self.seen.saturating_sub(1) / 2).saturating_sub(self.below);
        let mut middle: Vec<_> = self.middle.iter().enumerate().collect();
        middle.sort_by_key(|(i, _)| i.abs_diff(median));
        let median = take(middle.into_iter().map(|(_, shown)| shown).collect());
        SelectedCases {
            best,
            median,
            worst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::case_image::CaseImage;
    use super::super::testing::case;
    use super::super::Overlap;
    use super::*;

    /// A gallery of `shown` that has seen `count` cases of one kind, of IoU 0, 1/count, …, in a fixed disorder.
    fn gallery(shown: usize, count: usize) -> Gallery {
        let mut gallery = Gallery::new(shown);
        for i in 0..count {
            let place = (i * 7919 + 13) % count;
            let name = format!("{place:05}");
            let verdict = Verdict {
                overlap: Overlap::default(),
                iou: place as f64 / count as f64,
                at_least_half: false,
            };
            gallery
                .offer_with(&case(&name, "short"), &verdict, blank)
                .unwrap();
        }
        gallery
    }

    fn blank() -> Result<CaseImages, EvalError> {
        Ok(CaseImage {
            jpeg: Vec::new(),
            width: 1,
            height: 1,
        }
        .into())
    }

    fn places(shown: &[Arc<ShownCase>]) -> Vec<usize> {
        shown.iter().map(|s| s.name.parse().unwrap()).collect()
    }

    #[test]
    fn best_and_worst_are_exact_and_the_median_is_in_the_middle() {
        let selection = gallery(9, 1000).selection();
        assert_eq!(places(&selection.best), [999, 998, 997]);
        assert_eq!(places(&selection.worst), [0, 1, 2]);
        assert_eq!(selection.median.len(), 3);
        for place in places(&selection.median) {
            assert!(place.abs_diff(500) < 25, "{place}");
        }
        let few = gallery(9, 17).selection();
        assert_eq!(places(&few.median), [7, 8, 9]);
    }

    #[test]
    fn memory_is_bounded() {
        let gallery = gallery(9, 3000);
        let candidates = &gallery.kinds["short"];
        assert_eq!((candidates.best.len(), candidates.worst.len()), (3, 3));
        assert_eq!(candidates.middle.len(), 3 + SLACK);
        assert_eq!(candidates.seen, 3000);
    }

    #[test]
    fn no_case_is_shown_twice_and_none_is_lost_where_all_fit() {
        for count in 0..12 {
            let selection = gallery(30, count).selection();
            let mut all = places(&selection.best);
            all.extend(places(&selection.median));
            all.extend(places(&selection.worst));
            all.sort();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
        assert!(gallery(0, 5).selection().best.is_empty());
    }

    #[test]
    fn every_kind_has_its_own() {
        let mut gallery = gallery(6, 50);
        let verdict = case("x", "absent").verdict().unwrap();
        for name in ["x", "y", "z"] {
            gallery
                .offer_with(&case(name, "absent"), &verdict, blank)
                .unwrap();
        }
        let selection = gallery.selection();
        for list in [&selection.best, &selection.median, &selection.worst] {
            assert_eq!(list.iter().filter(|s| s.kind == "absent").count(), 1);
            assert_eq!(list.len(), 2);
        }
    }
}
