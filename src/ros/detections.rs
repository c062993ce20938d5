//! What an answer found, for programs that know nothing of LISA: boxes in the picture and in space (vision_msgs), markers for
//! RViz, and the objects' points.

use std::sync::Arc;

use r2r::geometry_msgs::msg::{Point, Pose, PoseWithCovariance, Quaternion, Vector3};
use r2r::sensor_msgs::msg::{PointCloud2, PointField};
use r2r::std_msgs::msg::ColorRGBA;
use r2r::vision_msgs::msg::{
    BoundingBox2D, BoundingBox3D, Detection2D, Detection2DArray, Detection3D, Detection3DArray,
    LabelInfo, ObjectHypothesis, ObjectHypothesisWithPose, Point2D, Pose2D, VisionClass,
};
use r2r::visualization_msgs::msg::{Marker, MarkerArray};
use rosbag2::Header;

use super::convert::header;
use crate::engine::Frame;
use crate::image::colour;
use crate::node::{ros_text, FoundObject, PlacedObject};

/// The labels that were published, by their numbers. An open vocabulary has no list of classes; it grows with what people say.
#[derive(Debug, Default)]
pub struct Labels {
    names: Vec<String>,
}

/// How many labels are kept. The numbers of `vision_msgs/VisionClass` end at 65535, which means "none".
const MAX_LABELS: usize = 1000;

impl Labels {
    /// The number of a label, and whether it is new. Beyond the bound all are forgotten, and the numbers begin again.
    pub fn number(&mut self, label: &str) -> (u16, bool) {
        if let Some(known) = self.names.iter().position(|name| name == label) {
            return (known as u16, false);
        }
        if self.names.len() >= MAX_LABELS {
            self.names.clear();
        }
        self.names.push(label.to_owned());
        (self.names.len() as u16 - 1, true)
    }

    /// All labels as a message.
    pub fn message(&self, at: &Header) -> LabelInfo {
        let classes = self.names.iter().enumerate().map(|(i, name)| VisionClass {
            class_id: i as u16,
            class_name: ros_text(name),
        });
        LabelInfo {
            header: header(at),
            class_map: classes.collect(),
            threshold: 0.0,
        }
    }
}

/// Where an object is, if that is known.
fn placed(object: &FoundObject) -> Option<&Arc<PlacedObject>> {
    object.place.as_ref()?.as_ref().ok()
}

/// The header of what is in space: the picture's stamp, and the frame that the places are in; the picture's own where there is no
/// place.
fn header_in_space(at: &Header, objects: &[FoundObject]) -> Header {
    let first = objects.iter().find_map(placed);
    first.map_or_else(|| at.clone(), |placed| placed.header(at))
}

/// The box of an object in the target frame.
fn pose(placed: &PlacedObject) -> Pose {
    let pose = placed.pose();
    Pose {
        position: Point {
            x: pose.position.x,
            y: pose.position.y,
            z: pose.position.z,
        },
        orientation: Quaternion {
            x: pose.orientation.x,
            y: pose.orientation.y,
            z: pose.orientation.z,
            w: pose.orientation.w,
        },
    }
}

fn size(placed: &PlacedObject) -> Vector3 {
    let size = placed.located.bounding_box.size;
    Vector3 {
        x: size.x,
        y: size.y,
        z: size.z,
    }
}

fn hypothesis(object: &FoundObject, class: u16) -> Vec<ObjectHypothesisWithPose> {
    let pose = placed(object).map(|placed| PoseWithCovariance {
        pose: pose(placed),
        covariance: vec![0.0; 36],
    });
    vec![ObjectHypothesisWithPose {
        hypothesis: ObjectHypothesis {
            class_id: class.to_string(),
            score: f64::from(object.mask.score),
        },
        pose: pose.unwrap_or_else(|| PoseWithCovariance {
            covariance: vec![0.0; 36],
            ..PoseWithCovariance::default()
        }),
    }]
}

/// The objects' boxes in the picture, in pixels. `classes` are the numbers of their labels.
pub fn detections(at: &Header, objects: &[FoundObject], classes: &[u16]) -> Detection2DArray {
    let detection = |(object, class): (&FoundObject, &u16)| {
        let roi = object.mask.roi;
        Detection2D {
            header: header(at),
            results: hypothesis(object, *class),
            bbox: BoundingBox2D {
                center: Pose2D {
                    // A pixel's own number is that of its centre.
                    position: Point2D {
                        x: f64::from(roi.x) + f64::from(roi.width) / 2.0 - 0.5,
                        y: f64::from(roi.y) + f64::from(roi.height) / 2.0 - 0.5,
                    },
                    theta: 0.0,
                },
                size_x: f64::from(roi.width),
                size_y: f64::from(roi.height),
            },
            id: String::new(),
        }
    };
    Detection2DArray {
        header: header(at),
        detections: objects.iter().zip(classes).map(detection).collect(),
    }
}

