//! What a recording says about space: which of its topics are depth images, calibrations and transforms, and how their messages
//! reach the state machine.

use depth_camera::glam::{DQuat, DVec3};
use rosbag2::{
    Bag, CameraInfo, CompressedImage, Header, Image, Message, RawMessage, Selection, TFMessage,
    TransformStamped,
};
use std::time::Instant;
use tf_buffer::Transform;

use super::images::{depth_topics, topic_name, CameraMessage, ImageTopic};
use super::ReplayError;
use crate::frames::Stamp;
use crate::node::{topics, Host, NodeCore, StampedTransform};
use crate::spatial::{camera_info, Camera, DepthFrame, DepthMessage};

/// Which depth images are taken; as the node's parameter `depth.transport`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DepthTransport {
    /// Those that the bag has, if there are some and it is clear which.
    #[default]
    Auto,
    /// None: no object is located.
    Off,
    /// `sensor_msgs/Image`.
    Raw,
    /// `sensor_msgs/CompressedImage`, as `compressed_depth_image_transport` sends it.
    Compressed,
}

impl DepthTransport {
    fn takes(self, topic: &ImageTopic) -> bool {
        match self {
            Self::Auto => true,
            Self::Off => false,
            Self::Raw => !topic.compressed,
            Self::Compressed => topic.compressed,
        }
    }
}

/// Which topics are asked for; what is not named is looked for in the bag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceChoice {
    /// How depth images come.
    pub transport: DepthTransport,
    /// The topic of the depth images.
    pub depth: Option<String>,
    /// The topic of the camera's calibration.
    pub camera_info: Option<String>,
    /// The topic of the depth camera's calibration.
    pub depth_camera_info: Option<String>,
}

/// The topics of a recording from which objects get their places. Its `Debug` form is kept in the settings of an unfinished bag of
/// answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceTopics {
    depth: Option<ImageTopic>,
    camera_info: Option<String>,
    depth_camera_info: Option<String>,
    /// `/tf` and `/tf_static`, as far as they were recorded.
    transforms: Vec<&'static str>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundSpace {
    /// Objects get places from these. There may be no depth topic among them if depth was asked for and the bag has none: then each
    /// object says so.
    Topics(SpaceTopics),
    /// Objects get no places, because the bag has no depth or because none was wanted.
    Nothing,
    /// Objects get no places although the bag has depth: why, in a line for a person.
    Unclear(String),
}

impl FoundSpace {
    /// The topics, if objects get places.
    pub fn topics(&self) -> Option<&SpaceTopics> {
        match self {
            Self::Topics(topics) => Some(topics),
            Self::Nothing | Self::Unclear(_) => None,
        }
    }
}

impl SpaceTopics {
    /// Finds the topics that belong to a camera: the only topic of depth images, or of several the only one in the camera's own
    /// frame; the calibrations beside the pictures (`…/camera_info`) or else those in their frames; `/tf` and `/tf_static`.
    ///
    /// # Errors
    /// A topic that was named is not there or carries something else. Depth was asked for without naming the topic, and there are
    /// several. The bag cannot be read.
    pub fn find(
        bag: &Bag,
        camera: &ImageTopic,
        choice: &SpaceChoice,
    ) -> Result<FoundSpace, ReplayError> {
        let is_asked_for =
            choice.depth.is_some() || !matches!(choice.transport, DepthTransport::Auto);
        if choice.transport == DepthTransport::Off {
            return Ok(FoundSpace::Nothing);
        }
        let frame_id = first_header(bag, camera)?.map(|header| header.frame_id);
        let depth = match &choice.depth {
            Some(name) => Some(named_depth(bag, name, choice.transport)?),
            None => {
                let found = depth_topics(bag, |topic| choice.transport.takes(topic))?;
                match own_of(bag, found, frame_id.as_deref())? {
                    Ok(found) => found,
                    Err(several) if is_asked_for => {
                        return Err(ReplayError::Choose {
                            what: "a topic with depth images",
                            found: several,
                            option: "--depth-topic",
                        })
                    }
                    Err(several) => {
                        return Ok(FoundSpace::Unclear(format!(
                            "objects get no places in space: depth images are on several topics ({}); name one with --depth-topic",
                            several.join(", ")
                        )))
                    }
                }
            }
        };
        if depth.is_none() && !is_asked_for {
            return Ok(FoundSpace::Nothing);
        }
        let info = match &choice.camera_info {
            Some(name) => Some(typed::<CameraInfo>(bag, name)?),
            None => calibration_of(bag, camera, frame_id.as_deref())?,
        };
        if info.is_none() && !is_asked_for {
            return Ok(FoundSpace::Unclear(format!(
                "objects get no places in space: no calibration (sensor_msgs/msg/CameraInfo) belongs to {}; name its topic with \
                 --camera-info-topic",
                camera.name
            )));
        }
        let depth_info = match (&choice.depth_camera_info, &depth) {
            (Some(name), _) => Some(typed::<CameraInfo>(bag, name)?),
            (None, None) => None,
            (None, Some(depth)) => {
                let own = first_header(bag, depth)?.map(|header| header.frame_id);
                // In the camera's own frame the camera's calibration would be found, which is not the depth images'.
                calibration_of(
                    bag,
                    depth,
                    own.as_deref()
                        .filter(|own| Some(*own) != frame_id.as_deref()),
                )?
            }
        };
        let transforms = [topics::TF, topics::TF_STATIC].into_iter();
        let recorded = |name: &&str| {
            let mut all = bag.topics().iter();
            all.any(|t| t.name == *name && t.ros_type == <TFMessage as Message>::ROS_TYPE)
        };
        Ok(FoundSpace::Topics(Self {
            depth,
            camera_info: info,
            depth_camera_info: depth_info,
            transforms: transforms.filter(recorded).collect(),
        }))
    }

