//! Which topics of a bag carry images, and how a message of one becomes pixels or a file.

use std::borrow::Cow;

use ::image::RgbImage;
use cv_convert::TryToCv;
use rosbag2::{Bag, CompressedImage, Header, Image, Message, RawMessage, Selection, Topic};

use super::ReplayError;
use crate::image::{
    whole_picture, Depth, EncodingError, PictureFormat, Pixels, RosImage, DEPTH_HEADER,
};
use crate::node::{compressed, decode_guarded, CameraPixels};

/// A topic of images.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageTopic {
    /// Its name, e.g. `/camera/image_raw`.
    pub name: String,
    /// Whether its messages are `sensor_msgs/msg/CompressedImage` rather than `Image`.
    pub compressed: bool,
}

/// A message decoded to RGB, as the network sees it.
#[derive(Clone, Debug)]
pub struct DecodedImage {
    /// As the camera wrote it.
    pub header: Header,
    /// 8-bit RGB, `(height, width, 3)`.
    pub pixels: RgbImage,
}

impl DecodedImage {
    /// The stamp of its header, nanoseconds: when the camera took it.
    pub fn stamp(&self) -> i64 {
        self.header.stamp.nanoseconds()
    }
}

/// A message of `sensor_msgs/msg/Image` decoded without losing bits.
#[derive(Clone, Debug)]
pub struct RawImage {
    /// As the camera wrote it.
    pub header: Header,
    /// As the message names it, e.g. `16UC1`.
    pub encoding: String,
    /// Gray stays gray, and depth is in millimetres.
    pub pixels: Pixels,
}

/// The file that a message of `sensor_msgs/msg/CompressedImage` holds.
#[derive(Clone, Debug)]
pub struct ImageFile<'m> {
    /// As the camera wrote it.
    pub header: Header,
    /// As the message names it, e.g. `rgb8; jpeg compressed bgr8`.
    pub encoding: String,
    /// What kind of file it is, by its content.
    pub format: PictureFormat,
    /// The file's bytes, neither cut nor decoded.
    pub bytes: Cow<'m, [u8]>,
    /// Whether it is a depth map in millimetres, 16 bits a pixel, rather than a picture.
    pub depth: bool,
}

/// All topics of images in the bag's order, those of depth and of masks included.
pub fn image_topics(bag: &Bag) -> Vec<ImageTopic> {
    let topics = bag.topics().iter();
    let named = |topic: &Topic| {
        Some(ImageTopic {
            name: topic.name.clone(),
            compressed: is_compressed_type(&topic.ros_type)?,
        })
    };
    topics.filter_map(named).collect()
}

/// The topic of that name, or the bag's only camera.
///
/// Without a name, topics of depth, masks and overlays are left out, which are known by their encoding or their name, and so are
/// topics without messages. Of a camera that was recorded both raw and compressed, the raw topic is taken.
///
/// # Errors
/// [`ReplayError::Bag`] for a name the bag does not have, [`ReplayError::NotAnImageTopic`] for a topic of another type,
/// [`ReplayError::NoCamera`] and [`ReplayError::SeveralCameras`] where no name was given.
pub fn image_topic(bag: &Bag, wanted: Option<&str>) -> Result<ImageTopic, ReplayError> {
    let pictures = image_topics(bag);
    if let Some(name) = wanted {
        let topic = bag.topic(name)?;
        return match pictures.iter().find(|picture| picture.name == name) {
            Some(picture) => Ok(picture.clone()),
            None => Err(ReplayError::NotAnImageTopic {
                topic: topic.name.clone(),
                ros_type: topic.ros_type.clone(),
                images: pictures.into_iter().map(|picture| picture.name).collect(),
            }),
        };
    }
    let mut cameras: Vec<ImageTopic> = Vec::new();
    for picture in pictures {
        if is_camera(bag, &picture)? {
            cameras.push(picture);
        }
    }
    let raw: Vec<String> = cameras
        .iter()
        .filter(|camera| !camera.compressed)
        .map(|camera| compressed(&camera.name))
        .collect();
    cameras.retain(|camera| !raw.contains(&camera.name));
    match &cameras[..] {
        [] => {
            let shown = |topic: &Topic| format!("{} ({})", topic.name, topic.ros_type);
            Err(ReplayError::NoCamera {
                topics: bag.topics().iter().map(shown).collect(),
            })
        }
        [camera] => Ok(camera.clone()),
        _ => Err(ReplayError::SeveralCameras {
            topics: cameras.into_iter().map(|camera| camera.name).collect(),
        }),
    }
}

