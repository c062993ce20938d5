//! The sum over a step's images, always in the order of the images: whichever thread or rank computes one, and whichever is
//! finished first. Sums of floats depend on their order, so this is why a run with several ranks makes the same model, bit for
//! bit, as a run with one.
//!
//! Image *i* belongs to rank *i* mod *n*. What has been added up so far goes from rank to rank: each adds its own image and passes it on,
//! piece by piece, so that all ranks add at the same time. The last one's sum goes around once more, to all. Meanwhile the other threads
//! compute the next images.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use candle_core::{Device, Shape, Tensor};
use serde::{Deserialize, Serialize};

use super::batch::BatchLosses;
use super::objective::ImageLosses;
use super::ranks::{receive_value, send_value, Communicator};
use super::TrainError;

/// Numbers that are sent at a time, 4 MB of them: enough that a message's own cost does not count, and few enough that
/// all ranks are busy soon.
const PIECE: usize = 1 << 20;
/// How often whoever waits looks around.
const GLANCE: Duration = Duration::from_millis(20);

/// The images that threads have computed and that are not added yet.
pub struct Finished {
    state: Mutex<State>,
    changed: Condvar,
    /// How many may wait to be added.
    room: usize,
}

#[derive(Default)]
struct State {
    images: BTreeMap<usize, Result<ImageLosses, TrainError>>,
    /// The image that is added next.
    wanted: usize,
    /// Whether no further image comes.
    closed: bool,
}

impl Finished {
    /// `room` images may wait before the threads that compute them do.
    pub fn new(room: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            room,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// Hands an image in, when there is room for it; the one that is wanted has room always. Returns whether to go on, which is until the
    /// first error.
    pub fn put(&self, image: usize, result: Result<ImageLosses, TrainError>) -> bool {
        let mut state = self.lock();
        while state.images.len() >= self.room && state.wanted != image && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(|p| p.into_inner());
        }
        let go_on = result.is_ok() && !state.closed;
        state.images.insert(image, result);
        drop(state);
        self.changed.notify_all();
        go_on
    }

    /// Waits for an image. `idle` is called again and again meanwhile. `None` if it never comes, because an earlier one failed or
    /// its thread has died.
    pub fn take(&self, image: usize, idle: &dyn Fn()) -> Option<Result<ImageLosses, TrainError>> {
        let mut state = self.lock();
        state.wanted = image;
        self.changed.notify_all();
        loop {
            if let Some(result) = state.images.remove(&image) {
                return Some(result);
            }
            if state.closed {
                return None;
            }
            let (guard, waited) = self
                .changed
                .wait_timeout(state, GLANCE)
                .unwrap_or_else(|p| p.into_inner());
            state = guard;
            if waited.timed_out() {
                drop(state);
                idle();
                state = self.lock();
            }
        }
    }

    /// No further image comes, or is wanted. Whoever waits goes on.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// What goes from rank to rank before the gradients.
#[derive(Serialize, Deserialize)]
enum Word {
    /// The sums so far, and which of the trained tensors have a gradient so far, in the order of their names.
    Sum(BatchLosses, Vec<bool>),
    /// An image could not be computed, and why.
    Failed(String),
}

/// A trained tensor: its name and its shape.
pub type Trained = (String, Shape);

/// Adds up the images of a step over all ranks. `image` gives those of this rank, by their number in the step.
///
/// # Errors
/// That of the first image that failed, on every rank; a connection that is lost.
pub fn sum_in_order(
    ranks: &dyn Communicator,
    trained: &[Trained],
    device: &Device,
    images: usize,
    idle: &dyn Fn(),
    mut image: impl FnMut(usize) -> Result<ImageLosses, TrainError>,
) -> Result<BatchLosses, TrainError> {
    let (rank, size) = (ranks.rank(), ranks.size());
    let own = (rank..images).step_by(size);
    if size == 1 {
        let mut sum = BatchLosses::default();
        for i in own {
            sum.add(image(i)?)?;
        }
        return Ok(sum);
    }
    let carrier = Carrier {
        ranks,
        trained,
        idle,
    };
    let (mut error, mut values) = (None, Vec::new());
    let mut word = Word::Sum(BatchLosses::default(), vec![false; trained.len()]);
    for i in own {
        let before = match i {
            0 => Word::Sum(BatchLosses::default(), vec![false; trained.len()]),
            _ => receive_value(ranks, ranks.previous(), idle)?,
        };
        let last = i + 1 == images;
        let (sum, had) = match before {
            Word::Sum(sum, had) => (sum, had),
            failed => {
                word = failed;
                if !last {
                    send_value(ranks, ranks.next(), &word, idle)?;
                }
                continue;
            }
        };
        let added = image(i).and_then(|image| carrier.add(sum, &had, image));
        let (sum, has, mine) = match added {
            Ok(added) => added,
            Err(failed) => {
                word = Word::Failed(format!("rank {rank}: {failed}"));
                error = Some(failed);
                carrier.drop_values(&had)?;
                if !last {
                    send_value(ranks, ranks.next(), &word, idle)?;
                }
                continue;
            }
        };
        word = Word::Sum(sum, has.clone());
        // A sum that went on while it still came could come around to a rank that still sends it, and takes in nothing meanwhile. So where
        // the ring closes, both ranks take in all of it before they send it on.
        let (mut incoming, mut sum) = (had, mine);
        if last || rank == 0 || ranks.next() == 0 {
            sum = carrier.pass(&incoming, &has, sum, false)?;
            incoming.fill(false);
        }
        if last {
            values = sum;
        } else {
            send_value(ranks, ranks.next(), &word, idle)?;
            carrier.pass(&incoming, &has, sum, true)?;
        }
    }
    if images == 0 {
        return Ok(BatchLosses::default());
    }
    let sum = carrier.tell_all((images - 1) % size, word, values, device);
    match error {
        Some(error) => Err(error),
        None => sum,
    }
}

/// Carries sums from rank to rank.
struct Carrier<'a> {
    ranks: &'a dyn Communicator,
    trained: &'a [Trained],
    idle: &'a dyn Fn(),
}

