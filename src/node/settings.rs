//! The parameters that the state machine depends on.

use std::time::Duration;

use super::space::SpaceSettings;
use crate::engine::AnswerOptions;

/// What the parameters accept, both ends included. A replay's arguments of the same names accept the same.
pub mod bounds {
    use std::ops::RangeInclusive;

    /// How many tokens an answer may be allowed.
    pub const MAX_NEW_TOKENS: RangeInclusive<usize> = 1..=2048;
    /// The temperature of the sampling; 0 takes the likeliest token.
    pub const TEMPERATURE: RangeInclusive<f64> = 0.0..=2.0;
    /// The probability above which a pixel is in a mask.
    pub const MASK_THRESHOLD: RangeInclusive<f64> = 0.01..=0.99;
    /// How far the frame of a stamped instruction may be from its stamp, seconds.
    pub const SYNC_SLOP_S: RangeInclusive<f64> = 0.0..=10.0;
    /// How far apart the stamps of a frame and its depth image may be, seconds.
    pub const DEPTH_MAX_OFFSET: RangeInclusive<f64> = 0.0..=1.0;
    /// How long an object waits for its depth image, or for transforms, seconds.
    pub const SPACE_TIMEOUT: RangeInclusive<f64> = 0.0..=10.0;
    /// After how long without a question the model's memory is given back, seconds; 0 never does.
    pub const UNLOAD_AFTER_S: RangeInclusive<f64> = 0.0..=604_800.0;
    /// Opacity of what is drawn over a frame.
    pub const OVERLAY_ALPHA: RangeInclusive<f64> = 0.0..=1.0;
    /// How long an object that is followed may be out of sight before it is lost, seconds.
    pub const FOLLOW_PATIENCE_S: RangeInclusive<f64> = 0.0..=3600.0;
    /// A score or an IoU.
    pub const SHARE: RangeInclusive<f64> = 0.0..=1.0;
}

/// How many tokens an answer of the node is allowed where its parameter does not say otherwise. The reference, and so
/// [`AnswerOptions::default`], allows 512.
pub const DEFAULT_MAX_NEW_TOKENS: usize = 128;

/// A snapshot of the parameters; a change makes a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How questions are answered; seed and attention are set for each question.
    pub answer: AnswerOptions,
    /// How many questions may wait for the model, and how many others for a frame. 1 or more.
    pub max_pending: usize,
    /// How far the frame of a stamped instruction may be from its stamp, seconds.
    pub sync_slop_s: f64,
    /// Mode `continuous`: the last instruction again on every new frame.
    pub continuous: bool,
    /// How often the instruction is repeated at most, in mode `continuous`, Hz.
    pub max_rate_hz: f64,
    /// Draw the answer over its frame, if somebody subscribes to that.
    pub publish_overlay: bool,
    /// Draw where the model looked over the frame, if somebody subscribes to that.
    pub publish_attention: bool,
    /// Opacity of what is drawn over a frame, 0 to 1.
    pub overlay_alpha: f32,
    /// How objects are measured in space.
    pub space: SpaceSettings,
    /// The action `~/follow`.
    pub follow: FollowSettings,
}

/// When an object that is followed is believed, and when it is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowSettings {
    /// An object that was not found for so long is lost, seconds.
    pub patience_s: f64,
    /// A mask is believed whose score, the decoder's own estimate of its IoU, is at least this, 0 to 1.
    pub min_score: f64,
    /// A mask is also believed if its IoU with the one expected from the object's motion is at least this, 0 to 1.
    pub min_overlap: f64,
}

impl Default for FollowSettings {
    /// The defaults of the node's parameters. Of lisa-mini on TableWorld, masks that follow their object have scores from 0.52 to
    /// 0.95, and those of a scene in which it is not have 0.5 to 0.8: a score alone says little, and has to be high to be
    /// believed where nothing is expected. A mask that follows its object at 10 Hz overlaps with the expected one by far more
    /// than 0.3, one of another object by less (docs/FOLLOWING.md).
    fn default() -> Self {
        Self {
            patience_s: 2.0,
            min_score: 0.85,
            min_overlap: 0.3,
        }
    }
}

impl Default for Settings {
    /// The defaults of the node's parameters.
    fn default() -> Self {
        Self {
            answer: AnswerOptions {
                max_new_tokens: DEFAULT_MAX_NEW_TOKENS,
                ..AnswerOptions::default()
            },
            max_pending: 8,
            sync_slop_s: 0.1,
            continuous: false,
            max_rate_hz: 2.0,
            publish_overlay: true,
            publish_attention: true,
            overlay_alpha: 0.5,
            follow: FollowSettings::default(),
            space: SpaceSettings::default(),
        }
    }
}

impl Settings {
    /// [`sync_slop_s`](Self::sync_slop_s) as a duration.
    pub(super) fn sync_slop(&self) -> Duration {
        Duration::try_from_secs_f64(self.sync_slop_s).unwrap_or_default()
    }

    /// How one question is answered. The engine is asked where it looked only if somebody subscribes to that.
    pub(super) fn answering(
        &self,
        max_new_tokens: Option<usize>,
        seed: u64,
        subscribers: Subscribers,
    ) -> AnswerOptions {
        AnswerOptions {
            max_new_tokens: max_new_tokens.unwrap_or(self.answer.max_new_tokens),
            seed,
            attention: self.publish_attention && subscribers.attention,
            ..self.answer.clone()
        }
    }
}

/// Which of the drawn images somebody subscribes to. The others are not drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscribers {
    /// `~/overlay`: the answer over its frame.
    pub overlay: bool,
    /// `~/attention`: where the model looked.
    pub attention: bool,
}
