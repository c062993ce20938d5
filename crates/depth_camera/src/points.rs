//! From pixels with depth to points.

use glam::{DVec2, DVec3};

use crate::camera::Camera;
use crate::image::{Depth, DepthCounts, DepthImage};
use crate::transform::GeometryError;

/// A pixel and the point that is seen there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelPoint {
    /// Column and row.
    pub pixel: (u32, u32),
    /// The point in the camera's optical frame (x right, y down, z forward), metres.
    pub point: DVec3,
}

/// The points of a set of pixels, and what became of the pixels that have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PixelPoints {
    /// One for each pixel with a measured depth and a ray, in the order of the pixels.
    pub points: Vec<PixelPoint>,
    /// What the depth image says of the pixels that were asked for.
    pub counts: DepthCounts,
    /// Measured pixels that the lens model shows nothing on: see [`Camera::ray`].
    pub without_ray: usize,
}

/// The points that a set of pixels of a depth image shows, in the optical frame of its camera: the ray of the pixel's centre
/// times the depth, which is along the optical axis and not the range.
///
/// # Shapes
/// `pixels` are (column, row), in any order; a pixel that comes twice gives two points.
///
/// # Errors
/// [`GeometryError::ImageSize`] unless the image is as large as the camera's picture, [`GeometryError::Pixel`] outside it.
pub fn points(
    camera: &Camera,
    image: &DepthImage,
    pixels: impl IntoIterator<Item = (u32, u32)>,
) -> Result<PixelPoints, GeometryError> {
    check_size(camera, image)?;
    let mut found = PixelPoints::default();
    for (x, y) in pixels {
        let depth = image.at(x, y).ok_or(GeometryError::Pixel {
            x,
            y,
            width: image.width(),
            height: image.height(),
        })?;
        found.counts.add(depth);
        if let Depth::Measured(metres) = depth {
            let centre = DVec2::new(f64::from(x), f64::from(y));
            match camera.point(centre, f64::from(metres)) {
                Some(point) => found.points.push(PixelPoint {
                    pixel: (x, y),
                    point,
                }),
                None => found.without_ray += 1,
            }
        }
    }
    Ok(found)
}

pub(crate) fn check_size(camera: &Camera, image: &DepthImage) -> Result<(), GeometryError> {
    let size = (image.width(), image.height());
    let expected = (camera.width(), camera.height());
    match size == expected {
        true => Ok(()),
        false => Err(GeometryError::ImageSize {
            image: size,
            camera: expected,
        }),
    }
}
