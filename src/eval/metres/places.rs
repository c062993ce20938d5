//! Boxes against the true ones, and the numbers of many: what the reports of a recording and of TableWorld's questions say of
//! places.

use std::collections::BTreeMap;
use std::fmt;

use object_geometry::OrientedBox;
use serde::{Deserialize, Serialize};
use tableworld::glam::DVec3;

use super::report::{Cell, MetresRow};
use super::{MaskSource, Sensor};
use crate::spatial::NotLocatedCode;

/// What became of the place of one object.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceRecord {
    /// It has a place.
    Located {
        /// The share of its mask's pixels with depth, 0 to 1.
        coverage: f64,
        /// How far off it is; `None` where nothing says what is true.
        errors: Option<BoxErrors>,
    },
    /// It has none, for this reason.
    Not(NotLocatedCode),
    /// It is not what was asked for.
    OtherMask,
}

/// How far off a box is. Lengths in millimetres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxErrors {
    /// From the true box's centre to that of the box.
    pub centre: f64,
    /// The largest difference of a side.
    pub size: f64,
    /// Of the two boxes.
    pub iou: f64,
}

impl BoxErrors {
    /// Of boxes whose axes mean the same, so that each side is compared with its own.
    pub fn by_axis(found: &OrientedBox, truth: &OrientedBox) -> Self {
        Self::with(found, truth, [found.size, truth.size])
    }

    /// Of boxes that may stand in any way, so that the longest side is compared with the longest.
    pub fn by_length(found: &OrientedBox, truth: &OrientedBox) -> Self {
        let sorted = |size: DVec3| {
            let mut sides = size.to_array();
            sides.sort_by(f64::total_cmp);
            DVec3::from_array(sides)
        };
        Self::with(found, truth, [sorted(found.size), sorted(truth.size)])
    }

    fn with(found: &OrientedBox, truth: &OrientedBox, [own, other]: [DVec3; 2]) -> Self {
        Self {
            centre: found.center.distance(truth.center) * 1e3,
            size: (own - other).abs().max_element() * 1e3,
            iou: found.iou(truth),
        }
    }
}

/// How good the places of objects are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaceRow {
    /// Which masks, and which depth.
    pub name: String,
    /// Objects that have a place, or should have one.
    pub objects: usize,
    /// Those that have none, by the reason.
    pub not_located: BTreeMap<&'static str, usize>,
    /// Objects whose masks are of something else than what was asked for; they are in no other number of the row but `objects`.
    pub other_masks: usize,
    /// From the visible surface's centroid; `None` where nothing says what is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surface_mm: Option<Cell>,
    /// From the true box's centre to the box's; `None` where nothing says what is true.
    pub centre_mm: Option<Cell>,
    /// The largest difference of the box's sides to the true ones'.
    pub size_mm: Option<Cell>,
    /// Volume of the intersection of both boxes over that of their union, the median.
    pub iou: Option<f64>,
    /// The share of a mask's pixels with depth, the median.
    pub coverage: Option<f64>,
}

/// Places of a run's objects, row by row.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Places {
    /// Of predicted masks, of true ones.
    pub rows: Vec<PlaceRow>,
}

impl Places {
    /// The rows of scenes that were measured under these conditions; `None` where nothing was.
    pub fn of_metres(rows: &[MetresRow]) -> Option<Self> {
        let rows: Vec<PlaceRow> = rows.iter().map(PlaceRow::of_metres).collect();
        (!rows.is_empty()).then_some(Self { rows })
    }
}

impl PlaceRow {
    fn of_metres(row: &MetresRow) -> Self {
        let masks = match row.conditions.masks {
            MaskSource::Truth => "true masks".to_owned(),
            MaskSource::Predicted => "predicted masks".to_owned(),
            other => other.to_string(),
        };
        let depth = match row.conditions.sensor {
            Sensor::Exact => "exact depth",
            Sensor::Real => "a sensor's depth",
        };
        Self {
            name: format!("{masks}, {depth}"),
            objects: row.objects + row.other_masks,
            not_located: row.not_located.clone(),
            other_masks: row.other_masks,
            surface_mm: row.surface_mm,
            centre_mm: row.centre_mm,
            size_mm: row.size_mm,
            iou: row.iou,
            coverage: row.coverage,
        }
    }
}

/// Counts the places of objects.
#[derive(Clone, Debug, Default)]
pub struct PlaceTally {
    objects: usize,
    not_located: BTreeMap<&'static str, usize>,
    other_masks: usize,
    coverage: Vec<f64>,
    errors: Vec<BoxErrors>,
}

