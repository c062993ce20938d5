//! The goals of the action `~/follow`: how they begin, whose turn it is at the engine, what its answers become, how they end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::core::NodeCore;
use super::super::frame_choice::frame_deadline;
use super::super::goals::{GoalState, Goals, ResultReply};
use super::super::ids::{GoalId, QuestionId};
use super::super::instruction::InstructionText;
use super::super::output::{CameraFrame, EngineRequest, Host, LogLevel, Output};
use super::super::question::Origin;
use super::super::result::{Refusal, ResultStatus};
use super::super::settings::Subscribers;
use super::super::space::SceneState;
use super::earlier::EarlierResults;
use super::follower::{Ask, Follower};
use super::places::{Landed, Places};
use super::report::{FollowFeedback, FollowOffer, FollowResult, FollowState, FollowStatus};
use super::tracks::Tracks;
use crate::engine::{Answer, AnswerOptions, AnswerStatus, Event, RequestError};
use crate::frames::{Stamp, StoredFrame};

/// How many goals are followed at once; one more ends as OVERLOADED. They share the engine, so each of eight gets an eighth of
/// the frames.
const MAX_FOLLOWERS: usize = 8;

/// What the engine has of a follower.
pub(super) struct Flight<F> {
    id: QuestionId,
    follower: QuestionId,
    ask: Ask,
    pub frame: StoredFrame<F>,
    /// Whether its objects can be measured in space.
    pub scene: SceneState,
    since: Instant,
}

/// Everything that the node keeps of the goals of `~/follow`.
pub(in crate::node) struct Following<H: Host> {
    followers: Vec<Follower>,
    goals: Goals<Arc<FollowResult>, H::FollowResultRequest>,
    /// At most one: of all followers together the engine has one request.
    pub(super) flight: Option<Flight<H::Frame>>,
    /// The frames whose feedback waits for places.
    pub(super) places: Places<H::Frame>,
    /// The results whose objects can be followed.
    pub earlier: EarlierResults,
    /// Numbers that were given to followers and their requests.
    numbers: u64,
    /// Numbers that were given to objects.
    tracks: u32,
    turns: u64,
    /// Whether the engine's last request was a follower's. In mode `continuous` the next one is then a repeat's.
    pub had_last_turn: bool,
}

impl<H: Host> Default for Following<H> {
    fn default() -> Self {
        Self {
            followers: Vec::new(),
            goals: Goals::default(),
            flight: None,
            places: Places::default(),
            earlier: EarlierResults::default(),
            numbers: 0,
            tracks: 0,
            turns: 0,
            had_last_turn: false,
        }
    }
}

impl<H: Host> Following<H> {
    /// Whether the engine has a request of a follower.
    pub fn is_in_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// Whether a goal has not ended.
    pub fn has_goals(&self) -> bool {
        !self.followers.is_empty()
    }

    /// Notes that the engine was given another request than a follower's.
    pub fn give_turn(&mut self) {
        self.had_last_turn = false;
    }

    fn next_number(&mut self) -> QuestionId {
        self.numbers += 1;
        QuestionId::of_follower(self.numbers)
    }

    fn find(&mut self, number: QuestionId) -> Option<&mut Follower> {
        self.followers.iter_mut().find(|f| f.number == number)
    }

    /// Takes the flight of this id back; `None` if it is not the present one.
    fn land(&mut self, id: QuestionId) -> Option<Flight<H::Frame>> {
        self.flight.take_if(|flight| flight.id == id)
    }
}

/// Inputs of the action `~/follow`.
impl<H: Host> NodeCore<H> {
    /// Takes a goal that a client sends; `stamp` is the present time on the robot's clock.
    pub fn handle_follow_goal(
        &mut self,
        offer: FollowOffer,
        request: H::FollowRequest,
        stamp: Stamp,
        now: Instant,
    ) {
        let number = self.follow.next_number();
        let accepted = self.takes_goals() && self.follow.goals.accept(offer.id, number, stamp);
        self.outputs.push_back(Output::AnswerFollowGoal {
            request,
            accepted,
            stamp,
        });
        if !accepted {
            return self.log_rejected(offer.id);
        }
        self.publish_follow_states();
        match self.begin(&offer, number, now) {
            Ok(follower) => self.follow.followers.push(follower),
            Err(refusal) => {
                let goal = offer.id;
                let nothing = Follower::new(number, goal, String::new(), Tracks::default(), now);
                self.end_follower(nothing, refusal.status.into(), refusal.why, now);
            }
        }
        self.use_idle_engine(now);
    }

