//! The processes of one training: what they need of each other, whatever carries it.

use serde::de::DeserializeOwned;
use serde::Serialize;

use super::TrainError;

/// The processes ("ranks") that train one model together, as one of them sees them.
///
/// All that is asked of whatever carries the bytes is to send and to receive at the same time; everything else is made of that, so
/// that it is tested without a network.
pub trait Communicator {
    /// This process's number, in `0..size`.
    fn rank(&self) -> usize;

    /// How many processes there are, at least 1.
    fn size(&self) -> usize;

    /// Sends bytes to a rank and fills a buffer with what a rank sends, whichever of the two is asked for, at the same time. Both
    /// sides know the length. `idle` is called again and again while nothing happens.
    ///
    /// # Errors
    /// A connection that is lost.
    fn exchange(
        &self,
        send: Option<(usize, &[u8])>,
        receive: Option<(usize, &mut [u8])>,
        idle: &dyn Fn(),
    ) -> Result<(), TrainError>;

    /// Ends the connection to the others in good order, once nothing is to be exchanged any more. A process that ends without it has
    /// failed, and the others end as well.
    fn leave(&self) {}

    /// The rank that comes after this one; after the last comes the first.
    fn next(&self) -> usize {
        (self.rank() + 1) % self.size()
    }

    /// The rank that comes before this one.
    fn previous(&self) -> usize {
        (self.rank() + self.size() - 1) % self.size()
    }
}

/// One process that trains alone.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn exchange(
        &self,
        _: Option<(usize, &[u8])>,
        _: Option<(usize, &mut [u8])>,
        _: &dyn Fn(),
    ) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Sends a value of any length to a rank.
///
/// # Errors
/// A connection that is lost.
pub fn send_value(
    ranks: &dyn Communicator,
    to: usize,
    value: &impl Serialize,
    idle: &dyn Fn(),
) -> Result<(), TrainError> {
    let bytes = postcard::to_stdvec(value).map_err(garbled)?;
    let length = (bytes.len() as u64).to_le_bytes();
    ranks.exchange(Some((to, &length)), None, idle)?;
    ranks.exchange(Some((to, &bytes)), None, idle)
}

/// Receives what [`send_value`] sends.
///
/// # Errors
/// A connection that is lost, or bytes that are no such value: another version of this program on the other side.
pub fn receive_value<T: DeserializeOwned>(
    ranks: &dyn Communicator,
    from: usize,
    idle: &dyn Fn(),
) -> Result<T, TrainError> {
    let mut length = [0; 8];
    ranks.exchange(None, Some((from, &mut length)), idle)?;
    let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
    ranks.exchange(None, Some((from, &mut bytes)), idle)?;
    postcard::from_bytes(&bytes).map_err(garbled)
}

/// What every rank has to say, in the order of the ranks, on every rank. It goes once around to be collected, and around again.
///
/// # Errors
/// A connection that is lost.
pub fn gather<T: Serialize + DeserializeOwned>(
    ranks: &dyn Communicator,
    own: T,
    idle: &dyn Fn(),
) -> Result<Vec<T>, TrainError> {
    let (rank, size) = (ranks.rank(), ranks.size());
    if size == 1 {
        return Ok(vec![own]);
    }
    let mut all: Vec<T> = match rank {
        0 => Vec::new(),
        _ => receive_value(ranks, ranks.previous(), idle)?,
    };
    all.push(own);
    send_value(ranks, ranks.next(), &all, idle)?;
    // Back at the first, it is complete, and goes on as far as the last but one, for the last has completed it.
    let all = match rank + 1 == size {
        true => all,
        false => receive_value(ranks, ranks.previous(), idle)?,
    };
    if rank + 2 < size {
        send_value(ranks, ranks.next(), &all, idle)?;
    }
    Ok(all)
}

fn garbled(error: postcard::Error) -> TrainError {
    TrainError::Unusable(format!(
        "what another rank says is not understood ({error}); accepted: the same lisa on every rank"
    ))
}

/// Ranks that are threads of one process, for tests.
#[cfg(test)]
pub mod testing {
    use std::time::Duration;

    use crossbeam_channel::{bounded, Receiver, Select, Sender};

    use super::*;

    pub struct ThreadRank {
        rank: usize,
        to: Vec<Sender<Vec<u8>>>,
        from: Vec<Receiver<Vec<u8>>>,
    }

    impl Communicator for ThreadRank {
        fn rank(&self) -> usize {
            self.rank
        }

        fn size(&self) -> usize {
            self.to.len()
        }

        fn exchange(
            &self,
            send: Option<(usize, &[u8])>,
            receive: Option<(usize, &mut [u8])>,
            idle: &dyn Fn(),
        ) -> Result<(), TrainError> {
            let lost = || TrainError::Unusable("a rank is gone".to_owned());
            let mut sending = send.map(|(to, bytes)| (&self.to[to], bytes.to_vec()));
            let mut receiving = receive.map(|(from, buffer)| (&self.from[from], buffer));
            while sending.is_some() || receiving.is_some() {
                let mut either = Select::new();
                let send = sending.as_ref().map(|(to, _)| either.send(to));
                if let Some((from, _)) = &receiving {
                    either.recv(from);
                }
                let Ok(ready) = either.select_timeout(Duration::from_millis(5)) else {
                    idle();
                    continue;
                };
                if send == Some(ready.index()) {
                    if let Some((to, bytes)) = sending.take() {
                        ready.send(to, bytes).map_err(|_| lost())?;
                    }
                } else if let Some((from, buffer)) = receiving.take() {
                    let bytes = ready.recv(from).map_err(|_| lost())?;
                    assert_eq!(bytes.len(), buffer.len(), "both sides know the length");
                    buffer.copy_from_slice(&bytes);
                }
            }
            Ok(())
        }
    }

    /// Calls a function on `size` ranks at the same time. Returns what it returned on each.
    pub fn on_ranks<T: Send>(size: usize, f: impl Fn(&dyn Communicator) -> T + Sync) -> Vec<T> {
        let mut to: Vec<Vec<_>> = (0..size).map(|_| Vec::new()).collect();
        let mut from: Vec<Vec<_>> = (0..size).map(|_| Vec::new()).collect();
        for to in &mut to {
            for from in &mut from {
                // No message waits anywhere: a rank that sends to one that does not receive is seen to hang, as it would with long messages.
                let (sender, receiver) = bounded(0);
                to.push(sender);
                from.push(receiver);
            }
        }
        let ranks = to.into_iter().zip(from).enumerate();
        let ranks: Vec<ThreadRank> = ranks
            .map(|(rank, (to, from))| ThreadRank { rank, to, from })
            .collect();
        std::thread::scope(|scope| {
            let f = &f;
            let threads: Vec<_> = ranks
                .into_iter()
                .map(|rank| scope.spawn(move || f(&rank)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::on_ranks;
    use super::*;

    #[test]
    fn every_rank_hears_all_in_their_order() {
        for size in 1..=5 {
            let expected: Vec<String> = (0..size).map(|rank| "x".repeat(rank)).collect();
            for heard in on_ranks(size, |ranks| {
                gather(ranks, "x".repeat(ranks.rank()), &|| ()).unwrap()
            }) {
                assert_eq!(heard, expected);
            }
        }
    }
}
