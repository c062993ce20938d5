//! What the masks of one picture share: the camera's model, and depth in the picture's own pixels.

use std::sync::Arc;

use depth_camera::glam::DVec3;
use depth_camera::{CameraInfo, DepthImage, Rectification, Registration, RigidTransform};
use tf_buffer::Transform;

use super::not_located::Camera as Which;
use super::{DepthFrame, FrameTransforms, NotLocated};

/// The picture that masks are of.
#[derive(Clone, Copy, Debug)]
pub struct ColourView<'a> {
    /// Width and height of the picture, pixels.
    pub size: (u32, u32),
    /// The camera's optical frame.
    pub frame_id: &'a str,
    /// Its calibration, if one has come.
    pub info: Option<&'a CameraInfo>,
    /// Whether the picture is raw or rectified.
    pub rectification: Rectification,
}

/// The depth image that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct DepthView<'a> {
    /// The image: [`DepthPairing`](super::DepthPairing) finds it.
    pub frame: &'a DepthFrame,
    /// Its camera's calibration, if one has come. A depth image in the colour camera's frame and of its size needs none.
    pub info: Option<&'a CameraInfo>,
    /// Whether the depth image is raw or rectified.
    pub rectification: Rectification,
}

/// Prepares pictures for their masks. It keeps the last registration's rays, which take as long as a registration: one locator for a
/// pair of cameras.
#[derive(Debug, Default)]
pub struct Locator {
    last: Option<KeptRegistration>,
}

#[derive(Debug)]
struct KeptRegistration {
    depth: depth_camera::Camera,
    colour: depth_camera::Camera,
    registration: Registration,
}

/// A picture in which masks can be located.
#[derive(Clone, Debug)]
pub struct LocatedFrame {
    pub(super) camera: depth_camera::Camera,
    /// In the picture's pixels.
    pub(super) depth: Arc<DepthImage>,
    pub(super) colour_in_target: Transform,
    /// Where the camera stands in the target frame, metres.
    pub(super) eye: DVec3,
    is_registered: bool,
}

impl Locator {
    /// Prepares a picture. A depth image of another camera, size, or time is brought into the picture's pixels, nearest first
    /// ([`Registration`]), once for all masks.
    ///
    /// # Errors
    /// [`NotLocated`]: whatever is handed in, there is no panic.
    pub fn frame(
        &mut self,
        colour: &ColourView<'_>,
        depth: &DepthView<'_>,
        transforms: &FrameTransforms,
    ) -> Result<LocatedFrame, NotLocated> {
        let camera = camera(
            Which::Colour,
            colour.info,
            colour.rectification,
            colour.size,
        )?;
        let colour_in_target = checked(&transforms.colour_in_target)?;
        let image = depth.frame.image()?;
        let size = (image.width(), image.height());
        let is_same_frame = plain(&depth.frame.frame_id) == plain(colour.frame_id);
        let depth_camera = match depth.info {
            None if is_same_frame && size == colour.size => camera.clone(),
            info => self::camera(Which::Depth, info, depth.rectification, size)?,
        };
        let between = match transforms.depth_in_colour {
            Some(transform) => rigid(&transform)?,
            None if is_same_frame => RigidTransform::IDENTITY,
            None => {
                return Err(NotLocated::NoTransform {
                    from: depth.frame.frame_id.clone(),
                    to: colour.frame_id.to_owned(),
                    stamp: depth.frame.stamp,
                    why: "it was not looked up".to_owned(),
                })
            }
        };
        let is_registered = depth_camera == camera && between == RigidTransform::IDENTITY;
        let depth = match is_registered {
            true => image,
            false => self.registered(depth_camera, &camera, &image, &between)?,
        };
        // With a depth of 0 each ray ends where the camera stands.
        let stand = camera.point(camera.principal_point(), 0.0);
        Ok(LocatedFrame {
            eye: colour_in_target.point(stand.unwrap_or(DVec3::ZERO)),
            camera,
            depth,
            colour_in_target,
            is_registered,
        })
    }

    fn registered(
        &mut self,
        depth: depth_camera::Camera,
        colour: &depth_camera::Camera,
        image: &DepthImage,
        between: &RigidTransform,
    ) -> Result<Arc<DepthImage>, NotLocated> {
        let fits = |kept: &KeptRegistration| kept.depth == depth && kept.colour == *colour;
        let kept = match self.last.take().filter(fits) {
            Some(kept) => kept,
            None => KeptRegistration {
                registration: Registration::new(depth.clone(), colour.clone())
                    .map_err(unregistered)?,
                depth,
                colour: colour.clone(),
            },
        };
        let registered = kept.registration.register(image, between);
        self.last = Some(kept);
        Ok(Arc::new(registered.map_err(unregistered)?.image))
    }
}

impl LocatedFrame {
    /// Whether the depth image was in the picture's pixels as it came.
    pub fn came_registered(&self) -> bool {
        self.is_registered
    }

    /// Depth in the picture's pixels.
    pub fn depth(&self) -> &Arc<DepthImage> {
        &self.depth
    }
}

fn unregistered(error: depth_camera::GeometryError) -> NotLocated {
    NotLocated::UnreadableDepth {
        why: error.to_string(),
    }
}

fn plain(frame_id: &str) -> &str {
    frame_id.strip_prefix('/').unwrap_or(frame_id)
}

