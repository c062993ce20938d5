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

use crate::engine::AttentionMap;

use super::{Case, Distractors, EvalError, Gallery, Latency, Tally, Verdict};

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
    for question in questions {
        let question = question?;
        let Some(reply) = answerer.answer(&question)? else {
            tally.pass_over(&question.kind, question.near_miss.is_some());
            done(&question, None);
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
        let verdict = tally.add(&case)?;
        gallery.offer(&case, &verdict, question.frame.pixels())?;
        done(&question, Some((&reply, &verdict)));
    }
    Ok(tally)
}
