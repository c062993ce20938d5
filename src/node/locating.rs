//! A question's objects on their way out: each waits until its place is known, or known to be missing, and leaves in its turn.

use std::sync::Arc;
use std::time::Instant;

use depth_camera::CameraInfo;

use super::core::{NodeCore, Submitted};
use super::ids::QuestionId;
use super::output::{CameraFrame, Host, LocateRequest, LogLevel, Output};
use super::space::{FoundObject, Place, SceneState, StampedTransform};
use crate::engine::{Answer, ObjectMask, Stage};
use crate::spatial::{Camera, DepthFrame};

/// An object of an answer that is not complete yet.
#[derive(Debug)]
pub(super) struct OpenObject {
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
    pub fn new(mask: ObjectMask, is_announced: bool) -> Self {
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
        if let Some(asked) = self.submitted.get_mut(&id) {
            if let Some(object) = asked.objects.get_mut(index) {
                object.place = OpenPlace::Known(Some(place));
            }
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
        let waiting =
            |asked: &Submitted<H::Frame>| matches!(asked.scene, SceneState::Waiting { .. });
        let waiting = self.submitted.iter().filter(|(_, asked)| waiting(asked));
        let waiting: Vec<QuestionId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.advance(id, now);
        }
        self.advance_followed(now);
    }

    /// Does for a question whatever can be done now: asks for the places of its objects, publishes those whose places are known,
    /// in their order, and ends it when its answer is complete and all of them are out.
    pub(super) fn advance(&mut self, id: QuestionId, now: Instant) {
        let Some(asked) = self.submitted.get_mut(&id) else {
            return;
        };
        let settings = &self.settings.space;
        if !asked.objects.is_empty() {
            asked.scene.need(now);
        }
        let header = asked.chosen.frame.header();
        self.space.resolve(&mut asked.scene, &header, settings, now);
        for (index, object) in asked.objects.iter_mut().enumerate() {
            if !matches!(object.place, OpenPlace::Unasked) {
                continue;
            }
            object.place = match &asked.scene {
                SceneState::Waiting { .. } => break,
                SceneState::Off => OpenPlace::Known(None),
                SceneState::Missing(why) => OpenPlace::Known(Some(Err(Arc::clone(why)))),
                SceneState::Ready(scene) => {
                    self.outputs.push_back(Output::Locate(LocateRequest {
                        id,
                        index,
                        frame: Arc::clone(&asked.chosen.frame),
                        object: Arc::clone(&object.mask),
                        scene: Arc::clone(scene),
                    }));
                    OpenPlace::Asked
                }
            };
        }
        while let Some(object) = asked.objects.get(asked.published) {
            let Some(found) = object.found() else {
                return;
            };
            asked.published += 1;
            if !object.is_announced {
                continue;
            }
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
        let Some(answer) = asked.answer.clone() else {
            return;
        };
        if let Some(asked) = self.submitted.remove(&id) {
            let objects = asked.objects.iter().filter_map(OpenObject::found).collect();
            self.answered(asked, answer, objects, now);
        }
    }

    /// Takes a complete answer, which is published when the places of its objects are known.
    pub(super) fn complete(&mut self, id: QuestionId, answer: Answer, now: Instant) {
        if let Some(asked) = self.submitted.get_mut(&id) {
            let rest = answer.objects.iter().skip(asked.objects.len());
            let rest: Vec<OpenObject> = rest.map(|o| OpenObject::new(o.clone(), false)).collect();
            asked.objects.extend(rest);
            asked.answer = Some(Arc::new(answer));
        }
        self.advance(id, now);
    }
}
