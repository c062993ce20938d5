//! A thread that measures where objects are, so that bringing a depth image into the picture delays no cancel request.

use std::sync::{mpsc, Arc};
use std::thread::JoinHandle;

use super::convert::SourceImage;
use super::submitter::{EngineReport, Reports};
use crate::node::{LocatePicture, LocateRequest};
use crate::spatial::{Camera, Locator, NotLocated};

/// The running thread. It works first in, first out.
pub struct LocateWorker {
    requests: mpsc::Sender<LocateRequest<SourceImage>>,
    thread: JoinHandle<()>,
}

impl LocateWorker {
    /// Starts the thread. Every place is sent to `reports`.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(reports: Reports) -> std::io::Result<Self> {
        let (requests, incoming) = mpsc::channel::<LocateRequest<SourceImage>>();
        let thread = std::thread::Builder::new()
            .name("locate".to_owned())
            .spawn(move || {
                let mut locator = Locator::default();
                for request in incoming {
                    let frame = match &request.picture {
                        LocatePicture::Message(message) => message.frame(),
                        LocatePicture::Decoded(frame) => Ok(frame.clone()),
                    };
                    let place = match frame {
                        Ok(frame) => {
                            let size = (frame.width(), frame.height());
                            request.scene.locate(&mut locator, size, &request.object)
                        }
                        // The engine has answered about this frame, so it was decoded then.
                        Err(_) => Err(Arc::new(NotLocated::NoCameraInfo {
                            camera: Camera::Colour,
                        })),
                    };
                    let index = request.index;
                    reports.send(request.id, EngineReport::Place { index, place });
                }
            })?;
        Ok(Self { requests, thread })
    }

    /// Queues an object.
    pub fn locate(&self, request: LocateRequest<SourceImage>) {
        // The thread lives as long as this channel, so sending cannot fail.
        let _ = self.requests.send(request);
    }

    /// Ends the thread, and returns when it has finished the objects that it has.
    pub fn stop(self) {
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the thread that measures objects had panicked");
        }
    }
}
