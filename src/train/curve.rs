//! `loss.png`: loss and gIoU over the steps, and the measures of guided attention where it is trained.

use std::path::Path;

use image::{Rgb, RgbImage};
use plotters::prelude::*;

use super::metrics::Record;
use super::TrainError;
use crate::image::draw_text;

/// Width and height in pixels of a row of two panels.
const SIZE: (u32, u32) = (960, 480);
/// Left, right, top and bottom margin of a panel in pixels.
const MARGIN: (i32, i32, i32, i32) = (64, 24, 40, 40);
const TRAIN: RGBColor = RGBColor(31, 119, 180);
const VALIDATION: RGBColor = RGBColor(214, 39, 40);

/// One curve over the steps.
struct Panel {
    title: &'static str,
    value: fn(&Record) -> Option<f64>,
    /// The upper end of the vertical axis; without one the values decide.
    top: Option<f64>,
}

const fn panel(title: &'static str, value: fn(&Record) -> Option<f64>, top: Option<f64>) -> Panel {
    Panel { title, value, top }
}

const PANELS: [Panel; 2] = [
    panel("loss", |r| Some(r.loss), None),
    panel("gIoU", |r| r.giou, Some(1.0)),
];

/// The panels below [`PANELS`] of a run that guides attention.
const GUIDED: [Panel; 4] = [
    panel("attend", |r| r.losses.get("attend").copied(), None),
    panel("attended", |r| r.attended, Some(1.0)),
    panel("present", |r| r.presence_present, Some(1.0)),
    panel("absent", |r| r.presence_absent, Some(1.0)),
];

/// Draws the curves of a run as a PNG; a run without steps gets none.
///
/// # Errors
/// A place that cannot be written.
pub fn draw_curve(records: &[Record], path: &Path) -> Result<(), TrainError> {
    let train: Vec<&Record> = records.iter().filter(|r| r.split == "train").collect();
    let Some(last) = train.last().map(|r| r.step) else {
        return Ok(());
    };
    let mut panels: Vec<&Panel> = PANELS.iter().collect();
    if records.iter().any(|r| r.attended.is_some()) {
        panels.extend(&GUIDED);
    }
    let height = SIZE.1 * panels.len().div_ceil(2) as u32;
    let mut image = RgbImage::from_pixel(SIZE.0, height, Rgb([255, 255, 255]));
    let half = SIZE.0 as i32 / 2;
    for (place, panel) in panels.into_iter().enumerate() {
        let (left, above) = (place as i32 % 2 * half, place as i32 / 2 * SIZE.1 as i32);
        let points = |split: &str| -> Vec<(f64, f64)> {
            records
                .iter()
                .filter(|r| r.split == split)
                .filter_map(|r| Some((r.step as f64, (panel.value)(r)?)))
                .filter(|(_, y)| y.is_finite())
                .collect()
        };
        let (steps, held_out) = (smooth(&points("train")), points("validation"));
        let top = panel
            .top
            .unwrap_or_else(|| limit(steps.iter().chain(&held_out).map(|p| p.1)));
        let area = (
            left + MARGIN.0,
            above + MARGIN.2,
            left + half - MARGIN.1,
            above + SIZE.1 as i32 - MARGIN.3,
        );
        draw_panel(
            &mut image,
            area,
            (last as f64, top),
            &[(&steps, TRAIN), (&held_out, VALIDATION)],
        )
        .map_err(|e| TrainError::Unusable(format!("{}: {e}", path.display())))?;
        let mut write = |x: i32, y: i32, text: &str, colour: RGBColor| {
            draw_text(
                &mut image,
                (x.max(0) as u32, y.max(0) as u32),
                text,
                Rgb([colour.0, colour.1, colour.2]),
                1,
            );
        };
        write(area.0, above + 12, panel.title, BLACK);
        write(area.0 + 80, above + 12, "training", TRAIN);
        write(area.0 + 170, above + 12, "validation", VALIDATION);
        for tick in 0..=4i32 {
            let y = area.3 - (area.3 - area.1) * tick / 4;
            write(
                left + 4,
                y - 4,
                &format!("{:.3}", top * f64::from(tick) / 4.0),
                BLACK,
            );
            let x = area.0 + (area.2 - area.0) * tick / 4;
            let step = format!("{}", last * tick as u64 / 4);
            write(x - 4 * step.len() as i32, area.3 + 8, &step, BLACK);
        }
    }
    image
        .save(path)
        .map_err(|e| TrainError::Unusable(format!("{}: {e}", path.display())))
}

/// The upper end of an axis: a tenth above the 98th percentile, so that a few values far above the others do not flatten the
/// curve.
fn limit(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let high = values.get(values.len().saturating_sub(1) * 98 / 100);
    high.copied().unwrap_or(1.0).max(1e-6) * 1.1
}

/// Replaces neighbouring points by their means so that at most 300 points are left.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let run = points.len().div_ceil(300).max(1);
    points
        .chunks(run)
        .map(|chunk| {
            let mean =
                |f: fn(&(f64, f64)) -> f64| chunk.iter().map(f).sum::<f64>() / chunk.len() as f64;
            (mean(|p| p.0), mean(|p| p.1))
        })
        .collect()
}

fn draw_panel(
    image: &mut RgbImage,
    (left, top, right, bottom): (i32, i32, i32, i32),
    (last, high): (f64, f64),
    series: &[(&Vec<(f64, f64)>, RGBColor)],
) -> Result<(), Box<dyn std::error::Error>> {
    let size = image.dimensions();
    let root = BitMapBackend::with_buffer(image.as_mut(), size).into_drawing_area();
    let at = |(x, y): (f64, f64)| {
        let x = left + (f64::from(right - left) * x / last.max(1.0)).round() as i32;
        let y = bottom - (f64::from(bottom - top) * (y / high).clamp(0.0, 1.0)).round() as i32;
        (x, y)
    };
    for tick in 0..=4 {
        let y = bottom - (bottom - top) * tick / 4;
        root.draw(&PathElement::new(
            vec![(left, y), (right, y)],
            RGBColor(225, 225, 225),
        ))?;
    }
    root.draw(&PathElement::new(
        vec![(left, top), (left, bottom), (right, bottom)],
        BLACK,
    ))?;
    for (points, colour) in series {
        let line: Vec<(i32, i32)> = points.iter().map(|p| at(*p)).collect();
        root.draw(&PathElement::new(line, colour.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}
