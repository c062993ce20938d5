//! How much of everything one request, and all of them together, may take.

use std::time::Duration;

/// How much of everything one request, and all of them together, may take. What goes beyond is refused, and said so.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one picture file. Default 20 MiB.
    pub picture_bytes: usize,
    /// Pixels of one picture. Default 24 Mi, what the camera of a phone takes.
    pub picture_pixels: u64,
    /// Connections at once. One more is told to come back, and closed. Default 512.
    pub connections: usize,
    /// Questions whose picture is being received or decoded at once. Default 16.
    pub uploads: usize,
    /// Pictures that are decoded at once. Default 2.
    pub decodes: usize,
    /// Pictures that are kept for further questions. Default 16.
    pub kept_pictures: usize,
    /// Bytes of pixels of all kept pictures. The newest is kept even if it alone exceeds them. Default 256 MiB.
    pub kept_bytes: usize,
    /// How long a client may take to send the head of a request, and how long a connection may be idle. Default 15 s.
    pub head: Duration,
    /// How long a client may take to send a question with its picture. Default 60 s.
    pub upload: Duration,
    /// How long an answer may take, from its submission. Default 10 minutes.
    pub answer: Duration,
    /// How long a connection may last, whatever it does. It ends a client that reads nothing. Default 15 minutes.
    pub connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            picture_bytes: 20 << 20,
            picture_pixels: 24 << 20,
            connections: 512,
            uploads: 16,
            decodes: 2,
            kept_pictures: 16,
            kept_bytes: 256 << 20,
            head: Duration::from_secs(15),
            upload: Duration::from_secs(60),
            answer: Duration::from_secs(600),
            connection: Duration::from_secs(900),
        }
    }
}

impl Limits {
    /// Bytes of a request's body: a picture in base64, and 64 KiB of words.
    pub(super) fn body(&self) -> usize {
        self.picture_bytes.div_ceil(3) * 4 + (64 << 10)
    }
}
