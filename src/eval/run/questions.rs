//! Questions with their truth: ReasonSeg, the refer datasets, TableWorld.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tableworld::language::{self, Absence, Dialogue, QuestionKind};
use tableworld::{render, Scene, Split};

use super::super::{EvalError, Shard};
use crate::data::{read_picture, ReasonSegDataset, ReferDataset, TruthMask, Turn};
use crate::engine::Frame;

/// One question about one picture.
#[derive(Clone, Debug)]
pub struct EvalQuestion {
    /// Unique within a run.
    pub name: String,
    /// Which picture or scene of the run it is about, from 0. Questions of one unit follow each other, and a shard of a run has
    /// all of them or none.
    pub unit: usize,
    /// Kind of question, e.g. `short`; scores are given for each kind.
    pub kind: String,
    /// The picture.
    pub frame: Frame,
    /// Turns before this one, oldest first, with the true answers.
    pub history: Vec<Turn>,
    /// What is asked.
    pub instruction: String,
    /// The true answer, where one is known.
    pub answer: String,
    /// Union of the true masks; `None` where nothing is to be segmented.
    pub truth: Option<TruthMask>,
    /// Number of `[SEG]` in the true answer.
    pub expected: usize,
    /// What an explanation has to name; empty where none is asked for.
    pub names: Vec<String>,
    /// See [`Distractors::near_miss`](crate::eval::Distractors::near_miss).
    pub near_miss: Option<&'static str>,
    /// See [`Distractors::rivals`](crate::eval::Distractors::rivals).
    pub rivals: Vec<TruthMask>,
    /// Of a question about one object of a scene of TableWorld: the scene's seed, and the object's number in it.
    pub object: Option<(u64, usize)>,
}

impl EvalQuestion {
    /// Whether an answer names everything it has to; `None` where nothing was to be named.
    pub fn names_right(&self, answer: &str) -> Option<bool> {
        let answer = answer.to_lowercase();
        let all = || {
            self.names
                .iter()
                .all(|name| answer.contains(&name.to_lowercase()))
        };
        (!self.names.is_empty()).then(all)
    }
}

/// ReasonSeg as the reference validates it: the first text of every picture, in its template. Pictures are read as they are
/// asked for. Of a run that is shared these are the shard's pictures.
///
/// # Errors
/// A folder that is missing or holds nothing.
pub fn reason_seg_questions(
    root: &Path,
    split: &str,
    limit: usize,
    shard: Shard,
) -> Result<impl ExactSizeIterator<Item = Result<EvalQuestion, EvalError>>, EvalError> {
    let data = ReasonSegDataset::open(root, split, 1, 0.0)?;
    let all = 0..data.items().min(limit);
    let own: Vec<usize> = all.filter(|index| shard.takes(*index)).collect();
    Ok(own.into_iter().map(move |index| {
        let item = data.item(index)?;
        let frame = Frame::new(read_picture(&item.image)?);
        let name = item.image.file_stem().unwrap_or_default().to_string_lossy();
        Ok(EvalQuestion {
            name: name.into_owned(),
            unit: index,
            kind: if item.is_sentence { "long" } else { "short" }.to_owned(),
            frame,
            history: item.history,
            instruction: item.question,
            answer: item.explanation.unwrap_or_default(),
            expected: usize::from(item.mask.is_some()),
            truth: item.mask,
            names: Vec::new(),
            near_miss: None,
            rivals: Vec::new(),
            object: None,
        })
    }))
}

/// Every expression of a split, in the reference's template. Pictures are read as they are asked for, and each once.
/// Of a run that is shared these are the questions about the shard's pictures.
///
/// # Errors
/// Files that are missing or broken, or a split that they do not have.
pub fn refer_questions(
    root: &Path,
    dataset: &'static str,
    split: &str,
    limit: usize,
    shard: Shard,
) -> Result<impl ExactSizeIterator<Item = Result<EvalQuestion, EvalError>>, EvalError> {
    let data = ReferDataset::open(root, dataset, split, 1)?;
    let mut own = Vec::new();
    let mut picture: Option<(usize, &Path)> = None;
    for index in 0..data.items().min(limit) {
        let path = data.picture(index);
        let unit = match picture {
            Some((unit, last)) if last == path => unit,
            Some((unit, _)) => unit + 1,
            None => 0,
        };
        picture = Some((unit, path));
        if shard.takes(unit) {
            own.push((unit, index));
        }
    }
    let mut last: Option<(PathBuf, Frame)> = None;
    Ok(own.into_iter().map(move |(unit, index)| {
        let item = data.item(index)?;
        let frame = match &last {
            Some((path, frame)) if path == item.image => frame.clone(),
            _ => {
                let frame = Frame::new(read_picture(item.image)?);
                last = Some((item.image.to_owned(), frame.clone()));
                frame
            }
        };
        let stem = item.image.file_stem().unwrap_or_default().to_string_lossy();
        Ok(EvalQuestion {
            name: format!("{stem}-{index}"),
            unit,
            kind: dataset.to_owned(),
            frame,
            history: Vec::new(),
            instruction: crate::data::SHORT_QUESTIONS[3].replacen(
                "{}",
                &item.expression.to_lowercase(),
                1,
            ),
            answer: String::new(),
            truth: Some(item.mask),
            expected: 1,
            names: Vec::new(),
            near_miss: None,
            rivals: Vec::new(),
            object: None,
        })
    }))
}

