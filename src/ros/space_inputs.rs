//! What arrives about space: depth images, calibrations and transforms.
//!
//! Like frames they go to the state machine at once and wait in no queue.

use std::sync::Arc;
use std::time::Instant;

use depth_camera::glam::{DQuat, DVec3};
use depth_camera::{CameraInfo, Roi};
use r2r::geometry_msgs::msg::TransformStamped;
use r2r::sensor_msgs::msg::{CameraInfo as CameraInfoMessage, CompressedImage, Image};
use r2r::std_msgs::msg::Header;
use r2r::tf2_msgs::msg::TFMessage;
use r2r::{Node, QosProfile};
use tf_buffer::Transform;

use super::params::{DepthTransport, NodeParams};
use super::r2r_ext::{drain, r2r_stream, R2rStream};
use super::shared::{Shared, SharedCamera};
use super::spin::sensor_qos;
use crate::frames::Stamp;
use crate::node::{topics, CameraNames, StampedTransform};
use crate::spatial::{Camera, DepthFrame, DepthMessage};

/// How many transforms the middleware keeps for us, as in tf2's own listener.
const TF_DEPTH: usize = 100;

/// The subscriptions of one camera. That to depth images, which are large, is there only while the node listens to its cameras.
pub struct SpaceInputs {
    depth: Option<Depth>,
    transport: DepthTransport,
    depth_topic: String,
    depth_qos: QosProfile,
    calibrations: [(Camera, R2rStream<CameraInfoMessage>); 2],
}

/// The subscriptions to transforms, which all cameras share: those that hold at a time, and those that always hold.
pub struct TransformInputs([(bool, R2rStream<TFMessage>); 2]);

impl TransformInputs {
    /// Subscribes to transforms; `None` if the node has no depth topic. `by_parameter` changes a topic's quality of service.
    ///
    /// # Errors
    /// The middleware refuses a subscription.
    pub fn create(
        node: &mut Node,
        params: &NodeParams,
        by_parameter: impl Fn(&str, QosProfile) -> QosProfile,
    ) -> r2r::Result<Option<Self>> {
        if params.depth == DepthTransport::Off {
            return Ok(None);
        }
        let tf = QosProfile::default().keep_last(TF_DEPTH);
        let moving = by_parameter(topics::TF, tf.clone());
        let moving = node.subscribe(topics::TF, moving)?;
        let fixed = by_parameter(topics::TF_STATIC, tf.transient_local());
        let fixed = node.subscribe(topics::TF_STATIC, fixed)?;
        Ok(Some(Self([
            (false, r2r_stream(moving)),
            (true, r2r_stream(fixed)),
        ])))
    }

    /// Hands everything that has arrived to the state machines of all cameras.
    pub fn take(&mut self, shared: &Shared) {
        for (is_static, messages) in &mut self.0 {
            drain(messages, |message| {
                let new = message.transforms.into_iter();
                let new: Vec<_> = new.map(|t| stamped(t, *is_static)).collect();
                for camera in &shared.cameras {
                    camera.core().handle_transforms(&new, Instant::now());
                }
                shared.frame_arrived.notify_one();
            });
        }
    }
}

enum Depth {
    Raw(R2rStream<Image>),
    Compressed(R2rStream<CompressedImage>),
}

impl SpaceInputs {
    /// Subscribes to calibrations; `None` if the node has no depth topic. Pictures come with the quality of service
    /// of the camera's; `by_parameter` changes a topic's own.
    ///
    /// # Errors
    /// The middleware refuses a subscription.
    pub fn create(
        node: &mut Node,
        params: &NodeParams,
        names: &CameraNames,
        by_parameter: impl Fn(&str, QosProfile) -> QosProfile,
    ) -> r2r::Result<Option<Self>> {
        let transport = params.depth;
        if transport == DepthTransport::Off {
            return Ok(None);
        }
        let sensor = |topic: &str| by_parameter(topic, sensor_qos(params));
        let depth_topic = names.topic(transport.topic());
        let depth_qos = sensor(&depth_topic);
        let mut calibration = |camera, topic| -> r2r::Result<(Camera, R2rStream<_>)> {
            let topic = names.topic(topic);
            let messages = node.subscribe(&topic, sensor(&topic))?;
            Ok((camera, r2r_stream(messages)))
        };
        let calibrations = [
            calibration(Camera::Colour, topics::CAMERA_INFO)?,
            calibration(Camera::Depth, topics::DEPTH_CAMERA_INFO)?,
        ];
        Ok(Some(Self {
            depth: None,
            transport,
            depth_topic,
            depth_qos,
            calibrations,
        }))
    }

