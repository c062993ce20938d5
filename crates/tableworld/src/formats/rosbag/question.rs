//! Which of a scene's questions a recording asks.

use crate::language::{Dialogue, QuestionKind};
use crate::Split;

/// Kinds in the order in which scenes are asked them, each a single turn.
const ROTATION: [QuestionKind; 6] = [
    QuestionKind::Reasoning,
    QuestionKind::WorldKnowledge,
    QuestionKind::Explicit,
    QuestionKind::Explanatory,
    QuestionKind::Several,
    QuestionKind::Absent,
];

/// The question scene `number` is asked: of the kind whose turn it is, or of the next one that the scene has. What it is
/// about takes turns too, so that a thing about which much can be said is not asked for more often.
pub fn asked(number: u64, dialogues: &[Dialogue]) -> Option<&Dialogue> {
    let kinds = ROTATION.len();
    let (round, place) = (number as usize / kinds, number as usize % kinds);
    let of_kind = |kind: &QuestionKind| -> Vec<&Dialogue> {
        let fits = |d: &&Dialogue| d.kind == *kind && d.turns.len() == 1;
        dialogues.iter().filter(fits).collect()
    };
    let turns = ROTATION.iter().cycle().skip(place).take(kinds);
    let fitting = turns.map(of_kind).find(|fitting| !fitting.is_empty())?;
    let mut subjects: Vec<_> = fitting.iter().map(|dialogue| &dialogue.names).collect();
    subjects.sort();
    subjects.dedup();
    let subject = subjects.get(round % subjects.len())?;
    let about: Vec<_> = fitting.iter().filter(|d| d.names == **subject).collect();
    about
        .get(round / subjects.len() % about.len())
        .map(|dialogue| **dialogue)
}

/// `SPLIT_SEED_KIND`, e.g. `test_000000036_reasoning`.
pub fn id(split: Split, number: u64, dialogue: &Dialogue) -> String {
    format!("{}_{number:09}_{}", split.name(), dialogue.kind.name())
}
