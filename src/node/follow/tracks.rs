//! The objects of a goal: whether a mask is still the same object, and which object of a new answer is which.

use std::sync::Arc;

use super::super::settings::FollowSettings;
use super::super::space::Place;
use super::motion::Motion;
use crate::engine::{ObjectMask, SegPrompt};
use crate::frames::Stamp;

/// An object that is followed, as seen in one frame.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The object's number, the same in every frame; a node numbers the objects that it follows from 1.
    pub track_id: u32,
    /// Its mask.
    pub object: Arc<ObjectMask>,
    /// That it is still the same object, 0 to 1: the decoder's own estimate of the mask's IoU, or the mask's overlap with where
    /// the object was expected, whichever is more.
    pub confidence: f32,
    /// Its place; `None` where there is no depth topic, and where measuring took longer than a frame.
    pub place: Option<Place>,
}

/// An object that is followed.
#[derive(Clone, Debug)]
struct Track {
    id: u32,
    prompt: SegPrompt,
    /// `None` until it is seen for the first time.
    motion: Option<Motion>,
    missing: bool,
}

impl Track {
    /// How much of the mask lies where the object was expected; `None` if it was never seen.
    fn overlap(&self, object: &ObjectMask, stamp: Stamp) -> Option<f32> {
        let motion = self.motion.as_ref()?;
        Some(motion.overlap(object, stamp))
    }

    /// The object was seen.
    fn see(&mut self, object: &Arc<ObjectMask>, stamp: Stamp) -> Sighting {
        let overlap = self.overlap(object, stamp).unwrap_or(0.0);
        // What was missing may come back anywhere: its way from there to here says nothing of its speed.
        let motion = match &self.motion {
            Some(motion) if !self.missing => motion.seen(object, stamp),
            _ => Motion::at_rest(object, stamp),
        };
        self.motion = Some(motion);
        self.missing = false;
        Sighting {
            track_id: self.id,
            object: Arc::clone(object),
            confidence: object.score.max(overlap),
            place: None,
        }
    }
}

/// All objects of a goal, in the order of the answer that named them.
#[derive(Clone, Debug, Default)]
pub struct Tracks(Vec<Track>);

impl Tracks {
    /// Follows one more object, under the number `id`; 0 leaves that to [`number`](Self::number).
    /// `motion` says where it is expected.
    pub fn add(&mut self, id: u32, prompt: SegPrompt, motion: Option<Motion>) {
        self.0.push(Track {
            id,
            prompt,
            motion,
            missing: false,
        });
    }