    /// Subscribes to depth images, or no longer. r2r ends a subscription whose stream is dropped when its next message comes.
    ///
    /// # Errors
    /// The middleware refuses the subscription.
    pub fn listen(&mut self, node: &mut Node, is_listening: bool) -> r2r::Result<()> {
        let (topic, qos) = (&self.depth_topic, self.depth_qos.clone());
        self.depth = match self.transport {
            DepthTransport::Raw if is_listening => {
                Some(Depth::Raw(r2r_stream(node.subscribe(topic, qos)?)))
            }
            DepthTransport::Compressed if is_listening => {
                Some(Depth::Compressed(r2r_stream(node.subscribe(topic, qos)?)))
            }
            _ => None,
        };
        Ok(())
    }

    /// Hands everything that has arrived to the state machine. Returns whether there was anything.
    pub fn take(&mut self, shared: &SharedCamera) -> bool {
        let mut arrived = false;
        for (camera, messages) in &mut self.calibrations {
            drain(messages, |message| {
                arrived = true;
                let Some(info) = calibration(message) else {
                    return;
                };
                let now = Instant::now();
                shared.core().handle_camera_info(*camera, info, now);
            });
        }
        let mut depth = |header: Header, message| {
            arrived = true;
            let stamp = Stamp::new(header.stamp.sec, header.stamp.nanosec);
            let frame = DepthFrame::new(stamp, header.frame_id, message);
            shared.core().handle_depth(frame, Instant::now());
        };
        match &mut self.depth {
            None => {}
            Some(Depth::Raw(stream)) => drain(stream, |m| {
                let message = DepthMessage::Image {
                    encoding: m.encoding,
                    width: m.width,
                    height: m.height,
                    step: m.step,
                    is_bigendian: m.is_bigendian != 0,
                    data: Arc::from(m.data),
                };
                depth(m.header, message);
            }),
            Some(Depth::Compressed(stream)) => drain(stream, |m| {
                let message = DepthMessage::Compressed {
                    format: m.format,
                    data: Arc::from(m.data),
                };
                depth(m.header, message);
            }),
        }
        arrived
    }
}

fn stamped(message: TransformStamped, is_static: bool) -> StampedTransform {
    let (shift, turn) = (message.transform.translation, message.transform.rotation);
    StampedTransform {
        stamp: Stamp::new(message.header.stamp.sec, message.header.stamp.nanosec),
        parent: message.header.frame_id,
        child: message.child_frame_id,
        transform: Transform {
            translation: DVec3::new(shift.x, shift.y, shift.z),
            rotation: DQuat::from_xyzw(turn.x, turn.y, turn.z, turn.w),
        },
        is_static,
    }
}

/// The calibration of a message; `None` where its matrices do not have the sizes of their type, which no sender can bring about.
fn calibration(message: CameraInfoMessage) -> Option<CameraInfo> {
    Some(CameraInfo {
        width: message.width,
        height: message.height,
        distortion_model: message.distortion_model,
        d: message.d,
        k: message.k.try_into().ok()?,
        r: message.r.try_into().ok()?,
        p: message.p.try_into().ok()?,
        binning_x: message.binning_x,
        binning_y: message.binning_y,
        roi: Roi {
            x_offset: message.roi.x_offset,
            y_offset: message.roi.y_offset,
            width: message.roi.width,
            height: message.roi.height,
        },
    })
}
