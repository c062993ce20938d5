//! What an answer found, for programs that know nothing of LISA: messages of other packages as types. Their definitions are in
//! [`published`](super::published).

use std::borrow::Cow;

use rosbag2::cdr::{CdrError, Decoder, Encoder, Field};
use rosbag2::{ros_message, CompressedImage, Header, Point, Pose, Vector3};

use super::published::{
    BOUNDING_BOX_2D, BOUNDING_BOX_3D, COLOR_RGBA, DETECTION_2D, DETECTION_2D_ARRAY, DETECTION_3D,
    DETECTION_3D_ARRAY, DURATION, LABEL_INFO, MARKER, MARKER_ARRAY, MESH_FILE, OBJECT_HYPOTHESIS,
    OBJECT_HYPOTHESIS_WITH_POSE, POINT_2D, POINT_CLOUD_2, POINT_FIELD, POSE_2D,
    POSE_WITH_COVARIANCE, UV_COORDINATE, VISION_CLASS,
};

// vision_msgs 4, and what it is made of.
ros_message! {
    /// A place in a picture, pixels.
    #[derive(Copy)]
    pub struct Point2D = POINT_2D {
        /// To the right.
        pub x: f64,
        /// Down.
        pub y: f64,
    }

    /// A place in a picture and a direction.
    #[derive(Copy)]
    pub struct Pose2D = POSE_2D {
        /// The place.
        pub position: Point2D,
        /// Radians, counterclockwise.
        pub theta: f64,
    }

    /// A box in a picture, pixels.
    #[derive(Copy)]
    pub struct BoundingBox2D = BOUNDING_BOX_2D {
        /// Its centre.
        pub center: Pose2D,
        /// Its width.
        pub size_x: f64,
        /// Its height.
        pub size_y: f64,
    }

    /// A box in space, metres.
    #[derive(Copy)]
    pub struct BoundingBox3D = BOUNDING_BOX_3D {
        /// The pose of its centre.
        pub center: Pose,
        /// Its whole lengths along its own axes.
        pub size: Vector3,
    }

    /// What something may be.
    pub struct ObjectHypothesis = OBJECT_HYPOTHESIS {
        /// The number of its class, as text.
        pub class_id: String,
        /// How sure that is, 0..1.
        pub score: f64,
    }

    /// A pose, and how sure it is.
    #[derive(Copy)]
    pub struct PoseWithCovariance = POSE_WITH_COVARIANCE {
        /// The pose.
        pub pose: Pose,
        /// Of x, y, z and the rotations about them; zeros where it is not known.
        pub covariance: Covariance,
    }

    /// What something may be, and where.
    pub struct ObjectHypothesisWithPose = OBJECT_HYPOTHESIS_WITH_POSE {
        /// What.
        pub hypothesis: ObjectHypothesis,
        /// Where.
        pub pose: PoseWithCovariance,
    }

    /// An object in a picture.
    pub struct Detection2D = DETECTION_2D {
        /// The picture's.
        pub header: Header,
        /// What it may be.
        pub results: Vec<ObjectHypothesisWithPose>,
        /// Its box.
        pub bbox: BoundingBox2D,
        /// The same for the same object over several messages; may be empty.
        pub id: String,
    }

    /// The objects in a picture.
    pub struct Detection2DArray = DETECTION_2D_ARRAY {
        /// The picture's.
        pub header: Header,
        /// The objects.
        pub detections: Vec<Detection2D>,
    }

    /// An object in space.
    pub struct Detection3D = DETECTION_3D {
        /// The picture's stamp, and the frame that the box is in.
        pub header: Header,
        /// What it may be.
        pub results: Vec<ObjectHypothesisWithPose>,
        /// Its box.
        pub bbox: BoundingBox3D,
        /// The same for the same object over several messages; may be empty.
        pub id: String,
    }

    /// The objects in space.
    pub struct Detection3DArray = DETECTION_3D_ARRAY {
        /// The picture's stamp, and the frame that the boxes are in.
        pub header: Header,
        /// The objects.
        pub detections: Vec<Detection3D>,
    }

    /// A class by its number.
    #[derive(Eq, Hash)]
    pub struct VisionClass = VISION_CLASS {
        /// The number.
        pub class_id: u16,
        /// What it stands for.
        pub class_name: String,
    }

    /// What the numbers of classes stand for.
    pub struct LabelInfo = LABEL_INFO {
        /// When that is said.
        pub header: Header,
        /// The classes.
        pub class_map: Vec<VisionClass>,
        /// The least score of what is published.
        pub threshold: f32,
    }
}

