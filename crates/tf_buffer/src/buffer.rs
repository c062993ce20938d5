//! The buffer: names of frames, what is inserted, and the way from one frame to another.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use glam::DQuat;

use crate::error::{InsertError, LookupError};
use crate::link::{self, FrameId, Link, StampedTransform, TransformAt};
use crate::transform::Transform;

/// How long moving transforms are kept unless something else is asked for, as in tf2.
pub const DEFAULT_HISTORY: Duration = Duration::from_secs(10);

/// A moving transform that is older than the newest of its link by more than this (or by more than the history, if that is
/// shorter) means that time was set back. Messages that overtake each other differ by less.
pub const JUMP_BACK: Duration = Duration::from_secs(1);

/// The longest translation that is taken, metres. Sums of such ones stay finite.
pub const MOST_METRES: f64 = 1e12;

/// How far the square of a quaternion's length may lie from 1 (tf2's `QUATERNION_NORMALIZATION_TOLERANCE`).
const LENGTH_TOLERANCE: f64 = 0.01;

/// What taking a transform led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Inserted {
    /// It was taken.
    Taken,
    /// It was taken, and the child frame now has another parent. The transforms to the former parent are kept, and answer
    /// lookups of their time.
    Reparented {
        /// The former parent.
        from: String,
    },
    /// It was taken, and the child frame changed from static to moving or back. What was known of it before is dropped.
    Replaced,
    /// Time was set back, as when a simulation is reset or a recording begins anew: all moving transforms were dropped, of all
    /// frames, and then this one was taken. Static ones are kept, as in tf2.
    JumpedBack {
        /// By how much, seconds; above 0.
        seconds: f64,
    },
}

/// Transforms between frames, in time.
///
/// The rules are those of tf2's `BufferCore` (ros2/geometry2, `tf2/src/buffer_core.cpp` and `cache.cpp`), with these
/// differences: a loop and a missing transform are told by name, quaternions are brought to length 1, numbers that are not
/// finite are refused, stamp 0 is a time like any other, and a lookup from a frame to itself needs no transform.
#[derive(Clone, Debug)]
pub struct TfBuffer {
    /// Nanoseconds.
    history: u64,
    ids: HashMap<String, FrameId>,
    names: Vec<String>,
    /// By child frame; a root has none.
    links: HashMap<FrameId, Link>,
}

impl Default for TfBuffer {
    fn default() -> Self {
        Self::new(DEFAULT_HISTORY)
    }
}

impl TfBuffer {
    /// An empty buffer that keeps the moving transforms of each child frame for this long, counted back from its newest.
    pub fn new(history: Duration) -> Self {
        Self {
            history: nanoseconds_of(history),
            ids: HashMap::new(),
            names: Vec::new(),
            links: HashMap::new(),
        }
    }

    /// Takes a moving transform, as `/tf` has it.
    ///
    /// One slash at the beginning of a name is removed. `stamp` is in nanoseconds: see [`stamp`](crate::stamp()). A transform
    /// with the stamp of one that is there takes its place.
    ///
    /// # Errors
    /// [`InsertError`]; the buffer is then as it was.
    pub fn insert(
        &mut self,
        parent: &str,
        child: &str,
        stamp: i64,
        transform: Transform,
    ) -> Result<Inserted, InsertError> {
        let (parent, child, transform) = checked(parent, child, transform)?;
        let back = self.jump_back(child, stamp);
        if back.is_some() {
            self.clear_moving();
        }
        let (parent, child) = (self.id(parent), self.id(child));
        let sample = StampedTransform {
            stamp,
            parent,
            transform,
        };
        let was = self.parent(child);
        let replaced = match self.links.get_mut(&child) {
            Some(Link::Moving(samples)) => {
                link::insert(samples, sample, self.history);
                false
            }
            _ => {
                let begun = Link::Moving(VecDeque::from([sample]));
                self.links.insert(child, begun).is_some()
            }
        };
        Ok(match back {
            Some(nanoseconds) => Inserted::JumpedBack {
                seconds: seconds(nanoseconds),
            },
            None if replaced => Inserted::Replaced,
            None => self.reparented(child, was),
        })
    }

    /// Takes a transform that holds at all times, as `/tf_static` has it. It replaces an earlier one of the child frame.
    ///
    /// # Errors
    /// [`InsertError`]; the buffer is then as it was.
    pub fn insert_static(
        &mut self,
        parent: &str,
        child: &str,
        transform: Transform,
    ) -> Result<Inserted, InsertError> {
        let (parent, child, transform) = checked(parent, child, transform)?;
        let (parent, child) = (self.id(parent), self.id(child));
        let was = self.parent(child);
        let fixed = Link::Static(StampedTransform {
            stamp: 0,
            parent,
            transform,
        });
        match self.links.insert(child, fixed) {
            Some(Link::Moving(_)) => Ok(Inserted::Replaced),
            _ => Ok(self.reparented(child, was)),
        }
    }

