//! Where the objects of an answer are: which depth image, calibrations and transforms belong to a question's frame, and how long
//! they are waited for. Measuring itself is the driver's work ([`Scene::locate`]), because it takes milliseconds.

use std::collections::BTreeSet;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use depth_camera::glam::DVec3;
use depth_camera::{CameraInfo, Rectification};
use object_geometry::Alignment;
use rosbag2::Header;
use tf_buffer::{Inserted, TfBuffer, Transform};

use crate::engine::ObjectMask;
use crate::frames::{Stamp, TIME_JUMP};
use crate::image::Mask;
use crate::spatial::{
    Camera, ColourView, DepthFrame, DepthPairing, DepthView, FrameTransforms, LocateOptions,
    LocatedFrame, LocatedObject, Locator, Moment, NotLocated, Pairing,
};

/// How boxes stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoxOrientation {
    /// Along the principal axes of the points.
    #[default]
    Principal,
    /// Upright: up is z of [`SpaceSettings::gravity_frame`].
    Gravity,
}

/// The parameters of measuring in space.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceSettings {
    /// Whether there is a depth topic at all. Without one no object is located, and none of the others matters.
    pub enabled: bool,
    /// How far apart the stamps of a frame and of its depth image may be, seconds.
    pub max_offset_s: f64,
    /// How long an object waits for the depth image of its frame, seconds.
    pub depth_timeout_s: f64,
    /// The frame that places are in; empty for the camera's own optical frame.
    pub target_frame: String,
    /// A frame in which the world stands still, for cameras that move between the two stamps.
    pub fixed_frame: String,
    /// How long an object waits for transforms, seconds.
    pub tf_timeout_s: f64,
    /// How boxes stand.
    pub orientation: BoxOrientation,
    /// The frame whose z axis points up.
    pub gravity_frame: String,
    /// Whether the pictures are rectified, so that P of their CameraInfo holds, rather than K and D.
    pub rectified: bool,
}

impl Default for SpaceSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            max_offset_s: 0.05,
            depth_timeout_s: 0.5,
            target_frame: String::new(),
            fixed_frame: "odom".to_owned(),
            tf_timeout_s: 0.2,
            orientation: BoxOrientation::Principal,
            gravity_frame: "base_link".to_owned(),
            rectified: false,
        }
    }
}

impl SpaceSettings {
    fn rectification(&self) -> Rectification {
        match self.rectified {
            true => Rectification::Rectified,
            false => Rectification::Raw,
        }
    }
}

/// An object in space.
#[derive(Debug, PartialEq)]
pub struct PlacedObject {
    /// The frame that its place is in.
    pub frame_id: String,
    /// Its box, its points, where it can be grasped.
    pub located: LocatedObject,
}

/// Where an object is, or why that is not known.
pub type Place = Result<Arc<PlacedObject>, Arc<NotLocated>>;

/// An object of an answer, with its place where there is a depth topic.
#[derive(Clone, Debug)]
pub struct FoundObject {
    /// Its mask.
    pub mask: Arc<ObjectMask>,
    /// Its place; `None` where there is no depth topic.
    pub place: Option<Place>,
}

/// All that is needed to measure the objects of one frame.
#[derive(Debug)]
pub struct Scene {
    frame_id: String,
    colour_info: Option<Arc<CameraInfo>>,
    depth: Arc<DepthFrame>,
    depth_info: Option<Arc<CameraInfo>>,
    rectification: Rectification,
    transforms: FrameTransforms,
    target_frame: String,
    options: LocateOptions,
    /// Depth in the frame's pixels, once the first object needs it.
    prepared: Mutex<Option<Result<Arc<LocatedFrame>, Arc<NotLocated>>>>,
}

impl Scene {
    /// Measures an object of the frame, which has `size` pixels (width, height). The first call prepares what the others share.
    ///
    /// # Errors
    /// [`NotLocated`]: what is missing, and how to get it. A panic in between is one, too: somebody waits for this place, so that
    /// there has to be one whatever happens.
    pub fn locate(&self, locator: &mut Locator, size: (u32, u32), object: &ObjectMask) -> Place {
        let measure = || self.measure(locator, size, object);
        let place = catch_unwind(AssertUnwindSafe(measure));
        place.unwrap_or_else(|_| {
            *locator = Locator::default();
            let why = "measuring panicked".to_owned();
            Err(Arc::new(NotLocated::UnreadableDepth { why }))
        })
    }

    /// The frame that the places are in.
    pub fn target_frame(&self) -> &str {
        &self.target_frame
    }

