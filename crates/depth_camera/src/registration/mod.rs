//! A depth image of one camera, as another camera would see it.
//!
//! Each pixel of the depth image stands for a patch of surface as large as the pixel, not for a point: at ten pixels of a colour
//! picture to one of depth, points would leave nine of ten pixels empty, and the background would show through. Where
//! neighbouring pixels show one surface (their depths differ by at most [`SAME_SURFACE`]), their patches meet at the corners
//! between the pixels, so the surface has no gaps. Where they do not, each patch ends half a pixel from its centre, and no
//! surface is put up between foreground and background. What the depth camera does not see behind the foreground stays missing.
//!
//! The patches are drawn into the colour picture as four triangles each, which meet in the pixel's centre, so that a reading
//! keeps its value there. A pixel of the result has the depth of the nearest patch that lies over its centre.

mod buffer;
mod surface;

use glam::{DMat3, DVec2, DVec3};

use crate::camera::Camera;
use crate::image::{pixels, Depth, DepthImage};
use crate::points::check_size;
use crate::transform::{GeometryError, RigidTransform};
use buffer::{centres, Vertex, ZBuffer};
use surface::CornerNeighbours;
pub use surface::SAME_SURFACE;

/// A patch may cover this many times the area that the pictures' sizes alone would have it cover, and [`MIN_LIMIT`] pixels in any
/// case. Larger ones lie almost in the colour camera's own plane; a picture full of them would take minutes.
const MAX_STRETCH: f64 = 16.0;

/// The least bound on the area of a patch, pixels.
const MIN_LIMIT: f64 = 1024.0;

/// A depth image in another camera's picture.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Depth along the axis of the camera that the image was registered to, in that camera's picture; missing where the depth
    /// camera saw nothing. Too far stays too far, too near has no place and is missing.
    pub image: DepthImage,
    /// Measured pixels of the depth image that are not in the picture: beside it, behind the camera, or too near to its plane.
    pub outside: usize,
}

/// Brings depth images of one camera into the picture of another. It holds the rays of the depth camera, whose lens takes time to
/// undo, so keep it for as long as the calibrations stay the same.
#[derive(Clone, Debug)]
pub struct Registration {
    depth: Camera,
    colour: Camera,
    rays: Option<Rays>,
    /// Largest area of the box around a patch in the colour picture, pixels.
    largest: f64,
}

/// Places on the plane at distance 1, NaN where the lens shows nothing.
#[derive(Clone, Debug)]
struct Rays {
    /// Of the pixels' centres, row by row: `width · height`.
    centres: Vec<DVec2>,
    /// Of the pixels' corners, row by row: `(width + 1) · (height + 1)`.
    corners: Vec<DVec2>,
}

/// A corner between pixels, as far as one can say without a pixel.
#[derive(Clone, Copy)]
enum Corner {
    /// All around it is one surface, which is here in the colour picture, if it is there at all.
    Shared(Option<Vertex>),
    /// Several surfaces meet, or nothing does.
    Parted(CornerNeighbours),
}

/// The way from a place and an inverse depth in the depth camera to the colour camera's axes.
struct DepthToColour {
    rotation: DMat3,
    translation: DVec3,
}

impl Registration {
    /// The registration of a depth camera's images to a colour camera's picture.
    ///
    /// # Errors
    /// [`GeometryError::PictureSize`], if one of the pictures is larger than a depth image may be.
    pub fn new(depth: Camera, colour: Camera) -> Result<Self, GeometryError> {
        let pixels = |camera: &Camera| {
            let (width, height) = (camera.width(), camera.height());
            pixels(width, height).map_err(|_| GeometryError::PictureSize { width, height })
        };
        let coarser = pixels(&colour)? as f64 / pixels(&depth)? as f64;
        let rays = (!depth.is_straight()).then(|| Rays::of(&depth));
        Ok(Self {
            depth,
            colour,
            rays,
            largest: (MAX_STRETCH * coarser).max(MIN_LIMIT),
        })
    }

    /// The depth image in the colour camera's picture. `depth_to_colour` takes coordinates of the depth camera's optical frame
    /// into the colour camera's. The same camera and no transform give the same image, bit by bit.
    ///
    /// # Errors
    /// [`GeometryError::ImageSize`].
    pub fn register(
        &self,
        image: &DepthImage,
        depth_to_colour: &RigidTransform,
    ) -> Result<Registered, GeometryError> {
        check_size(&self.depth, image)?;
        if self.depth == self.colour && *depth_to_colour == RigidTransform::IDENTITY {
            let image = image.clone();
            return Ok(Registered { image, outside: 0 });
        }
        let way = self.way(depth_to_colour);
        let inverse: Vec<f64> = image
            .metres()
            .iter()
            .map(|metres| inverse(*metres))
            .collect();
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut buffer = ZBuffer::new(self.colour.width(), self.colour.height());
        let mut outside = 0;
        let mut above = self.corners(&way, &inverse, 0);
        for y in 0..height {
            let below = self.corners(&way, &inverse, y + 1);
            for x in 0..width {
                let own = inverse.get(y * width + x).copied().unwrap_or(f64::NAN);
                if own.is_nan() {
                    continue;
                }
                // Around the patch.
                let corners = [
                    (above[x], (x, y)),
                    (above[x + 1], (x + 1, y)),
                    (below[x + 1], (x + 1, y + 1)),
                    (below[x], (x, y + 1)),
                ];
                let corners = corners.map(|(corner, (i, j))| match corner {
                    Corner::Shared(vertex) => vertex,
                    Corner::Parted(around) => {
                        let inverse = surface::own_surface(&around, own);
                        self.vertex(&way, self.corner(i, j), inverse)
                    }
                });
                let centre = self.vertex(&way, self.centre(x, y), own);
                let is_inside = match centre {
                    Some(centre) => {
                        self.draw(&mut buffer, centre, corners) && self.colour.contains(centre.at)
                    }
                    None => false,
                };
                outside += usize::from(!is_inside && own > 0.0);
            }
            above = below;
        }
        let image = buffer.into_image()?;
        Ok(Registered { image, outside })
    }