impl PlaceTally {
    /// Takes in one more object.
    pub fn add(&mut self, object: &PlaceRecord) {
        self.objects += 1;
        match object {
            PlaceRecord::Located { coverage, errors } => {
                self.coverage.push(*coverage);
                self.errors.extend(errors);
            }
            PlaceRecord::Not(code) => *self.not_located.entry(code.name()).or_default() += 1,
            PlaceRecord::OtherMask => self.other_masks += 1,
        }
    }

    /// The numbers; `None` where no object should have a place.
    pub fn row(&self, name: &str) -> Option<PlaceRow> {
        let cell = |of: fn(&BoxErrors) -> f64| Cell::of(self.errors.iter().map(of).collect());
        (self.objects > 0).then(|| PlaceRow {
            name: name.to_owned(),
            objects: self.objects,
            not_located: self.not_located.clone(),
            other_masks: self.other_masks,
            surface_mm: None,
            centre_mm: cell(|e| e.centre),
            size_mm: cell(|e| e.size),
            iou: cell(|e| e.iou).map(|cell| cell.median),
            coverage: Cell::of(self.coverage.clone()).map(|cell| cell.median),
        })
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|row| row.name.len());
        let head = "places, mm: median / p95";
        let width = names.max().unwrap_or(0).max(head.len());
        let has_surface = self.rows.iter().any(|row| row.surface_mm.is_some());
        write!(f, "{head:width$} {:>5}", "n")?;
        if has_surface {
            write!(f, " {:>15}", "surface")?;
        }
        writeln!(
            f,
            " {:>15} {:>15} {:>5} {:>5}",
            "centre", "size", "IoU", "depth"
        )?;
        let cell = |cell: &Option<Cell>| match cell {
            Some(cell) => format!("{:.1} / {:.1}", cell.median, cell.p95),
            None => "-".to_owned(),
        };
        let share = |share: &Option<f64>| share.map_or("-".to_owned(), |s| format!("{s:.2}"));
        for row in &self.rows {
            write!(f, "{:width$} {:>5}", row.name, row.objects)?;
            if has_surface {
                write!(f, " {:>15}", cell(&row.surface_mm))?;
            }
            write!(
                f,
                " {:>15} {:>15} {:>5} {:>5}",
                cell(&row.centre_mm),
                cell(&row.size_mm),
                share(&row.iou),
                share(&row.coverage)
            )?;
            for (reason, count) in &row.not_located {
                write!(f, "  {count} {reason}")?;
            }
            if row.other_masks > 0 {
                write!(f, "  {} other masks", row.other_masks)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tableworld::glam::DQuat;

    #[test]
    fn sides_are_compared_by_axis_or_by_length() {
        let boxed = |size: [f64; 3]| OrientedBox {
            center: DVec3::ZERO,
            rotation: DQuat::IDENTITY,
            size: DVec3::from_array(size),
        };
        let (one, other) = (boxed([0.1, 0.2, 0.3]), boxed([0.3, 0.2, 0.1]));
        assert!((BoxErrors::by_axis(&one, &other).size - 200.0).abs() < 1e-9);
        assert_eq!(BoxErrors::by_length(&one, &other).size, 0.0);
        assert!((BoxErrors::by_length(&one, &other).iou - 0.2).abs() < 1e-9);
    }

    #[test]
    fn a_row_counts_what_has_no_place_and_what_is_something_else() {
        let mut tally = PlaceTally::default();
        assert_eq!(tally.row("x"), None);
        let errors = |centre| BoxErrors {
            centre,
            size: 3.0,
            iou: 0.5,
        };
        let located = |coverage, errors| PlaceRecord::Located { coverage, errors };
        (1..=3).for_each(|k| tally.add(&located(1.0, Some(errors(f64::from(k))))));
        tally.add(&located(0.5, None));
        tally.add(&PlaceRecord::Not(NotLocatedCode::NoDepth));
        tally.add(&PlaceRecord::OtherMask);
        let row = tally.row("predicted masks").unwrap();
        assert_eq!((row.objects, row.other_masks), (6, 1));
        assert_eq!(row.not_located, BTreeMap::from([("NO_DEPTH", 1)]));
        let centre = row.centre_mm.unwrap();
        assert_eq!((centre.median, centre.p95), (2.0, 3.0));
        assert_eq!((row.iou, row.coverage), (Some(0.5), Some(1.0)));
        let text = Places { rows: vec![row] }.to_string();
        assert!(
            text.contains("2.0 / 3.0") && text.contains("1 NO_DEPTH  1 other masks"),
            "{text}"
        );
    }
}
