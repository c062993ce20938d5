//! Why a transform is not taken, and why a lookup has no answer.

/// Why a transform was not taken into the buffer. The buffer is as it was before.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InsertError {
    /// A frame has no name, or none but a slash.
    #[error("a transform from \"{child}\" to \"{parent}\" lacks the name of a frame")]
    NoName {
        /// The parent frame's name as it came.
        parent: String,
        /// The child frame's name as it came.
        child: String,
    },
    /// The parent frame and the child frame are one.
    #[error("frame \"{frame}\" is said to be its own parent")]
    OwnParent {
        /// The frame.
        frame: String,
    },
    /// The translation is not of finite numbers, or leads farther than [`MOST_METRES`](crate::MOST_METRES).
    #[error("the translation from \"{child}\" to \"{parent}\" is {translation:?}; accepted: finite numbers up to 1e12 metres")]
    Translation {
        /// The parent frame.
        parent: String,
        /// The child frame.
        child: String,
        /// x, y, z, metres.
        translation: [f64; 3],
    },
    /// The quaternion is not of finite numbers, or its length is too far from 1: the square of the length has to lie within
    /// 0.01 of 1, as tf2 has it.
    #[error("the rotation from \"{child}\" to \"{parent}\" is {quaternion:?}; accepted: a quaternion of length 1")]
    Quaternion {
        /// The parent frame.
        parent: String,
        /// The child frame.
        child: String,
        /// x, y, z, w.
        quaternion: [f64; 4],
    },
}

/// Why there is no transform between two frames at a time.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LookupError {
    /// The name that was asked for is empty or begins with a slash, which tf2 refuses too.
    #[error(
        "\"{frame}\" is not the name of a frame; accepted: a name without a slash at its beginning"
    )]
    BadName {
        /// The name.
        frame: String,
    },
    /// No transform names this frame.
    #[error("frame \"{frame}\" is unknown")]
    UnknownFrame {
        /// The frame.
        frame: String,
    },
    /// Both frames are known, and no chain of transforms connects them.
    #[error(
        "frames \"{target}\" (in the tree of \"{target_root}\") and \"{origin}\" (in the tree of \"{origin_root}\") are not \
         connected"
    )]
    NotConnected {
        /// The frame to be transformed into.
        target: String,
        /// The root of its tree at that time.
        target_root: String,
        /// The frame to be transformed from.
        origin: String,
        /// The root of its tree at that time.
        origin_root: String,
    },
    /// A transform on the way was first heard of later than the time that was asked for, or is no longer kept. Waiting does
    /// not help.
    #[error("the oldest transform from \"{child}\" to \"{parent}\" is {seconds:.3} s newer than what was asked for")]
    BeforeOldest {
        /// The parent frame.
        parent: String,
        /// The child frame.
        child: String,
        /// How far the stamp lies before the oldest transform that is kept, seconds; above 0.
        seconds: f64,
    },
    /// A transform on the way has not come yet for the time that was asked for. It may still come.
    #[error("the newest transform from \"{child}\" to \"{parent}\" is {seconds:.3} s older than what was asked for")]
    AfterNewest {
        /// The parent frame.
        parent: String,
        /// The child frame.
        child: String,
        /// How far the stamp lies after the newest transform, seconds; above 0.
        seconds: f64,
    },
    /// The transforms lead around in a circle at that time.
    #[error("the frames lead around in a circle: {}", frames.join(", "))]
    Loop {
        /// The frames of the circle. Each is the child of the one after it, and the last is the child of the first.
        frames: Vec<String>,
    },
}

impl LookupError {
    /// Whether transforms that have not come yet can give an answer, so that it is worth while to wait until a timeout.
    ///
    /// That is so where a transform is missing at its new end ([`LookupError::AfterNewest`]), and where a frame or a connection
    /// is not known yet, as it is while a robot starts.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::AfterNewest { .. } | Self::UnknownFrame { .. } | Self::NotConnected { .. } => {
                true
            }
            Self::BadName { .. } | Self::BeforeOldest { .. } | Self::Loop { .. } => false,
        }
    }
}
