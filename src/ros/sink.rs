//! The engine's events on their way to the dispatcher.

use tokio::sync::mpsc::UnboundedSender;

use super::instructions::Key;
use crate::engine::{Event, RequestError};

/// Carries one request's events to the dispatcher, and an end where the engine gives none.
pub struct Sink {
    key: Key,
    events: UnboundedSender<(Key, Event)>,
    ended: bool,
}

impl Sink {
    pub fn new(key: Key, events: UnboundedSender<(Key, Event)>) -> Self {
        Self {
            key,
            events,
            ended: false,
        }
    }

    pub fn take(&mut self, event: Event) {
        self.ended |= matches!(event, Event::Done(_) | Event::Failed(_));
        // A closed channel means that the node is ending, and has told the asker itself.
        let _ = self.events.send((self.key, event));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.ended {
            let error = RequestError::Model("the request was dropped without an answer".to_owned());
            let _ = self.events.send((self.key, Event::Failed(error)));
        }
    }
}
