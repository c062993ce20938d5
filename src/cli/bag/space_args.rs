//! Arguments of all commands that place the objects of a recording in space.

use std::collections::BTreeMap;

use clap::ValueEnum;
use lisa::node::{bounds, BoxOrientation, SpaceSettings};
use lisa::replay::{DepthTransport, FoundSpace, ImageTopic, SpaceChoice, SpaceTopics};
use rosbag2::Bag;
use serde_json::Value;

use super::super::model_args::in_range;
use crate::cli::streams::warn;

/// Where objects are in space; named as the node's parameters are.
#[derive(clap::Args)]
#[command(next_help_heading = "Places in space")]
pub struct SpaceArgs {
    /// auto takes the depth images that the bag has, if it is clear which, and off takes none; with raw (sensor_msgs/Image) or
    /// compressedDepth an object says NO_DEPTH where the bag has none
    #[arg(long, value_name = "HOW", default_value = "auto")]
    depth_transport: Transport,
    /// Topic with depth images; without it the only one there is, or of several the only one in the camera's own frame
    #[arg(long, value_name = "TOPIC")]
    depth_topic: Option<String>,
    /// Topic with the camera's calibration; without it camera_info beside the pictures, or the only one in their frame
    #[arg(long, value_name = "TOPIC")]
    camera_info_topic: Option<String>,
    /// Topic with the depth camera's calibration; without it camera_info beside the depth images, or the only one in their frame
    #[arg(long, value_name = "TOPIC")]
    depth_camera_info_topic: Option<String>,
    /// How far apart the stamps of a frame and of its depth image may be (0 to 1)
    #[arg(long, value_name = "SECONDS", default_value_t = SpaceSettings::default().max_offset_s, value_parser = in_range(bounds::DEPTH_MAX_OFFSET))]
    depth_max_offset: f64,
    /// How long an object waits for its depth image, in the recording's time (0 to 10)
    #[arg(long, value_name = "SECONDS", default_value_t = SpaceSettings::default().depth_timeout_s, value_parser = in_range(bounds::SPACE_TIMEOUT))]
    depth_timeout: f64,
    /// The frame that places are in; without it the camera's own optical frame
    #[arg(
        long,
        value_name = "FRAME",
        default_value = "",
        hide_default_value = true
    )]
    target_frame: String,
    /// A frame in which the world stands still, for cameras that move between the two stamps
    #[arg(long, value_name = "FRAME", default_value_t = SpaceSettings::default().fixed_frame)]
    fixed_frame: String,
    /// How long an object waits for transforms, in the recording's time (0 to 10)
    #[arg(long, value_name = "SECONDS", default_value_t = SpaceSettings::default().tf_timeout_s, value_parser = in_range(bounds::SPACE_TIMEOUT))]
    tf_timeout: f64,
    /// principal: boxes lie along the principal axes of the object. gravity: they stand upright
    #[arg(long, value_name = "HOW", default_value = "principal")]
    box_orientation: Orientation,
    /// The frame whose z axis points up, for upright boxes
    #[arg(long, value_name = "FRAME", default_value_t = SpaceSettings::default().gravity_frame)]
    gravity_frame: String,
    /// The pictures are rectified: P of their calibration holds, not K and D
    #[arg(long)]
    image_rectified: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    Auto,
    Off,
    Raw,
    #[value(name = "compressedDepth")]
    CompressedDepth,
}

#[derive(Clone, Copy, ValueEnum)]
enum Orientation {
    Principal,
    Gravity,
}

impl SpaceArgs {
    /// The topics of the recording from which the objects in this camera's pictures get their places; `None` where they get none.
    /// If that is so although the bag has depth, standard error says why.
    pub fn find(&self, bag: &Bag, images: &ImageTopic) -> anyhow::Result<Option<SpaceTopics>> {
        let choice = SpaceChoice {
            transport: match self.depth_transport {
                Transport::Auto => DepthTransport::Auto,
                Transport::Off => DepthTransport::Off,
                Transport::Raw => DepthTransport::Raw,
                Transport::CompressedDepth => DepthTransport::Compressed,
            },
            depth: self.depth_topic.clone(),
            camera_info: self.camera_info_topic.clone(),
            depth_camera_info: self.depth_camera_info_topic.clone(),
        };
        Ok(match SpaceTopics::find(bag, images, &choice)? {
            FoundSpace::Topics(topics) => Some(topics),
            FoundSpace::Nothing => None,
            FoundSpace::Unclear(why) => {
                warn(why);
                None
            }
        })
    }

    /// Everything that decides where objects are, by the options' names.
    pub fn listed(&self) -> BTreeMap<String, Value> {
        let name = |value: Option<clap::builder::PossibleValue>| match value {
            Some(value) => value.get_name().to_owned(),
            None => String::new(),
        };
        let listed: [(&str, Value); 12] = [
            (
                "depth_transport",
                name(self.depth_transport.to_possible_value()).into(),
            ),
            ("depth_topic", self.depth_topic.clone().into()),
            ("camera_info_topic", self.camera_info_topic.clone().into()),
            (
                "depth_camera_info_topic",
                self.depth_camera_info_topic.clone().into(),
            ),
            ("depth_max_offset", self.depth_max_offset.into()),
            ("depth_timeout", self.depth_timeout.into()),
            ("target_frame", self.target_frame.clone().into()),
            ("fixed_frame", self.fixed_frame.clone().into()),
            ("tf_timeout", self.tf_timeout.into()),
            (
                "box_orientation",
                name(self.box_orientation.to_possible_value()).into(),
            ),
            ("gravity_frame", self.gravity_frame.clone().into()),
            ("image_rectified", self.image_rectified.into()),
        ];
        listed.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// The node's parameters; objects are placed where `topics` are.
    pub fn settings(&self, topics: Option<&SpaceTopics>) -> SpaceSettings {
        SpaceSettings {
            enabled: topics.is_some(),
            max_offset_s: self.depth_max_offset,
            depth_timeout_s: self.depth_timeout,
            target_frame: self.target_frame.clone(),
            fixed_frame: self.fixed_frame.clone(),
            tf_timeout_s: self.tf_timeout,
            orientation: match self.box_orientation {
                Orientation::Principal => BoxOrientation::Principal,
                Orientation::Gravity => BoxOrientation::Gravity,
            },
            gravity_frame: self.gravity_frame.clone(),
            rectified: self.image_rectified,
        }
    }
}
