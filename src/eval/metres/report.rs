//! Errors of many scenes as numbers: JSON, and a table for the terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::rows::{Errors, Measured, SceneErrors};
use super::{Conditions, MaskSource, MetresSettings, Motion, Sensor};
use crate::eval::{write_whole, EvalError};

/// What the numbers of a report mean.
pub const METRES_DEFINITIONS: [(&str, &str); 7] = [
    ("surface_mm", "distance from the grasp hint's position to the centroid by area of the surface that the colour camera sees at 11 degrees or more"),
    ("surface_latest_mm", "the same with the newest transform in the place of the picture's own"),
    ("centre_mm", "distance from the box's centre to the whole object's, of which the camera sees one side"),
    ("size_mm", "largest difference of the box's sides to the whole object's"),
    ("iou", "volume of the intersection of both boxes over that of their union"),
    ("coverage", "share of the mask's pixels with depth"),
    ("p95", "by nearest rank; median likewise"),
];

/// Median and 95th percentile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Half of the values are at most this.
    pub median: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
}

/// Errors under the same conditions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetresRow {
    /// Under which.
    #[serde(flatten)]
    pub conditions: Conditions,
    /// Objects that were measured, or should have been.
    pub objects: usize,
    /// Those that have no place, by the reason.
    pub not_located: BTreeMap<&'static str, usize>,
    /// Predicted masks that are of something else; they are not among the objects.
    pub other_masks: usize,
    /// See [`METRES_DEFINITIONS`]; `None` where nothing was located.
    pub surface_mm: Option<Cell>,
    /// Of a camera that moves.
    pub surface_latest_mm: Option<Cell>,
    /// See [`METRES_DEFINITIONS`].
    pub centre_mm: Option<Cell>,
    /// See [`METRES_DEFINITIONS`].
    pub size_mm: Option<Cell>,
    /// The median.
    pub iou: Option<f64>,
    /// The median.
    pub coverage: Option<f64>,
}

/// The errors of many scenes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetresReport {
    /// The scenes' split.
    pub split: String,
    /// The first scene's seed.
    pub seed: u64,
    /// How many scenes.
    pub scenes: usize,
    /// Width and height of the pictures, pixels.
    pub size: (u32, u32),
    /// The speed of a moving camera, m/s.
    pub speed: f64,
    /// How much newer than the picture the newest transform is, seconds.
    pub delay: f64,
    /// The model of the predicted masks.
    pub model: Option<String>,
    /// What the numbers mean.
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// A row for each of the conditions.
    pub rows: Vec<MetresRow>,
}

impl MetresReport {
    /// The report of scenes that were measured under the same conditions.
    pub fn new(settings: &MetresSettings, scenes: &[SceneErrors], model: Option<String>) -> Self {
        let mut all: BTreeMap<Conditions, Vec<Measured>> = BTreeMap::new();
        for (conditions, measured) in scenes.iter().flatten() {
            all.entry(*conditions)
                .or_default()
                .extend(measured.iter().map(|(_, measured)| *measured));
        }
        let rows = all
            .into_iter()
            .map(|(conditions, all)| MetresRow::of(conditions, &all));
        Self {
            split: settings.split.name().to_owned(),
            seed: settings.seed0,
            scenes: scenes.len(),
            size: settings.size,
            speed: settings.speed,
            delay: settings.delay,
            model,
            definitions: METRES_DEFINITIONS.into(),
            rows: rows.filter(|row| row.objects > 0).collect(),
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// [`EvalError::Write`], [`EvalError::Json`].
    pub fn write_json(&self, path: &Path) -> Result<(), EvalError> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        write_whole(path, text.as_bytes()).map_err(|source| EvalError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

impl MetresRow {
    fn of(conditions: Conditions, all: &[Measured]) -> Self {
        let mut located: Vec<Errors> = Vec::new();
        let mut not_located = BTreeMap::new();
        let mut other_masks = 0;
        for measured in all {
            match measured {
                Measured::Located(errors) => located.push(*errors),
                Measured::Not(code) => *not_located.entry(code.name()).or_default() += 1,
                Measured::OtherMask => other_masks += 1,
            }
        }
        let cell = |of: fn(&Errors) -> f64| Cell::of(located.iter().map(of).collect());
        let latest = cell(|e| e.surface_latest).filter(|_| conditions.motion == Motion::Moving);
        Self {
            conditions,
            objects: all.len() - other_masks,
            not_located,
            other_masks,
            surface_mm: cell(|e| e.surface),
            surface_latest_mm: latest,
            centre_mm: cell(|e| e.centre),
            size_mm: cell(|e| e.size),
            iou: cell(|e| e.iou).map(|cell| cell.median),
            coverage: cell(|e| e.coverage).map(|cell| cell.median),
        }
    }
}

impl Cell {
    /// Of these values; `None` of none.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let percentile = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100);
            values.get(rank.checked_sub(1)?).copied()
        };
        Some(Self {
            median: percentile(50)?,
            p95: percentile(95)?,
        })
    }
}

impl fmt::Display for MetresReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} scenes of {}, {}x{}, mm: median / p95; latest: with the transform {} s later, at {} m/s",
            self.scenes, self.split, self.size.0, self.size.1, self.delay, self.speed
        )?;
        let mut before = None;
        for row in &self.rows {
            let Conditions { sensor, masks, .. } = row.conditions;
            if before != Some((sensor, masks == MaskSource::Truth)) {
                let depth = match sensor {
                    Sensor::Exact => "exact depth",
                    Sensor::Real => "sigma 0.002 z^2, mixed edges, holes",
                };
                writeln!(
                    f,
                    "\n{:<48} {:>4} {:>15} {:>15} {:>15} {:>15} {:>5} {:>5}",
                    depth, "n", "surface", "centre", "size", "latest", "IoU", "depth"
                )?;
                before = Some((sensor, masks == MaskSource::Truth));
            }
            let cell = |cell: &Option<Cell>| match cell {
                Some(cell) => format!("{:.1} / {:.1}", cell.median, cell.p95),
                None => "-".to_owned(),
            };
            let share = |share: &Option<f64>| share.map_or("-".to_owned(), |s| format!("{s:.2}"));
            write!(
                f,
                "{:<48} {:>4} {:>15} {:>15} {:>15} {:>15} {:>5} {:>5}",
                format!("{}, {masks}", row.conditions),
                row.objects,
                cell(&row.surface_mm),
                cell(&row.centre_mm),
                cell(&row.size_mm),
                cell(&row.surface_latest_mm),
                share(&row.iou),
                share(&row.coverage)
            )?;
            for (code, count) in &row.not_located {
                write!(f, "  {count} {code}")?;
            }
            if row.other_masks > 0 {
                write!(f, "  {} other masks", row.other_masks)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
