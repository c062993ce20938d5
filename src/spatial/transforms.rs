//! Where the cameras were at the stamps of their pictures.

use tf_buffer::{LookupError, TfBuffer, Transform};

use super::NotLocated;
use crate::frames::Stamp;

/// An optical frame at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment<'a> {
    /// The frame's name.
    pub frame_id: &'a str,
    /// When.
    pub stamp: Stamp,
}

/// The transforms that locating needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameTransforms {
    /// The colour camera's optical frame in the target frame, when the picture was taken.
    pub colour_in_target: Transform,
    /// The depth camera's optical frame, when depth was measured, in the colour camera's, when the picture was taken. `None` where
    /// the two are the same frame at the same time.
    pub depth_in_colour: Option<Transform>,
}

impl FrameTransforms {
    /// Looks both up. `fixed` is a frame in which the world stands still, e.g. `odom`: through it the motion between the two stamps
    /// is taken back. Where the two stamps are equal it is not asked for.
    ///
    /// If the cameras' frame is one and the same, the stamps differ and nobody knows where it was in `fixed`, it is taken to have
    /// stood still: a recording of a registered depth image without transforms can still be located in its own camera's frame.
    ///
    /// # Errors
    /// What is missing. [`LookupError::may_pass`] says whether waiting helps; [`Self::refusal`] puts the rest into words.
    pub fn look_up(
        buffer: &TfBuffer,
        colour: Moment<'_>,
        depth: Moment<'_>,
        target: &str,
        fixed: &str,
    ) -> Result<Self, LookupError> {
        let place = |moment: Moment<'_>, target: &str| match name(moment.frame_id) == name(target) {
            true => Ok(Transform::IDENTITY),
            false => buffer.lookup(name(target), name(moment.frame_id), moment.stamp.0),
        };
        let colour_in_target = place(colour, target)?;
        let is_same = name(colour.frame_id) == name(depth.frame_id);
        let depth_in_colour = match (is_same, colour.stamp == depth.stamp) {
            (true, true) => None,
            (false, true) => Some(place(depth, colour.frame_id)?),
            (_, false) => {
                let through = |moment| place(moment, fixed);
                match through(colour).and_then(|colour| Ok((colour, through(depth)?))) {
                    Ok((colour, depth)) => Some(colour.inverse().then(&depth)),
                    Err(error @ LookupError::AfterNewest { .. }) => return Err(error),
                    Err(_) if is_same => None,
                    // A mount that is rigid needs no frame in which the world stands still.
                    Err(_) => Some(buffer.lookup(
                        name(colour.frame_id),
                        name(depth.frame_id),
                        colour.stamp.0,
                    )?),
                }
            }
        };
        Ok(Self {
            colour_in_target,
            depth_in_colour,
        })
    }

    /// The reason of a lookup that failed, once nobody waits any longer.
    pub fn refusal(error: &LookupError, colour: Moment<'_>, target: &str) -> NotLocated {
        NotLocated::NoTransform {
            from: colour.frame_id.to_owned(),
            to: target.to_owned(),
            stamp: colour.stamp,
            why: error.to_string(),
        }
    }
}

/// A frame's name without the slash that old programs put before it.
fn name(frame_id: &str) -> &str {
    frame_id.strip_prefix('/').unwrap_or(frame_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tf_buffer::{DQuat, DVec3};

    fn at(x: f64) -> Transform {
        Transform::new(DVec3::new(x, 0.0, 0.0), DQuat::IDENTITY)
    }

    /// A robot that drives along x at 1 m/s, with two cameras 0.1 m apart.
    fn robot() -> TfBuffer {
        let mut buffer = TfBuffer::default();
        buffer
            .insert_static("base", "colour", Transform::IDENTITY)
            .unwrap();
        buffer.insert_static("base", "depth", at(0.1)).unwrap();
        for k in 0..=10 {
            let seconds = f64::from(k) * 0.1;
            let stamp = i64::from(k) * 100_000_000;
            buffer.insert("odom", "base", stamp, at(seconds)).unwrap();
        }
        buffer
    }

    fn moment(frame_id: &str, milliseconds: i64) -> Moment<'_> {
        Moment {
            frame_id,
            stamp: Stamp(milliseconds * 1_000_000),
        }
    }

    #[test]
    fn the_motion_between_the_stamps_is_taken_back() {
        let buffer = robot();
        let both = |colour, depth| FrameTransforms::look_up(&buffer, colour, depth, "odom", "odom");
        let found = both(moment("colour", 250), moment("depth", 300)).unwrap();
        assert!((found.colour_in_target.translation.x - 0.25).abs() < 1e-12);
        let apart = found.depth_in_colour.unwrap().translation.x;
        assert!((apart - 0.15).abs() < 1e-12, "{apart}");
        let same = both(moment("colour", 250), moment("/colour", 250)).unwrap();
        assert_eq!(same.depth_in_colour, None);
        let moved = both(moment("colour", 250), moment("colour", 300)).unwrap();
        assert!((moved.depth_in_colour.unwrap().translation.x - 0.05).abs() < 1e-12);
    }

    #[test]
    fn what_may_still_come_is_told_from_what_will_not() {
        let buffer = robot();
        let late = moment("colour", 1100);
        let error = FrameTransforms::look_up(&buffer, late, late, "odom", "odom").unwrap_err();
        assert!(error.may_pass());
        let refusal = FrameTransforms::refusal(&error, late, "odom");
        assert!(
            refusal.to_string().contains("from colour to odom"),
            "{refusal}"
        );
        // Nothing of the world is known: in its own camera's frame an object can be located all the same.
        let empty = TfBuffer::default();
        let (colour, depth) = (moment("c", 10), moment("c", 20));
        let found = FrameTransforms::look_up(&empty, colour, depth, "c", "odom").unwrap();
        assert_eq!(found.depth_in_colour, None);
        assert_eq!(found.colour_in_target, Transform::IDENTITY);
        let other = moment("d", 10);
        assert!(FrameTransforms::look_up(&empty, colour, other, "c", "odom").is_err());
    }
}