/// The topic of that name, or the bag's only camera, as [`image_topic`] finds it. A topic of depth is refused, because the model
/// cannot be asked about one.
///
/// # Errors
/// Those of [`image_topic`], and [`ReplayError::Depth`] if the topic's first message is a depth map.
pub fn camera_topic(bag: &Bag, wanted: Option<&str>) -> Result<ImageTopic, ReplayError> {
    let picture = image_topic(bag, wanted)?;
    let first = first(bag, &picture)?;
    let Some(depth) = first.and_then(|first| depth_of(bag, &picture, &first)) else {
        return Ok(picture);
    };
    let mut cameras = Vec::new();
    for other in image_topics(bag) {
        if is_camera(bag, &other)? {
            cameras.push(other.name);
        }
    }
    Err(ReplayError::Depth {
        topic: picture.name,
        depth,
        cameras,
    })
}

/// The topics of depth images, known by their first messages. Of those that were recorded both raw and compressed, the raw one.
/// Only those that `takes` are looked at.
pub(super) fn depth_topics(
    bag: &Bag,
    takes: impl Fn(&ImageTopic) -> bool,
) -> Result<Vec<ImageTopic>, ReplayError> {
    let mut found = Vec::new();
    for topic in image_topics(bag).into_iter().filter(takes) {
        let first = first(bag, &topic)?;
        if first.is_some_and(|first| depth_of(bag, &topic, &first).is_some()) {
            found.push(topic);
        }
    }
    let raw = found.iter().filter(|topic| !topic.compressed);
    let both: Vec<String> = raw
        .map(|topic| format!("{}/compressedDepth", topic.name))
        .collect();
    found.retain(|topic| !both.contains(&topic.name));
    Ok(found)
}

/// Decodes a message of either type to RGB, with the decoders that the node uses.
///
/// # Errors
/// [`ReplayError::Bag`] for a message that is not of the topic's type, [`ReplayError::NotAnImageTopic`] for one of a topic of
/// another type, [`ReplayError::Pixels`].
pub fn decode_image(bag: &Bag, message: &RawMessage) -> Result<DecodedImage, ReplayError> {
    let image = CameraMessage::read(bag, message)?;
    let pixels = decoded(bag, message, || image.pixels().decode())?;
    Ok(DecodedImage {
        header: image.into_header(),
        pixels,
    })
}

/// A camera's message of either type, whose pixels are not decoded yet.
pub(super) enum CameraMessage<'m> {
    Raw(Image<'m>),
    Compressed(CompressedImage<'m>),
}

impl<'m> CameraMessage<'m> {
    /// Reads the fields of a message.
    ///
    /// # Errors
    /// [`ReplayError::Bag`] for a message that is not of the topic's type, [`ReplayError::NotAnImageTopic`] for one of a topic of
    /// another type.
    pub fn read(bag: &Bag, message: &'m RawMessage) -> Result<Self, ReplayError> {
        Ok(match is_compressed(bag, message)? {
            true => Self::Compressed(bag.decode(message)?),
            false => Self::Raw(bag.decode(message)?),
        })
    }

    /// The pixels, for the node's decoders.
    pub fn pixels(&self) -> CameraPixels<'_> {
        match self {
            Self::Raw(image) => CameraPixels::Raw(borrowed(image)),
            Self::Compressed(image) => CameraPixels::Compressed {
                format: &image.format,
                data: &image.data,
            },
        }
    }

    /// The header as the camera wrote it.
    pub fn into_header(self) -> Header {
        match self {
            Self::Raw(image) => image.header,
            Self::Compressed(image) => image.header,
        }
    }
}

/// Decodes a message of `sensor_msgs/msg/Image` without losing bits: depth stays depth, and gray stays gray.
///
/// # Errors
/// [`ReplayError::Bag`] for a message of another type, [`ReplayError::Pixels`].
pub fn raw_image(bag: &Bag, message: &RawMessage) -> Result<RawImage, ReplayError> {
    let image: Image = bag.decode(message)?;
    let pixels = decoded(bag, message, || borrowed(&image).try_to_cv())?;
    Ok(RawImage {
        header: image.header,
        encoding: image.encoding,
        pixels,
    })
}

