//! Following the objects of a recording's instructions from frame to frame, and how well that agrees with the truth: beside it
//! every frame is asked about anew, so that both can be compared.
//!
//! The node's own state machine decides ([`crate::node`]), in the bag's time. To it an answer takes no time, so that no frame is
//! passed over and the masks do not depend on the computer; how long the answers really took is measured beside that.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::GrayImage;
use rosbag2::{Bag, RawMessage, Selection};
use serde::Serialize;

use super::ground_truth::{GroundTruth, Truth};
use super::images::ImageTopic;
use super::instructions::read_instruction;
use super::judged_places::{places, AnswerPlaces, JudgedPlaces, PlacesTally};
use super::recorded::RecordedPlace;
use super::space::SpaceTopics;
use super::timeline::{RecordedFrame, ReplayClock};
use super::true_boxes::TrueBoxes;
use super::ReplayError;
use crate::data::TruthMask;
use crate::engine::{Answer, AnswerOptions, Engine, Event, Frame, Request, RequestError};
use crate::eval::metres::Places;
use crate::eval::Overlap;
use crate::frames::Stamp;
use crate::image::union_masks;
use crate::node::{
    private_name, services, CameraTopic, EngineRequest, FollowFeedback, FollowOffer, FollowResult,
    FollowState, FollowStatus, FoundObject, GoalId, Host, LocatePicture, LocateRequest, NodeCore,
    Output, QuestionId, Settings,
};
use crate::spatial::{Locator, NotLocated};

/// A mask that has at least this IoU with the truth lies on the object; a switch is counted where the next one has less than
/// [`BESIDE`], although the object is there.
const ON: f64 = 0.5;
const BESIDE: f64 = 0.1;

/// What is followed, and how.
pub struct FollowOptions<'b> {
    /// The camera.
    pub images: ImageTopic,
    /// The topics of the instructions; each is followed from the moment at which it was recorded.
    pub instructions: Vec<String>,
    /// For how long each is followed.
    pub duration: Duration,
    /// Frames a second; 0 for all of the recording's.
    pub rate_hz: f32,
    /// The node's parameters.
    pub settings: Settings,
    /// Where depth images, calibrations and transforms come from, if objects are to get places.
    pub space: Option<SpaceTopics>,
    /// The true masks, one a frame.
    pub truth: GroundTruth<'b>,
    /// The true boxes in space, for each frame.
    pub true_boxes: Option<TrueBoxes<'b>>,
}

/// A frame in which something was followed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FollowedFrame {
    /// The id of the instruction.
    pub id: String,
    /// Which frame of its goal, from 0.
    pub frame: usize,
    /// The frame's stamp, nanoseconds.
    pub stamp: i64,
    /// Whether the object was lost.
    pub lost: bool,
    /// Whether the language model was asked about this frame.
    pub asked: bool,
    /// The goal's confidence, 0 to 1.
    pub confidence: f32,
    /// The least of the objects' scores; `null` if none was found.
    pub score: Option<f32>,
    /// IoU of the mask with the truth, 0 to 1; `null` if there is no truth for this frame.
    pub iou: Option<f64>,
    /// The same for an answer to the instruction about this frame alone.
    pub iou_anew: Option<f64>,
    /// How many of the objects have a place in space.
    pub placed: usize,
    /// How far the centre of the box in space is from the true one's, millimetres, of several objects the largest; left out where
    /// that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centre_mm: Option<f64>,
    /// How long the engine took, milliseconds.
    pub ms: f64,
    /// How long an answer about this frame alone took, milliseconds.
    pub ms_anew: f64,
}

/// A goal, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FollowedGoal {
    /// The id of the instruction.
    pub id: String,
    /// Its words.
    pub instruction: String,
    /// As in the action's result, in lower case.
    pub status: &'static str,
    /// Why it was not followed to the end; empty if it was.
    pub error: String,
    /// Frames in which it was looked for.
    pub frames: u32,
    /// How often it went out of sight.
    pub times_lost: u32,
    /// How often the language model was asked.
    pub times_asked: u32,
}

/// The scores of one of the two ways.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Way {
    /// Mean IoU over all frames with truth, 0 to 1.
    pub giou: f64,
    /// Frames a second: the inverse of the mean time of a frame in the engine.
    pub frames_per_second: f64,
    /// How often a mask lay on the object and that of the next frame beside it, or there was none.
    pub identity_switches: usize,
}

