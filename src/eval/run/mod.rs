//! Asking a model: questions from a dataset or from TableWorld, answered by the engine or teacher-forced.
//!
//! The only part of `eval` that names the model.

mod generated;
mod questions;
mod teacher_forced;

pub use generated::Generated;
pub use questions::{reason_seg_questions, refer_questions, world_questions, Question};
pub use teacher_forced::TeacherForced;

use std::time::Duration;

use image::GrayImage;

use crate::engine::Attention;

use super::{Case, Closer, EvalError, Gallery, Latency, Tally, Verdict};

/// What a model made of a question.
#[derive(Clone, Debug)]
pub struct Reply {
    pub answer: String,
    /// Union of the masks, full frame, 0 or 255; `None` without any.
    pub predicted: Option<GrayImage>,
    /// `[SEG]` written; `None` where the answer was given to the model, see [`Case::emitted`].
    pub emitted: Option<usize>,
    /// Where the model looked; `None` where it has no guided head, or the answer was given to it.
    pub attention: Option<Attention>,
    pub total: Duration,
    pub stages: Vec<(&'static str, Duration)>,
}

/// Somebody who answers questions.
pub trait Answerer {
    /// `None` where the question, of an absent object, cannot be asked this way.
    ///
    /// # Errors
    /// [`EvalError::Answer`], with the question's name.
    fn answer(&mut self, question: &Question) -> Result<Option<Reply>, EvalError>;
}

/// Asks every question and scores the reply; `done` hears the verdicts, and `None` of a question that could not be asked.
/// An error ends the run.
pub fn evaluate(
    questions: impl Iterator<Item = Result<Question, EvalError>>,
    answerer: &mut dyn Answerer,
    gallery: &mut Gallery,
    mut done: impl FnMut(&Question, Option<(&Reply, &Verdict)>),
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
            closer: Closer {
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
