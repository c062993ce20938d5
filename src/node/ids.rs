//! How questions and goals are told apart.

/// The number of a question; a node numbers its questions from 1. A goal of `~/follow` and its requests to the engine have numbers
/// of their own, from 2⁶³ on, and so have those of the page, from 2⁶² on, so that the numbers of instructions do not depend on what is followed or asked beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

impl QuestionId {
    const FOLLOWERS: u64 = 1 << 63;

    const PAGE: u64 = 1 << 62;

    /// The number of the `n`th question of the page.
    pub(super) fn of_page(n: u64) -> Self {
        Self(Self::PAGE | n)
    }

    /// Whether it is of a question of the page.
    pub fn is_page(self) -> bool {
        (Self::PAGE..Self::FOLLOWERS).contains(&self.0)
    }

    /// The `n`th number of the followers.
    pub(super) fn of_follower(n: u64) -> Self {
        Self(Self::FOLLOWERS | n)
    }

    /// Whether it is a follower's.
    pub fn is_follower(self) -> bool {
        self.0 >= Self::FOLLOWERS
    }
}

/// A goal's UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GoalId(pub [u8; 16]);

impl GoalId {
    /// The id that means all goals in a cancel request.
    pub(super) const ALL: GoalId = GoalId([0; 16]);

    /// An id of 16 bytes, as messages always have it; another length is cut off or filled up with zeros.
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(id)
    }
}

impl std::fmt::Display for GoalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
