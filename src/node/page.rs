//! Questions of the page for a browser. The page asks the engine itself, beside the state machine, and nothing of its questions is
//! published; what the engine says of them comes through here all the same, because their objects get their places as those of
//! every other question do ([`OpenAnswer`]).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rosbag2::Header;

use super::core::NodeCore;
use super::ids::QuestionId;
use super::locating::OpenAnswer;
use super::output::{Host, LocatePicture, LocateRequest, Output, Timer};
use super::space::{FoundObject, Place, Scene, SceneState, SpaceSettings};
use crate::engine::{Answer, Event, Frame, FrameKey, RequestError, Stage};

/// What happens while a question of the page is answered. The last is `Done`, `Failed` or `Refused`.
#[derive(Debug)]
pub enum PageEvent {
    /// The question left the queue or entered this stage.
    Stage(Stage),
    /// More of the answer's text.
    Text {
        /// What came since the last one.
        text: String,
        /// How many tokens the answer has so far.
        tokens: usize,
    },
    /// The model named an object: its mask, and its place where there is depth.
    Object(FoundObject),
    /// The answer, with all of its objects.
    Done {
        /// The answer.
        answer: Arc<Answer>,
        /// Its objects with their places.
        objects: Arc<[FoundObject]>,
    },
    /// Why there is no answer.
    Failed(RequestError),
    /// The node takes no questions any more, for this reason.
    Refused(String),
}

/// Without places, as where there is no camera.
impl From<Event> for PageEvent {
    fn from(event: Event) -> Self {
        let found = |mask| FoundObject { mask, place: None };
        match event {
            Event::Stage(stage) => Self::Stage(stage),
            Event::TextDelta { text, tokens } => Self::Text { text, tokens },
            Event::Mask(object) => Self::Object(found(Arc::new(object))),
            Event::Done(answer) => Self::Done {
                objects: (answer.objects.iter().cloned())
                    .map(|object| found(Arc::new(object)))
                    .collect(),
                answer: Arc::new(*answer),
            },
            Event::Failed(error) => Self::Failed(error),
        }
    }
}

/// A question of the page that the engine has.
#[derive(Debug)]
struct PageQuestion {
    header: Header,
    frame: Frame,
    open: OpenAnswer,
}

/// How many pictures are remembered with what their objects are measured with. The page lets people ask again about a picture
/// long after the stores have forgotten its depth image.
const SCENES: usize = 16;

/// The page's questions.
#[derive(Debug, Default)]
pub(super) struct PageQuestions {
    open: BTreeMap<QuestionId, PageQuestion>,
    asked: u64,
    /// The oldest is the first.
    scenes: VecDeque<(FrameKey, Arc<Scene>)>,
}

impl PageQuestions {
    /// Forgets what was remembered of pictures, because their objects are to be measured otherwise from now on.
    pub fn forget_scenes(&mut self) {
        self.scenes.clear();
    }

    /// When questions have waited long enough for what it takes to locate their objects.
    pub fn deadlines<'a>(
        &'a self,
        settings: &'a SpaceSettings,
    ) -> impl Iterator<Item = (Instant, Timer)> + 'a {
        let open = self.open.iter();
        open.filter_map(|(id, asked)| {
            Some((asked.open.deadline(settings)?, Timer::AwaitSpace(*id)))
        })
    }

    fn remember(&mut self, frame: &Frame, scene: &Arc<Scene>) {
        if self.scenes.iter().all(|(known, _)| *known != frame.key()) {
            self.scenes.push_back((frame.key(), Arc::clone(scene)));
            self.scenes
                .drain(..self.scenes.len().saturating_sub(SCENES));
        }
    }

    fn scene(&self, frame: &Frame, settings: &SpaceSettings) -> SceneState {
        let known = self.scenes.iter().find(|(known, _)| *known == frame.key());
        match known {
            Some((_, scene)) if settings.enabled => SceneState::Ready(Arc::clone(scene)),
            _ => SceneState::of(settings),
        }
    }
}

impl<H: Host> NodeCore<H> {
    /// Takes note of a question of the page about a frame of the camera, which the caller is about to submit to the engine. What the
    /// engine says of it is to be reported with [`handle_engine_event`](Self::handle_engine_event) under the id that is returned,
    /// and comes back as [`Output::TellPage`].
    pub fn handle_page_question(
        &mut self,
        header: Header,
        frame: Frame,
        now: Instant,
    ) -> QuestionId {
        self.page.asked += 1;
        let id = QuestionId::of_page(self.page.asked);
        let scene = self.page.scene(&frame, &self.settings.space);
        let open = OpenAnswer::new(scene);
        let asked = PageQuestion {
            header,
            frame,
            open,
        };
        self.page.open.insert(id, asked);
        // Its depth image may be there already, and is kept for it.
        self.advance_page(id, now);
        id
    }

    /// Says that the engine has refused such a question, of which nothing more comes.
    pub fn handle_page_refusal(&mut self, id: QuestionId) {
        self.page.open.remove(&id);
    }

    /// How many questions of the page are being answered.
    pub fn page_questions(&self) -> usize {
        self.page.open.len()
    }

    pub(super) fn page_event(&mut self, id: QuestionId, event: Event, now: Instant) {
        let Some(asked) = self.page.open.get_mut(&id) else {
            return;
        };
        match event {
            Event::Mask(object) => asked.open.add(object),
            Event::Done(answer) => asked.open.complete(*answer),
            Event::Failed(_) => {
                self.page.open.remove(&id);
                return self.tell_page(id, event.into());
            }
            Event::Stage(_) | Event::TextDelta { .. } => return self.tell_page(id, event.into()),
        }
        self.advance_page(id, now);
    }

    pub(super) fn page_place(&mut self, id: QuestionId, index: usize, place: Place, now: Instant) {
        if let Some(asked) = self.page.open.get_mut(&id) {
            asked.open.set_place(index, place);
        }
        self.advance_page(id, now);
    }

    /// Goes on with the questions of the page that wait for something about space.
    pub(super) fn advance_pages(&mut self, now: Instant) {
        let open = self.page.open.iter();
        let waiting = open.filter(|(_, asked)| asked.open.waits_for_space());
        let waiting: Vec<QuestionId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.advance_page(id, now);
        }
    }

    /// Ends the questions of the page, for this reason.
    pub(super) fn end_page_questions(&mut self, why: &str) {
        for id in std::mem::take(&mut self.page.open).into_keys() {
            self.tell_page(id, PageEvent::Refused(why.to_owned()));
        }
    }

    fn advance_page(&mut self, id: QuestionId, now: Instant) {
        let Some(asked) = self.page.open.get_mut(&id) else {
            return;
        };
        let settings = &self.settings.space;
        let due = (asked.open).advance(&self.space, &asked.header, settings, now);
        let (frame, scene) = (asked.frame.clone(), asked.open.scene().cloned());
        if let Some(scene) = scene {
            self.page.remember(&frame, &scene);
        }
        for (index, object, scene) in due.locate {
            self.outputs.push_back(Output::Locate(LocateRequest {
                id,
                index,
                picture: LocatePicture::Decoded(frame.clone()),
                object,
                scene,
            }));
        }
        for found in due.found {
            self.tell_page(id, PageEvent::Object(found));
        }
        if let Some((answer, objects)) = due.answered {
            self.page.open.remove(&id);
            self.tell_page(id, PageEvent::Done { answer, objects });
        }
    }

    fn tell_page(&mut self, id: QuestionId, event: PageEvent) {
        self.outputs.push_back(Output::TellPage { id, event });
    }
}