// What RViz shows.
ros_message! {
    /// A length of time.
    #[derive(Copy, Eq, Hash)]
    pub struct Duration = DURATION {
        /// Whole seconds.
        pub sec: i32,
        /// Nanoseconds after those.
        pub nanosec: u32,
    }

    /// A colour, each part 0..1.
    #[derive(Copy)]
    pub struct ColorRgba = COLOR_RGBA {
        /// Red.
        pub r: f32,
        /// Green.
        pub g: f32,
        /// Blue.
        pub b: f32,
        /// Opacity.
        pub a: f32,
    }

    /// A place in a texture.
    #[derive(Copy)]
    pub struct UvCoordinate = UV_COORDINATE {
        /// Across.
        pub u: f32,
        /// Up.
        pub v: f32,
    }

    /// A file that a marker shows.
    pub struct MeshFile<'a> = MESH_FILE {
        /// Its name.
        pub filename: String,
        /// Its content.
        pub data: Cow<'a, [u8]>,
    }

    /// A thing that RViz draws.
    pub struct Marker<'a> = MARKER {
        /// The frame of its pose.
        pub header: Header,
        /// Together with the id, which marker it is.
        pub ns: String,
        /// Together with the namespace, which marker it is.
        pub id: i32,
        /// [`Marker::CUBE`] or [`Marker::TEXT_VIEW_FACING`], and others of the definition.
        pub kind: i32,
        /// [`Marker::ADD`] or [`Marker::DELETE`].
        pub action: i32,
        /// Where it is.
        pub pose: Pose,
        /// How large it is, metres.
        pub scale: Vector3,
        /// Its colour.
        pub color: ColorRgba,
        /// How long it stays; zero until it is deleted.
        pub lifetime: Duration,
        /// Whether it moves with its frame.
        pub frame_locked: bool,
        /// The corners of lines and lists.
        pub points: Vec<Point>,
        /// Their colours.
        pub colors: Vec<ColorRgba>,
        /// Where its texture is.
        pub texture_resource: String,
        /// Its texture.
        pub texture: CompressedImage<'a>,
        /// Places of the corners in it.
        pub uv_coordinates: Vec<UvCoordinate>,
        /// What a text says.
        pub text: String,
        /// Where a mesh is.
        pub mesh_resource: String,
        /// The mesh.
        pub mesh_file: MeshFile<'a>,
        /// Whether it is drawn in its own colours.
        pub mesh_use_embedded_materials: bool,
    }

    /// Things that RViz draws.
    pub struct MarkerArray<'a> = MARKER_ARRAY {
        /// The markers.
        pub markers: Vec<Marker<'a>>,
    }

    /// A number of each point of a cloud.
    #[derive(Eq, Hash)]
    pub struct PointField = POINT_FIELD {
        /// Its name, e.g. `x`.
        pub name: String,
        /// Where it begins in a point's bytes.
        pub offset: u32,
        /// [`PointField::FLOAT32`] or [`PointField::UINT32`], and others of the definition.
        pub datatype: u8,
        /// How many of them.
        pub count: u32,
    }

    /// Points.
    pub struct PointCloud2<'a> = POINT_CLOUD_2 {
        /// The frame that they are in.
        pub header: Header,
        /// Rows; 1 if they are in no order.
        pub height: u32,
        /// Points of a row.
        pub width: u32,
        /// What is known of each.
        pub fields: Vec<PointField>,
        /// Whether values of several bytes are big-endian.
        pub is_bigendian: bool,
        /// Bytes of a point.
        pub point_step: u32,
        /// Bytes of a row.
        pub row_step: u32,
        /// The points, one after the other.
        pub data: Cow<'a, [u8]>,
        /// Whether none is invalid.
        pub is_dense: bool,
    }
}

impl Marker<'_> {
    /// A kind: a box.
    pub const CUBE: i32 = 1;
    /// A kind: a text that faces who looks at it.
    pub const TEXT_VIEW_FACING: i32 = 9;
    /// An action: it appears, or changes.
    pub const ADD: i32 = 0;
    /// An action: it goes.
    pub const DELETE: i32 = 2;
}

impl PointField {
    /// A type of a number: 32 bits without a sign.
    pub const UINT32: u8 = 6;
    /// A type of a number: a float of 32 bits.
    pub const FLOAT32: u8 = 7;
}

/// The covariance of a pose: 6x6, row after row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Covariance(pub [f64; 36]);

impl Default for Covariance {
    fn default() -> Self {
        Self([0.0; 36])
    }
}

impl<'a> Field<'a> for Covariance {
    const MIN_SIZE: usize = <[f64; 36] as Field<'a>>::MIN_SIZE;

    fn write(&self, cdr: &mut Encoder) {
        self.0.write(cdr);
    }

    fn read(cdr: &mut Decoder<'a>) -> Result<Self, CdrError> {
        Field::read(cdr).map(Self)
    }
}
