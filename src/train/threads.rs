//! How the threads of a machine are shared out among the images of a step.

/// Threads, and how many images they compute at a time.
///
/// An image that has one thread for itself costs the least, so as many images as there may be are computed at a time. What is left
/// over at the end, or a batch that is smaller, gets all threads, several to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// Images computed at a time, at most; 0 counts as 1.
    pub images: usize,
    /// Threads in all; 0 counts as 1. Each image has one at least, however many images there are.
    pub threads: usize,
}

impl Threads {
    /// Threads of each of the images where `count` of them are computed at a time.
    pub fn of_each(self, count: usize) -> Vec<usize> {
        let (threads, count) = (self.threads.max(1), count.max(1));
        let share = |i: usize| threads / count + usize::from(i < threads % count);
        (0..count).map(|i| share(i).max(1)).collect()
    }

    /// How many of `examples` images are computed in the first round, as many at a time as there may be. The others follow in a round
    /// of their own, in which each has more threads; where not all of them would have more, there is one round.
    pub(super) fn first_round(self, examples: usize) -> usize {
        let rest = examples % self.images.max(1);
        // The last of each has the fewest threads, the first the most.
        let wider = |count| self.of_each(count).last() > self.of_each(self.images).first();
        match rest {
            0 => examples,
            rest if wider(rest) => examples - rest,
            _ => examples,
        }
    }

    /// The most threads that an image of a step of `examples` images has.
    pub fn most(self, examples: usize) -> usize {
        let first = self.first_round(examples);
        let round = |count: usize| match count.min(self.images.max(1)) {
            0 => 0,
            count => self.of_each(count)[0],
        };
        round(first).max(round(examples - first))
    }

    /// How many images of a step of `examples` images are computed at a time, at most.
    pub(super) fn at_a_time(self, examples: usize) -> usize {
        self.images.max(1).min(examples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_work_and_every_image_a_thread() {
        let threads = |images, threads| Threads { images, threads };
        assert_eq!(threads(2, 5).of_each(2), [3, 2]);
        assert_eq!(threads(3, 2).of_each(3), [1, 1, 1]);
        assert_eq!(threads(0, 0).of_each(0), [1]);
        // Images of the first round; most threads of an image.
        for (images, count, examples, first, most) in [
            (2, 2, 1, 0, 2),
            (2, 2, 2, 2, 1),
            (2, 2, 3, 2, 2),
            (2, 2, 20, 20, 1),
            (2, 8, 20, 20, 4),
            (8, 8, 20, 16, 2),
            (8, 8, 23, 23, 1),
            (4, 2, 6, 6, 1),
            (1, 4, 3, 3, 4),
            (2, 1, 3, 3, 1),
            (2, 2, 0, 0, 0),
        ] {
            let threads = threads(images, count);
            let case = format!("{threads:?}, {examples} images");
            assert_eq!(threads.first_round(examples), first, "{case}");
            assert_eq!(threads.most(examples), most, "{case}");
        }
    }
}
