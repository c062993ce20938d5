//! Which topics of a bag are pictures, and their messages as pixels.

use std::borrow::Cow;
use std::panic::{catch_unwind, AssertUnwindSafe};

use ::image::RgbImage;
use cv_convert::TryToCv;
use rosbag2::{Bag, CompressedImage, Header, Image, Message, RawMessage, Selection, Topic};

use super::ReplayError;
use crate::image::{
    decode_compressed, whole_picture, Depth, EncodingError, PictureFormat, Pixels, RosImage,
    DEPTH_HEADER,
};

/// A topic of pictures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PictureTopic {
    /// e.g. `/camera/image_raw`.
    pub name: String,
    /// Whether its messages are `sensor_msgs/msg/CompressedImage`, and not `Image`.
    pub compressed: bool,
}

/// A message as the network sees it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// As the camera wrote it.
    pub header: Header,
    /// (height, width, 3)
    pub pixels: RgbImage,
}

impl Picture {
    /// When it was taken, nanoseconds.
    pub fn stamp(&self) -> i64 {
        self.header.stamp.nanoseconds()
    }
}

/// A message of `sensor_msgs/msg/Image` with all its bits.
#[derive(Clone, Debug)]
pub struct RawPicture {
    /// As the camera wrote it.
    pub header: Header,
    /// As the message names it, e.g. `16UC1`.
    pub encoding: String,
    /// Gray stays gray, depth becomes millimetres.
    pub pixels: Pixels,
}

/// The file that a message of `sensor_msgs/msg/CompressedImage` holds.
#[derive(Clone, Debug)]
pub struct PictureFile<'m> {
    /// As the camera wrote it.
    pub header: Header,
    /// As the message names it, e.g. `rgb8; jpeg compressed bgr8`.
    pub encoding: String,
    /// What kind of file it is, by its content.
    pub format: PictureFormat,
    /// The file's bytes, neither cut nor decoded.
    pub bytes: Cow<'m, [u8]>,
    /// Whether it is depth in millimetres, 16 bits a pixel, and not what a camera sees.
    pub depth: bool,
}

/// All topics of pictures, also of depth and masks, in the bag's order.
pub fn picture_topics(bag: &Bag) -> Vec<PictureTopic> {
    let topics = bag.topics().iter();
    let named = |topic: &Topic| {
        Some(PictureTopic {
            name: topic.name.clone(),
            compressed: compressed(&topic.ros_type)?,
        })
    };
    topics.filter_map(named).collect()
}

