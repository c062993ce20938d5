//! The generated protocol: the engine answers as it would answer a person.

use std::time::Instant;

use super::super::EvalError;
use super::{Answerer, EvalQuestion, Reply};
use crate::engine::{Answer, AnswerOptions, Engine, Request};

/// Asks an engine. Earlier turns of a question are asked first and answered by the model itself.
pub struct Generated {
    engine: Engine,
    options: AnswerOptions,
}

impl Generated {
    /// Asks `engine` for answers with `options`, and also for where the model looked.
    pub fn new(engine: Engine, options: AnswerOptions) -> Self {
        let options = AnswerOptions {
            attention: true,
            ..options
        };
        Self { engine, options }
    }

    fn ask(
        &self,
        question: &EvalQuestion,
        words: &str,
        conversation: Option<&str>,
    ) -> Result<Answer, EvalError> {
        let failed = |e: crate::engine::RequestError| EvalError::Answer {
            case: question.name.clone(),
            reason: e.to_string(),
        };
        let request = Request {
            instruction: words.to_owned(),
            frame: question.frame.clone(),
            conversation_id: conversation.map(str::to_owned),
            options: self.options.clone(),
        };
        self.engine
            .submit(request)
            .map_err(failed)?
            .wait()
            .map_err(failed)
    }
}

impl Answerer for Generated {
    fn forget(&mut self) {
        self.engine.forget();
    }

    fn answer(&mut self, question: &EvalQuestion) -> Result<Option<Reply>, EvalError> {
        let conversation = (!question.history.is_empty()).then_some(question.name.as_str());
        for turn in &question.history {
            self.ask(question, &turn.question, conversation)?;
        }
        let started = Instant::now();
        let answer = self.ask(question, &question.instruction, conversation)?;
        let total = started.elapsed();
        self.engine.reset_conversation(conversation);
        let (width, height) = (question.frame.width(), question.frame.height());
        Ok(Some(Reply {
            predicted: answer.union_mask(width, height),
            emitted: Some(answer.text.matches("[SEG]").count()),
            total,
            attention: answer.attention,
            stages: answer
                .timings
                .stages()
                .map(|(s, d)| (s.name(), d))
                .collect(),
            answer: answer.text,
        }))
    }
}
