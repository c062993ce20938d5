//! Scoring where the objects of answers are: against the true boxes, and beside it what the true masks give on the same way.

use std::sync::Arc;

use image::GrayImage;
use object_geometry::OrientedBox;
use serde::{Deserialize, Serialize};

use super::answering::place;
use super::ground_truth::Truth;
use super::recorded::RecordedPlace;
use super::timeline::RecordedScene;
use super::true_boxes::TrueBoxes;
use super::ReplayError;
use crate::data::TruthMask;
use crate::engine::{ObjectMask, SegPrompt};
use crate::eval::metres::{BoxErrors, PlaceRecord, PlaceTally, Places, LEAST_OVERLAP};
use crate::frames::Stamp;
use crate::image::Roi;
use crate::node::{FoundObject, Place};
use crate::spatial::Locator;

/// The places of an answer's objects, and what is true of them.
pub(super) struct AnswerPlaces<'a> {
    pub places: &'a [Option<RecordedPlace>],
    /// What they were measured with; `None` for those that a node has published.
    pub scene: Option<&'a RecordedScene>,
    /// When the frame was recorded, nanoseconds.
    pub log_time: u64,
    pub stamp: Stamp,
    /// Which of the instructions about that frame it is, from 0.
    pub nth: usize,
    pub truth: Option<&'a Truth>,
    /// IoU of the answer's mask with the true one, where that is known.
    pub iou: Option<f64>,
}

/// Scores the places of one answer after the other.
#[derive(Default)]
pub(super) struct JudgedPlaces<'b> {
    boxes: Option<TrueBoxes<'b>>,
    locator: Locator,
}

/// What became of the places of an answer's objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerPlacesRecord {
    /// Those of the predicted masks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicted: Vec<PlaceRecord>,
    /// Those that the true masks give on the same way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truth_masks: Vec<PlaceRecord>,
    /// How far the centre of the farthest box is from the true one's, millimetres; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre_mm: Option<f64>,
}

/// Adds the places of answers up.
#[derive(Default)]
pub(super) struct PlacesTally {
    predicted: PlaceTally,
    truth_masks: PlaceTally,
}

impl<'b> JudgedPlaces<'b> {
    /// Compares places with these boxes; without them they are only counted.
    pub fn new(boxes: Option<TrueBoxes<'b>>) -> Self {
        Self {
            boxes,
            locator: Locator::default(),
        }
    }

    /// Scores the places of an answer.
    ///
    /// # Errors
    /// The true boxes cannot be read.
    pub fn judge(&mut self, answer: &AnswerPlaces<'_>) -> Result<AnswerPlacesRecord, ReplayError> {
        let mut record = AnswerPlacesRecord::default();
        let located = answer
            .places
            .iter()
            .flatten()
            .find_map(|place| match place {
                RecordedPlace::Located { frame_id, .. } => Some(frame_id.as_str()),
                RecordedPlace::Not(_) => None,
            });
        let scene = answer.scene.and_then(|scene| scene.as_ref().ok());
        let target = located.or(scene.map(|scene| scene.target_frame()));
        let boxes = match (&self.boxes, target) {
            (Some(boxes), Some(target)) => {
                boxes.about(answer.stamp, answer.nth, answer.log_time, target)?
            }
            _ => None,
        };
        if let (Some([true_box]), Some(Truth::There(mask))) = (boxes.as_deref(), answer.truth) {
            let size = (mask.width, mask.height);
            let placed = place(&mut self.locator, answer.scene, size, &whole(mask));
            if let Some(placed) = placed.map(|placed| recorded(&placed)) {
                let errors = |found: &OrientedBox| Some(BoxErrors::by_length(found, true_box));
                record.truth_masks.push(judged(&placed, errors));
            }
        }
        let is_other = answer.iou.is_some_and(|iou| iou < f64::from(LEAST_OVERLAP));
        let true_boxes = boxes.unwrap_or_default();
        let pairs = pairs(answer.places, &true_boxes);
        for (index, placed) in answer.places.iter().enumerate() {
            match placed {
                None => {}
                Some(RecordedPlace::Located { .. }) if is_other => {
                    record.predicted.push(PlaceRecord::OtherMask);
                }
                Some(placed) => {
                    let own = pairs.iter().find(|(object, _)| *object == index);
                    let own = own.and_then(|(_, at)| true_boxes.get(*at));
                    let errors = |found: &OrientedBox| Some(BoxErrors::by_length(found, own?));
                    let placed = judged(placed, errors);
                    if let PlaceRecord::Located {
                        errors: Some(errors),
                        ..
                    } = &placed
                    {
                        let farthest = record.centre_mm.unwrap_or(0.0);
                        record.centre_mm = Some(farthest.max(errors.centre));
                    }
                    record.predicted.push(placed);
                }
            }
        }
        Ok(record)
    }
}