    fn measure(&self, locator: &mut Locator, size: (u32, u32), object: &ObjectMask) -> Place {
        let prepared = {
            let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            prepared
                .get_or_insert_with(|| self.prepare(locator, size).map(Arc::new).map_err(Arc::new))
                .clone()?
        };
        let mask = Mask::cropped(size, object.roi, object.mask.as_ref().clone());
        let located = prepared.locate(&mask, &self.options).map_err(Arc::new)?;
        Ok(Arc::new(PlacedObject {
            frame_id: self.target_frame.clone(),
            located,
        }))
    }

    fn prepare(&self, locator: &mut Locator, size: (u32, u32)) -> Result<LocatedFrame, NotLocated> {
        let colour = ColourView {
            size,
            frame_id: &self.frame_id,
            info: self.colour_info.as_deref(),
            rectification: self.rectification,
        };
        let depth = DepthView {
            frame: &self.depth,
            info: self.depth_info.as_deref(),
            rectification: self.rectification,
        };
        locator.frame(&colour, &depth, &self.transforms)
    }
}

/// How far a question's scene is.
#[derive(Debug)]
pub(super) enum SceneState {
    /// There is no depth topic.
    Off,
    /// Something is still missing that may come.
    Waiting {
        /// The depth image, once it was there: the store forgets it after a second.
        depth: Option<Arc<DepthFrame>>,
        /// Since when an object has needed it; `None` as long as none does.
        since: Option<Instant>,
    },
    /// Objects can be measured.
    Ready(Arc<Scene>),
    /// Something is missing, and does not come.
    Missing(Arc<NotLocated>),
}

impl SceneState {
    pub fn of(settings: &SpaceSettings) -> Self {
        match settings.enabled {
            true => SceneState::Waiting {
                depth: None,
                since: None,
            },
            false => SceneState::Off,
        }
    }

    /// Says that an object needs the scene now, so that the waiting has an end.
    pub fn need(&mut self, now: Instant) {
        if let SceneState::Waiting { since, .. } = self {
            since.get_or_insert(now);
        }
    }

    /// When the waiting ends: for the depth image, or, once that is there, for calibrations and transforms.
    pub fn deadline(&self, settings: &SpaceSettings) -> Option<Instant> {
        let SceneState::Waiting { depth, since } = self else {
            return None;
        };
        let seconds = match depth {
            None => settings.depth_timeout_s,
            Some(_) => settings.tf_timeout_s,
        };
        since.map(|since| since + Duration::from_secs_f64(seconds))
    }
}

/// What has arrived about space: depth images, calibrations, transforms.
#[derive(Debug, Default)]
pub(super) struct Space {
    pairing: DepthPairing,
    transforms: TfBuffer,
    colour_info: Option<Arc<CameraInfo>>,
    depth_info: Option<Arc<CameraInfo>>,
    /// The links, parent and child, whose refusal was told: a broken sender repeats itself a hundred times a second.
    refused: BTreeSet<(String, String)>,
}

/// How many refused links are remembered, and so told.
const MAX_REFUSED: usize = 100;

impl Space {
    pub fn push_depth(&mut self, depth: DepthFrame, settings: &SpaceSettings, now: Instant) {
        let max_offset = Duration::from_secs_f64(settings.max_offset_s);
        self.pairing.set_max_offset(max_offset);
        let _ = self.pairing.push(depth, now);
    }

    pub fn set_camera_info(&mut self, camera: Camera, info: CameraInfo) {
        let slot = match camera {
            Camera::Colour => &mut self.colour_info,
            Camera::Depth => &mut self.depth_info,
        };
        // Drivers send the same calibration with every picture.
        if slot.as_deref() != Some(&info) {
            *slot = Some(Arc::new(info));
        }
    }

    /// Takes a transform. Returns what a person should know about it, if there is something.
    pub fn push_transform(&mut self, new: &StampedTransform) -> Option<String> {
        let StampedTransform {
            parent,
            child,
            stamp,
            transform,
            is_static,
        } = new;
        let inserted = match is_static {
            true => self.transforms.insert_static(parent, child, *transform),
            false => self.transforms.insert(parent, child, stamp.0, *transform),
        };
        match inserted {
            Ok(Inserted::JumpedBack { .. }) => Some(format!(
                "the time of the transform {parent} to {child} went back; earlier transforms are forgotten"
            )),
            Ok(_) => None,
            Err(error) => {
                let is_new = self.refused.len() < MAX_REFUSED
                    && self.refused.insert((parent.clone(), child.clone()));
                is_new.then(|| format!("a transform was not taken: {error}"))
            }
        }
    }

    /// Forgets what is stamped later than this, because time went back to it.
    pub fn forget_after(&mut self, stamp: Stamp) {
        self.pairing.forget_after(stamp);
        self.transforms.forget_after(stamp.0);
    }

