//! Measuring a scene: from messages, through `spatial`, to errors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ::image::GrayImage;
use depth_camera::Rectification;
use object_geometry::Alignment;
use serde::{Deserialize, Serialize};
use tableworld::glam::DVec3;
use tableworld::{RayCaster, Scene};
use tf_buffer::Transform;

use super::cameras::{
    depth_mount, MadeUpCamera, Travel, COLOUR, DEPTH, DEPTH_LATER, PICTURE, TABLE,
};
use super::images::SeenImage;
use super::masks;
use super::places::BoxErrors;
use super::truth::TrueObject;
use super::{Conditions, DepthPlace, Lens, MaskSource, MetresSettings, Motion, Sensor};
use crate::eval::EvalError;
use crate::frames::Stamp;
use crate::image::Mask;
use crate::spatial::{
    ColourView, DepthFrame, DepthPairing, DepthView, FrameTransforms, LocateOptions, LocatedFrame,
    LocatedObject, Locator, Moment, NotLocatedCode, Pairing,
};

/// An object shows this share of the picture's pixels at least; what shows less is left out.
const LEAST_SHARE: f64 = 0.0005;
/// A predicted mask overlaps the true one by this at least; else it is of something else.
pub const LEAST_OVERLAP: f32 = 0.5;

/// A mask that a model predicted.
#[derive(Clone, Debug)]
pub struct PredictedMask {
    /// The object that was asked for.
    pub object: usize,
    /// The answer, as large as the picture.
    pub mask: GrayImage,
}

/// What became of one object.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// It has a place.
    Located(Errors),
    /// It has none.
    Not(NotLocatedCode),
    /// The predicted mask is of something else.
    OtherMask,
}

/// How far off an object's place is. Lengths in millimetres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// From the centroid of the visible surface.
    pub surface: f64,
    /// The same with the newest transform in the place of the picture's own.
    pub surface_latest: f64,
    /// From the centre of the whole object to that of the box.
    pub centre: f64,
    /// The largest difference of a side.
    pub size: f64,
    /// Of the two boxes.
    pub iou: f64,
    /// The share of the mask's pixels that have depth.
    pub coverage: f64,
}

/// What became of the objects of a scene, each with its number in [`Scene::objects`], in the order of the conditions.
pub type SceneErrors = Vec<(Conditions, Vec<(usize, Measured)>)>;

/// Measures every object of a scene that shows enough of itself and is not cut by the picture's border.
///
/// # Errors
/// What cannot be made up, as for a size at which nothing can be seen.
pub fn measure_scene(
    scene: &Scene,
    settings: &MetresSettings,
    conditions: &[Conditions],
    predicted: &[PredictedMask],
) -> Result<SceneErrors, EvalError> {
    let mut stage = Stage::new(scene, settings);
    conditions
        .iter()
        .map(|conditions| Ok((*conditions, stage.row(conditions, predicted)?)))
        .collect()
}

/// A scene, and what several rows share.
struct Stage<'a> {
    scene: &'a Scene,
    settings: &'a MetresSettings,
    caster: RayCaster,
    truth: Vec<TrueObject>,
    seen: BTreeMap<(Lens, DepthPlace, Motion, Sensor), Arc<SeenImage>>,
    /// The visible pixels of each object that is measured.
    visible: BTreeMap<Lens, Arc<Vec<Option<GrayImage>>>>,
    prepared: BTreeMap<Conditions, Arc<LocatedFrame>>,
    locators: BTreeMap<Lens, Locator>,
}

impl<'a> Stage<'a> {
    fn new(scene: &'a Scene, settings: &'a MetresSettings) -> Self {
        let caster = RayCaster::new(scene);
        let camera = MadeUpCamera::colour(scene, settings.size, Lens::Straight);
        let place = Travel::of(scene, settings, Motion::Still).at_picture;
        let objects = scene.objects.iter().enumerate();
        let truth = objects
            .map(|(k, object)| TrueObject::of(&caster, object, k, &camera, &place))
            .collect();
        Self {
            scene,
            settings,
            caster,
            truth,
            seen: BTreeMap::new(),
            visible: BTreeMap::new(),
            prepared: BTreeMap::new(),
            locators: BTreeMap::new(),
        }
    }