/// The boxes of those objects whose place is known, in metres.
pub fn detections_3d(at: &Header, objects: &[FoundObject], classes: &[u16]) -> Detection3DArray {
    let detection = |(object, class): (&FoundObject, &u16)| {
        let placed = placed(object)?;
        Some(Detection3D {
            header: header(&placed.header(at)),
            results: hypothesis(object, *class),
            bbox: BoundingBox3D {
                center: pose(placed),
                size: size(placed),
            },
            id: String::new(),
        })
    };
    Detection3DArray {
        header: header(&header_in_space(at, objects)),
        detections: objects.iter().zip(classes).filter_map(detection).collect(),
    }
}

/// A box and a label for each object whose place is known. Markers of the answer before, of which there were `before` objects, are
/// deleted where this one has none.
pub fn markers(at: &Header, objects: &[FoundObject], before: usize) -> MarkerArray {
    let mut markers = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        let Some(placed) = placed(object) else {
            markers.extend(deleted(at, number));
            continue;
        };
        let [red, green, blue] = colour(object.mask.index).0.map(|v| f32::from(v) / 255.0);
        let painted = |a| ColorRGBA {
            r: red,
            g: green,
            b: blue,
            a,
        };
        let extent = size(placed);
        // RViz does not draw a box without a thickness.
        let thick = |length: f64| length.max(0.001);
        let marker = Marker {
            header: header(&placed.header(at)),
            id: number as i32,
            action: Marker::ADD as i32,
            ..Marker::default()
        };
        let mut above = pose(placed);
        above.position.z += extent.z / 2.0 + TEXT_HEIGHT;
        markers.push(Marker {
            ns: BOXES.to_owned(),
            type_: Marker::CUBE as i32,
            pose: pose(placed),
            scale: Vector3 {
                x: thick(extent.x),
                y: thick(extent.y),
                z: thick(extent.z),
            },
            color: painted(0.4),
            ..marker.clone()
        });
        markers.push(Marker {
            ns: LABELS.to_owned(),
            type_: Marker::TEXT_VIEW_FACING as i32,
            pose: above,
            scale: Vector3 {
                x: 0.0,
                y: 0.0,
                z: TEXT_HEIGHT,
            },
            color: painted(1.0),
            text: ros_text(&object.mask.label),
            ..marker
        });
    }
    markers.extend((objects.len()..before).flat_map(|number| deleted(at, number)));
    MarkerArray { markers }
}

const BOXES: &str = "boxes";
const LABELS: &str = "labels";
/// The height of a label, metres.
const TEXT_HEIGHT: f64 = 0.03;

fn deleted(at: &Header, number: usize) -> [Marker; 2] {
    [BOXES, LABELS].map(|ns| Marker {
        header: header(at),
        ns: ns.to_owned(),
        id: number as i32,
        action: Marker::DELETE as i32,
        ..Marker::default()
    })
}

/// The objects' own points: x, y, z, the picture's colour, and the number of the object.
pub fn points(at: &Header, frame: &Frame, objects: &[FoundObject]) -> PointCloud2 {
    let field = |name: &str, offset, datatype: u8| PointField {
        name: name.to_owned(),
        offset,
        datatype,
        count: 1,
    };
    let (float, integer) = (PointField::FLOAT32 as u8, PointField::UINT32 as u8);
    let mut data = Vec::new();
    let mut width = 0;
    for object in objects {
        let Some(placed) = placed(object) else {
            continue;
        };
        for point in &placed.located.points {
            let (x, y) = point.pixel;
            let seen = frame.pixels().get_pixel_checked(x, y);
            let [red, green, blue] = seen.map_or([0; 3], |pixel| pixel.0);
            for coordinate in point.position.to_array() {
                data.extend((coordinate as f32).to_le_bytes());
            }
            data.extend([blue, green, red, 0]);
            data.extend((object.mask.index as u32).to_le_bytes());
            width += 1;
        }
    }
    PointCloud2 {
        header: header(&header_in_space(at, objects)),
        height: 1,
        width,
        fields: vec![
            field("x", 0, float),
            field("y", 4, float),
            field("z", 8, float),
            field("rgb", 12, float),
            field("object_id", 16, integer),
        ],
        is_bigendian: false,
        point_step: POINT_STEP,
        row_step: POINT_STEP * width,
        data,
        is_dense: true,
    }
}

const POINT_STEP: u32 = 20;
