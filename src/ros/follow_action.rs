//! The action `~/follow`, served as [`action`](super::action) serves `~/segment`: the state machine keeps the goals, and this file
//! only converts messages.

use std::time::Duration;

use r2r::action_msgs::msg::GoalStatusArray;
use r2r::lisa_ros::action::Follow;
use r2r::lisa_ros::msg::SegmentedObject;
use r2r::{Node, Publisher, QosProfile, ServiceRequest};

use super::action::{goal_states, status_qos, uuid};
use super::clock::time;
use super::convert::{header, object};
use super::qos::QosOverrides;
use super::r2r_ext::{reply, send};
use crate::frames::Stamp;
use crate::node::{
    object_message, ros_text, CameraNames, FollowFeedback, FollowOffer, FollowResult, GoalId,
    GoalState,
};

pub type SendGoal = Follow::SendGoal::Service;
pub type GetResult = Follow::GetResult::Service;

/// Takes the goal out of a request.
pub fn goal_offer(request: &mut ServiceRequest<SendGoal>) -> FollowOffer {
    let goal = std::mem::take(&mut request.message.goal);
    let nanoseconds =
        i64::from(goal.duration.sec) * 1_000_000_000 + i64::from(goal.duration.nanosec);
    FollowOffer {
        id: GoalId::from_slice(&request.message.goal_id.uuid),
        instruction: goal.instruction.into_bytes(),
        instruction_id: goal.instruction_id,
        object_index: goal.object_index,
        rate_hz: goal.rate_hz,
        duration: u64::try_from(nanoseconds).ok().map(Duration::from_nanos),
    }
}

/// Answers a client that sent a goal.
pub fn answer_goal(request: ServiceRequest<SendGoal>, accepted: bool, stamp: Stamp) {
    let stamp = time(stamp);
    reply(request, Follow::SendGoal::Response { accepted, stamp });
}

/// Answers a client that asked for a goal's result; `None` means that the goal is unknown.
pub fn answer_result(
    request: ServiceRequest<GetResult>,
    ended: Option<(GoalState, &FollowResult)>,
) {
    let (status, result) = match ended {
        Some((state, ended)) => (state as i8, result(ended)),
        None => (0, Follow::Result::default()),
    };
    reply(request, Follow::GetResult::Response { status, result });
}

fn result(ended: &FollowResult) -> Follow::Result {
    Follow::Result {
        status: ended.status as u8,
        error: ros_text(&ended.error),
        frames: ended.frames,
        frames_dropped: ended.frames_dropped,
        times_lost: ended.times_lost,
        times_asked: ended.times_asked,
    }
}

/// The action's two topics.
pub struct FollowTopics {
    feedback: Publisher<Follow::FeedbackMessage>,
    status: Publisher<GoalStatusArray>,
}

impl FollowTopics {
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
                &names.private("follow/_action/feedback"),
                QosProfile::default(),
            )?,
            status: overrides.create_publisher(
                node,
                &names.private("follow/_action/status"),
                status_qos(),
            )?,
        })
    }

    /// Publishes what was seen in a frame; `now` is the present time on the robot's clock.
    pub fn feedback(&self, seen: &FollowFeedback, now: Stamp) {
        let feedback = Follow::Feedback {
            header: header(&seen.header),
            state: seen.state as u8,
            objects: objects(seen),
            confidence: seen.confidence,
            age_s: age(seen, now),
            frames_dropped: seen.frames_dropped,
        };
        let goal_id = uuid(seen.goal);
        send(
            &self.feedback,
            &Follow::FeedbackMessage { goal_id, feedback },
        );
    }

    /// Publishes the states of all goals.
    pub fn states(&self, states: Vec<(GoalId, Stamp, GoalState)>) {
        send(&self.status, &goal_states(states));
    }
}

fn objects(seen: &FollowFeedback) -> Vec<SegmentedObject> {
    let message = |sighting: &crate::node::Sighting| SegmentedObject {
        track_id: sighting.track_id,
        ..object(object_message(
            &seen.header,
            &sighting.object,
            sighting.place.as_ref(),
        ))
    };
    seen.objects.iter().map(message).collect()
}

/// How old the picture is, seconds: by its stamp, or since its arrival where the camera sets none.
fn age(seen: &FollowFeedback, now: Stamp) -> f32 {
    match seen.header.stamp.nanoseconds() {
        0 => seen.arrived.elapsed().as_secs_f32(),
        taken => (now.0.saturating_sub(taken).max(0) as f64 * 1e-9) as f32,
    }
}
