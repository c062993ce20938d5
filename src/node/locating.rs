//! A question's objects on their way out: each waits until its place is known, or known to be missing, and leaves in its turn.

use std::sync::Arc;
use std::time::Instant;

use depth_camera::CameraInfo;
use rosbag2::Header;

use super::core::NodeCore;
use super::ids::QuestionId;
use super::output::{CameraFrame, Host, LocatePicture, LocateRequest, LogLevel, Output};
use super::space::{FoundObject, Place, Scene, SceneState, Space, SpaceSettings, StampedTransform};
use crate::engine::{Answer, ObjectMask, Stage};
use crate::spatial::{Camera, DepthFrame};

/// An object of an answer that is not complete yet.
#[derive(Debug)]
struct OpenObject {
    mask: Arc<ObjectMask>,
    place: OpenPlace,
    /// Whether it leaves before the answer is complete; the engine may keep an object to itself until then.
    is_announced: bool,
}

/// How far the search for a place is.
#[derive(Debug)]
enum OpenPlace {
    Unasked,
    Asked,
    Known(Option<Place>),
}

impl OpenObject {
    fn new(mask: ObjectMask, is_announced: bool) -> Self {
        Self {
            mask: Arc::new(mask),
            place: OpenPlace::Unasked,
            is_announced,
        }
    }

    fn found(&self) -> Option<FoundObject> {
        match &self.place {
            OpenPlace::Known(place) => Some(FoundObject {
                mask: Arc::clone(&self.mask),
                place: place.clone(),
            }),
            OpenPlace::Unasked | OpenPlace::Asked => None,
        }
    }
}

/// An answer on its way: its objects, in their order, and what is known about space at the time of its picture.
#[derive(Debug)]
pub(super) struct OpenAnswer {
    scene: SceneState,
    objects: Vec<OpenObject>,
    /// How many of them are out.
    published: usize,
    /// The answer, once that is complete.
    answer: Option<Arc<Answer>>,
}

/// What is to be done now about an answer on its way, in this order.
#[derive(Debug, Default)]
pub(super) struct Advance {
    /// The objects to be measured, with their numbers.
    pub locate: Vec<(usize, Arc<ObjectMask>, Arc<Scene>)>,
    /// The objects that leave.
    pub found: Vec<FoundObject>,
    /// The complete answer, once all of its objects are out.
    pub answered: Option<(Arc<Answer>, Arc<[FoundObject]>)>,
}

impl OpenAnswer {
    pub fn new(scene: SceneState) -> Self {
        Self {
            scene,
            objects: Vec::new(),
            published: 0,
            answer: None,
        }
    }

    /// Takes an object whose mask was decoded.
    pub fn add(&mut self, object: ObjectMask) {
        self.objects.push(OpenObject::new(object, true));
    }

    /// Takes the complete answer, which leaves when the places of its objects are known.
    pub fn complete(&mut self, answer: Answer) {
        let rest = answer.objects.iter().skip(self.objects.len());
        let rest: Vec<OpenObject> = rest.map(|o| OpenObject::new(o.clone(), false)).collect();
        self.objects.extend(rest);
        self.answer = Some(Arc::new(answer));
    }

    /// The answer, once that is complete.
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.as_deref()
    }

    /// What its objects are measured with, once everything is there.
    pub fn scene(&self) -> Option<&Arc<Scene>> {
        match &self.scene {
            SceneState::Ready(scene) => Some(scene),
            _ => None,
        }
    }

    /// Whether something about space is still missing that may come.
    pub fn waits_for_space(&self) -> bool {
        matches!(self.scene, SceneState::Waiting { .. })
    }

    /// When that waiting ends.
    pub fn deadline(&self, settings: &SpaceSettings) -> Option<Instant> {
        self.scene.deadline(settings)
    }

    /// Takes where an object is.
    pub fn set_place(&mut self, index: usize, place: Place) {
        if let Some(object) = self.objects.get_mut(index) {
            object.place = OpenPlace::Known(Some(place));
        }
    }

    /// Finds out what can be done now about the picture of this header: which objects can be measured, which leave because their
    /// places are known, and whether the answer is complete and all of them are out.
    pub fn advance(
        &mut self,
        space: &Space,
        header: &Header,
        settings: &SpaceSettings,
        now: Instant,
    ) -> Advance {
        let mut due = Advance::default();
        if !self.objects.is_empty() {
            self.scene.need(now);
        }
        space.resolve(&mut self.scene, header, settings, now);
        for (index, object) in self.objects.iter_mut().enumerate() {
            if !matches!(object.place, OpenPlace::Unasked) {
                continue;
            }
            object.place = match &self.scene {
                SceneState::Waiting { .. } => break,
                SceneState::Off => OpenPlace::Known(None),
                SceneState::Missing(why) => OpenPlace::Known(Some(Err(Arc::clone(why)))),
                SceneState::Ready(scene) => {
                    let mask = Arc::clone(&object.mask);
                    due.locate.push((index, mask, Arc::clone(scene)));
                    OpenPlace::Asked
                }
            };
        }
        while let Some(object) = self.objects.get(self.published) {
            let Some(found) = object.found() else {
                return due;
            };
            self.published += 1;
            if object.is_announced {
                due.found.push(found);
            }
        }
        due.answered = self.answer.clone().map(|answer| {
            let objects = self.objects.iter().filter_map(OpenObject::found).collect();
            (answer, objects)
        });
        due
    }
}