    fn row(
        &mut self,
        conditions: &Conditions,
        predicted: &[PredictedMask],
    ) -> Result<Vec<(usize, Measured)>, EvalError> {
        let frame = self.prepared(conditions)?;
        let visible = self.visible(conditions.lens);
        let travel = Travel::of(self.scene, self.settings, conditions.motion);
        let latest = travel.after((self.settings.delay * 1e9) as i64);
        let options = LocateOptions {
            leave_out_support: self.settings.leave_out_support,
            ..LocateOptions::new(Alignment::Gravity { up: DVec3::Z })
        };
        let mut row = Vec::new();
        for (object, (truth, visible)) in self.truth.iter().zip(visible.iter()).enumerate() {
            let (Some(surface), Some(visible)) = (truth.surface, visible) else {
                continue;
            };
            let own = Mask::from_frame(visible);
            let mask = match conditions.masks {
                MaskSource::Truth => own,
                MaskSource::Dilated(by) => Mask::from_frame(&masks::dilated(visible, by)),
                MaskSource::Eroded(by) => Mask::from_frame(&masks::eroded(visible, by)),
                MaskSource::Shifted(by) => Mask::from_frame(&masks::shifted(visible, by)),
                MaskSource::Predicted => {
                    let Some(predicted) = predicted.iter().find(|p| p.object == object) else {
                        continue;
                    };
                    let mask = Mask::from_frame(&predicted.mask);
                    if mask.iou(&own) < LEAST_OVERLAP {
                        row.push((object, Measured::OtherMask));
                        continue;
                    }
                    mask
                }
            };
            let measured = match frame.locate(&mask, &options) {
                Ok(found) => {
                    Measured::Located(errors(&found, truth, surface, &travel.at_picture, &latest))
                }
                Err(why) => Measured::Not(why.code()),
            };
            row.push((object, measured));
        }
        Ok(row)
    }

    /// The masks of the objects that show enough of themselves and are not cut by the picture's border.
    fn visible(&mut self, lens: Lens) -> Arc<Vec<Option<GrayImage>>> {
        if let Some(visible) = self.visible.get(&lens) {
            return Arc::clone(visible);
        }
        let seen = self.seen(lens, DepthPlace::Registered, Motion::Still, Sensor::Exact);
        let least = LEAST_SHARE * seen.instances.len() as f64;
        let is_measured = |mask: &GrayImage| {
            let area = mask.iter().filter(|value| **value > 0).count();
            area as f64 >= least && !masks::is_cut(mask)
        };
        let objects = 0..self.truth.len();
        let visible = objects
            .map(|object| Some(masks::visible(&seen, object)).filter(is_measured))
            .collect();
        let visible = Arc::new(visible);
        self.visible.insert(lens, Arc::clone(&visible));
        visible
    }

    /// What a camera sees; the colour camera is always where the scene has it when the picture is taken.
    fn seen(
        &mut self,
        lens: Lens,
        depth: DepthPlace,
        motion: Motion,
        sensor: Sensor,
    ) -> Arc<SeenImage> {
        let motion = match depth {
            DepthPlace::Registered => Motion::Still,
            DepthPlace::Beside => motion,
        };
        let key = (lens, depth, motion, sensor);
        if let Some(seen) = self.seen.get(&key) {
            return Arc::clone(seen);
        }
        let seen = match sensor {
            Sensor::Real => {
                let exact = self.seen(lens, depth, motion, Sensor::Exact);
                exact.with_faults(self.scene.seed)
            }
            Sensor::Exact => {
                let travel = Travel::of(self.scene, self.settings, motion);
                let (camera, place) = match depth {
                    DepthPlace::Registered => (
                        MadeUpCamera::colour(self.scene, self.settings.size, lens),
                        travel.at_picture,
                    ),
                    DepthPlace::Beside => (
                        MadeUpCamera::depth(self.settings.size, lens),
                        travel.after(DEPTH_LATER).then(&depth_mount()),
                    ),
                };
                SeenImage::of(&self.caster, &camera, &place)
            }
        };
        let seen = Arc::new(seen);
        self.seen.insert(key, Arc::clone(&seen));
        seen
    }

