//! A thread that draws the images that people watch: overlays and attention.
//!
//! The newest is drawn first, because people want to see the present. Those that fall too far behind are left out.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use r2r::sensor_msgs::msg::Image;
use r2r::Publisher;
use rosbag2::Header;

use super::convert::{image, SourceImage};
use super::r2r_ext::send;
use crate::engine::Answer;
use crate::node::{attention_picture, overlay_picture, rgb8, Question};

/// How many jobs may wait; of more, the oldest are left out.
const MAX_WAITING: usize = 8;

/// What is to be drawn over a frame.
pub enum RenderKind {
    /// The answer's masks, with the words of the question and the answer as text.
    Overlay(Arc<Question>),
    /// Where the model looked.
    Attention,
}

/// An image that is to be drawn and published.
pub struct RenderJob {
    pub kind: RenderKind,
    /// The header of the frame, which the drawn image gets, too.
    pub header: Header,
    pub frame: Arc<SourceImage>,
    pub answer: Arc<Answer>,
    /// Opacity, 0 to 1.
    pub alpha: f32,
    pub publisher: Publisher<Image>,
}

#[derive(Default)]
struct RenderQueue {
    waiting: VecDeque<RenderJob>,
    closed: bool,
}

/// The running thread.
pub struct Renderer {
    queue: Arc<(Mutex<RenderQueue>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Renderer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start() -> std::io::Result<Self> {
        let queue = Arc::<(Mutex<RenderQueue>, Condvar)>::default();
        let thread_queue = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("renderer".to_owned())
            .spawn(move || {
                while let Some(job) = next(&thread_queue) {
                    draw_and_publish(&job);
                }
            })?;
        Ok(Self { queue, thread })
    }

    /// Queues an image.
    pub fn render(&self, job: RenderJob) {
        let mut queue = lock(&self.queue.0);
        queue.waiting.push_back(job);
        if queue.waiting.len() > MAX_WAITING {
            queue.waiting.pop_front();
            tracing::debug!("an overlay is left out: {MAX_WAITING} newer ones wait");
        }
        self.queue.1.notify_one();
    }

    /// Drops the images that wait, and returns when the thread has ended.
    pub fn stop(self) {
        {
            let mut queue = lock(&self.queue.0);
            queue.closed = true;
            queue.waiting.clear();
        }
        self.queue.1.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the thread that draws overlays had panicked");
        }
    }
}

/// Waits for the newest job; `None` once the queue is closed.
fn next((queue, more): &(Mutex<RenderQueue>, Condvar)) -> Option<RenderJob> {
    let mut queue = lock(queue);
    loop {
        if queue.closed {
            return None;
        }
        if let Some(job) = queue.waiting.pop_back() {
            return Some(job);
        }
        queue = more.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

fn draw_and_publish(job: &RenderJob) {
    // The engine has answered about this frame, so it was decoded then.
    let Ok(frame) = job.frame.frame() else {
        return;
    };
    let (answer, alpha) = (&job.answer, job.alpha);
    let drawn = match &job.kind {
        RenderKind::Overlay(question) => {
            Some(overlay_picture(&question.text.words, &frame, answer, alpha))
        }
        RenderKind::Attention => attention_picture(&frame, answer, alpha),
    };
    if let Some(drawn) = drawn {
        send(&job.publisher, &image(rgb8(&job.header, drawn)));
    }
}

fn lock(queue: &Mutex<RenderQueue>) -> MutexGuard<'_, RenderQueue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
