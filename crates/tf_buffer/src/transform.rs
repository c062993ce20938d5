//! A rotation and a translation: how one frame lies in another.

use glam::{DQuat, DVec3};

/// Where a child frame lies in its parent: `p_parent = rotation · p_child + translation`, as in geometry_msgs/Transform.
///
/// The frames are right-handed (REP 103). A transform that [`TfBuffer::lookup`](crate::TfBuffer::lookup) gives has a rotation
/// of length 1 and holds finite numbers only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// Where the child's origin lies in the parent, metres.
    pub translation: DVec3,
    /// How the child's axes are turned in the parent: a quaternion of length 1, in the order x, y, z, w.
    pub rotation: DQuat,
}

impl Transform {
    /// The transform that leaves each point where it is.
    pub const IDENTITY: Self = Self {
        translation: DVec3::ZERO,
        rotation: DQuat::IDENTITY,
    };

    /// A transform of these two parts. Neither is checked here; [`TfBuffer::insert`](crate::TfBuffer::insert) does that.
    pub const fn new(translation: DVec3, rotation: DQuat) -> Self {
        Self {
            translation,
            rotation,
        }
    }

    /// The coordinates in the parent frame of a point given in the child frame, metres.
    pub fn point(&self, point: DVec3) -> DVec3 {
        self.rotation * point + self.translation
    }

    /// A direction of the child frame as one of the parent frame: turned, and not moved.
    pub fn direction(&self, direction: DVec3) -> DVec3 {
        self.rotation * direction
    }

    /// The same relation seen from the other side: where the parent lies in the child.
    pub fn inverse(&self) -> Self {
        let rotation = self.rotation.conjugate();
        Self {
            translation: -(rotation * self.translation),
            rotation,
        }
    }

    /// Where a frame lies in this transform's parent, given where it lies in this transform's child.
    ///
    /// The quaternion is brought back to length 1, so that rounding does not add up over a long chain.
    pub fn then(&self, child: &Self) -> Self {
        Self {
            translation: self.point(child.translation),
            rotation: (self.rotation * child.rotation).normalize(),
        }
    }

    /// The transform at a share of the way from this one to another: the translation on a straight line, the rotation by slerp
    /// the shorter way round, both at constant speed.
    ///
    /// `share` is in 0 ..= 1; 0 gives this one and 1 the other, exactly.
    pub fn interpolate(&self, other: &Self, share: f64) -> Self {
        if share <= 0.0 {
            return *self;
        }
        if share >= 1.0 {
            return *other;
        }
        Self {
            translation: self.translation * (1.0 - share) + other.translation * share,
            rotation: self.rotation.slerp(other.rotation, share).normalize(),
        }
    }
}