    /// The transform that takes coordinates in `source` to coordinates in `target`, both at the same time: tf2's
    /// `lookupTransform(target, source, time)`.
    ///
    /// The way leads from each frame up to the ancestor that they share. Each moving transform on it is interpolated between
    /// its two neighbouring stamps and never extrapolated. The stamp is in nanoseconds, and 0 does not mean "the newest".
    ///
    /// # Errors
    /// [`LookupError`]. Where several transforms on the way are missing, one that waiting does not bring is named first, and
    /// else the one that is farthest behind.
    pub fn lookup(&self, target: &str, source: &str, stamp: i64) -> Result<Transform, LookupError> {
        let (target_chain, source_chain) = match (self.known(target), self.known(source)) {
            // A frame lies in itself at the origin, whether or not anything else is known of it.
            (
                Ok(_) | Err(LookupError::UnknownFrame { .. }),
                Ok(_) | Err(LookupError::UnknownFrame { .. }),
            ) if target == source => {
                return Ok(Transform::IDENTITY);
            }
            (target, source) => (self.chain(target?, stamp)?, self.chain(source?, stamp)?),
        };
        // Two chains that meet are the same from there to the root, so that they are compared from the root down.
        let shared = (target_chain.iter().rev())
            .zip(source_chain.iter().rev())
            .take_while(|(a, b)| a.0 == b.0)
            .count();
        if shared == 0 {
            let root = |chain: &[(FrameId, Option<TransformAt>)]| {
                self.name(chain.last().map_or(0, |step| step.0))
            };
            return Err(LookupError::NotConnected {
                target: target.to_owned(),
                target_root: root(&target_chain),
                origin: source.to_owned(),
                origin_root: root(&source_chain),
            });
        }
        let up = |chain: &[(FrameId, Option<TransformAt>)]| chain.len() - shared;
        let target_way = target_chain.get(..up(&target_chain)).unwrap_or_default();
        let source_way = source_chain.get(..up(&source_chain)).unwrap_or_default();
        if let Some(missing) = self.missing(target_way.iter().chain(source_way)) {
            return Err(missing);
        }
        Ok(compose(target_way).inverse().then(&compose(source_way)))
    }

    /// Drops all moving transforms and keeps the static ones, as tf2 does when its clock jumps back.
    ///
    /// A caller who has a clock calls this when the clock goes back. Without a clock, [`TfBuffer::insert`] finds it out.
    pub fn clear_moving(&mut self) {
        let mut kept = Self {
            history: self.history,
            ids: HashMap::new(),
            names: Vec::new(),
            links: HashMap::new(),
        };
        // In the order of the frames' numbers, so that `frames` gives them in the order in which they came.
        for child in 0..self.names.len() {
            if let Some(Link::Static(sample)) = self.links.get(&child) {
                let parent = kept.id(&self.name(sample.parent));
                let child = kept.id(&self.name(child));
                (kept.links).insert(child, Link::Static(StampedTransform { parent, ..*sample }));
            }
        }
        *self = kept;
    }

    /// Drops the moving transforms whose stamps are later than this, in nanoseconds: for a caller whose clock went back by however
    /// little, and to whom transforms of the time since may already have come.
    pub fn forget_after(&mut self, stamp: i64) {
        self.links.retain(|_, link| match link {
            Link::Static(_) => true,
            Link::Moving(samples) => {
                samples.retain(|sample| sample.stamp <= stamp);
                !samples.is_empty()
            }
        });
    }

