//! How questions end: what is published and in which order, and which state the goal gets.

use std::sync::Arc;
use std::time::Instant;

use rosbag2::Header;

use super::core::{NodeCore, Submitted};
use super::goals::GoalState;
use super::output::{CameraFrame, Host, LogLevel, Output};
use super::publishing::{answer_parts, AnswerPart};
use super::question::{Origin, Question};
use super::result::{QuestionResult, Refusal, ResultStatus};
use super::space::FoundObject;
use crate::engine::Answer;
use crate::frames::Stamp;

impl<H: Host> NodeCore<H> {
    /// Ends a question with its answer.
    pub(super) fn answered(
        &mut self,
        asked: Submitted<H::Frame>,
        answer: Arc<Answer>,
        objects: Arc<[FoundObject]>,
        now: Instant,
    ) {
        let Submitted {
            question, chosen, ..
        } = asked;
        let (header, frame) = (chosen.frame.header(), chosen.frame);
        let settings = Arc::clone(&self.settings);
        self.outputs.push_back(Output::PublishDelta {
            question: Arc::clone(&question),
            header: header.clone(),
            text: String::new(),
            tokens: answer.tokens,
            done: true,
        });
        for part in answer_parts(&answer, &settings, self.subscribers) {
            let (header, frame) = (header.clone(), Arc::clone(&frame));
            let (answer, alpha) = (Arc::clone(&answer), settings.overlay_alpha);
            self.outputs.push_back(match part {
                AnswerPart::Mask => Output::PublishMask {
                    header,
                    frame,
                    answer,
                },
                AnswerPart::Overlay => Output::DrawOverlay {
                    question: Arc::clone(&question),
                    header,
                    frame,
                    answer,
                    alpha,
                },
                AnswerPart::Attention => Output::DrawAttention {
                    header,
                    frame,
                    answer,
                    alpha,
                },
                AnswerPart::Detections => Output::PublishDetections {
                    question: Arc::clone(&question),
                    header,
                    frame,
                    objects: Arc::clone(&objects),
                },
                AnswerPart::Text => Output::PublishAnswer {
                    text: answer.text.clone(),
                },
            });
        }
        let seconds = now
            .saturating_duration_since(question.received)
            .as_secs_f64();
        let what = match answer.objects.len() {
            1 => "1 object".to_owned(),
            n => format!("{n} objects"),
        };
        let stamp = Stamp(header.stamp.nanoseconds());
        self.follow.earlier.keep(&question, &answer, stamp);
        let text = answer.text.clone();
        let id = question.instruction_id.clone();
        let result = QuestionResult {
            objects,
            ..QuestionResult::ended(question, header, Ok(Arc::clone(&answer)))
        };
        let notes = result.notes();
        let places = result.objects.iter();
        self.health
            .placed(places.filter_map(|object| object.place.as_ref()));
        let status = result.status();
        self.health.answered(status, chosen.number, &answer.timings);
        self.end(result, now);
        self.log(
            LogLevel::Info,
            format!("{} in {seconds:.2} s, {what}: {text:?}", status.name()),
        );
        for note in notes {
            self.log(LogLevel::Info, format!("instruction {id}: {note}"));
        }
    }

    /// Ends a question without an answer.
    pub(super) fn refused(
        &mut self,
        question: Arc<Question>,
        header: Header,
        refusal: Refusal,
        now: Instant,
    ) {
        let text = format!(
            "instruction {} {}: {}",
            question.instruction_id,
            refusal.status.name(),
            refusal.why
        );
        let level = match refusal.status {
            // In mode `continuous` a broken camera would log the same warning for every frame.
            _ if question.origin == Origin::Repeat && self.health.is_last(&refusal) => {
                LogLevel::Debug
            }
            ResultStatus::Cancelled => LogLevel::Info,
            _ => LogLevel::Warn,
        };
        self.health.refused(&refusal, now);
        self.end(QuestionResult::ended(question, header, Err(refusal)), now);
        self.log(level, text);
    }

    /// Publishes the result, which is the last output about a question, and ends the goal that it came from.
    pub(super) fn end(&mut self, result: QuestionResult, now: Instant) {
        let (status, result) = (result.status(), Arc::new(result));
        self.outputs
            .push_back(Output::PublishResult(Arc::clone(&result)));
        let Some(goal) = result.question.goal() else {
            return;
        };
        let canceling = self.goals.state(goal) == Some(GoalState::Canceling);
        let state = match status {
            ResultStatus::Cancelled if canceling => GoalState::Canceled,
            _ if status.is_answer() => GoalState::Succeeded,
            _ => GoalState::Aborted,
        };
        for request in self.goals.finish(goal, state, Arc::clone(&result), now) {
            self.outputs.push_back(Output::AnswerResult {
                request,
                result: Some((state, Arc::clone(&result))),
            });
        }
        self.publish_goal_states();
    }

    pub(super) fn publish_goal_states(&mut self) {
        let states = self.goals.states().collect();
        self.outputs.push_back(Output::PublishGoalStates(states));
    }
}