    /// Takes a client's request to cancel goals; `goal` and `until` are those of `action_msgs/CancelGoal`.
    pub fn handle_follow_cancel(
        &mut self,
        goal: GoalId,
        until: Stamp,
        request: H::CancelRequest,
        now: Instant,
    ) {
        let (reply, numbers) = self.follow.goals.cancel(goal, until);
        self.outputs
            .push_back(Output::AnswerCancel { request, reply });
        for number in numbers {
            self.end_number(number, FollowStatus::Cancelled, "cancelled", now);
        }
        self.use_idle_engine(now);
    }

    /// Takes a client's request for a goal's result. It is answered now or when the goal ends.
    pub fn handle_follow_result_request(&mut self, goal: GoalId, request: H::FollowResultRequest) {
        let (request, result) = match self.follow.goals.result_or_wait(goal, request) {
            ResultReply::Waiting => return,
            ResultReply::Ready(request, state, result) => (request, Some((state, result))),
            ResultReply::Unknown(request) => (request, None),
        };
        self.outputs
            .push_back(Output::AnswerFollowResult { request, result });
    }

    /// How many goals of `~/follow` have not ended.
    pub fn followers(&self) -> usize {
        self.follow.followers.len()
    }

    fn begin(
        &self,
        offer: &FollowOffer,
        number: QuestionId,
        now: Instant,
    ) -> Result<Follower, Refusal> {
        if let Some(refusal) = self.disabled_refusal() {
            return Err(refusal);
        }
        let refuse = |why: String| Err(Refusal::new(ResultStatus::Error, why));
        let (rate, period) = (offer.rate_hz, 1.0 / f64::from(offer.rate_hz));
        let period = match rate {
            0.0 => Duration::ZERO,
            _ if rate > 0.0 && rate.is_finite() => {
                Duration::try_from_secs_f64(period).unwrap_or(Duration::MAX)
            }
            _ => {
                return refuse(format!(
                    "rate_hz is {rate}; accepted: above 0, or 0 for as fast as can be"
                ))
            }
        };
        let Some(duration) = offer.duration else {
            return refuse(
                "duration is negative; accepted: 0 or more, 0 to follow until the goal is cancelled"
                    .to_owned(),
            );
        };
        let mut tracks = Tracks::default();
        let words = match (offer.instruction.is_empty(), offer.instruction_id.as_str()) {
            (false, _) => {
                let text = InstructionText::new(&offer.instruction);
                if let Some(fault) = text.fault {
                    return refuse(fault.to_string());
                }
                text.words
            }
            (true, "") => {
                return refuse(
                    "the goal names nothing to follow; accepted: an instruction, or the instruction_id of an earlier result and \
                     an object_index"
                        .to_owned(),
                )
            }
            (true, id) => match self.follow.earlier.find(id, offer.object_index) {
                Ok((words, prompt, motion)) => {
                    // It gets its number with its first frame.
                    tracks.add(0, prompt, Some(motion));
                    words
                }
                Err(why) => return refuse(why),
            },
        };
        let count = self.follow.followers.len();
        if count >= MAX_FOLLOWERS {
            let why = format!("{count} goals are followed already; at most {MAX_FOLLOWERS} are");
            return Err(Refusal::new(ResultStatus::Overloaded, why));
        }
        let mut deadline = None;
        if self.frames.is_empty() {
            let since = now - self.silence.duration(now);
            deadline = frame_deadline(&self.frames, Origin::Newest, &self.settings, since, now);
            if deadline.is_none() {
                let why = self.explain_no_image(now);
                return Err(Refusal::new(ResultStatus::NoImage, why));
            }
        }
        let mut follower = Follower::new(number, offer.id, words, tracks, now);
        follower.period = period;
        follower.duration = Some(duration).filter(|length| !length.is_zero());
        follower.frame_deadline = deadline;
        Ok(follower)
    }
}

/// What else happens to the node, as far as followers are concerned.
impl<H: Host> NodeCore<H> {
    /// A frame has become the newest.
    pub(in crate::node) fn follow_frame(&mut self, now: Instant) {
        for follower in &mut self.follow.followers {
            follower.frame_arrived(now);
        }
    }

    fn instruction_is_asked(&self) -> bool {
        self.asked_of_engine() > 0
    }