    /// The names of all frames that are known, in the order in which they came.
    pub fn frames(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// By how many nanoseconds time was set back, if the stamp says so.
    fn jump_back(&self, child: &str, stamp: i64) -> Option<u64> {
        let newest = match self.links.get(self.ids.get(child)?)? {
            Link::Static(_) => return None,
            Link::Moving(samples) => samples.back()?.stamp,
        };
        let back = newest.abs_diff(stamp);
        (stamp < newest && back > nanoseconds_of(JUMP_BACK).min(self.history)).then_some(back)
    }

    /// From a frame up to its root: each frame and what its link has for the stamp. The root has no link.
    ///
    /// Where a link has nothing for the stamp, its parent at the nearest time is followed, so that the link that is missing can
    /// be told from one that the way does not need.
    fn chain(
        &self,
        from: FrameId,
        stamp: i64,
    ) -> Result<Vec<(FrameId, Option<TransformAt>)>, LookupError> {
        let mut chain: Vec<(FrameId, Option<TransformAt>)> = Vec::new();
        let mut frame = from;
        loop {
            let at = self.links.get(&frame).and_then(|link| link.at(stamp));
            chain.push((frame, at));
            let Some(at) = at else {
                return Ok(chain);
            };
            frame = at.parent();
            if let Some(begin) = chain.iter().position(|step| step.0 == frame) {
                let circle = chain.get(begin..).unwrap_or_default();
                return Err(LookupError::Loop {
                    frames: circle.iter().map(|step| self.name(step.0)).collect(),
                });
            }
        }
    }

    /// What is missing on a way.
    fn missing<'a>(
        &self,
        way: impl Iterator<Item = &'a (FrameId, Option<TransformAt>)>,
    ) -> Option<LookupError> {
        let mut late: Option<(FrameId, FrameId, u64)> = None;
        for (child, at) in way {
            match at {
                Some(TransformAt::Before(oldest, by)) => {
                    return Some(LookupError::BeforeOldest {
                        parent: self.name(oldest.parent),
                        child: self.name(*child),
                        seconds: seconds(*by),
                    });
                }
                Some(TransformAt::After(newest, by))
                    if late.is_none_or(|(_, _, most)| *by > most) =>
                {
                    late = Some((newest.parent, *child, *by));
                }
                _ => {}
            }
        }
        late.map(|(parent, child, by)| LookupError::AfterNewest {
            parent: self.name(parent),
            child: self.name(child),
            seconds: seconds(by),
        })
    }

    /// The number of a frame that is asked for.
    fn known(&self, frame: &str) -> Result<FrameId, LookupError> {
        let owned = || frame.to_owned();
        if frame.is_empty() || frame.starts_with('/') {
            return Err(LookupError::BadName { frame: owned() });
        }
        (self.ids.get(frame).copied()).ok_or_else(|| LookupError::UnknownFrame { frame: owned() })
    }

    /// The number of a frame, which is made known by this.
    fn id(&mut self, name: &str) -> FrameId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.names.len();
        self.ids.insert(name.to_owned(), id);
        self.names.push(name.to_owned());
        id
    }

    fn name(&self, id: FrameId) -> String {
        self.names.get(id).cloned().unwrap_or_default()
    }

    /// The parent of a frame's newest transform.
    fn parent(&self, child: FrameId) -> Option<FrameId> {
        Some(self.links.get(&child)?.newest()?.parent)
    }

    /// What to say of a child frame that had this parent.
    fn reparented(&self, child: FrameId, was: Option<FrameId>) -> Inserted {
        match was {
            Some(was) if self.parent(child) != Some(was) => Inserted::Reparented {
                from: self.name(was),
            },
            _ => Inserted::Taken,
        }
    }
}

/// Where the first frame of a way lies in the frame that the way leads to.
fn compose(way: &[(FrameId, Option<TransformAt>)]) -> Transform {
    way.iter()
        .fold(Transform::IDENTITY, |below, (_, at)| match at {
            Some(TransformAt::Here(sample)) => sample.transform.then(&below),
            _ => below,
        })
}

/// The names without their slash, and the transform with a quaternion of length 1.
fn checked<'a>(
    parent: &'a str,
    child: &'a str,
    transform: Transform,
) -> Result<(&'a str, &'a str, Transform), InsertError> {
    let bare = |name: &'a str| name.strip_prefix('/').unwrap_or(name);
    let (parent_name, child_name) = (bare(parent), bare(child));
    let (parent, child) = (parent.to_owned(), child.to_owned());
    if parent_name.is_empty() || child_name.is_empty() {
        return Err(InsertError::NoName { parent, child });
    }
    if parent_name == child_name {
        return Err(InsertError::OwnParent {
            frame: child_name.to_owned(),
        });
    }
    let Transform {
        translation,
        rotation,
    } = transform;
    let near = translation.is_finite() && translation.abs().max_element() <= MOST_METRES;
    if !near {
        return Err(InsertError::Translation {
            parent,
            child,
            translation: translation.to_array(),
        });
    }
    // With numbers that are not finite the comparison is false.
    let turns = (rotation.length_squared() - 1.0).abs() < LENGTH_TOLERANCE;
    if !turns {
        return Err(InsertError::Quaternion {
            parent,
            child,
            quaternion: rotation.to_array(),
        });
    }
    let transform = Transform::new(translation, unit(rotation));
    Ok((parent_name, child_name, transform))
}

/// The quaternion with length 1; one that has it already to the last bits stays as it is.
fn unit(rotation: DQuat) -> DQuat {
    match (rotation.length_squared() - 1.0).abs() < 4.0 * f64::EPSILON {
        true => rotation,
        false => rotation.normalize(),
    }
}

fn nanoseconds_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
