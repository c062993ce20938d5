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

use super::{Case, Closer, EvalError, Gallery, Latency, Tally, Verdict};

/// What a model made of a question.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub answer: String,
    /// Union of the masks, full frame, 0 or 255; `None` without any.
    pub predicted: Option<GrayImage>,
    /// `[SEG]` written.
    pub emitted: usize,
    pub total: Duration,
    pub stages: Vec<(&'static str, Duration)>,
}

/// Somebody who answers questions.
pub trait Answerer {
    /// # Errors
    /// [`EvalError::Answer`], with the question's name.
    fn answer(&mut self, question: &Question) -> Result<Reply, EvalError>;
}

/// Asks every question and scores the reply; `done` hears the verdicts. A question that has no answer ends the run.
pub fn evaluate(
    questions: impl Iterator<Item = Result<Question, EvalError>>,
    answerer: &mut dyn Answerer,
    gallery: &mut Gallery,
    mut done: impl FnMut(&Question, &Reply, &Verdict),
) -> Result<Tally, EvalError> {
    let mut tally = Tally::default();
    for question in questions {
        let question = question?;
        let reply = answerer.answer(&question)?;
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
            latency: Latency {
                total: reply.total,
                stages: &reply.stages,
            },
        };
        let verdict = tally.add(&case)?;
        gallery.offer(&case, &verdict, question.frame.pixels())?;
        done(&question, &reply, &verdict);
    }
    Ok(tally)
}