/// Following beside asking anew about each frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FollowReport {
    /// Following.
    pub follow: Way,
    /// Asking the instruction anew about each frame.
    pub anew: Way,
    /// Mean IoU of both ways by the number of the frame in its goal, from 0.
    pub by_frame: Vec<[f64; 2]>,
    /// Where the objects of all frames are in space, and how far off that is; left out where nobody looked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<Places>,
    /// The goals.
    pub goals: Vec<FollowedGoal>,
    /// The frames.
    pub frames: Vec<FollowedFrame>,
}

/// Follows what a recording's instructions ask for. `on_frame` is called for every frame.
///
/// # Errors
/// The bag or the truth cannot be read.
pub fn follow(
    bag: &Bag,
    engine: &Engine,
    options: FollowOptions<'_>,
    on_frame: &mut dyn FnMut(&FollowedFrame),
) -> Result<FollowReport, ReplayError> {
    let mut selected = vec![options.images.name.clone()];
    selected.extend_from_slice(&options.instructions);
    let space = options.space.iter().flat_map(SpaceTopics::names);
    selected.extend(space.map(str::to_owned));
    let messages = bag.messages(&Selection::all().topics(selected))?;
    let mut run = FollowRun::new(bag, engine, options, on_frame);
    for message in messages {
        run.take(message?)?;
    }
    run.pass_to_the_end()?;
    Ok(run.report())
}

/// A recording as the host of the state machine, whose clients are its instructions.
struct Followed;

impl Host for Followed {
    type Frame = RecordedFrame;
    type GoalRequest = ();
    type CancelRequest = ();
    type ResultRequest = ();
    type FollowRequest = ();
    type FollowResultRequest = usize;
}

/// What the engine was asked about.
struct Looked {
    frame: Frame,
    log_time: u64,
    asked: bool,
    took: Duration,
}

/// An instruction that is followed.
struct Asked {
    id: String,
    words: String,
    frames: usize,
    result: Option<Arc<FollowResult>>,
}

struct FollowRun<'r, 'b> {
    bag: &'r Bag,
    engine: &'r Engine,
    options: FollowOptions<'b>,
    on_frame: &'r mut dyn FnMut(&FollowedFrame),
    core: NodeCore<Followed>,
    clock: ReplayClock,
    asked: Vec<Asked>,
    /// By the request, until its feedback is told.
    looked: HashMap<QuestionId, Looked>,
    locator: Locator,
    places: JudgedPlaces<'b>,
    placed: PlacesTally,
    frames: Vec<FollowedFrame>,
    /// Instructions that were recorded twice have the same id, and are followed once.
    known: HashSet<(String, u64)>,
}

impl<'r, 'b> FollowRun<'r, 'b> {
    fn new(
        bag: &'r Bag,
        engine: &'r Engine,
        mut options: FollowOptions<'b>,
        on_frame: &'r mut dyn FnMut(&FollowedFrame),
    ) -> Self {
        let places = JudgedPlaces::new(options.true_boxes.take());
        let camera = CameraTopic {
            topic: options.images.name.clone(),
            compressed: options.images.compressed,
            reliable: false,
            publishers: None,
        };
        let clock = ReplayClock::new(bag);
        let settings = Arc::new(options.settings.clone());
        let enable = private_name(services::ENABLE);
        Self {
            core: NodeCore::new(settings, camera, enable, clock.now),
            clock,
            bag,
            engine,
            options,
            on_frame,
            asked: Vec::new(),
            looked: HashMap::new(),
            locator: Locator::default(),
            places,
            placed: PlacesTally::default(),
            frames: Vec::new(),
            known: HashSet::new(),
        }
    }