    /// Gives the engine a follower's request, if it has none and no instruction waits. Of several goals the one whose turn is
    /// longest ago comes first.
    pub(in crate::node) fn follow_if_due(&mut self, now: Instant) {
        let closed = self.shutdown_refusal.is_some() || !self.takes_frames();
        if closed || self.follow.is_in_flight() || self.instruction_is_asked() {
            return;
        }
        let Some(frame) = self.frames.newest() else {
            return;
        };
        let due = |f: &&Follower| f.due(frame.number).is_some_and(|at| at <= now);
        let followers = self.follow.followers.iter().filter(due);
        let Some(number) = followers.min_by_key(|f| f.turn).map(|f| f.number) else {
            return;
        };
        let (id, turn) = (self.follow.next_number(), self.follow.turns + 1);
        let Some(follower) = self.follow.find(number) else {
            return;
        };
        let ask = follower.next_ask(now);
        follower.asked(ask, frame.number, now);
        follower.turn = turn;
        let seed = id.0;
        let whole = self.settings.answering(None, seed, Subscribers::default());
        let options = match ask {
            Ask::Model => whole,
            Ask::Decoder => AnswerOptions {
                find_again: follower.tracks.prompts(),
                ..whole
            },
        };
        self.outputs.push_back(Output::AskEngine(EngineRequest {
            id,
            frame: Arc::clone(&frame.frame),
            instruction: follower.words.clone(),
            conversation_id: None,
            options,
        }));
        self.health.looked_at(frame.number);
        self.follow.turns = turn;
        self.follow.had_last_turn = true;
        self.follow.flight = Some(Flight {
            id,
            follower: number,
            ask,
            frame,
            scene: SceneState::of(&self.settings.space),
            since: now,
        });
        self.advance_followed(now);
    }

    /// Takes an event of the engine about a follower's request.
    pub(in crate::node) fn follow_event(&mut self, id: QuestionId, event: Event, now: Instant) {
        match event {
            Event::Done(answer) => {
                if let Some(flight) = self.follow.land(id) {
                    self.followed(flight, *answer, now);
                }
            }
            // The frame is passed over, and the goal goes on with the next.
            Event::Failed(RequestError::Overloaded { .. }) => drop(self.follow.land(id)),
            Event::Failed(error) => {
                if let Some(flight) = self.follow.land(id) {
                    let refusal = Refusal::from(&error);
                    let number = flight.follower;
                    self.end_number(number, refusal.status.into(), &refusal.why, now);
                }
            }
            Event::Stage(_) | Event::TextDelta { .. } | Event::Mask(_) => {}
        }
    }

    /// The frame of a follower's request cannot be decoded. A camera may send one such frame among many, so only the first one
    /// ends the goal.
    pub(in crate::node) fn follow_bad_frame(&mut self, id: QuestionId, why: &str, now: Instant) {
        let Some(flight) = self.follow.land(id) else {
            return;
        };
        let begun = self
            .follow
            .find(flight.follower)
            .is_some_and(|f| f.has_looked());
        let refusal = Refusal::bad_frame(why);
        match begun {
            true => self.log(LogLevel::Debug, refusal.why),
            false => {
                let status = refusal.status.into();
                self.end_number(flight.follower, status, &refusal.why, now);
            }
        }
    }

    fn followed(&mut self, flight: Flight<H::Frame>, answer: Answer, now: Instant) {
        let settings = self.settings.follow.clone();
        let mut tracks = self.follow.tracks;
        let Some(follower) = self.follow.find(flight.follower) else {
            return;
        };
        if follower.tracks.is_empty() {
            let (status, what) = match answer.status {
                AnswerStatus::Segmented => (FollowStatus::Segmented, ""),
                AnswerStatus::TextOnly => (FollowStatus::TextOnly, "the model named no object"),
                AnswerStatus::EmptyMask => (FollowStatus::EmptyMask, "every mask was empty"),
            };
            if status != FollowStatus::Segmented {
                let why = format!("{what}: {:?}", answer.text);
                return self.end_number(flight.follower, status, &why, now);
            }
            for object in &answer.objects {
                follower.tracks.add(0, object.prompt.clone(), None);
            }
        }
        follower.tracks.number(&mut tracks);
        let was = follower.state;
        let took = now.saturating_duration_since(flight.since);
        let stamp = flight.frame.stamp;
        let objects = follower.answered(flight.ask, answer, stamp, took, &settings, now);
        let feedback = FollowFeedback {
            goal: follower.goal,
            request: flight.id,
            header: flight.frame.frame.header(),
            arrived: flight.frame.arrived,
            state: follower.state,
            confidence: follower.confidence(&objects),
            objects,
            frames_dropped: follower.dropped,
        };
        let changed = match (was, follower.state) {
            (FollowState::Following, FollowState::Lost) => Some("lost"),
            (FollowState::Lost, FollowState::Following) => Some("found again"),
            _ => None,
        };
        let line =
            changed.map(|what| format!("goal {}: {what}: {:?}", follower.goal, follower.words));
        self.follow.tracks = tracks;
        let landed = Landed {
            id: flight.id,
            follower: flight.follower,
            frame: flight.frame.frame,
            scene: flight.scene,
            feedback,
        };
        self.tell(landed, now);
        if let Some(text) = line {
            self.log(LogLevel::Info, text);
        }
        self.end_over(now);
    }