    /// Draws a patch, less the triangles that reach where the colour camera sees nothing. False if it is too large to be drawn.
    fn draw(&self, buffer: &mut ZBuffer, centre: Vertex, corners: [Option<Vertex>; 4]) -> bool {
        let seen = corners.iter().flatten();
        let (mut low, mut high) = (centre.at, centre.at);
        for vertex in seen {
            (low, high) = (low.min(vertex.at), high.max(vertex.at));
        }
        let size = high - low;
        if (size.x + 1.0) * (size.y + 1.0) > self.largest {
            return false;
        }
        // A patch of a depth camera that is the finer one mostly lies between the pixels' centres.
        let lies_over_one = centres(low.x, high.x, self.colour.width()).is_some()
            && centres(low.y, high.y, self.colour.height()).is_some();
        if !lies_over_one {
            return true;
        }
        let [a, b, c, d] = corners;
        for (from, to) in [(a, b), (b, c), (c, d), (d, a)] {
            if let (Some(from), Some(to)) = (from, to) {
                buffer.triangle([centre, from, to]);
            }
        }
        true
    }

    fn way(&self, depth_to_colour: &RigidTransform) -> DepthToColour {
        let (from, from_centre) = self.depth.stand();
        let (to, to_centre) = self.colour.stand();
        DepthToColour {
            rotation: to * depth_to_colour.matrix() * from.transpose(),
            translation: to * (depth_to_colour.apply(from_centre) - to_centre),
        }
    }

    /// Where the colour camera sees what the depth camera sees at a place. Divided by the depth, the point is `place + 0 · depth`
    /// at infinity, so that what is too far has its pixel, too.
    fn vertex(&self, way: &DepthToColour, place: Option<DVec2>, inverse: f64) -> Option<Vertex> {
        let seen = way.rotation * place?.extend(1.0) + way.translation * inverse;
        match seen.z > 0.0 {
            true => Some(Vertex {
                at: self.colour.pixel_of(seen.truncate() / seen.z)?,
                inverse: inverse / seen.z,
            }),
            false => None,
        }
    }

    /// The corners above a row of pixels; those of row `height` are below the last.
    fn corners(&self, way: &DepthToColour, inverse: &[f64], row: usize) -> Vec<Corner> {
        let width = self.depth.width() as usize;
        let line = |y: Option<usize>| {
            let start = y.map(|y| y * width);
            start.and_then(|start| inverse.get(start..start + width))
        };
        let (above, below) = (line(row.checked_sub(1)), line(Some(row)));
        let at = |line: Option<&[f64]>, x: Option<usize>| {
            let value = line.zip(x).and_then(|(line, x)| line.get(x));
            value.copied().unwrap_or(f64::NAN)
        };
        let corner = |x: usize| {
            let left = x.checked_sub(1);
            let around = [
                at(above, left),
                at(above, Some(x)),
                at(below, left),
                at(below, Some(x)),
            ];
            match surface::shared(&around) {
                Some(inverse) => Corner::Shared(self.vertex(way, self.corner(x, row), inverse)),
                None => Corner::Parted(around),
            }
        };
        (0..=width).map(corner).collect()
    }

    /// The place of a pixel's centre.
    fn centre(&self, x: usize, y: usize) -> Option<DVec2> {
        match &self.rays {
            Some(rays) => rays
                .centres
                .get(y * self.depth.width() as usize + x)
                .copied(),
            None => self.depth.place_of(DVec2::new(x as f64, y as f64)),
        }
    }

    /// The place of the corner at the upper left of a pixel.
    fn corner(&self, x: usize, y: usize) -> Option<DVec2> {
        match &self.rays {
            Some(rays) => {
                let at = y * (self.depth.width() as usize + 1) + x;
                rays.corners.get(at).copied()
            }
            None => self
                .depth
                .place_of(DVec2::new(x as f64 - 0.5, y as f64 - 0.5)),
        }
    }
}

impl Rays {
    fn of(camera: &Camera) -> Self {
        let places = |width: u32, height: u32, offset: f64| {
            let rows = 0..height;
            let pixels = rows.flat_map(|y| (0..width).map(move |x| (f64::from(x), f64::from(y))));
            let places = pixels.map(|(x, y)| camera.place_of(DVec2::new(x - offset, y - offset)));
            places.map(|place| place.unwrap_or(DVec2::NAN)).collect()
        };
        let (width, height) = (camera.width(), camera.height());
        Self {
            centres: places(width, height, 0.0),
            corners: places(width + 1, height + 1, 0.5),
        }
    }
}

/// One over the depth, 1/m: 0 is too far, and NaN is what has no place.
fn inverse(metres: f32) -> f64 {
    match Depth::of(metres) {
        Depth::Measured(metres) => 1.0 / f64::from(metres),
        Depth::TooFar => 0.0,
        Depth::Missing | Depth::TooNear => f64::NAN,
    }
}