/// The model of a camera for a picture of that size, which may be resized.
fn camera(
    which: Which,
    info: Option<&CameraInfo>,
    rectification: Rectification,
    picture: (u32, u32),
) -> Result<depth_camera::Camera, NotLocated> {
    let info = info.ok_or(NotLocated::NoCameraInfo { camera: which })?;
    let bad = |error| NotLocated::BadCameraInfo {
        camera: which,
        error,
    };
    let camera = depth_camera::Camera::new(info, rectification).map_err(bad)?;
    let size = (camera.width(), camera.height());
    if size == picture {
        return Ok(camera);
    }
    // Sides are whole pixels, so that proportions differ by half a pixel at most if the picture was resized.
    let scale = f64::from(picture.0) / f64::from(size.0);
    let is_resized = (scale * f64::from(size.1) - f64::from(picture.1)).abs() <= 1.0;
    match is_resized && picture.1 > 0 {
        true => camera.resized(picture.0, picture.1).map_err(bad),
        false => Err(NotLocated::OtherSize {
            camera: which,
            picture,
            info: size,
        }),
    }
}

fn rigid(transform: &Transform) -> Result<RigidTransform, NotLocated> {
    let (rotation, translation) = (transform.rotation, transform.translation);
    RigidTransform::new(rotation.to_array(), translation.to_array()).map_err(|error| {
        NotLocated::BadTransform {
            why: error.to_string(),
        }
    })
}

fn checked(transform: &Transform) -> Result<Transform, NotLocated> {
    let checked = rigid(transform)?;
    Ok(Transform::new(checked.translation(), checked.rotation()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{depth_of, flat_depth, info};
    use super::super::NotLocatedCode;
    use super::*;
    use crate::frames::Stamp;
    use tf_buffer::DQuat;

    const STILL: FrameTransforms = FrameTransforms {
        colour_in_target: Transform::IDENTITY,
        depth_in_colour: None,
    };

    fn colour(info: Option<&CameraInfo>) -> ColourView<'_> {
        ColourView {
            size: (64, 48),
            frame_id: "colour",
            info,
            rectification: Rectification::Raw,
        }
    }

    fn view<'a>(frame: &'a DepthFrame, info: Option<&'a CameraInfo>) -> DepthView<'a> {
        DepthView {
            frame,
            info,
            rectification: Rectification::Raw,
        }
    }

    #[test]
    fn registered_depth_is_taken_as_it_is_and_other_depth_is_brought_into_the_picture() {
        let (own, other) = (info(64, 48), info(32, 24));
        let frame = flat_depth(Stamp(0), "/colour");
        let mut locator = Locator::default();
        let located = locator.frame(&colour(Some(&own)), &view(&frame, None), &STILL);
        let located = located.unwrap();
        assert!(located.came_registered());
        assert!(Arc::ptr_eq(located.depth(), &frame.image().unwrap()));

        let coarse = depth_of(Stamp(0), "depth", (32, 24), vec![1.0; 32 * 24]);
        let beside = FrameTransforms {
            depth_in_colour: Some(Transform::new(DVec3::X * 0.05, DQuat::IDENTITY)),
            ..STILL
        };
        for _ in 0..2 {
            let located = locator.frame(&colour(Some(&own)), &view(&coarse, Some(&other)), &beside);
            let located = located.unwrap();
            assert!(!located.came_registered());
            assert_eq!(located.depth().width(), 64);
            let measured = located.depth().counts().measured;
            assert!(measured > 64 * 48 * 9 / 10, "{measured}");
        }
    }

    #[test]
    fn whatever_is_missing_is_named() {
        use NotLocatedCode::{NoCameraInfo, NoDepth, NoTransform};
        let own = info(64, 48);
        let frame = flat_depth(Stamp(0), "colour");
        let ask = |own: Option<&CameraInfo>, depth: DepthView<'_>, transforms: FrameTransforms| {
            let error = Locator::default()
                .frame(&colour(own), &depth, &transforms)
                .unwrap_err();
            assert!(!error.to_string().is_empty());
            error.code()
        };
        assert_eq!(ask(None, view(&frame, None), STILL), NoCameraInfo);
        let zeros = CameraInfo {
            k: [0.0; 9],
            ..own.clone()
        };
        assert_eq!(ask(Some(&zeros), view(&frame, None), STILL), NoCameraInfo);
        let nan = CameraInfo {
            k: [f64::NAN; 9],
            ..own.clone()
        };
        assert_eq!(ask(Some(&nan), view(&frame, None), STILL), NoCameraInfo);
        let wide = info(100, 48);
        assert_eq!(ask(Some(&wide), view(&frame, None), STILL), NoCameraInfo);
        let small = depth_of(Stamp(0), "colour", (32, 24), vec![1.0; 32 * 24]);
        assert_eq!(ask(Some(&own), view(&small, None), STILL), NoCameraInfo);
        let other = flat_depth(Stamp(0), "depth");
        assert_eq!(ask(Some(&own), view(&other, None), STILL), NoCameraInfo);
        assert_eq!(
            ask(Some(&own), view(&other, Some(&own)), STILL),
            NoTransform
        );
        for bad in [f64::NAN, f64::INFINITY] {
            let moved = FrameTransforms {
                colour_in_target: Transform::new(DVec3::splat(bad), DQuat::IDENTITY),
                ..STILL
            };
            assert_eq!(ask(Some(&own), view(&frame, None), moved), NoTransform);
            let turned = FrameTransforms {
                depth_in_colour: Some(Transform::new(DVec3::ZERO, DQuat::from_array([bad; 4]))),
                ..STILL
            };
            assert_eq!(ask(Some(&own), view(&frame, None), turned), NoTransform);
        }
        let message = super::super::DepthMessage::Compressed {
            format: "jpeg".to_owned(),
            data: Arc::from([].as_slice()),
        };
        let unknown = DepthFrame::new(Stamp(0), "colour", message);
        assert_eq!(ask(Some(&own), view(&unknown, None), STILL), NoDepth);
    }
}
