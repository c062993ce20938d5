//! A thread that draws what people watch: overlays and attention.
//!
//! Newest first: who watches wants to see now, and what is drawn too late may as well not be drawn.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use r2r::sensor_msgs::msg::Image;
use r2r::Publisher;
use rosbag2::Header;

use super::convert::{rgb8, SourceImage};
use super::publish::send;
use crate::engine::Answer;

/// Pictures that may wait; of more, the oldest are left out.
const WAITING: usize = 8;

/// What is to be drawn over a frame.
pub enum Drawing {
    /// The answer's masks, with what was asked.
    Overlay { instruction: String },
    /// Where the model looked.
    Attention,
}

/// One picture that is to be drawn and published.
pub struct Picture {
    pub drawing: Drawing,
    pub header: Header,
    pub frame: Arc<SourceImage>,
    pub answer: Arc<Answer>,
    /// Opacity, 0 to 1.
    pub alpha: f32,
    pub publisher: Publisher<Image>,
}

#[derive(Default)]
struct Easel {
    waiting: VecDeque<Picture>,
    closed: bool,
}

/// The thread.
pub struct Painter {
    easel: Arc<(Mutex<Easel>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Painter {
    /// # Errors
    /// The operating system's, where it refuses a thread.
    pub fn start() -> std::io::Result<Self> {
        let easel = Arc::<(Mutex<Easel>, Condvar)>::default();
        let of_the_thread = Arc::clone(&easel);
        let thread = std::thread::Builder::new()
            .name("painter".to_owned())
            .spawn(move || {
                while let Some(picture) = next(&of_the_thread) {
                    paint(&picture);
                }
            })?;
        Ok(Self { easel, thread })
    }

    /// Draws and publishes it, when its turn comes.
    pub fn paint(&self, picture: Picture) {
        let mut easel = lock(&self.easel.0);
        easel.waiting.push_back(picture);
        if easel.waiting.len() > WAITING {
            easel.waiting.pop_front();
            tracing::debug!("an overlay is left out: {WAITING} newer ones wait");
        }
        self.easel.1.notify_one();
    }

    /// Leaves out what waits, and returns when the thread has ended.
    pub fn stop(self) {
        {
            let mut easel = lock(&self.easel.0);
            easel.closed = true;
            easel.waiting.clear();
        }
        self.easel.1.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the thread that draws overlays had panicked");
        }
    }
}

/// The newest that waits; `None` at the end.
fn next((easel, more): &(Mutex<Easel>, Condvar)) -> Option<Picture> {
    let mut easel = lock(easel);
    loop {
        if easel.closed {
            return None;
        }
        if let Some(picture) = easel.waiting.pop_back() {
            return Some(picture);
        }
        easel = more.wait(easel).unwrap_or_else(PoisonError::into_inner);
    }
}

fn paint(picture: &Picture) {
    // The engine has seen it, so it can be decoded, and is.
    let Ok(frame) = picture.frame.frame() else {
        return;
    };
    let (pixels, answer) = (frame.pixels(), &picture.answer);
    let drawn = match &picture.drawing {
        Drawing::Overlay { instruction } => {
            Some(answer.overlay(pixels, instruction, picture.alpha))
        }
        Drawing::Attention => {
            let attention = answer.attention.as_ref();
            attention.map(|attention| attention.draw(pixels, picture.alpha))
        }
    };
    if let Some(drawn) = drawn {
        send(&picture.publisher, &rgb8(&picture.header, drawn));
    }
}

fn lock(easel: &Mutex<Easel>) -> MutexGuard<'_, Easel> {
    easel.lock().unwrap_or_else(PoisonError::into_inner)
}
