//! Where the objects of a followed frame are. Its feedback waits for that until the next frame of its goal is answered and no
//! longer: then it leaves with the places that are known, because the newer frame is worth more than the older one's places.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::super::core::NodeCore;
use super::super::ids::QuestionId;
use super::super::output::{CameraFrame, Host, LocatePicture, LocateRequest, Output};
use super::super::settings::Settings;
use super::super::space::{Place, SceneState};
use super::report::FollowFeedback;

/// A frame that the engine has answered about, whose feedback waits for places.
pub struct Landed<F> {
    /// The engine's request about it.
    pub id: QuestionId,
    pub follower: QuestionId,
    pub frame: Arc<F>,
    pub scene: SceneState,
    pub feedback: FollowFeedback,
}

/// The frames that wait, at most one of each goal, and what is being measured.
pub struct Places<F> {
    landed: Vec<Landed<F>>,
    /// Of each request whose objects are being measured: its goal, and how many places are still to be reported. No other frame of
    /// that goal is measured meanwhile, so that measuring that is slower than the camera does not lag behind more and more.
    measuring: BTreeMap<QuestionId, (QuestionId, usize)>,
}

impl<F> Default for Places<F> {
    fn default() -> Self {
        Self {
            landed: Vec::new(),
            measuring: BTreeMap::new(),
        }
    }
}

impl<F> Places<F> {
    /// When a frame has waited long enough for what it takes to locate its objects, if there is one.
    pub fn deadline(&self, settings: &Settings) -> Option<Instant> {
        let landed = self.landed.iter();
        let ends = landed.filter_map(|landed| landed.scene.deadline(&settings.space));
        ends.min()
    }

    fn is_measuring(&self, follower: QuestionId) -> bool {
        self.measuring.values().any(|(other, _)| *other == follower)
    }

    fn take(&mut self, is_it: impl Fn(&Landed<F>) -> bool) -> Option<Landed<F>> {
        let at = self.landed.iter().position(is_it)?;
        Some(self.landed.remove(at))
    }
}

impl<F> Landed<F> {
    /// Gives all objects that have no place yet the same one.
    fn fill(&mut self, place: &Place) {
        for sighting in &mut self.feedback.objects {
            sighting.place.get_or_insert_with(|| place.clone());
        }
    }

    fn is_complete(&self) -> bool {
        let mut objects = self.feedback.objects.iter();
        objects.all(|sighting| sighting.place.is_some())
    }
}

impl<H: Host> NodeCore<H> {
    /// Tells of a frame once the places of its objects are known; at once where there are none to wait for. The goal's frame before
    /// it is told now.
    pub(super) fn tell(&mut self, mut landed: Landed<H::Frame>, now: Instant) {
        self.tell_as_it_is(landed.follower);
        if matches!(landed.scene, SceneState::Off) || landed.feedback.objects.is_empty() {
            return self.told(landed);
        }
        landed.scene.need(now);
        self.follow.places.landed.push(landed);
        self.advance_followed(now);
    }

    /// Tells of the frame of a goal that still waits, if there is one, with what is known by now.
    pub(super) fn tell_as_it_is(&mut self, follower: QuestionId) {
        let places = &mut self.follow.places;
        let Some(mut landed) = places.take(|landed| landed.follower == follower) else {
            return;
        };
        let (header, settings) = (&landed.feedback.header, &self.settings.space);
        self.space.give_up(&mut landed.scene, header, settings);
        if let SceneState::Missing(why) = &landed.scene {
            let why = Arc::clone(why);
            landed.fill(&Err(why));
        }
        self.told(landed);
    }

    fn told(&mut self, landed: Landed<H::Frame>) {
        let objects = landed.feedback.objects.iter();
        self.health
            .placed(objects.filter_map(|sighting| sighting.place.as_ref()));
        self.outputs
            .push_back(Output::FollowFeedback(landed.feedback));
    }

    /// Goes on with the frames that wait for something about space.
    pub(in crate::node) fn advance_followed(&mut self, now: Instant) {
        let settings = &self.settings.space;
        // The depth image of a frame that the engine still has may be there already, and is kept for it.
        if let Some(flight) = &mut self.follow.flight {
            let header = flight.frame.frame.header();
            self.space
                .resolve(&mut flight.scene, &header, settings, now);
        }
        let mut complete = Vec::new();
        let places = &mut self.follow.places;
        for at in 0..places.landed.len() {
            let follower = places.landed[at].follower;
            let (id, is_busy) = (places.landed[at].id, places.is_measuring(follower));
            let landed = &mut places.landed[at];
            let header = &landed.feedback.header;
            self.space.resolve(&mut landed.scene, header, settings, now);
            match &landed.scene {
                SceneState::Waiting { .. } | SceneState::Off => {}
                SceneState::Missing(why) => {
                    let why = Arc::clone(why);
                    landed.fill(&Err(why));
                    complete.push(id);
                }
                SceneState::Ready(_) if is_busy => {}
                SceneState::Ready(scene) => {
                    let objects = landed.feedback.objects.iter().enumerate();
                    for (index, sighting) in objects {
                        self.outputs.push_back(Output::Locate(LocateRequest {
                            id,
                            index,
                            picture: LocatePicture::Message(Arc::clone(&landed.frame)),
                            object: Arc::clone(&sighting.object),
                            scene: Arc::clone(scene),
                        }));
                    }
                    let count = landed.feedback.objects.len();
                    places.measuring.insert(id, (follower, count));
                }
            }
        }
        for id in complete {
            if let Some(landed) = self.follow.places.take(|landed| landed.id == id) {
                self.told(landed);
            }
        }
    }

    /// Takes where an object of a followed frame is.
    pub(in crate::node) fn follow_place(
        &mut self,
        id: QuestionId,
        index: usize,
        place: Place,
        now: Instant,
    ) {
        let places = &mut self.follow.places;
        if let Some((_, left)) = places.measuring.get_mut(&id) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                places.measuring.remove(&id);
            }
        }
        let landed = places.landed.iter_mut().find(|landed| landed.id == id);
        if let Some(landed) = landed {
            if let Some(sighting) = landed.feedback.objects.get_mut(index) {
                sighting.place = Some(place);
            }
            if landed.is_complete() {
                if let Some(landed) = places.take(|landed| landed.id == id) {
                    self.told(landed);
                }
            }
        }
        self.advance_followed(now);
    }
}
