//! Asking a model: questions from a dataset or from TableWorld, answered by the engine or teacher-forced.
//!
//! This is the only part of `eval` that knows the model.

mod generated;
mod questions;
mod teacher_forced;

pub use generated::Generated;
pub use questions::{reason_seg_questions, refer_questions, world_questions, EvalQuestion};
pub use teacher_forced::TeacherForced;

use std::time::Duration;

use image::GrayImage;
use serde::{Deserialize, Serialize};

use crate::engine::AttentionMap;

use super::{Case, CaseRecord, Distractors, EvalError, Gallery, Latency, Tally, Verdict};

/// A model's answer to a question.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The words of the answer.
    pub answer: String,
    /// Union of the answer's masks as a full frame of 0 and 255; `None` where it has none.
    pub predicted: Option<GrayImage>,
    /// Number of `[SEG]` that the model wrote; `None` where the answer was given to it, see [`Case::emitted`].
    pub emitted: Option<usize>,
    /// Where the model looked; `None` where it has no guided head, or the answer was given to it.
    pub attention: Option<AttentionMap>,
    /// Time from the question to the end of the answer.
    pub total: Duration,
    /// Time of each stage by its name.
    pub stages: Vec<(&'static str, Duration)>,
}

/// A way of asking a model.
pub trait Answerer {
    /// Asks one question. Gives `None` if it is about an absent object and cannot be asked this way.
    ///
    /// # Errors
    /// [`EvalError::Answer`], with the question's name.
    fn answer(&mut self, question: &EvalQuestion) -> Result<Option<Reply>, EvalError>;

    /// Makes the next answer independent of the questions before it, to the bit.
    fn forget(&mut self) {}
}

/// A question as it was asked and answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionRecord {
    /// See [`EvalQuestion::name`].
    pub name: String,
    /// What was asked.
    pub instruction: String,
    /// What was answered; empty where it could not be asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// What its scores are computed from.
    pub asked: AskedRecord,
}

/// What the scores of a question are computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedRecord {
    /// It was answered.
    Answered(CaseRecord),
    /// It is about an absent object and could not be asked, see [`Tally::pass_over`].
    PassedOver {
        /// See [`EvalQuestion::kind`].
        kind: String,
        /// Whether something close to what it asks for is there.
        near_miss: bool,
    },
}

impl QuestionRecord {
    /// Counts it.
    pub fn add_to(&self, tally: &mut Tally) {
        match &self.asked {
            AskedRecord::Answered(case) => drop(tally.add_record(case)),
            AskedRecord::PassedOver { kind, near_miss } => tally.pass_over(kind, *near_miss),
        }
    }
}

/// Asks every question and scores the reply. `done` is called after each with the verdict, or with `None` for a question that
/// could not be asked.
///
/// # Errors
/// The first error of a question, an answer or a case; it ends the run.
pub fn evaluate(
    questions: impl Iterator<Item = Result<EvalQuestion, EvalError>>,
    answerer: &mut dyn Answerer,
    gallery: &mut Gallery,
    mut done: impl FnMut(&EvalQuestion, Option<(&Reply, &Verdict)>),
) -> Result<Tally, EvalError> {
    let mut tally = Tally::default();
    let shown = &mut |question: &EvalQuestion, case: &Case<'_>, verdict: &Verdict| {
        gallery.offer(case, verdict, question.frame.pixels())
    };
    record_each(questions, answerer, shown, |question, record, reply| {
        record.add_to(&mut tally);
        let verdict = match &record.asked {
            AskedRecord::Answered(case) => Some(case.verdict()),
            AskedRecord::PassedOver { .. } => None,
        };
        done(question, reply.zip(verdict.as_ref()));
    })?;
    Ok(tally)
}

/// Asks every question and keeps what its scores are computed from. `shown` is called with each case before its pixels go, and
/// `done` with its record and the reply, or with `None` for a question that could not be asked. Questions of one unit stand on what was computed for those before them, and on nothing
/// else: whoever asks some of the units gets the same answers as who asks all.
///
/// # Errors
/// The first error of a question, an answer or a case; it ends the run.
pub fn record_each(
    questions: impl Iterator<Item = Result<EvalQuestion, EvalError>>,
    answerer: &mut dyn Answerer,
    shown: &mut dyn FnMut(&EvalQuestion, &Case<'_>, &Verdict) -> Result<(), EvalError>,
    mut done: impl FnMut(&EvalQuestion, QuestionRecord, Option<&Reply>),
) -> Result<(), EvalError> {
    let mut unit = None;
    for question in questions {
        let question = question?;
        if unit.replace(question.unit) != Some(question.unit) {
            answerer.forget();
        }
        let record = |answer: &str, asked| QuestionRecord {
            name: question.name.clone(),
            instruction: question.instruction.clone(),
            answer: answer.to_owned(),
            asked,
        };
        let Some(reply) = answerer.answer(&question)? else {
            let passed_over = AskedRecord::PassedOver {
                kind: question.kind.clone(),
                near_miss: question.near_miss.is_some(),
            };
            done(&question, record("", passed_over), None);
            continue;
        };
        let case = Case {
            name: &question.name,
            kind: &question.kind,
            history: &question.history,
            instruction: &question.instruction,
            answer: &reply.answer,
            truth: question.truth.as_ref(),
            predicted: reply.predicted.as_ref(),
            emitted: reply.emitted,
            expected: question.expected,
            names_right: question.names_right(&reply.answer),
            distractors: Distractors {
                near_miss: question.near_miss,
                rivals: &question.rivals,
            },
            attention: reply.attention.as_ref(),
            latency: Latency {
                total: reply.total,
                stages: &reply.stages,
            },
        };
        let answered = CaseRecord::of(&case)?;
        shown(&question, &case, &answered.verdict())?;
        let record = record(&reply.answer, AskedRecord::Answered(answered));
        done(&question, record, Some(&reply));
    }
    Ok(())
}
