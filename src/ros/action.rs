//! The action `~/segment`, served through the three services and two topics that an action consists of.
//!
//! r2r's own action server never forgets a goal, so the state machine of [`crate::node`] keeps the goals, and this file only
//! converts messages. Names, types and QoS are those of `rcl_action`, so that clients of rclcpp, rclpy and `ros2 action` see no
//! difference.

use r2r::action_msgs::msg::{GoalInfo, GoalStatus, GoalStatusArray};
use r2r::action_msgs::srv::CancelGoal;
use r2r::lisa_ros::action::Segment;
use r2r::lisa_ros::msg::{ReasoningResult, SegmentedObject};
use r2r::unique_identifier_msgs::msg::UUID;
use r2r::{Node, Publisher, QosProfile, ServiceRequest};

use super::clock::time;
use super::convert::{result, SourceImage};
use super::qos::QosOverrides;
use super::r2r_ext::reply;
use super::r2r_ext::send;
use crate::frames::Stamp;
use crate::node::{
    ros_text, CameraNames, CancelReply, GoalId, GoalOffer, GoalState, InstructionText,
    QuestionResult,
};

pub type SendGoal = Segment::SendGoal::Service;
pub type GetResult = Segment::GetResult::Service;

/// Takes the goal out of a request.
pub fn goal_offer(request: &mut ServiceRequest<SendGoal>) -> GoalOffer<SourceImage> {
    let goal = std::mem::take(&mut request.message.goal);
    let image = goal.image;
    let brought_one = image.width > 0 || image.height > 0 || !image.data.is_empty();
    GoalOffer {
        id: GoalId::from_slice(&request.message.goal_id.uuid),
        instruction: InstructionText::new(goal.instruction.as_bytes()),
        conversation_id: goal.conversation_id,
        frame: brought_one.then(|| image.into()),
        max_new_tokens: Some(goal.max_new_tokens as usize).filter(|n| *n > 0),
    }
}

/// The id and the stamp of a cancel request, which together say which goals it means.
pub fn cancelled_goals(request: &ServiceRequest<CancelGoal::Service>) -> (GoalId, Stamp) {
    let info = &request.message.goal_info;
    let until = Stamp::new(info.stamp.sec, info.stamp.nanosec);
    (GoalId::from_slice(&info.goal_id.uuid), until)
}

/// Answers a client that sent a goal.
pub fn answer_goal(request: ServiceRequest<SendGoal>, accepted: bool, stamp: Stamp) {
    let stamp = time(stamp);
    reply(request, Segment::SendGoal::Response { accepted, stamp });
}

/// Answers a client that asked to cancel goals.
pub fn answer_cancel(request: ServiceRequest<CancelGoal::Service>, answer: CancelReply) {
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
}

/// Answers a client that asked for a goal's result; `None` means that the goal is unknown.
pub fn answer_result(
    request: ServiceRequest<GetResult>,
    ended: Option<(GoalState, &QuestionResult)>,
) {
    let (status, result) = match ended {
        Some((state, ended)) => (state as i8, result(ended.message())),
        None => (0, ReasoningResult::default()),
    };
    let result = Segment::Result { result };
    reply(request, Segment::GetResult::Response { status, result });
}

/// The action's two topics.
pub struct ActionTopics {
    feedback: Publisher<Segment::FeedbackMessage>,
    status: Publisher<GoalStatusArray>,
}

impl ActionTopics {
    /// Creates both publishers.
    ///
    /// # Errors
    /// The middleware refuses a publisher.
    pub fn create(
        node: &mut Node,
        overrides: &QosOverrides,
        names: &CameraNames,
    ) -> r2r::Result<Self> {
        Ok(Self {
            feedback: overrides.create_publisher(
                node,
                &names.private("segment/_action/feedback"),
                QosProfile::default(),
            )?,
            status: overrides.create_publisher(
                node,
                &names.private("segment/_action/status"),
                status_qos(),
            )?,
        })
    }

    /// Publishes feedback on a goal.
    pub fn feedback(
        &self,
        goal: GoalId,
        stage: &str,
        text: &str,
        tokens: usize,
        objects: Vec<SegmentedObject>,
    ) {
        let feedback = Segment::Feedback {
            stage: stage.to_owned(),
            text_delta: ros_text(text),
            tokens: tokens as u32,
            objects,
        };
        let goal_id = uuid(goal);
        send(
            &self.feedback,
            &Segment::FeedbackMessage { goal_id, feedback },
        );
    }

    /// Publishes the states of all goals.
    pub fn states(&self, states: Vec<(GoalId, Stamp, GoalState)>) {
        send(&self.status, &goal_states(states));
    }
}

/// With what an action publishes the states of its goals.
pub(super) fn status_qos() -> QosProfile {
    QosProfile::default().keep_last(1).transient_local()
}

/// The states of goals as a message.
pub(super) fn goal_states(states: Vec<(GoalId, Stamp, GoalState)>) -> GoalStatusArray {
    let status = |(id, stamp, state)| GoalStatus {
        goal_info: goal_info(id, stamp),
        status: state as i8,
    };
    GoalStatusArray {
        status_list: states.into_iter().map(status).collect(),
    }
}

fn goal_info(id: GoalId, stamp: Stamp) -> GoalInfo {
    GoalInfo {
        goal_id: uuid(id),
        stamp: time(stamp),
    }
}

pub(super) fn uuid(id: GoalId) -> UUID {
    UUID {
        uuid: id.0.to_vec(),
    }
}