    /// The topic of depth images; `None` if the bag has none.
    pub fn depth(&self) -> Option<&ImageTopic> {
        self.depth.as_ref()
    }

    /// The names of all topics.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let depth = self.depth.iter().map(|topic| topic.name.as_str());
        let infos = [&self.camera_info, &self.depth_camera_info];
        let infos = infos.into_iter().flatten().map(String::as_str);
        depth.chain(infos).chain(self.transforms.iter().copied())
    }

    /// Hands a message of one of the topics to the state machine. Returns whether it is of one of them; a calibration of both
    /// cameras is taken for both.
    ///
    /// # Errors
    /// A message that is not what its topic's type says.
    pub(super) fn hand_over<H: Host>(
        &self,
        bag: &Bag,
        message: &RawMessage,
        core: &mut NodeCore<H>,
        now: Instant,
    ) -> Result<bool, ReplayError> {
        let topic = topic_name(bag, message);
        let mut is_ours = false;
        if let Some(depth) = self.depth.as_ref().filter(|depth| depth.name == topic) {
            let frame = match depth.compressed {
                true => {
                    let image: CompressedImage<'_> = bag.decode(message)?;
                    depth_frame(&image.header, DepthMessage::of_compressed(&image))
                }
                false => {
                    let image: Image<'_> = bag.decode(message)?;
                    depth_frame(&image.header, DepthMessage::of_image(&image))
                }
            };
            core.handle_depth(frame, now);
            is_ours = true;
        }
        for (camera, name) in [
            (Camera::Colour, &self.camera_info),
            (Camera::Depth, &self.depth_camera_info),
        ] {
            if name.as_deref() == Some(&*topic) {
                let info: CameraInfo = bag.decode(message)?;
                core.handle_camera_info(camera, camera_info(&info), now);
                is_ours = true;
            }
        }
        if self.transforms.iter().any(|name| *name == topic) {
            let message: TFMessage = bag.decode(message)?;
            core.handle_transforms(&transforms(message, topic == topics::TF_STATIC), now);
            is_ours = true;
        }
        Ok(is_ours)
    }
}

/// The transforms of a message of `/tf`, or of `/tf_static`.
pub(super) fn transforms(message: TFMessage, is_static: bool) -> Vec<StampedTransform> {
    let stamped = |new: TransformStamped| {
        let (shift, turn) = (new.transform.translation, new.transform.rotation);
        StampedTransform {
            stamp: Stamp(new.header.stamp.nanoseconds()),
            parent: new.header.frame_id,
            child: new.child_frame_id,
            transform: Transform {
                translation: DVec3::new(shift.x, shift.y, shift.z),
                rotation: DQuat::from_xyzw(turn.x, turn.y, turn.z, turn.w),
            },
            is_static,
        }
    };
    message.transforms.into_iter().map(stamped).collect()
}

fn depth_frame(header: &Header, message: DepthMessage) -> DepthFrame {
    let stamp = Stamp(header.stamp.nanoseconds());
    DepthFrame::new(stamp, header.frame_id.clone(), message)
}