    /// The picture with its depth, on the way that the node takes.
    fn prepared(&mut self, conditions: &Conditions) -> Result<Arc<LocatedFrame>, EvalError> {
        let key = Conditions {
            masks: MaskSource::Truth,
            ..*conditions
        };
        if let Some(frame) = self.prepared.get(&key) {
            return Ok(Arc::clone(frame));
        }
        let failed = |reason: String| EvalError::Answer {
            case: format!("scene {}, {conditions}", self.scene.seed),
            reason,
        };
        let Conditions {
            lens,
            depth,
            motion,
            ..
        } = key;
        let (frame_id, later) = match depth {
            DepthPlace::Registered => (COLOUR, 0),
            DepthPlace::Beside => (DEPTH, DEPTH_LATER),
        };
        let travel = Travel::of(self.scene, self.settings, motion);
        let buffer = travel.transforms(self.settings.delay);
        let buffer = buffer.map_err(|error| failed(error.to_string()))?;
        let message = self
            .seen(lens, depth, motion, key.sensor)
            .message(key.encoding);
        let failed = |reason: String| EvalError::Answer {
            case: format!("scene {}, {conditions}", self.scene.seed),
            reason,
        };
        let mut pairing = DepthPairing::default();
        for after in [later - 33_000_000, later] {
            let frame = DepthFrame::new(Stamp(PICTURE + after), frame_id, message.clone());
            pairing.push(frame, Instant::now());
        }
        let paired = match pairing.ask(Stamp(PICTURE), false) {
            Pairing::Found(frame) => frame,
            Pairing::Wait => return Err(failed("no depth image is near enough".to_owned())),
            Pairing::None(why) => return Err(failed(why.to_string())),
        };
        let moment = |frame_id, stamp| Moment { frame_id, stamp };
        let transforms = FrameTransforms::look_up(
            &buffer,
            moment(COLOUR, Stamp(PICTURE)),
            moment(&paired.frame_id, paired.stamp),
            TABLE,
            TABLE,
        );
        let transforms = transforms.map_err(|error| failed(error.to_string()))?;
        let size = self.settings.size;
        let colour = MadeUpCamera::colour(self.scene, size, lens).info();
        let own = MadeUpCamera::depth(size, lens).info();
        let frame = self.locators.entry(lens).or_default().frame(
            &ColourView {
                size,
                frame_id: COLOUR,
                info: Some(&colour),
                rectification: Rectification::Raw,
            },
            &DepthView {
                frame: &paired,
                info: (depth == DepthPlace::Beside).then_some(&own),
                rectification: Rectification::Raw,
            },
            &transforms,
        );
        let frame = frame.map_err(|error| EvalError::Answer {
            case: format!("scene {}, {conditions}", self.scene.seed),
            reason: error.to_string(),
        })?;
        let frame = Arc::new(frame);
        self.prepared.insert(key, Arc::clone(&frame));
        Ok(frame)
    }
}

fn errors(
    found: &LocatedObject,
    truth: &TrueObject,
    surface: DVec3,
    at_picture: &Transform,
    latest: &Transform,
) -> Errors {
    let mm = |a: DVec3, b: DVec3| a.distance(b) * 1e3;
    let position = found.grasp.position;
    // The same point of the camera's own frame, taken to the table by where the camera is later.
    let with_latest = latest.point(at_picture.inverse().point(position));
    let boxes = BoxErrors::by_axis(&found.bounding_box, &truth.bounding_box);
    Errors {
        surface: mm(position, surface),
        surface_latest: mm(with_latest, surface),
        centre: boxes.centre,
        size: boxes.size,
        iou: boxes.iou,
        coverage: found.depth_coverage,
    }
}