    /// Forgets the depth images that are more than a jump in time after a picture whose time went back. Its own may have come before
    /// it and stays.
    pub fn picture_went_back(&mut self, stamp: Stamp) {
        let jump = i64::try_from(TIME_JUMP.as_nanos()).unwrap_or(i64::MAX);
        self.pairing
            .forget_after(Stamp(stamp.0.saturating_add(jump)));
    }

    /// Forgets depth images: none is stale when frames are taken again.
    pub fn clear(&mut self) {
        self.pairing.clear();
    }

    /// How many depth images arrived.
    pub fn depth_received(&self) -> u64 {
        self.pairing.received()
    }

    /// Looks whether everything is there that the objects of a frame need, and changes `state` if it is, or if it cannot come any
    /// more.
    pub fn resolve(
        &self,
        state: &mut SceneState,
        header: &Header,
        settings: &SpaceSettings,
        now: Instant,
    ) {
        let over = |state: &SceneState| state.deadline(settings).is_some_and(|until| until <= now);
        self.settle(state, header, settings, over);
    }

    /// Ends the waiting, as if it were over: if something is still missing, it is named.
    pub fn give_up(&self, state: &mut SceneState, header: &Header, settings: &SpaceSettings) {
        self.settle(state, header, settings, |_| true);
    }

    fn settle(
        &self,
        state: &mut SceneState,
        header: &Header,
        settings: &SpaceSettings,
        over: impl Fn(&SceneState) -> bool,
    ) {
        let is_over = over(state);
        let SceneState::Waiting { depth, .. } = state else {
            return;
        };
        let stamp = Stamp(header.stamp.nanoseconds());
        if depth.is_none() {
            match self.pairing.ask(stamp, is_over) {
                Pairing::Found(found) => *depth = Some(found),
                Pairing::Wait => return,
                Pairing::None(why) => {
                    *state = SceneState::Missing(Arc::new(why));
                    return;
                }
            }
        }
        let Some(depth) = depth.clone() else {
            return;
        };
        match self.scene(&depth, header, settings) {
            Ok(scene) => *state = SceneState::Ready(Arc::new(scene)),
            Err(why) if over(state) => *state = SceneState::Missing(Arc::new(why)),
            Err(_) => {}
        }
    }

    /// The scene of a frame, or what is missing; it may still come.
    fn scene(
        &self,
        depth: &Arc<DepthFrame>,
        header: &Header,
        settings: &SpaceSettings,
    ) -> Result<Scene, NotLocated> {
        if self.colour_info.is_none() {
            let camera = Camera::Colour;
            return Err(NotLocated::NoCameraInfo { camera });
        }
        let stamp = Stamp(header.stamp.nanoseconds());
        let colour = Moment {
            frame_id: &header.frame_id,
            stamp,
        };
        let taken = Moment {
            frame_id: &depth.frame_id,
            stamp: depth.stamp,
        };
        let target = match settings.target_frame.as_str() {
            "" => header.frame_id.as_str(),
            named => named,
        };
        let fixed = &settings.fixed_frame;
        let transforms = FrameTransforms::look_up(&self.transforms, colour, taken, target, fixed)
            .map_err(|error| FrameTransforms::refusal(&error, colour, target))?;
        Ok(Scene {
            frame_id: header.frame_id.clone(),
            colour_info: self.colour_info.clone(),
            depth: Arc::clone(depth),
            depth_info: self.depth_info.clone(),
            rectification: settings.rectification(),
            transforms,
            target_frame: target.to_owned(),
            options: LocateOptions::new(self.alignment(target, stamp, settings)?),
            prepared: Mutex::default(),
        })
    }

    fn alignment(
        &self,
        target: &str,
        stamp: Stamp,
        settings: &SpaceSettings,
    ) -> Result<Alignment, NotLocated> {
        if settings.orientation == BoxOrientation::Principal {
            return Ok(Alignment::Principal);
        }
        let upright = Moment {
            frame_id: &settings.gravity_frame,
            stamp,
        };
        let plain = target.strip_prefix('/').unwrap_or(target);
        let gravity = upright.frame_id;
        let found = self.transforms.lookup(plain, gravity, stamp.0);
        let found = found.map_err(|error| FrameTransforms::refusal(&error, upright, target))?;
        let up = found.rotation * DVec3::Z;
        Ok(Alignment::Gravity { up })
    }
}

/// A transform as `/tf` or `/tf_static` carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct StampedTransform {
    /// The frame in which the other lies.
    pub parent: String,
    /// The frame that lies in it.
    pub child: String,
    /// When; means nothing for static ones.
    pub stamp: Stamp,
    /// Takes coordinates in the child frame into the parent frame.
    pub transform: Transform,
    /// Whether it always holds.
    pub is_static: bool,
}