/// Inputs about space.
impl<H: Host> NodeCore<H> {
    /// Takes a depth image.
    pub fn handle_depth(&mut self, depth: DepthFrame, now: Instant) {
        if self.takes_frames() {
            self.space.push_depth(depth, &self.settings.space, now);
            self.advance_waiting(now);
        }
    }

    /// Takes the calibration of a camera.
    pub fn handle_camera_info(&mut self, camera: Camera, info: CameraInfo, now: Instant) {
        self.space.set_camera_info(camera, info);
        self.advance_waiting(now);
    }

    /// Takes transforms.
    pub fn handle_transforms(&mut self, transforms: &[StampedTransform], now: Instant) {
        for transform in transforms {
            if let Some(text) = self.space.push_transform(transform) {
                self.log(LogLevel::Warn, text);
            }
        }
        self.advance_waiting(now);
    }

    /// Takes where an object is, for which [`Output::Locate`] asked; `index` is that of the request.
    pub fn handle_place(&mut self, id: QuestionId, index: usize, place: Place, now: Instant) {
        if id.is_follower() {
            return self.follow_place(id, index, place, now);
        }
        if id.is_page() {
            return self.page_place(id, index, place, now);
        }
        if let Some(asked) = self.submitted.get_mut(&id) {
            asked.open.set_place(index, place);
        }
        self.advance(id, now);
        self.use_idle_engine(now);
    }

    /// How many depth images have arrived.
    pub fn depth_received(&self) -> u64 {
        self.space.depth_received()
    }
}

impl<H: Host> NodeCore<H> {
    /// Goes on with the questions, and the frames of followers, that wait for something about space.
    pub(super) fn advance_waiting(&mut self, now: Instant) {
        let waiting = self.submitted.iter();
        let waiting = waiting.filter(|(_, asked)| asked.open.waits_for_space());
        let waiting: Vec<QuestionId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.advance(id, now);
        }
        self.advance_pages(now);
        self.advance_followed(now);
    }

    /// Does for a question whatever can be done now: asks for the places of its objects, publishes those whose places are known,
    /// in their order, and ends it when its answer is complete and all of them are out.
    pub(super) fn advance(&mut self, id: QuestionId, now: Instant) {
        let Some(asked) = self.submitted.get_mut(&id) else {
            return;
        };
        let header = asked.chosen.frame.header();
        let settings = &self.settings.space;
        let due = asked.open.advance(&self.space, &header, settings, now);
        for (index, object, scene) in due.locate {
            self.outputs.push_back(Output::Locate(LocateRequest {
                id,
                index,
                picture: LocatePicture::Message(Arc::clone(&asked.chosen.frame)),
                object,
                scene,
            }));
        }
        for found in due.found {
            self.outputs.push_back(Output::PublishObject {
                question: Arc::clone(&asked.question),
                header: header.clone(),
                object: found.clone(),
            });
            if let Some(goal) = asked.question.goal() {
                self.outputs.push_back(Output::GoalFeedback {
                    goal,
                    header: header.clone(),
                    stage: Stage::Postprocess,
                    text: String::new(),
                    tokens: asked.tokens,
                    object: Some(found),
                });
            }
        }
        let Some((answer, objects)) = due.answered else {
            return;
        };
        if let Some(asked) = self.submitted.remove(&id) {
            self.answered(asked, answer, objects, now);
        }
    }

    /// Takes a complete answer, which is published when the places of its objects are known.
    pub(super) fn complete(&mut self, id: QuestionId, answer: Answer, now: Instant) {
        if let Some(asked) = self.submitted.get_mut(&id) {
            asked.open.complete(answer);
        }
        self.advance(id, now);
    }
}