/// The topic of that name, or the bag's only camera.
///
/// Without a name, depth, masks and the pictures made of the camera's are left out, by their encoding or their name, and so are topics without
/// messages; of a camera that was recorded both raw and compressed, the raw topic is taken.
///
/// # Errors
/// [`ReplayError::Bag`] for a name the bag does not have, [`ReplayError::NoPicture`] for a topic of another type,
/// [`ReplayError::NoCamera`] and [`ReplayError::SeveralCameras`] where no name was given.
pub fn picture_topic(bag: &Bag, wanted: Option<&str>) -> Result<PictureTopic, ReplayError> {
    let pictures = picture_topics(bag);
    if let Some(name) = wanted {
        let topic = bag.topic(name)?;
        return match pictures.iter().find(|picture| picture.name == name) {
            Some(picture) => Ok(picture.clone()),
            None => Err(ReplayError::NoPicture {
                topic: topic.name.clone(),
                ros_type: topic.ros_type.clone(),
                pictures: pictures.into_iter().map(|picture| picture.name).collect(),
            }),
        };
    }
    let mut cameras: Vec<PictureTopic> = Vec::new();
    for picture in pictures {
        if is_camera(bag, &picture)? {
            cameras.push(picture);
        }
    }
    let raw: Vec<String> = cameras
        .iter()
        .filter(|camera| !camera.compressed)
        .map(|camera| format!("{}/compressed", camera.name))
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

/// The topic of that name, or the bag's only camera, as [`picture_topic`] finds it; but not one of depth, which nobody can be
/// asked about.
///
/// # Errors
/// Those of [`picture_topic`]; [`ReplayError::Depth`], by the topic's first message.
pub fn camera_topic(bag: &Bag, wanted: Option<&str>) -> Result<PictureTopic, ReplayError> {
    let picture = picture_topic(bag, wanted)?;
    let first = first(bag, &picture)?;
    let Some(depth) = first.and_then(|first| depth_of(bag, &picture, &first)) else {
        return Ok(picture);
    };
    let mut cameras = Vec::new();
    for other in picture_topics(bag) {
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

/// A message of either type as RGB, decoded as the node decodes it.
///
/// # Errors
/// [`ReplayError::Bag`] for a message that is not of the topic's type, [`ReplayError::NoPicture`] for one of a topic of
/// another type, [`ReplayError::Pixels`].
pub fn picture(bag: &Bag, message: &RawMessage) -> Result<Picture, ReplayError> {
    let (header, pixels) = match is_compressed(bag, message)? {
        true => {
            let compressed: CompressedImage = bag.decode(message)?;
            let pixels = decoded(bag, message, || {
                decode_compressed(&compressed.format, &compressed.data)
            });
            (compressed.header, pixels)
        }
        false => {
            let image: Image = bag.decode(message)?;
            let pixels = decoded(bag, message, || borrowed(&image).try_to_cv());
            (image.header, pixels)
        }
    };
    Ok(Picture {
        header,
        pixels: pixels?,
    })
}

/// A message of `sensor_msgs/msg/Image` with all its bits: also depth, and gray as gray.
///
/// # Errors
/// [`ReplayError::Bag`] for a message of another type, [`ReplayError::Pixels`].
pub fn raw_image(bag: &Bag, message: &RawMessage) -> Result<RawPicture, ReplayError> {
    let image: Image = bag.decode(message)?;
    let pixels = decoded(bag, message, || borrowed(&image).try_to_cv())?;
    Ok(RawPicture {
        header: image.header,
        encoding: image.encoding,
        pixels,
    })
}

/// The file in a message of `sensor_msgs/msg/CompressedImage`, byte for byte: nothing is decoded, only that it ends as its
/// format wants is checked.
///
/// A depth map of whole millimetres (`16UC1; compressedDepth png`) is the PNG behind its parameters, or the PNG alone where it
/// has none. Others, of metres or not PNG, are refused.
///
/// # Errors
/// [`ReplayError::Bag`] for a message of another type, [`ReplayError::Pixels`].
pub fn picture_file<'m>(
    bag: &Bag,
    message: &'m RawMessage,
) -> Result<PictureFile<'m>, ReplayError> {
    let image: CompressedImage<'m> = bag.decode(message)?;
    let depth = Depth::of_compressed(&image.format, &image.data);
    let has_header = matches!(depth, Some(Depth::Png { header: true, .. }));
    let bytes = match image.data {
        // Before the PNG stand a format and two floats, which matter for depth in metres only.
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
    Ok(PictureFile {
        header: image.header,
        encoding: image.format,
        format: known,
        bytes,
        depth: depth.is_some(),
    })
}

/// Whether a type is that of compressed pictures; `None`: of no pictures.
fn compressed(ros_type: &str) -> Option<bool> {
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
    compressed(ros_type).ok_or_else(|| ReplayError::NoPicture {
        topic: topic.to_owned(),
        ros_type: ros_type.to_owned(),
        pictures: picture_topics(bag)
            .into_iter()
            .map(|picture| picture.name)
            .collect(),
    })
}

/// Whether the pictures of a topic are what a camera sees, by its name and its first message.
fn is_camera(bag: &Bag, picture: &PictureTopic) -> Result<bool, ReplayError> {
    const OTHERS: [&str; 4] = ["depth", "mask", "overlay", "attention"];
    let name = picture.name.to_ascii_lowercase();
    if OTHERS.iter().any(|other| name.contains(other)) {
        return Ok(false);
    }
    let first = first(bag, picture)?;
    Ok(first.is_some_and(|first| depth_of(bag, picture, &first).is_none()))
}

/// The first message of a topic that can be read.
fn first(bag: &Bag, picture: &PictureTopic) -> Result<Option<RawMessage>, ReplayError> {
    let mut messages = bag.messages(&Selection::all().topics([&picture.name]))?;
    Ok(messages.find_map(Result::ok))
}

/// What kind of depth a message is, if it is depth at all. A damaged one says nothing about its topic.
fn depth_of(bag: &Bag, picture: &PictureTopic, message: &RawMessage) -> Option<Depth> {
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

fn borrowed<'a>(image: &'a Image<'_>) -> RosImage<'a> {
    RosImage {
        width: image.width,
        height: image.height,
        encoding: &image.encoding,
        is_bigendian: image.is_bigendian != 0,
        step: image.step,
        data: &image.data,
    }
}

/// Decodes, and says of which message it was where that fails.
fn decoded<T>(
    bag: &Bag,
    message: &RawMessage,
    decode: impl FnOnce() -> Result<T, EncodingError>,
) -> Result<T, ReplayError> {
    let topic = || {
        let topic = bag.topics().get(message.topic);
        topic.map(|topic| topic.name.clone()).unwrap_or_default()
    };
    let time = message.log_time;
    // A bag comes from anywhere, and one message must not end the replay of all.
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(pixels)) => Ok(pixels),
        Ok(Err(source)) => Err(ReplayError::Pixels {
            topic: topic(),
            time,
            source,
        }),
        Err(_) => Err(ReplayError::Panicked {
            topic: topic(),
            time,
        }),
    }
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
