//! Where one object is, as seen from another.

use rand::Rng;

use super::explicit::{ACROSS, DEPTH};
use super::frames::Framing;
use super::knowledge::{knowledge, the};
use super::scene_view::SceneView;
use crate::catalogue::Category;
use crate::Split;

/// A place beside another object, as the camera sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Left,
    Right,
    Front,
    Behind,
}

impl Relation {
    pub const ALL: [Self; 4] = [Self::Left, Self::Right, Self::Front, Self::Behind];

    fn framing(self) -> &'static Framing {
        let frames = &knowledge().frames.relation;
        match self {
            Self::Left => &frames.left,
            Self::Right => &frames.right,
            Self::Front => &frames.front,
            Self::Behind => &frames.behind,
        }
    }

    /// "the mug left of the bowl", for a name and the anchor's category.
    pub fn phrase(self, name: &str, anchor: Category, split: Split, rng: &mut impl Rng) -> String {
        let frame = self.framing().choose(split, rng);
        frame
            .replace("{x}", &format!("the {name}"))
            .replace("{y}", &the(anchor, 1))
    }

    /// Whether an object is there, as seen from another: `None` where it is not clear by a margin.
    pub fn holds(self, view: &SceneView, object: usize, anchor: usize) -> Option<bool> {
        let (x, y) = (view.visibility(object), view.visibility(anchor));
        let (towards, margin) = match self {
            Self::Left => (y.across - x.across, ACROSS),
            Self::Right => (x.across - y.across, ACROSS),
            Self::Front => (y.depth - x.depth, DEPTH),
            Self::Behind => (x.depth - y.depth, DEPTH),
        };
        (towards.abs() >= margin).then_some(towards > 0.0)
    }
}

/// The relations that pick out exactly the objects `there` of a category, each with its anchor. An anchor is an object that is
/// the only one of its kind. The objects `there` are clearly at the related place, the category's others clearly at the opposite.
pub fn places(view: &SceneView, category: Category, there: &[usize]) -> Vec<(Relation, usize)> {
    let Some(same) = view.visible_of(&[category]) else {
        return Vec::new();
    };
    let anchors = view.all().filter(|anchor| {
        let anchors = view.object(*anchor).category;
        anchors != category && view.visibility(*anchor).visible && view.of(anchors).len() == 1
    });
    let fits = |relation: Relation, anchor: usize| {
        !same.is_empty()
            && same
                .iter()
                .all(|i| relation.holds(view, *i, anchor) == Some(there.contains(i)))
    };
    anchors
        .flat_map(|anchor| Relation::ALL.map(|relation| (relation, anchor)))
        .filter(|(relation, anchor)| fits(*relation, *anchor))
        .collect()
}
