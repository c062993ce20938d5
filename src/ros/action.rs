//! The action `~/segment`, served on what an action is made of: three services and two topics.
//!
//! r2r's own action server would never forget a goal (see [`goals`](super::goals)). The names, types and QoS are those of
//! `rcl_action`, so clients of rclcpp, rclpy and `ros2 action` see no difference.

use r2r::action_msgs::msg::{GoalInfo, GoalStatus, GoalStatusArray};
use r2r::action_msgs::srv::CancelGoal;
use r2r::lisa_ros::action::Segment;
use r2r::lisa_ros::msg::ReasoningResult;
use r2r::unique_identifier_msgs::msg::UUID;
use r2r::{Node, Publisher, QosProfile, ServiceRequest};

use std::time::Instant;

use super::clock::{time, RosClock};
use super::convert::{ros_text, SourceImage, Status};
use super::goals::{CancelReply, GoalId, GoalState, Goals, ResultReply};
use super::instructions::{Ask, Key, Origin, Text};
use super::publish::send;
use super::spin::reply;
use crate::frames::Stamp;

pub type SendGoal = Segment::SendGoal::Service;
pub type GetResult = Segment::GetResult::Service;

/// The action's goals and its two topics.
pub struct ActionServer {
    goals: Goals<ReasoningResult, ServiceRequest<GetResult>>,
    feedback: Publisher<Segment::FeedbackMessage>,
    status: Publisher<GoalStatusArray>,
    clock: RosClock,
}

impl ActionServer {
    /// # Errors
    /// r2r's, where the middleware refuses a publisher.
    pub fn create(node: &mut Node, clock: RosClock) -> r2r::Result<Self> {
        let status_qos = QosProfile::default().keep_last(1).transient_local();
        Ok(Self {
            goals: Goals::default(),
            feedback: node.create_publisher("~/segment/_action/feedback", QosProfile::default())?,
            status: node.create_publisher("~/segment/_action/status", status_qos)?,
            clock,
        })
    }

    /// Accepts a goal: the question, and the picture where the goal brought one. A goal whose id is known is rejected.
    pub fn accept(
        &mut self,
        mut request: ServiceRequest<SendGoal>,
        key: Key,
        now: Instant,
    ) -> Option<(Ask, Option<SourceImage>)> {
        let goal = std::mem::take(&mut request.message.goal);
        let id = GoalId::from_slice(&request.message.goal_id.uuid);
        let stamp = self.clock.now();
        let accepted = self
            .goals
            .accept(id, key, Stamp::new(stamp.sec, stamp.nanosec));
        reply(request, Segment::SendGoal::Response { accepted, stamp });
        if !accepted {
            tracing::warn!("goal {id} rejected: a goal of that id was sent before");
            return None;
        }
        self.publish_status();
        let ask = Ask {
            key,
            origin: Origin::Goal(id),
            id: id.to_string(),
            conversation_id: goal.conversation_id,
            text: Text::new(goal.instruction.as_bytes()),
            max_new_tokens: Some(goal.max_new_tokens as usize).filter(|n| *n > 0),
            received: now,
        };
        let image = &goal.image;
        let own = image.width > 0 || image.height > 0 || !image.data.is_empty();
        Some((ask, own.then(|| goal.image.into())))
    }

    /// Rejects a goal: the node is ending, and whoever waited for its result would wait for ever.
    pub fn reject(&self, request: ServiceRequest<SendGoal>) {
        let stamp = self.clock.now();
        let accepted = false;
        reply(request, Segment::SendGoal::Response { accepted, stamp });
    }

    /// Answers a cancel request; the questions whose keys come back are to be stopped.
    pub fn cancel(&mut self, request: ServiceRequest<CancelGoal::Service>) -> Vec<Key> {
        let info = &request.message.goal_info;
        let until = Stamp::new(info.stamp.sec, info.stamp.nanosec);
        let (answer, keys) = self
            .goals
            .cancel(GoalId::from_slice(&info.goal_id.uuid), until);
        use CancelGoal::Response as R;
        let (return_code, goals) = match answer {
            CancelReply::Canceling(goals) if goals.is_empty() => (R::ERROR_REJECTED as i8, goals),
            CancelReply::Canceling(goals) => (R::ERROR_NONE as i8, goals),
            CancelReply::UnknownGoal => (R::ERROR_UNKNOWN_GOAL_ID as i8, Vec::new()),
            CancelReply::Terminated => (R::ERROR_GOAL_TERMINATED as i8, Vec::new()),
        };
        let goals_canceling = goals
            .into_iter()
            .map(|(id, stamp)| goal_info(id, stamp))
            .collect();
        reply(
            request,
            CancelGoal::Response {
                return_code,
                goals_canceling,
            },
        );
        if !keys.is_empty() {
            self.publish_status();
        }
        keys
    }

    /// Answers who asks for a result: now, or when there is one.
    pub fn result(&mut self, request: ServiceRequest<GetResult>) {
        let id = GoalId::from_slice(&request.message.goal_id.uuid);
        match self.goals.result_or_wait(id, request) {
            ResultReply::Waiting => {}
            ResultReply::Ready(request, state, result) => {
                reply(request, response(state as i8, result))
            }
            ResultReply::Unknown(request) => {
                reply(request, response(0, ReasoningResult::default()))
            }
        }
    }

    /// Tells the client how far the answer is.
    pub fn feedback(&self, id: GoalId, stage: &str, text: &str, tokens: usize) {
        let feedback = Segment::Feedback {
            stage: stage.to_owned(),
            text_delta: ros_text(text),
            tokens: tokens as u32,
        };
        send(
            &self.feedback,
            &Segment::FeedbackMessage {
                goal_id: UUID {
                    uuid: id.0.to_vec(),
                },
                feedback,
            },
        );
    }

    /// True where a client has asked to cancel the goal.
    pub fn is_canceling(&self, id: GoalId) -> bool {
        self.goals.state(id) == Some(GoalState::Canceling)
    }

    /// Ends the goal: succeeded with an answer of any kind, aborted without one, cancelled where a client asked for that.
    pub fn finish(&mut self, id: GoalId, status: Status, result: &ReasoningResult, now: Instant) {
        let state = match status {
            Status::Cancelled if self.is_canceling(id) => GoalState::Canceled,
            Status::Segmented | Status::TextOnly | Status::EmptyMask => GoalState::Succeeded,
            _ => GoalState::Aborted,
        };
        for request in self.goals.finish(id, state, result.clone(), now) {
            reply(request, response(state as i8, result.clone()));
        }
        self.publish_status();
    }

    /// Forgets goals that ended long enough ago.
    pub fn expire(&mut self, now: Instant) {
        self.goals.expire(now);
    }

    /// Goals that live or are remembered.
    pub fn remembered(&self) -> usize {
        self.goals.len()
    }

    fn publish_status(&self) {
        let status = |(id, stamp, state): (GoalId, Stamp, GoalState)| GoalStatus {
            goal_info: goal_info(id, stamp),
            status: state as i8,
        };
        send(
            &self.status,
            &GoalStatusArray {
                status_list: self.goals.states().map(status).collect(),
            },
        );
    }
}

fn response(status: i8, result: ReasoningResult) -> Segment::GetResult::Response {
    Segment::GetResult::Response {
        status,
        result: Segment::Result { result },
    }
}

fn goal_info(id: GoalId, stamp: Stamp) -> GoalInfo {
    GoalInfo {
        goal_id: UUID {
            uuid: id.0.to_vec(),
        },
        stamp: time(stamp),
    }
}