    fn take(&mut self, message: RawMessage) -> Result<(), ReplayError> {
        self.pass(self.clock.at(message.log_time))?;
        if let Some(space) = &self.options.space {
            let now = self.clock.now;
            if space.hand_over(self.bag, &message, &mut self.core, now)? {
                return self.drain();
            }
        }
        let topic = self.bag.topics().get(message.topic);
        let is_image = topic.is_some_and(|topic| topic.name == self.options.images.name);
        if is_image {
            let frame = RecordedFrame::new(self.bag, message)?;
            self.core.handle_frame(frame, self.clock.now);
            return self.drain();
        }
        let log_time = message.log_time;
        let instruction = read_instruction(self.bag, &message);
        if !self.known.insert((instruction.id.clone(), log_time)) {
            return Ok(());
        }
        let number = self.asked.len();
        let mut goal = [0; 16];
        goal[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        let offer = FollowOffer {
            id: GoalId::from_slice(&goal),
            instruction: instruction.text.words.clone().into_bytes(),
            instruction_id: String::new(),
            object_index: 0,
            rate_hz: self.options.rate_hz,
            duration: Some(self.options.duration),
        };
        self.asked.push(Asked {
            id: match instruction.id.is_empty() {
                true => (number + 1).to_string(),
                false => instruction.id,
            },
            words: instruction.text.words,
            frames: 0,
            result: None,
        });
        let (id, stamp) = (offer.id, Stamp(log_time as i64));
        self.core
            .handle_follow_goal(offer, (), stamp, self.clock.now);
        self.core.handle_follow_result_request(id, number);
        self.drain()
    }

    /// Lets time pass. Timeouts are handled at the instants at which they are due.
    fn pass(&mut self, until: Instant) -> Result<(), ReplayError> {
        while let Some((at, _)) = self
            .core
            .poll_timeout(self.clock.now)
            .filter(|(at, _)| *at <= until)
        {
            self.clock.now = self.clock.now.max(at);
            self.core.handle_timeout(self.clock.now);
            self.drain()?;
        }
        self.clock.now = until;
        Ok(())
    }

    /// The recording is over: goals that still have time end as they are.
    fn pass_to_the_end(&mut self) -> Result<(), ReplayError> {
        let end = self.clock.now.checked_add(self.options.duration);
        self.pass(end.unwrap_or(self.clock.now))?;
        self.core.close(self.clock.now);
        self.drain()
    }

    fn drain(&mut self) -> Result<(), ReplayError> {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::AskEngine(request) => self.ask(request),
                Output::FollowFeedback(seen) => self.seen(&seen)?,
                Output::Locate(request) => self.locate(request),
                Output::AnswerFollowResult {
                    request,
                    result: Some((_, result)),
                } => {
                    if let Some(asked) = self.asked.get_mut(request) {
                        asked.result = Some(result);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn ask(&mut self, request: EngineRequest<RecordedFrame>) {
        let (id, asked) = (request.id, request.options.find_again.is_empty());
        let frame = match request.frame.frame(self.bag) {
            Ok(frame) => frame,
            Err(why) => return self.core.handle_bad_frame(id, &why, self.clock.now),
        };
        let log_time = request.frame.log_time();
        let (answer, took) = self.timed(request.with_frame(frame.clone()));
        self.looked.insert(
            id,
            Looked {
                frame,
                log_time,
                asked,
                took,
            },
        );
        let event = match answer {
            Ok(answer) => Event::Done(Box::new(answer)),
            Err(error) => Event::Failed(error),
        };
        self.core.handle_engine_event(id, event, self.clock.now);
    }

    fn locate(&mut self, request: LocateRequest<RecordedFrame>) {
        let frame = match &request.picture {
            LocatePicture::Message(message) => message.frame(self.bag),
            LocatePicture::Decoded(frame) => Ok(frame.clone()),
        };
        let place = match frame {
            Ok(frame) => {
                let size = (frame.width(), frame.height());
                request
                    .scene
                    .locate(&mut self.locator, size, &request.object)
            }
            // The engine has answered about this frame, so it was decoded then.
            Err(why) => Err(Arc::new(NotLocated::UnreadableDepth { why })),
        };
        self.core
            .handle_place(request.id, request.index, place, self.clock.now);
    }

    fn timed(&self, request: Request) -> (Result<Answer, RequestError>, Duration) {
        let began = Instant::now();
        let answer = self.engine.submit(request).and_then(|ticket| ticket.wait());
        (answer, began.elapsed())
    }

    /// Scores a frame, and the answer to the same instruction about it alone.
    fn seen(&mut self, seen: &FollowFeedback) -> Result<(), ReplayError> {
        let number = seen.goal.0.first_chunk::<8>().copied().unwrap_or_default();
        let at = (u64::from_le_bytes(number) as usize).saturating_sub(1);
        let looked = self.looked.remove(&seen.request);
        let (Some(looked), Some(asked)) = (looked, self.asked.get_mut(at)) else {
            return Ok(());
        };
        let nth = asked.frames;
        asked.frames += 1;
        let (id, instruction) = (asked.id.clone(), asked.words.clone());
        let size = (looked.frame.width(), looked.frame.height());
        // A frame of its own, so that it does not find in the engine's caches what was computed for the follower.
        let anew = Request {
            instruction,
            frame: Frame::new(looked.frame.pixels().clone()),
            conversation_id: None,
            options: AnswerOptions {
                seed: at as u64,
                ..self.options.settings.answer.clone()
            },
        };
        let (answer, took_anew) = self.timed(anew);
        let mask_anew = answer.ok().and_then(|a| a.union_mask(size.0, size.1));
        let objects = seen.objects.iter().map(|s| (s.object.roi, &*s.object.mask));
        let mask = union_masks(size.0, size.1, objects);
        let stamp = seen.header.stamp.nanoseconds();
        let truth = self.options.truth.about(Stamp(stamp), 0)?;
        let iou = |mask: Option<&GrayImage>| -> Result<Option<f64>, ReplayError> {
            let truth = truth.as_ref().map(|truth| in_frame(truth, size));
            let overlap = truth.map(|truth| Overlap::of(&id, mask, &truth));
            Ok(overlap.transpose()?.map(Overlap::iou))
        };
        let iou_of_mask = iou(Some(&mask))?;
        let objects = seen.objects.iter().map(|sighting| FoundObject {
            mask: Arc::clone(&sighting.object),
            place: sighting.place.clone(),
        });
        let found = places(&objects.collect::<Vec<_>>());
        let is_placed =
            |place: &&Option<RecordedPlace>| matches!(place, Some(RecordedPlace::Located { .. }));
        let placed = self.places.judge(&AnswerPlaces {
            places: &found,
            scene: None,
            log_time: looked.log_time,
            stamp: Stamp(stamp),
            nth: 0,
            truth: truth.as_ref(),
            iou: iou_of_mask,
        })?;
        self.placed.add(&placed);
        let centre_mm = placed.centre_mm;
        let scores = seen.objects.iter().map(|s| s.object.score);
        let row = FollowedFrame {
            frame: nth,
            stamp,
            lost: seen.state == FollowState::Lost,
            asked: looked.asked,
            confidence: seen.confidence,
            score: scores.min_by(f32::total_cmp),
            iou: iou_of_mask,
            iou_anew: iou(mask_anew.as_ref())?,
            placed: found.iter().filter(is_placed).count(),
            centre_mm,
            ms: looked.took.as_secs_f64() * 1e3,
            ms_anew: took_anew.as_secs_f64() * 1e3,
            id: id.clone(),
        };
        (self.on_frame)(&row);
        self.frames.push(row);
        Ok(())
    }

    fn report(self) -> FollowReport {
        let goals = self.asked.into_iter().map(|asked| {
            let result = asked.result.as_deref();
            let count = |of: fn(&FollowResult) -> u32| result.map_or(0, of);
            FollowedGoal {
                status: result.map_or(FollowStatus::Error, |r| r.status).name(),
                error: result.map_or_else(String::new, |r| r.error.clone()),
                frames: count(|r| r.frames),
                times_lost: count(|r| r.times_lost),
                times_asked: count(|r| r.times_asked),
                id: asked.id,
                instruction: asked.words,
            }
        });
        let frames = self.frames;
        FollowReport {
            follow: way(&frames, |f| f.iou, |f| f.ms),
            anew: way(&frames, |f| f.iou_anew, |f| f.ms_anew),
            by_frame: by_frame(&frames),
            places: self.placed.finish(),
            goals: goals.collect(),
            frames,
        }
    }
}

/// The truth as a mask: one without a pixel where the object is not in the frame.
fn in_frame(truth: &Truth, (width, height): (u32, u32)) -> TruthMask {
    match truth {
        Truth::There(mask) => mask.clone(),
        Truth::Absent => TruthMask {
            width,
            height,
            pixels: vec![0; width as usize * height as usize],
        },
    }
}

fn way(
    frames: &[FollowedFrame],
    iou: impl Fn(&FollowedFrame) -> Option<f64>,
    ms: impl Fn(&FollowedFrame) -> f64,
) -> Way {
    let ious: Vec<f64> = frames.iter().filter_map(&iou).collect();
    let seconds = frames.iter().map(ms).sum::<f64>() / 1e3;
    let switched = |pair: &&[FollowedFrame]| {
        let [before, after] = [iou(&pair[0]), iou(&pair[1])];
        pair[0].id == pair[1].id
            && before.is_some_and(|iou| iou >= ON)
            && after.is_some_and(|iou| iou < BESIDE)
    };
    Way {
        giou: mean(&ious),
        frames_per_second: match seconds > 0.0 {
            true => frames.len() as f64 / seconds,
            false => 0.0,
        },
        identity_switches: frames.windows(2).filter(switched).count(),
    }
}

fn by_frame(frames: &[FollowedFrame]) -> Vec<[f64; 2]> {
    let mut numbers: BTreeMap<usize, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for frame in frames {
        let (follow, anew) = numbers.entry(frame.frame).or_default();
        follow.extend(frame.iou);
        anew.extend(frame.iou_anew);
    }
    let means = numbers.into_values();
    means.map(|(a, b)| [mean(&a), mean(&b)]).collect()
}

fn mean(values: &[f64]) -> f64 {
    match values.len() {
        0 => 0.0,
        count => values.iter().sum::<f64>() / count as f64,
    }
}

impl std::fmt::Display for FollowReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let followed = self.goals.iter().filter(|goal| goal.frames > 0).count();
        let sum = |of: fn(&FollowedGoal) -> u32| self.goals.iter().map(of).sum::<u32>();
        writeln!(
            f,
            "{} instructions, {followed} followed through {} frames; lost {} times, the model asked {} times",
            self.goals.len(),
            self.frames.len(),
            sum(|goal| goal.times_lost),
            sum(|goal| goal.times_asked)
        )?;
        writeln!(f, "               gIoU  frames/s  identity switches")?;
        for (name, way) in [("following", &self.follow), ("asking anew", &self.anew)] {
            let Way {
                giou,
                frames_per_second,
                identity_switches,
            } = way;
            writeln!(
                f,
                "{name:<12} {giou:>6.3} {frames_per_second:>9.2} {identity_switches:>18}"
            )?;
        }
        if let Some(places) = &self.places {
            write!(f, "{places}")?;
        }
        writeln!(f, "by the number of the frame, from the first:")?;
        writeln!(f, "frame        following  asking anew")?;
        let every = self.by_frame.len().div_ceil(10).max(1);
        for (number, [follow, anew]) in self.by_frame.iter().enumerate().step_by(every) {
            writeln!(f, "{number:<12} {follow:>9.3} {anew:>12.3}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: &str, frame: usize, iou: Option<f64>, iou_anew: Option<f64>) -> FollowedFrame {
        FollowedFrame {
            id: id.to_owned(),
            frame,
            stamp: 0,
            lost: false,
            asked: false,
            confidence: 1.0,
            score: None,
            iou,
            iou_anew,
            placed: 0,
            centre_mm: None,
            ms: 100.0,
            ms_anew: 400.0,
        }
    }

    #[test]
    fn a_switch_is_a_mask_that_leaves_its_object_from_one_frame_to_the_next() {
        let frames = [
            frame("a", 0, Some(0.9), Some(0.5)),
            frame("a", 1, Some(0.05), Some(0.09)),
            frame("a", 2, Some(0.0), None),
            frame("a", 3, Some(0.7), Some(0.9)),
            // Another object's frame, and one without truth, are no switches.
            frame("b", 0, Some(0.0), Some(0.0)),
            frame("b", 1, Some(0.8), Some(0.2)),
            frame("b", 2, None, Some(0.0)),
        ];
        let (follow, anew) = (
            way(&frames, |f| f.iou, |f| f.ms),
            way(&frames, |f| f.iou_anew, |f| f.ms_anew),
        );
        assert_eq!((follow.identity_switches, anew.identity_switches), (1, 1));
        assert!((follow.frames_per_second - 10.0).abs() < 1e-9);
        assert!((anew.frames_per_second - 2.5).abs() < 1e-9);
        assert!((follow.giou - 2.45 / 6.0).abs() < 1e-9);
        let by = by_frame(&frames);
        assert_eq!(by.len(), 4);
        assert_eq!(by[0], [0.45, 0.25]);
        assert_eq!(by[3], [0.7, 0.9]);
        assert_eq!(way(&[], |f| f.iou, |f| f.ms), Way::default());
    }
}
