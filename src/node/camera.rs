//! For how long the camera has been silent, and an explanation of why.

use std::time::{Duration, Instant};

use rosbag2::{CompressedImage, Image, Message};

use super::names::{compressed, topics};

/// After this long without a frame the node warns.
const CAMERA_SILENCE: Duration = Duration::from_secs(5);

/// What is known about the topic that frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraTopic {
    /// The topic's name after remapping, for messages.
    pub topic: String,
    /// Whether compressed images are taken rather than raw ones.
    pub compressed: bool,
    /// Whether the subscription asks for reliable delivery.
    pub reliable: bool,
    /// Who publishes on the topic; `None` if there is no ROS graph that could tell, as in a replay.
    pub publishers: Option<Vec<ImagePublisher>>,
}

/// A publisher on the camera's topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePublisher {
    /// The fully qualified name of its node.
    pub node: String,
    /// Whether it offers reliable delivery.
    pub reliable: bool,
    /// Its message type, e.g. `sensor_msgs/msg/Image`.
    pub kind: String,
}

impl CameraTopic {
    /// Why no frame has come for `silent`, as far as that is known.
    pub fn explain_no_image(&self, silent: Duration) -> String {
        let topic = &self.topic;
        let Some(publishers) = &self.publishers else {
            return format!("no frame on {topic} so far");
        };
        let (wanted, name) = match self.compressed {
            true => (CompressedImage::ROS_TYPE, compressed(topics::IMAGE)),
            false => (Image::ROS_TYPE, topics::IMAGE.to_owned()),
        };
        let asked = match self.reliable {
            true => "reliable",
            false => "best effort",
        };
        let head = format!("no image on {topic} for {:.0} s", silent.as_secs_f64());
        let of_kind: Vec<_> = publishers.iter().filter(|p| p.kind == wanted).collect();
        let Some(first) = of_kind.first() else {
            return match publishers.first() {
                Some(other) => format!(
                    "{head}: {} publishes {} there, we take {wanted}; see image_transport",
                    other.node, other.kind
                ),
                None => format!(
                    "{head}: 0 publishers; is the camera running, and is {name} remapped to its topic (-r {name}:=/camera/…)?"
                ),
            };
        };
        let reliable = of_kind.iter().filter(|p| p.reliable).count();
        let offers = match reliable {
            0 => "best effort",
            n if n == of_kind.len() => "reliable",
            _ => "reliable and best effort",
        };
        let (n, s) = (of_kind.len(), if of_kind.len() == 1 { "" } else { "s" });
        let head = format!("{head}: {n} publisher{s}, {offers}, we ask {asked}");
        match self.reliable && reliable == 0 {
            true => format!(
                "{head}, which best effort cannot give; set image_reliability to best_effort"
            ),
            false => format!(
                "{head}; they fit together, but nothing has come from {}",
                first.node
            ),
        }
    }
}

/// Since when there has been no frame, and whether that was reported.
#[derive(Debug)]
pub(super) struct CameraSilence {
    since: Instant,
    pub reported: bool,
}

impl CameraSilence {
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            reported: false,
        }
    }

    /// Frames are taken from now on, so silence counts from here.
    pub fn restart(&mut self, now: Instant) {
        self.since = now;
    }

    /// A frame arrived. Returns whether the silence before it was reported.
    pub fn frame_arrived(&mut self, now: Instant) -> bool {
        self.since = now;
        std::mem::take(&mut self.reported)
    }

    /// For how long there has been no frame.
    pub fn duration(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Whether there has been no frame for so long that people have to know.
    pub fn is_long(&self, now: Instant) -> bool {
        self.duration(now) >= CAMERA_SILENCE
    }

    /// When the silence is to be reported, unless it was.
    pub fn due(&self) -> Option<Instant> {
        (!self.reported).then(|| self.since + CAMERA_SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation(reliable: bool, publishers: &[(bool, &str)]) -> String {
        let publishers = publishers.iter().map(|(reliable, kind)| ImagePublisher {
            node: "/camera".to_owned(),
            reliable: *reliable,
            kind: (*kind).to_owned(),
        });
        let camera = CameraTopic {
            topic: "/camera/image_raw".to_owned(),
            compressed: false,
            reliable,
            publishers: Some(publishers.collect()),
        };
        camera.explain_no_image(Duration::from_secs(5))
    }

    #[test]
    fn silence_is_explained_by_what_the_graph_shows() {
        let image = "sensor_msgs/msg/Image";
        let text = explanation(false, &[(true, image)]);
        let expected =
            "no image on /camera/image_raw for 5 s: 1 publisher, reliable, we ask best effort";
        assert!(text.starts_with(expected), "{text}");
        let text = explanation(true, &[(false, image), (false, image)]);
        let expected = "2 publishers, best effort, we ask reliable";
        assert!(
            text.contains(expected) && text.contains("image_reliability"),
            "{text}"
        );
        let text = explanation(false, &[]);
        assert!(
            text.contains("0 publishers") && text.contains("-r image:="),
            "{text}"
        );
        let text = explanation(false, &[(true, "sensor_msgs/msg/CompressedImage")]);
        let expected = "/camera publishes sensor_msgs/msg/CompressedImage";
        assert!(
            text.contains(expected) && text.contains("image_transport"),
            "{text}"
        );
    }
}