impl Carrier<'_> {
    /// Adds an image's scores to the sum. Returns the sum, which of the trained tensors have a gradient now, and the image's own gradients, where
    /// those that it has none of are empty.
    #[allow(clippy::type_complexity)] // named once, by the sentence above
    fn add(
        &self,
        mut sum: BatchLosses,
        had: &[bool],
        image: ImageLosses,
    ) -> Result<(BatchLosses, Vec<bool>, Vec<Vec<f32>>), TrainError> {
        let gradients = sum.add_scores(image);
        let mut own = Vec::with_capacity(self.trained.len());
        for (name, _) in self.trained {
            own.push(match gradients.get(name) {
                Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>()?,
                None => Vec::new(),
            });
        }
        let has = had.iter().zip(&own);
        let has = has.map(|(had, own)| *had || !own.is_empty()).collect();
        Ok((sum, has, own))
    }

    /// Adds the image's gradients to those that come from the rank before and passes them on to the next, if there is one for this sum.
    fn pass(
        &self,
        had: &[bool],
        has: &[bool],
        mut own: Vec<Vec<f32>>,
        send: bool,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        for (i, (_, shape)) in self.trained.iter().enumerate().filter(|(i, _)| has[*i]) {
            let add = !own[i].is_empty();
            own[i].resize(shape.elem_count(), 0.0);
            self.stream(&mut own[i], had[i], add, send)?;
        }
        Ok(own)
    }

    /// Takes in what nobody needs any more, because this rank's image has failed.
    fn drop_values(&self, had: &[bool]) -> Result<(), TrainError> {
        for (_, (_, shape)) in had.iter().zip(self.trained).filter(|(had, _)| **had) {
            self.stream(&mut vec![0.0; shape.elem_count()], true, false, false)?;
        }
        Ok(())
    }

    /// Brings the last image's sum from the rank that has it to all.
    fn tell_all(
        &self,
        owner: usize,
        word: Word,
        mut values: Vec<Vec<f32>>,
        device: &Device,
    ) -> Result<BatchLosses, TrainError> {
        let (ranks, size) = (self.ranks, self.ranks.size());
        let behind = (ranks.rank() + size - owner) % size;
        let (receive, send) = (behind > 0, behind + 1 < size);
        let word = match receive {
            true => receive_value(ranks, ranks.previous(), self.idle)?,
            false => word,
        };
        if send {
            send_value(ranks, ranks.next(), &word, self.idle)?;
        }
        let (mut sum, has) = match word {
            Word::Sum(sum, has) => (sum, has),
            Word::Failed(reason) => return Err(TrainError::Unusable(reason)),
        };
        values.resize(self.trained.len(), Vec::new());
        for (i, (name, shape)) in self.trained.iter().enumerate().filter(|(i, _)| has[*i]) {
            let mut values = std::mem::take(&mut values[i]);
            values.resize(shape.elem_count(), 0.0);
            self.stream(&mut values, receive, false, send)?;
            let gradient = Tensor::from_vec(values, shape, device)?;
            sum.gradients.insert(name.clone(), gradient);
        }
        Ok(sum)
    }

    /// One tensor on its way: takes it in piece by piece, adding it to `values` or putting it there, and sends each piece on while the next
    /// one comes.
    fn stream(
        &self,
        values: &mut [f32],
        receive: bool,
        add: bool,
        send: bool,
    ) -> Result<(), TrainError> {
        if !receive && !send {
            return Ok(());
        }
        let (next, previous) = (self.ranks.next(), self.ranks.previous());
        let mut incoming = vec![0f32; PIECE.min(values.len()) * usize::from(receive)];
        let pieces = values.len().div_ceil(PIECE);
        let range = |piece: usize| piece * PIECE..((piece + 1) * PIECE).min(values.len());
        let ranges: Vec<_> = (0..pieces).map(range).collect();
        for piece in 0..=pieces {
            let sent = (piece > 0 && send).then(|| ranges[piece - 1].clone());
            let received = ranges.get(piece).filter(|_| receive);
            let buffer = received.map(|range| &mut incoming[..range.len()]);
            self.ranks.exchange(
                sent.map(|range| (next, bytemuck::cast_slice(&values[range]))),
                buffer.map(|buffer| (previous, bytemuck::cast_slice_mut(buffer))),
                self.idle,
            )?;
            if let Some(range) = received {
                let incoming = &incoming[..range.len()];
                for (value, sum) in values[range.clone()].iter_mut().zip(incoming) {
                    *value = if add { *sum + *value } else { *sum };
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::ranks::testing::on_ranks;
    use super::super::ranks::Alone;
    use super::super::Gradients;
    use super::*;

    fn trained() -> Vec<Trained> {
        // The second is longer than a piece, the third has one number, and nothing ever reaches the last.
        [
            ("a", vec![2, 3]),
            ("b", vec![PIECE + 5]),
            ("c", vec![]),
            ("d", vec![4]),
        ]
        .into_iter()
        .map(|(name, dims)| (name.to_owned(), dims.into()))
        .collect()
    }

    /// Losses and gradients of image `i`, as unlike as floats are of which the order of the sum shows.
    fn image(i: usize) -> ImageLosses {
        let mut gradients = Gradients::default();
        for (t, (name, shape)) in trained().into_iter().enumerate().take(3) {
            // An image need not reach every tensor.
            if (i + t) % 3 == 0 {
                continue;
            }
            let value = |n: usize| ((n * 7 + i * 31 + t) % 1013) as f32 * 0.37f32.powi(i as i32);
            let values: Vec<f32> = (0..shape.elem_count()).map(value).collect();
            gradients.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
        }
        ImageLosses {
            losses: [("ce".into(), 0.1 / (i + 1) as f64)].into(),
            overlaps: vec![(i as f64, 9.0)],
            gradients,
            ..ImageLosses::default()
        }
    }

    fn sum(
        ranks: &dyn Communicator,
        images: usize,
        image: impl FnMut(usize) -> Result<ImageLosses, TrainError>,
    ) -> Result<BatchLosses, TrainError> {
        sum_in_order(ranks, &trained(), &Device::Cpu, images, &|| (), image)
    }

    fn bits(sum: &BatchLosses) -> (Vec<u64>, Vec<(String, Vec<u32>)>) {
        let values = |name: &str| {
            let flat = sum.gradients.get(name).unwrap().flatten_all().unwrap();
            let values = flat.to_vec1::<f32>().unwrap();
            (
                name.to_owned(),
                values.into_iter().map(f32::to_bits).collect(),
            )
        };
        (
            sum.losses.values().map(|loss| loss.to_bits()).collect(),
            sum.gradients.names().map(values).collect(),
        )
    }

    #[test]
    fn several_ranks_have_the_sum_of_one() {
        for images in [0, 1, 2, 5] {
            let one = sum(&Alone, images, |i| Ok(image(i))).unwrap();
            for size in 1..=4 {
                for sum in on_ranks(size, |ranks| sum(ranks, images, |i| Ok(image(i))).unwrap()) {
                    assert_eq!(bits(&sum), bits(&one), "{images} images on {size} ranks");
                    assert_eq!(sum.overlaps, one.overlaps);
                }
            }
        }
    }

    #[test]
    fn every_rank_computes_its_own_images_alone() {
        let computed: Vec<AtomicUsize> = (0..7).map(|_| AtomicUsize::new(9)).collect();
        on_ranks(3, |ranks| {
            sum(ranks, computed.len(), |i| {
                computed[i].store(ranks.rank(), Ordering::Relaxed);
                Ok(image(i))
            })
            .unwrap();
        });
        let by: Vec<usize> = computed.into_iter().map(AtomicUsize::into_inner).collect();
        assert_eq!(by, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn an_image_that_fails_ends_the_step_on_every_rank() {
        for failing in 0..6 {
            let ended = on_ranks(3, |ranks| {
                sum(ranks, 6, |i| match i == failing {
                    true => Err(TrainError::Unusable(format!("image {i} is broken"))),
                    false => Ok(image(i)),
                })
                .map(|_| ())
                .unwrap_err()
                .to_string()
            });
            for (rank, words) in ended.into_iter().enumerate() {
                let own = rank == failing % 3;
                let expected = match own {
                    true => format!("image {failing} is broken"),
                    false => format!("rank {}: image {failing} is broken", failing % 3),
                };
                assert_eq!(words, expected);
            }
        }
    }

    #[test]
    fn images_are_added_in_their_order_and_wait_for_it() {
        let finished = Finished::new(1);
        std::thread::scope(|scope| {
            for i in [2, 1, 0] {
                let finished = &finished;
                scope.spawn(move || assert!(finished.put(i, Ok(image(i)))));
            }
            for i in 0..3 {
                let taken = finished.take(i, &|| ()).unwrap().unwrap();
                assert_eq!(taken.overlaps, image(i).overlaps);
            }
        });
        finished.close();
        assert!(finished.take(3, &|| ()).is_none());
    }
}