/// The topic of that name, which has to carry images of that transport.
fn named_depth(
    bag: &Bag,
    name: &str,
    transport: DepthTransport,
) -> Result<ImageTopic, ReplayError> {
    let topic = bag.topic(name)?;
    let compressed = match topic.ros_type.as_str() {
        Image::ROS_TYPE => Some(false),
        CompressedImage::ROS_TYPE => Some(true),
        _ => None,
    };
    let found = compressed.map(|compressed| ImageTopic {
        name: name.to_owned(),
        compressed,
    });
    found
        .filter(|topic| transport.takes(topic))
        .ok_or_else(|| ReplayError::WrongType {
            topic: name.to_owned(),
            ros_type: topic.ros_type.clone(),
            accepted: match transport {
                DepthTransport::Raw => Image::ROS_TYPE.to_owned(),
                DepthTransport::Compressed => CompressedImage::ROS_TYPE.to_owned(),
                DepthTransport::Auto | DepthTransport::Off => {
                    format!("{}, {}", Image::ROS_TYPE, CompressedImage::ROS_TYPE)
                }
            },
        })
}

/// The name, if the topic's type is that of `M`.
fn typed<'a, M: Message<'a>>(bag: &Bag, name: &str) -> Result<String, ReplayError> {
    let topic = bag.topic(name)?;
    match topic.ros_type == M::ROS_TYPE {
        true => Ok(name.to_owned()),
        false => Err(ReplayError::WrongType {
            topic: name.to_owned(),
            ros_type: topic.ros_type.clone(),
            accepted: M::ROS_TYPE.to_owned(),
        }),
    }
}

/// Of several topics of depth images the only one in the camera's own frame, as a driver's aligned depth is; `Err` with all their
/// names where that does not decide.
fn own_of(
    bag: &Bag,
    found: Vec<ImageTopic>,
    frame_id: Option<&str>,
) -> Result<Result<Option<ImageTopic>, Vec<String>>, ReplayError> {
    if found.len() < 2 {
        return Ok(Ok(found.into_iter().next()));
    }
    let names = found.iter().map(|topic| topic.name.clone()).collect();
    let mut own = Vec::new();
    for topic in found {
        let header = first_header(bag, &topic)?;
        if header.is_some_and(|header| Some(&*header.frame_id) == frame_id) {
            own.push(topic);
        }
    }
    Ok(match <[ImageTopic; 1]>::try_from(own) {
        Ok([only]) => Ok(Some(only)),
        Err(_) => Err(names),
    })
}

/// The calibration of a topic's pictures: `camera_info` beside it, or else the only one in that frame.
fn calibration_of(
    bag: &Bag,
    pictures: &ImageTopic,
    frame_id: Option<&str>,
) -> Result<Option<String>, ReplayError> {
    let ends = ["/compressed", "/compressedDepth"];
    let base = ends
        .iter()
        .filter(|_| pictures.compressed)
        .find_map(|end| pictures.name.strip_suffix(end));
    let base = base.unwrap_or(&pictures.name);
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let beside = format!("{folder}/camera_info");
    let all = bag.topics().iter();
    let all = all.filter(|t| t.ros_type == CameraInfo::ROS_TYPE && t.messages > 0);
    let all: Vec<&str> = all.map(|topic| topic.name.as_str()).collect();
    if all.contains(&&*beside) {
        return Ok(Some(beside));
    }
    let mut own = Vec::new();
    for name in all {
        let mut messages = bag.messages(&Selection::all().topics([name]))?;
        let first = messages.find_map(Result::ok);
        let first = first.and_then(|first| bag.decode::<CameraInfo>(&first).ok());
        if first.is_some_and(|info| Some(&*info.header.frame_id) == frame_id) {
            own.push(name.to_owned());
        }
    }
    Ok(<[String; 1]>::try_from(own).ok().map(|[only]| only))
}

/// The header of a topic's first picture that can be read.
fn first_header(bag: &Bag, topic: &ImageTopic) -> Result<Option<Header>, ReplayError> {
    let messages = bag.messages(&Selection::all().topics([&topic.name]))?;
    let mut headers = messages.filter_map(|message| {
        let message = message.ok()?;
        let image = CameraMessage::read(bag, &message).ok()?;
        Some(image.into_header())
    });
    Ok(headers.next())
}