impl PlacesTally {
    /// Takes in the places of an answer.
    pub fn add(&mut self, answer: &AnswerPlacesRecord) {
        for object in &answer.predicted {
            self.predicted.add(object);
        }
        for object in &answer.truth_masks {
            self.truth_masks.add(object);
        }
    }

    /// The numbers; `None` where no object should have a place.
    pub fn finish(self) -> Option<Places> {
        let rows = [
            self.predicted.row("predicted masks"),
            self.truth_masks.row("true masks"),
        ];
        let rows: Vec<_> = rows.into_iter().flatten().collect();
        (!rows.is_empty()).then_some(Places { rows })
    }
}

fn judged(
    placed: &RecordedPlace,
    errors: impl Fn(&OrientedBox) -> Option<BoxErrors>,
) -> PlaceRecord {
    match placed {
        RecordedPlace::Located {
            bounding_box,
            coverage,
            ..
        } => PlaceRecord::Located {
            coverage: *coverage,
            errors: errors(bounding_box),
        },
        RecordedPlace::Not(code) => PlaceRecord::Not(*code),
    }
}

/// Which object is which of the true ones: the pair whose centres are nearest first.
fn pairs(places: &[Option<RecordedPlace>], boxes: &[OrientedBox]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (object, place) in places.iter().enumerate() {
        let Some(RecordedPlace::Located { bounding_box, .. }) = place else {
            continue;
        };
        for (at, truth) in boxes.iter().enumerate() {
            all.push((bounding_box.center.distance(truth.center), object, at));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (_, object, at) in all {
        if pairs.iter().all(|(o, t)| *o != object && *t != at) {
            pairs.push((object, at));
        }
    }
    pairs
}

/// The places of an answer that was computed.
pub(super) fn places(objects: &[FoundObject]) -> Vec<Option<RecordedPlace>> {
    let places = objects.iter().map(|object| object.place.as_ref());
    places.map(|place| place.map(recorded)).collect()
}

fn recorded(place: &Place) -> RecordedPlace {
    match place {
        Ok(placed) => RecordedPlace::Located {
            frame_id: placed.frame_id.clone(),
            bounding_box: placed.located.bounding_box,
            coverage: placed.located.depth_coverage,
        },
        Err(why) => RecordedPlace::Not(why.code()),
    }
}

/// A true mask as an object's.
fn whole(truth: &TruthMask) -> ObjectMask {
    let (width, height) = (truth.width, truth.height);
    let pixels = truth.pixels.iter().map(|inside| match inside {
        1 => 255,
        _ => 0,
    });
    let mask = GrayImage::from_raw(width, height, pixels.collect()).unwrap_or_default();
    ObjectMask {
        index: 0,
        label: String::new(),
        score: 1.0,
        roi: Roi {
            x: 0,
            y: 0,
            width,
            height,
        },
        area: truth.pixels.iter().filter(|inside| **inside == 1).count(),
        mask: Arc::new(mask),
        prompt: SegPrompt::default(),
    }
}
