//! Ranges with less noise: each is replaced by that of a plane through its surroundings.

use glam::{DMat3, DVec3};

use crate::grid::Grid;
use crate::reject::Continuity;

/// The plane is laid through the pixels up to this many columns and rows away: 25 in all.
const REACH: i64 = 2;
/// What keeps the equations solvable where all pixels lie in one line, which has no slope across.
const RIDGE: f64 = 1e-3;

/// The range of each pixel by least squares over those around it that join it: over so few pixels a plane's ranges are linear
/// in column and row. The noise of independent pixels falls to a fifth; directions stay as they are, and so do the
/// object's outlines.
pub(crate) fn smooth(grid: &Grid, continuity: &Continuity) -> Vec<f64> {
    (grid.pixels.iter())
        .map(|pixel| {
            let mut matrix = DMat3::from_diagonal(DVec3::new(0.0, RIDGE, RIDGE));
            let mut right = DVec3::ZERO;
            for rows in -REACH..=REACH {
                for columns in -REACH..=REACH {
                    let Some(other) = grid.at(pixel, (columns, rows)) else {
                        continue;
                    };
                    let other = &grid.pixels[other];
                    if continuity.joins(pixel, other) {
                        let at = DVec3::new(1.0, columns as f64, rows as f64);
                        matrix += DMat3::from_cols(at, at * at.y, at * at.z);
                        right += at * (other.range - pixel.range);
                    }
                }
            }
            // The pixel joins itself, so that the matrix can be inverted.
            pixel.range + (matrix.inverse() * right).x
        })
        .collect()
}
