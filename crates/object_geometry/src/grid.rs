//! The points of a mask as the camera sees them: a direction and a range for each pixel, and which pixels are neighbours.

use glam::DVec3;

use crate::{GeometryError, PixelPoint};

/// Points nearer than this have no depth: a depth of 0 means none, and its point lies in the camera.
const NEAREST: f64 = 1e-3;
/// Points farther than this have none either, so that squares of distances stay finite.
const FARTHEST: f64 = 1e5;
/// The rectangle around the pixels holds this many at most, as many as 4096×4096.
const MOST_PIXELS: u64 = 1 << 24;

/// A pixel with depth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixel {
    pub column: u32,
    pub row: u32,
    /// From the camera through the pixel, of length 1.
    pub direction: DVec3,
    /// Distance from the camera along the direction, metres.
    pub range: f64,
}

/// Pixels, and where in the picture they are.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub pixels: Vec<Pixel>,
    first: (u32, u32),
    columns: usize,
    /// For each place of the rectangle, row by row, the number of its pixel and 1, or 0.
    places: Vec<u32>,
}

/// The eight neighbours, as differences of column and row.
pub(crate) const AROUND: [(i64, i64); 8] = [
    (-1, -1),
    (0, -1),
    (1, -1),
    (-1, 0),
    (1, 0),
    (-1, 1),
    (0, 1),
    (1, 1),
];

impl Grid {
    /// The points that have depth. Of two of the same pixel the later one counts.
    ///
    /// # Errors
    /// [`GeometryError::PixelsTooFarApart`].
    pub fn of_points(points: &[PixelPoint], camera: DVec3) -> Result<Self, GeometryError> {
        let pixels = points.iter().filter_map(|point| {
            let ray = point.position - camera;
            let range = ray.length();
            // A range that is not a number lies in no interval.
            (NEAREST..=FARTHEST).contains(&range).then(|| Pixel {
                column: point.column,
                row: point.row,
                direction: ray / range,
                range,
            })
        });
        Self::new(pixels.collect())
    }

    /// A grid of these pixels.
    ///
    /// # Errors
    /// [`GeometryError::PixelsTooFarApart`].
    pub fn new(pixels: Vec<Pixel>) -> Result<Self, GeometryError> {
        let span = |of: fn(&Pixel) -> u32| {
            let (least, most) = pixels
                .iter()
                .map(of)
                .fold((u32::MAX, 0), |(a, b), k| (a.min(k), b.max(k)));
            (least, u64::from(most.saturating_sub(least)) + 1)
        };
        let ((left, columns), (top, rows)) = (span(|p| p.column), span(|p| p.row));
        // Each is up to 2³², so that the product may not fit.
        if columns.saturating_mul(rows) > MOST_PIXELS {
            return Err(GeometryError::PixelsTooFarApart { columns, rows });
        }
        let mut grid = Self {
            pixels: Vec::with_capacity(pixels.len()),
            first: (left, top),
            columns: columns as usize,
            places: vec![0; (columns * rows) as usize],
        };
        for pixel in pixels {
            let place = (pixel.row - top) as usize * grid.columns + (pixel.column - left) as usize;
            match grid.places[place] {
                0 => {
                    grid.pixels.push(pixel);
                    grid.places[place] = grid.pixels.len() as u32;
                }
                taken => grid.pixels[taken as usize - 1] = pixel,
            }
        }
        Ok(grid)
    }

    /// The number of the pixel that is so many columns and rows away.
    pub fn at(&self, pixel: &Pixel, (columns, rows): (i64, i64)) -> Option<usize> {
        let column = i64::from(pixel.column - self.first.0) + columns;
        let row = i64::from(pixel.row - self.first.1) + rows;
        if !(0..self.columns as i64).contains(&column) || row < 0 {
            return None;
        }
        let place = *self
            .places
            .get(row as usize * self.columns + column as usize)?;
        (place as usize).checked_sub(1)
    }

    /// The numbers of the neighbours of a pixel, eight at most.
    pub fn around<'a>(&'a self, pixel: &'a Pixel) -> impl Iterator<Item = usize> + 'a {
        AROUND.iter().filter_map(move |by| self.at(pixel, *by))
    }
}