/// Questions about scenes of TableWorld that are made as they are asked for, in the split's own wordings. Each scene has at
/// most one question of each kind; questions that only looking can answer are kinds of their own, named by
/// [`VisualQuestionKind`](language::VisualQuestionKind). Equal arguments give equal questions.
/// Of a run that is shared these are the questions about the shard's scenes.
pub fn world_questions(
    split: Split,
    seeds: std::ops::Range<u64>,
    (width, height): (u32, u32),
    shard: Shard,
) -> impl Iterator<Item = Result<EvalQuestion, EvalError>> {
    let own = seeds
        .enumerate()
        .filter(move |(unit, _)| shard.takes(*unit));
    own.flat_map(move |(unit, seed)| {
        let scene = Scene::sample(split, seed);
        let rendered = render(&scene, width, height);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(0x6576_616c ^ split as u64);
        let usual = language::evaluation(&scene, &rendered, split, &mut rng);
        let usual = usual.into_iter().map(|d| (d.kind.name(), d));
        let visual = language::visual_questions(&scene, &rendered, split, &mut rng);
        let visual = visual.into_iter().map(|(kind, d)| (kind.name(), d));
        let frame = Frame::new(rendered.image.clone());
        let questions: Vec<_> = usual
            .chain(visual)
            .filter_map(|(kind, dialogue)| {
                let scene = (split, seed);
                let question = question(scene, kind, dialogue, &frame, &rendered.instances)?;
                Some(Ok(EvalQuestion { unit, ..question }))
            })
            .collect();
        questions
    })
}

/// `instances`: of every pixel of the frame, 0 or the object's index and 1.
fn question(
    (split, seed): (Split, u64),
    kind: &str,
    mut dialogue: Dialogue,
    frame: &Frame,
    instances: &[u8],
) -> Option<EvalQuestion> {
    let scene = format!("{}-{seed}", split.name());
    let (width, height) = (frame.width(), frame.height());
    let mask = |objects: &[usize]| union(instances, objects, width, height);
    let targets = dialogue.targets().to_vec();
    let rivals = dialogue.candidates.iter().filter(|i| !targets.contains(i));
    let near_miss = dialogue.absence.filter(|absence| absence.is_near());
    let near_miss = near_miss.map(Absence::name);
    let last = dialogue.turns.pop()?;
    let history = dialogue
        .turns
        .into_iter()
        .map(|turn| Turn::new(turn.question, turn.answer));
    let names = dialogue.names.iter().map(|c| c.name().to_owned());
    Some(EvalQuestion {
        name: match near_miss {
            Some(sort) => format!("{scene}-{kind}-{sort}"),
            None => format!("{scene}-{kind}"),
        },
        unit: 0,
        kind: kind.to_owned(),
        frame: frame.clone(),
        history: history.collect(),
        instruction: last.question,
        answer: last.answer,
        expected: last.targets.len(),
        truth: (!targets.is_empty()).then(|| mask(&targets)),
        names: match dialogue.kind == QuestionKind::Explanatory {
            true => names.collect(),
            false => Vec::new(),
        },
        near_miss,
        rivals: rivals.map(|i| mask(&[*i])).collect(),
        object: match *targets {
            [object] => Some((seed, object)),
            _ => None,
        },
    })
}

fn union(instances: &[u8], objects: &[usize], width: u32, height: u32) -> TruthMask {
    let inside = |id: &u8| *id > 0 && objects.contains(&(usize::from(*id) - 1));
    TruthMask {
        width,
        height,
        pixels: instances.iter().map(|id| u8::from(inside(id))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tableworld::formats::{write_dataset, Format, Options, Order};

    /// Pictures are read one by one: if all were read at once, one that is missing at the end would be an error before the
    /// first question.
    #[test]
    fn pictures_are_read_as_they_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let order = Order {
            formats: &[Format::Refer, Format::ReasonSeg],
            split: Split::Train,
            seed0: 0,
            count: 3,
            width: 160,
            height: 120,
        };
        write_dataset(&order, folder.path(), &Options::default(), &|_| ()).unwrap();
        for pictures in [
            "refer_seg/images/mscoco/images/train2014",
            "reason_seg/ReasonSeg/train",
        ] {
            let files = std::fs::read_dir(folder.path().join(pictures)).unwrap();
            let jpg = |path: &PathBuf| path.extension().is_some_and(|e| e == "jpg");
            let last = files.map(|file| file.unwrap().path()).filter(jpg).max();
            let last = last.unwrap();
            // The file may be a link to the picture of another question.
            std::fs::remove_file(&last).unwrap();
            std::fs::write(&last, "gone").unwrap();
            let root = folder.path();
            let mut questions: Box<dyn ExactSizeIterator<Item = Result<EvalQuestion, EvalError>>> =
                match pictures.starts_with("refer") {
                    true => Box::new(
                        refer_questions(root, "refcoco", "train", 1000, Shard::WHOLE).unwrap(),
                    ),
                    false => {
                        Box::new(reason_seg_questions(root, "train", 1000, Shard::WHOLE).unwrap())
                    }
                };
            let all = questions.len();
            assert!(all > 3);
            let first = questions.next().unwrap().unwrap();
            let (asked, broken): (Vec<_>, Vec<_>) = questions.partition(|q| q.is_ok());
            assert_eq!(1 + asked.len() + broken.len(), all);
            assert!(!asked.is_empty() && !broken.is_empty());
            let said = broken[0].as_ref().unwrap_err().to_string();
            assert!(
                said.contains(last.file_name().unwrap().to_str().unwrap()),
                "{said}"
            );
            assert_eq!((first.frame.width(), first.frame.height()), (160, 120));
        }
    }
}