    /// Ends the goals whose time is over, and those that have waited for a frame long enough.
    pub(in crate::node) fn follow_timeouts(&mut self, now: Instant) {
        self.follow.goals.expire(now);
        self.end_over(now);
        let waiting = self.follow.followers.iter();
        let waiting = waiting.filter(|f| f.frame_deadline.is_some_and(|at| at <= now));
        let waiting: Vec<QuestionId> = waiting.map(|f| f.number).collect();
        for number in waiting {
            if self.frames.is_empty() {
                let why = self.explain_no_image(now);
                self.end_number(number, FollowStatus::NoImage, &why, now);
            } else if let Some(follower) = self.follow.find(number) {
                follower.frame_deadline = None;
            }
        }
    }

    fn end_over(&mut self, now: Instant) {
        let over = self.follow.followers.iter();
        let over = over.filter(|f| f.until.is_some_and(|at| at <= now));
        let over: Vec<(QuestionId, FollowState)> = over.map(|f| (f.number, f.state)).collect();
        for (number, state) in over {
            match state {
                FollowState::Following => {
                    self.end_number(number, FollowStatus::Segmented, "", now);
                }
                FollowState::Lost => {
                    let why = "it went out of sight and was not found again";
                    self.end_number(number, FollowStatus::Lost, why, now);
                }
            }
        }
    }

    /// When [`follow_timeouts`](Self::follow_timeouts) or [`follow_if_due`](Self::follow_if_due) has something to do although
    /// nothing arrives.
    pub(in crate::node) fn follow_timeout(&self, now: Instant) -> Option<Instant> {
        let followers = self.follow.followers.iter();
        let ends = followers.clone().filter_map(|f| f.until);
        let frames = followers.clone().filter_map(|f| f.frame_deadline);
        let busy = self.follow.is_in_flight() || self.instruction_is_asked();
        let busy = busy || !self.takes_frames();
        let newest = self.frames.newest().filter(|_| !busy);
        let looks = newest.into_iter().flat_map(|frame| {
            let due = followers.clone().map(move |f| f.due(frame.number));
            due.flatten().map(|at| at.max(now))
        });
        let expiry = self.follow.goals.next_expiry();
        let places = self.follow.places.deadline(&self.settings);
        let expiry = expiry.into_iter().chain(places);
        ends.chain(frames).chain(looks).chain(expiry).min()
    }

    /// Ends all goals, for this reason.
    pub(in crate::node) fn end_followers(&mut self, refusal: &Refusal, now: Instant) {
        let all: Vec<QuestionId> = self.follow.followers.iter().map(|f| f.number).collect();
        for number in all {
            self.end_number(number, refusal.status.into(), &refusal.why, now);
        }
    }

    fn end_number(&mut self, number: QuestionId, status: FollowStatus, why: &str, now: Instant) {
        let followers = &mut self.follow.followers;
        if let Some(at) = followers.iter().position(|f| f.number == number) {
            let follower = followers.remove(at);
            self.end_follower(follower, status, why.to_owned(), now);
        }
    }

    fn end_follower(
        &mut self,
        follower: Follower,
        status: FollowStatus,
        error: String,
        now: Instant,
    ) {
        let flight = self.follow.flight.as_ref();
        if let Some(id) = flight
            .filter(|f| f.follower == follower.number)
            .map(|f| f.id)
        {
            self.follow.flight = None;
            self.outputs.push_back(Output::CancelEngine(id));
        }
        self.tell_as_it_is(follower.number);
        let goal = follower.goal;
        let canceling = self.follow.goals.state(goal) == Some(GoalState::Canceling);
        let (state, level) = match status {
            FollowStatus::Segmented => (GoalState::Succeeded, LogLevel::Info),
            FollowStatus::Cancelled if canceling => (GoalState::Canceled, LogLevel::Info),
            FollowStatus::Cancelled | FollowStatus::Lost => (GoalState::Aborted, LogLevel::Info),
            _ => (GoalState::Aborted, LogLevel::Warn),
        };
        let result = Arc::new(follower.result(status, error));
        let text = format!(
            "goal {goal} {} after {} frames, {} passed over: {}",
            status.name(),
            result.frames,
            result.frames_dropped,
            if result.error.is_empty() {
                &follower.words
            } else {
                &result.error
            }
        );
        let finished = self
            .follow
            .goals
            .finish(goal, state, Arc::clone(&result), now);
        for request in finished {
            self.outputs.push_back(Output::AnswerFollowResult {
                request,
                result: Some((state, Arc::clone(&result))),
            });
        }
        self.publish_follow_states();
        self.log(level, text);
    }

    fn publish_follow_states(&mut self) {
        let states = self.follow.goals.states().collect();
        self.outputs.push_back(Output::PublishFollowStates(states));
    }
}
