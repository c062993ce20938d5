//! What an answer found, for programs that know nothing of LISA: boxes in the picture and in space (vision_msgs), markers for
//! RViz, and the objects' points. The ROS 2 node publishes them and a replay writes them into a bag.

use std::sync::Arc;

use lisa_messages::{
    BoundingBox2D, BoundingBox3D, ColorRgba, Detection2D, Detection2DArray, Detection3D,
    Detection3DArray, LabelInfo, Marker, MarkerArray, ObjectHypothesis, ObjectHypothesisWithPose,
    Point2D, PointCloud2, PointField, Pose2D, PoseWithCovariance, VisionClass,
};
use rosbag2::{Header, Pose, Quaternion, Vector3};

use super::publishing::ros_text;
use super::space::{FoundObject, PlacedObject};
use crate::engine::Frame;
use crate::image::colour;

/// What of an answer's objects is published beside its result, in this order.
pub struct DetectionMessages {
    /// All labels so far, where there is a new one.
    pub label_info: Option<LabelInfo>,
    /// Boxes in the picture.
    pub detections: Detection2DArray,
    /// Boxes in space; `None` without a depth topic.
    pub detections_3d: Option<Detection3DArray>,
    /// Boxes and labels for RViz; `None` where there is nothing to draw and nothing to delete.
    pub markers: Option<MarkerArray<'static>>,
}

/// What consumers of detections have been shown so far.
#[derive(Debug, Default)]
pub struct ShownDetections {
    labels: Labels,
    /// How many objects the markers are of.
    markers: usize,
}

impl ShownDetections {
    /// The messages about an answer's objects; there are some also where it has none, so that nobody keeps those of an earlier
    /// answer; those in space only with a depth topic, `in_space`.
    pub fn messages(
        &mut self,
        at: &Header,
        objects: &[FoundObject],
        in_space: bool,
    ) -> DetectionMessages {
        let mut any_new = false;
        let numbers = objects.iter().map(|object| {
            let (number, is_new) = self.labels.number(&object.mask.label);
            any_new |= is_new;
            number
        });
        let numbers: Vec<u16> = numbers.collect();
        let is_shown = self.markers > 0 || objects.iter().any(|object| placed(object).is_some());
        let before = match is_shown {
            true => std::mem::replace(&mut self.markers, objects.len()),
            false => 0,
        };
        DetectionMessages {
            label_info: any_new.then(|| self.labels.message(at)),
            detections: detections(at, objects, &numbers),
            detections_3d: in_space.then(|| detections_3d(at, objects, &numbers)),
            markers: is_shown.then(|| markers(at, objects, before)),
        }
    }

    /// Goes on after what an earlier run has shown: the labels of its last [`LabelInfo`].
    pub fn resume_labels(&mut self, shown: &LabelInfo) {
        let names = shown.class_map.iter().map(|class| class.class_name.clone());
        self.labels.names = names.collect();
    }

    /// Goes on after what an earlier run has shown: one of its [`MarkerArray`]s.
    pub fn resume_markers(&mut self, shown: &MarkerArray<'_>) {
        let boxes = shown.markers.iter();
        let boxes = boxes.filter(|marker| marker.ns == BOXES && marker.action == Marker::ADD);
        let ends = boxes.map(|marker| usize::try_from(marker.id).map_or(0, |id| id + 1));
        self.markers = ends.max().unwrap_or(0);
    }
}

/// The labels that were published, by their numbers. An open vocabulary has no list of classes; it grows with what people say.
#[derive(Debug, Default)]
struct Labels {
    names: Vec<String>,
}

/// How many labels are kept. The numbers of `vision_msgs/VisionClass` end at 65535, which means "none".
const MAX_LABELS: usize = 1000;

impl Labels {
    /// The number of a label, and whether it is new. Beyond the bound all are forgotten, and the numbers begin again.
    fn number(&mut self, label: &str) -> (u16, bool) {
        let label = ros_text(label);
        if let Some(known) = self.names.iter().position(|name| *name == label) {
            return (known as u16, false);
        }
        if self.names.len() >= MAX_LABELS {
            self.names.clear();
        }
        self.names.push(label);
        (self.names.len() as u16 - 1, true)
    }