/// The file in a message of `sensor_msgs/msg/CompressedImage`, byte for byte. Nothing is decoded; it is only checked that the
/// file ends as its format requires, because a recording may be cut off.
///
/// Of a depth map in whole millimetres (`16UC1; compressedDepth png`) the file is the PNG that follows its parameters, or the
/// whole message if it has none. Depth in metres, or in another format than PNG, is refused.
///
/// # Errors
/// [`ReplayError::Bag`] for a message of another type, [`ReplayError::Pixels`].
pub fn image_file<'m>(bag: &Bag, message: &'m RawMessage) -> Result<ImageFile<'m>, ReplayError> {
    let image: CompressedImage<'m> = bag.decode(message)?;
    let depth = Depth::of_compressed(&image.format, &image.data);
    let has_header = matches!(depth, Some(Depth::Png { header: true, .. }));
    let bytes = match image.data {
        // The PNG follows a format and two floats, which matter only for depth in metres.
        Cow::Borrowed(data) if has_header => {
            Cow::Borrowed(data.get(DEPTH_HEADER..).unwrap_or_default())
        }
        data => data,
    };
    let known = decoded(bag, message, || match depth {
        None | Some(Depth::Png { metres: false, .. }) => {
            Ok(whole_picture("the compressed image", &bytes)?)
        }
        Some(depth) => Err(EncodingError::DepthFile { depth }),
    })?;
    Ok(ImageFile {
        header: image.header,
        encoding: image.format,
        format: known,
        bytes,
        depth: depth.is_some(),
    })
}

/// Whether the type is that of compressed images; `None` if it is no type of images.
fn is_compressed_type(ros_type: &str) -> Option<bool> {
    match ros_type {
        Image::ROS_TYPE => Some(false),
        CompressedImage::ROS_TYPE => Some(true),
        _ => None,
    }
}

fn is_compressed(bag: &Bag, message: &RawMessage) -> Result<bool, ReplayError> {
    let (topic, ros_type) = match bag.topics().get(message.topic) {
        Some(topic) => (topic.name.as_str(), topic.ros_type.as_str()),
        None => ("", ""),
    };
    is_compressed_type(ros_type).ok_or_else(|| ReplayError::NotAnImageTopic {
        topic: topic.to_owned(),
        ros_type: ros_type.to_owned(),
        images: image_topics(bag)
            .into_iter()
            .map(|picture| picture.name)
            .collect(),
    })
}

/// Whether a topic carries what a camera sees, judged by its name and its first message.
fn is_camera(bag: &Bag, picture: &ImageTopic) -> Result<bool, ReplayError> {
    const OTHERS: [&str; 4] = ["depth", "mask", "overlay", "attention"];
    let name = picture.name.to_ascii_lowercase();
    if OTHERS.iter().any(|other| name.contains(other)) {
        return Ok(false);
    }
    let first = first(bag, picture)?;
    Ok(first.is_some_and(|first| depth_of(bag, picture, &first).is_none()))
}

/// The first message of a topic that can be read.
fn first(bag: &Bag, picture: &ImageTopic) -> Result<Option<RawMessage>, ReplayError> {
    let mut messages = bag.messages(&Selection::all().topics([&picture.name]))?;
    Ok(messages.find_map(Result::ok))
}

/// What kind of depth map a message is, if it is one. A damaged message says nothing about its topic.
fn depth_of(bag: &Bag, picture: &ImageTopic, message: &RawMessage) -> Option<Depth> {
    match picture.compressed {
        true => {
            let image: CompressedImage = bag.decode(message).ok()?;
            Depth::of_compressed(&image.format, &image.data)
        }
        false => {
            let image: Image = bag.decode(message).ok()?;
            Depth::of_encoding(&image.encoding)
        }
    }
}

/// The fields of a message, as the decoders take them.
pub(super) fn borrowed<'a>(image: &'a Image<'_>) -> RosImage<'a> {
    RosImage {
        width: image.width,
        height: image.height,
        encoding: &image.encoding,
        is_bigendian: image.is_bigendian != 0,
        step: image.step,
        data: &image.data,
    }
}

/// Runs a decoder, and names the message in its error.
fn decoded<T>(
    bag: &Bag,
    message: &RawMessage,
    decode: impl FnOnce() -> Result<T, EncodingError>,
) -> Result<T, ReplayError> {
    decode_guarded(decode).map_err(|source| ReplayError::Pixels {
        topic: topic_name(bag, message),
        time: message.log_time,
        source,
    })
}

/// The name of a message's topic.
pub(super) fn topic_name(bag: &Bag, message: &RawMessage) -> String {
    let topic = bag.topics().get(message.topic);
    topic.map(|topic| topic.name.clone()).unwrap_or_default()
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
