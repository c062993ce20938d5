//! Following: an object that the model has named once is found again in every new frame, without the language model.
//!
//! What the answer's `[SEG]` was decoded from is kept ([`SegPrompt`](crate::engine::SegPrompt)), and a new frame costs the image
//! encoder and the mask decoder. The language model is asked again, with the goal's instruction and the newest frame, when the
//! mask is no longer believed: when the decoder's own estimate of its IoU and its overlap with where the object was expected are
//! both low ([`FollowSettings`](super::FollowSettings)).
//!
//! # Promises
//! 1. Every accepted goal has one result, and no feedback comes after it.
//! 2. The frames of a goal's feedback are newer and newer; frames that arrive while an earlier one is computed are passed over.
//! 3. A frame's feedback waits for the places of its objects until the goal's next frame is answered at the latest.
//! 4. A `track_id` is given once in the life of a node, and stays with its object as long as the goal lasts.
//! 5. The engine has at most one request of all followers, and only while no instruction waits for it. It takes no place of
//!    `max_pending`.
//!
//! | file | one idea |
//! |---|---|
//! | `serving.rs` | the goals: how they begin, whose turn it is at the engine, what its answers become, how they end |
//! | `follower.rs` | one goal: what it asks of the engine next, when it is lost |
//! | `tracks.rs` | its objects: is this mask still the same one, and which of a new answer's objects is which |
//! | `places.rs` | where its objects are in space, and how long a frame waits for that |
//! | `motion.rs` | where an object is expected, and how much of a mask lies there |
//! | `earlier.rs` | the results whose objects can be followed |
//! | `report.rs` | what a client sends, and what it is told |

mod earlier;
mod follower;
mod motion;
mod places;
mod report;
mod serving;
mod tracks;

pub use report::{FollowFeedback, FollowOffer, FollowResult, FollowState, FollowStatus};
pub(super) use serving::Following;
pub use tracks::Sighting;