    /// Gives those that have none yet, 0, the numbers that follow `last`.
    pub fn number(&mut self, last: &mut u32) {
        for track in self.0.iter_mut().filter(|track| track.id == 0) {
            *last += 1;
            track.id = *last;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the engine is to find again; an answer's objects have their places in this list.
    pub fn prompts(&self) -> Vec<SegPrompt> {
        self.0.iter().map(|track| track.prompt.clone()).collect()
    }

    /// Whether some object was not found in the last frame.
    pub fn any_missing(&self) -> bool {
        self.0.iter().any(|track| track.missing)
    }

    /// Takes what the mask decoder has found, and returns the objects that are believed. An object is missing if its mask is
    /// empty, or if neither the mask's score nor its overlap with where it was expected reaches what is asked of it.
    pub fn found(
        &mut self,
        objects: Vec<ObjectMask>,
        stamp: Stamp,
        settings: &FollowSettings,
    ) -> Vec<Sighting> {
        let mut objects: Vec<Option<ObjectMask>> = objects.into_iter().map(Some).collect();
        let mut seen = Vec::new();
        for (place, track) in self.0.iter_mut().enumerate() {
            let mine = |object: &Option<ObjectMask>| {
                object.as_ref().is_some_and(|object| object.index == place)
            };
            let found = objects.iter().position(mine);
            let found = found.and_then(|at| objects[at].take());
            let believed = found.filter(|object| {
                let overlap = track.overlap(object, stamp).filter(|_| !track.missing);
                f64::from(object.score) >= settings.min_score
                    || overlap.is_some_and(|overlap| f64::from(overlap) >= settings.min_overlap)
            });
            match believed {
                Some(object) => seen.push(track.see(&Arc::new(object), stamp)),
                None => track.missing = true,
            }
        }
        seen
    }

    /// Takes the objects that the language model has named anew, and returns those that are followed. Each is the one that was
    /// expected where it is; of the others, the first is the first that is missing, and so on. More objects than are followed
    /// are left out, and an object that the model does not name is missing.
    pub fn named(&mut self, objects: Vec<ObjectMask>, stamp: Stamp) -> Vec<Sighting> {
        let objects: Vec<Arc<ObjectMask>> = objects.into_iter().map(Arc::new).collect();
        let mut pairs = Vec::new();
        for (t, track) in self.0.iter().enumerate() {
            for (o, object) in objects.iter().enumerate() {
                let overlap = track.overlap(object, stamp).unwrap_or(0.0);
                pairs.push((t, o, overlap));
            }
        }
        // Those that overlap, the most first; the others by their order, what is missing first.
        pairs.sort_by(|a, b| {
            let known = |pair: &(usize, usize, f32)| !self.0[pair.0].missing;
            b.2.total_cmp(&a.2)
                .then_with(|| known(a).cmp(&known(b)))
                .then_with(|| (a.0, a.1).cmp(&(b.0, b.1)))
        });
        let mut named: Vec<Option<usize>> = vec![None; self.0.len()];
        for (t, o, _) in pairs {
            if named[t].is_none() && !named.contains(&Some(o)) {
                named[t] = Some(o);
            }
        }
        let mut seen = Vec::new();
        for (track, named) in self.0.iter_mut().zip(named) {
            match named.and_then(|o| objects.get(o)) {
                Some(object) => {
                    track.prompt = object.prompt.clone();
                    seen.push(track.see(object, stamp));
                }
                None => track.missing = true,
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::block;
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn scored(object: ObjectMask, index: usize, score: f32) -> ObjectMask {
        ObjectMask {
            index,
            score,
            ..object
        }
    }

    fn two() -> Tracks {
        let mut tracks = Tracks::default();
        (7..9).for_each(|id| tracks.add(id, SegPrompt::default(), None));
        let named = tracks.named(vec![block(0, 0, 9, 9), block(50, 0, 9, 9)], Stamp(0));
        assert_eq!(ids(&named), [7, 8]);
        tracks
    }

    fn ids(seen: &[Sighting]) -> Vec<u32> {
        seen.iter().map(|sighting| sighting.track_id).collect()
    }

    #[test]
    fn a_mask_is_doubted_only_if_score_and_place_both_speak_against_it() {
        let settings = FollowSettings {
            min_score: 0.6,
            min_overlap: 0.3,
            ..FollowSettings::default()
        };
        let found = |score, x| {
            let mut tracks = two();
            let objects = vec![scored(block(x, 0, 9, 9), 0, score)];
            let seen = tracks.found(objects, Stamp(SECOND / 10), &settings);
            (seen.first().map(|s| s.confidence), tracks.any_missing())
        };
        // The second object has no mask at all, so that one is missing in any case.
        assert_eq!(found(0.2, 0), (Some(1.0), true), "where it was expected");
        assert_eq!(found(0.6, 30), (Some(0.6), true), "a good mask elsewhere");
        assert_eq!(found(0.59, 30), (None, true));
        // What is missing is not expected anywhere.
        let mut tracks = two();
        tracks.found(Vec::new(), Stamp(SECOND / 10), &settings);
        let poor = vec![scored(block(0, 0, 9, 9), 0, 0.5)];
        assert!(tracks.found(poor, Stamp(SECOND / 5), &settings).is_empty());
        let good = vec![
            scored(block(0, 0, 9, 9), 0, 0.9),
            scored(block(60, 9, 9, 9), 1, 0.9),
        ];
        let seen = tracks.found(good, Stamp(SECOND / 5), &settings);
        assert_eq!((ids(&seen), tracks.any_missing()), (vec![7, 8], false));
    }

    #[test]
    fn objects_named_again_keep_their_numbers_whatever_the_order() {
        let swapped = || vec![block(51, 0, 9, 9), block(1, 0, 9, 9), block(90, 0, 9, 9)];
        let mut tracks = two();
        let seen = tracks.named(swapped(), Stamp(SECOND / 10));
        assert_eq!(ids(&seen), [7, 8]);
        assert_eq!((seen[0].object.roi.x, seen[1].object.roi.x), (1, 51));
        // Of two objects only the second is named.
        let seen = tracks.named(vec![block(52, 0, 9, 9)], Stamp(SECOND / 5));
        assert_eq!((ids(&seen), tracks.any_missing()), (vec![8], true));
        // The first comes back elsewhere, beside the second.
        let both = vec![block(53, 0, 9, 9), block(20, 70, 9, 9)];
        let seen = tracks.named(both, Stamp(3 * SECOND / 10));
        assert_eq!((seen[0].object.roi.y, seen[1].object.roi.x), (70, 53));
        // Where none is expected, their order has to do.
        let elsewhere = vec![block(200, 0, 9, 9), block(300, 0, 9, 9)];
        let seen = tracks.named(elsewhere, Stamp(9 * SECOND));
        assert_eq!((seen[0].object.roi.x, seen[1].object.roi.x), (200, 300));
    }
}