    /// All labels as a message.
    fn message(&self, at: &Header) -> LabelInfo {
        let classes = self.names.iter().enumerate().map(|(i, name)| VisionClass {
            class_id: i as u16,
            class_name: name.clone(),
        });
        LabelInfo {
            header: at.clone(),
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
        pose: placed.pose(),
        ..PoseWithCovariance::default()
    });
    vec![ObjectHypothesisWithPose {
        hypothesis: ObjectHypothesis {
            class_id: class.to_string(),
            score: f64::from(object.mask.score),
        },
        pose: pose.unwrap_or_else(|| PoseWithCovariance {
            pose: nowhere(),
            ..PoseWithCovariance::default()
        }),
    }]
}

/// The pose that a message has which says nothing about it.
fn nowhere() -> Pose {
    Pose {
        orientation: Quaternion {
            w: 1.0,
            ..Quaternion::default()
        },
        ..Pose::default()
    }
}

/// The objects' boxes in the picture, in pixels. `classes` are the numbers of their labels.
fn detections(at: &Header, objects: &[FoundObject], classes: &[u16]) -> Detection2DArray {
    let detection = |(object, class): (&FoundObject, &u16)| {
        let roi = object.mask.roi;
        Detection2D {
            header: at.clone(),
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
        header: at.clone(),
        detections: objects.iter().zip(classes).map(detection).collect(),
    }
}

/// The boxes of those objects whose place is known, in metres.
fn detections_3d(at: &Header, objects: &[FoundObject], classes: &[u16]) -> Detection3DArray {
    let detection = |(object, class): (&FoundObject, &u16)| {
        let placed = placed(object)?;
        Some(Detection3D {
            header: placed.header(at),
            results: hypothesis(object, *class),
            bbox: BoundingBox3D {
                center: placed.pose(),
                size: size(placed),
            },
            id: String::new(),
        })
    };
    Detection3DArray {
        header: header_in_space(at, objects),
        detections: objects.iter().zip(classes).filter_map(detection).collect(),
    }
}

/// A box and a label for each object whose place is known. Markers of the answer before, of which there were `before` objects, are
/// deleted where this one has none.
fn markers(at: &Header, objects: &[FoundObject], before: usize) -> MarkerArray<'static> {
    let mut markers = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        let Some(placed) = placed(object) else {
            markers.extend(deleted(at, number));
            continue;
        };
        let [red, green, blue] = colour(object.mask.index).0.map(|v| f32::from(v) / 255.0);
        let painted = |a| ColorRgba {
            r: red,
            g: green,
            b: blue,
            a,
        };
        let extent = size(placed);
        // RViz does not draw a box without a thickness.
        let thick = |length: f64| length.max(0.001);
        let marker = Marker {
            header: placed.header(at),
            id: number as i32,
            action: Marker::ADD,
            ..Marker::default()
        };
        let mut above = placed.pose();
        above.position.z += extent.z / 2.0 + TEXT_HEIGHT;
        markers.push(Marker {
            ns: BOXES.to_owned(),
            kind: Marker::CUBE,
            pose: placed.pose(),
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
            kind: Marker::TEXT_VIEW_FACING,
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

fn deleted(at: &Header, number: usize) -> [Marker<'static>; 2] {
    [BOXES, LABELS].map(|ns| Marker {
        header: at.clone(),
        ns: ns.to_owned(),
        id: number as i32,
        action: Marker::DELETE,
        pose: nowhere(),
        ..Marker::default()
    })
}

/// The objects' own points: x, y, z, the picture's colour, and the number of the object; `None` where none has a place.
pub fn points_message(
    at: &Header,
    frame: &Frame,
    objects: &[FoundObject],
) -> Option<PointCloud2<'static>> {
    objects.iter().find_map(placed)?;
    let field = |name: &str, offset, datatype: u8| PointField {
        name: name.to_owned(),
        offset,
        datatype,
        count: 1,
    };
    let (float, integer) = (PointField::FLOAT32, PointField::UINT32);
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
    Some(PointCloud2 {
        header: header_in_space(at, objects),
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
        data: data.into(),
        is_dense: true,
    })
}

const POINT_STEP: u32 = 20;
