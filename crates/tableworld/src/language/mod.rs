//! Questions about a scene, with answers that follow from what stands in it.
//!
//! The words are data (`words/*.toml`); the modules here decide which of them a scene allows. A question with a target
//! has exactly one right answer: a reasoning question is asked where one category alone fits it, an explicit reference
//! where it names one object alone, and comparisons ("leftmost", "nearest") where they are clear by a margin.
//!
//! Wordings are split like scenes are. Those of `val` and `test` never occur in `train`, but are made of words that do.
//!
//! There are three draws: [`dialogues`], everything that can be asked; [`balanced`], to learn from, whose words do not tell
//! whether a thing is there; and [`evaluation`] with [`visual_questions`], to measure with.

mod absent;
mod balanced;
mod explicit;
mod frames;
mod knowledge;
mod missing;
mod multi_turn;
mod reasoning;
mod reference;
mod relation;
mod scene_view;
mod several;
mod texts;
mod visual;
mod vqa;
mod wording;

pub use balanced::balanced;
pub use texts::{training_texts, wordings};
pub use visual::{visual_questions, VisualQuestionKind};
pub use vqa::vqa;

use rand::seq::IndexedRandom;
use rand::Rng;

use super::catalogue::Category;
use super::scene::{Frame, Scene};
use super::Split;
use scene_view::SceneView;

/// What a question asks for, and what it takes to answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuestionKind {
    /// It names the object: "the red mug".
    Explicit,
    /// It names a purpose or a need: "I want to cut this paper."
    Reasoning,
    /// It needs a fact that no picture shows: "the fruit monkeys love".
    WorldKnowledge,
    /// It is one of the two before, and asks why as well.
    Explanatory,
    /// A question that is answered in words, and then "Please segment it."
    MultiTurn,
    /// It asks for several objects in one mask: "everything I could eat".
    Several,
    /// It asks for something that is not there.
    Absent,
    /// It talks about the picture and the world, without a mask.
    Vqa,
}

impl QuestionKind {
    /// All of them, in the order in which reports list them.
    pub const ALL: [Self; 8] = [
        Self::Explicit,
        Self::Reasoning,
        Self::WorldKnowledge,
        Self::Explanatory,
        Self::MultiTurn,
        Self::Several,
        Self::Absent,
        Self::Vqa,
    ];

    /// Its name in reports and on the command line, e.g. `world-knowledge`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Reasoning => "reasoning",
            Self::WorldKnowledge => "world-knowledge",
            Self::Explanatory => "explanatory",
            Self::MultiTurn => "multi-turn",
            Self::Several => "several",
            Self::Absent => "absent",
            Self::Vqa => "vqa",
        }
    }

    /// The kind of that [`name`](Self::name); `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How something is missing: there is nothing like it, or something nearly like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Absence {
    /// Nothing like it is there.
    Plain,
    /// The class is there, in another colour.
    Colour,
    /// The colour is there, on another class.
    OtherClass,
    /// A class it might be taken for is there.
    Neighbour,
    /// The class is there, in another place: left of what it is asked for to the right of.
    Place,
}

impl Absence {
    /// All but [`Absence::Plain`]: the near misses.
    pub const NEAR: [Self; 4] = [Self::Colour, Self::OtherClass, Self::Neighbour, Self::Place];

    /// Its name in reports, e.g. `other-class`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Colour => "colour",
            Self::OtherClass => "other-class",
            Self::Neighbour => "neighbour",
            Self::Place => "place",
        }
    }

    /// Whether something is there that is nearly what is asked for.
    pub fn is_near(self) -> bool {
        self != Self::Plain
    }
}

/// A question, its answer, and what the answer's masks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The question as a person would type it.
    pub question: String,
    /// The answer. Each `[SEG]` in it stands for one mask.
    pub answer: String,
    /// For each `[SEG]` of the answer the objects (indices into [`Scene::objects`]) whose union is its mask.
    pub targets: Vec<Vec<usize>>,
}

/// What is asked for, without any request for a mask: what a dataset's annotation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// "the red mug", or "I want to cut this paper."
    pub text: String,
    /// Whether it is a whole sentence (one of LISA's long questions) rather than a noun phrase.
    pub is_sentence: bool,
}

/// A conversation about one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// What the last turn asks.
    pub kind: QuestionKind,
    /// The turns of the conversation, at least one.
    pub turns: Vec<Turn>,
    /// What the last turn asks for.
    pub query: Query,
    /// Why the target is the right one, or that there is none: a sentence without `[SEG]`.
    pub explanation: Option<String>,
    /// What an explanation must name: the categories of the target, or those that are missing.
    pub names: Vec<Category>,
    /// The kind in whose words it is asked: its own, or of [`QuestionKind::Absent`] any other, so that the words do
    /// not tell that nothing is there.
    pub worded_as: QuestionKind,
    /// How what is asked for is missing; `None` unless the kind is [`QuestionKind::Absent`].
    pub absence: Option<Absence>,
    /// Where the question singles out one of several objects of the class it names: all of them, the target among
    /// them. Empty otherwise.
    pub candidates: Vec<usize>,
}

impl Dialogue {
    /// The objects of the last mask; empty where nothing is to be segmented.
    pub fn targets(&self) -> &[usize] {
        self.turns
            .iter()
            .rev()
            .find_map(|turn| turn.targets.last())
            .map_or(&[], Vec::as_slice)
    }

    /// Whether it singles out one of several objects of the class it names.
    pub fn which_of_several(&self) -> bool {
        self.candidates.len() > 1
    }
}

/// Everything that can be asked about a scene in the words of a split, [`QuestionKind::Vqa`] apart: one question for
/// each object by its name, for each purpose that something serves and for each group that has members, and some for
/// what is not there. They come in the order of the kinds. Where no object shows enough of itself, only what is absent is asked.
pub fn dialogues(scene: &Scene, frame: &Frame, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let view = SceneView::new(scene, frame);
    let mut all = explicit::dialogues(&view, split, rng);
    all.extend(reasoning::dialogues(&view, split, rng));
    all.extend(reasoning::explained_dialogues(&view, split, rng));
    all.extend(multi_turn::dialogues(&view, split, rng));
    all.extend(several::dialogues(&view, split, rng));
    all.extend(absent::dialogues(&view, split, rng));
    all.sort_by_key(|dialogue| dialogue.kind);
    all
}

/// At most one dialogue of each kind but [`QuestionKind::Vqa`], in the order of the kinds. Among several the category
/// asked for is drawn first, so that one about which much can be said is not asked for more often.
pub fn evaluation(scene: &Scene, frame: &Frame, split: Split, rng: &mut impl Rng) -> Vec<Dialogue> {
    let all = dialogues(scene, frame, split, rng);
    let of_kind = |kind, rng: &mut _| {
        let fitting: Vec<_> = all.iter().filter(|d| d.kind == kind).collect();
        let mut subjects: Vec<_> = fitting.iter().map(|d| &d.names).collect();
        subjects.sort();
        subjects.dedup();
        let subject = subjects.choose(rng)?;
        let about: Vec<_> = fitting.iter().filter(|d| d.names == **subject).collect();
        about.choose(rng).map(|d| (**d).clone())
    };
    QuestionKind::ALL
        .into_iter()
        .filter_map(|kind| of_kind(kind, rng))
        .collect()
}

#[cfg(test)]
mod tests;
