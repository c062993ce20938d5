//! Ranks over MPI: the processes that `mpirun` starts.

use std::cell::RefCell;
use std::time::Duration;

use mpi::environment::Universe;
use mpi::point_to_point::{Destination, Source};
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::Threading;

use super::ranks::Communicator;
use super::TrainError;

/// How often a message is looked after before the processor is left to the threads that compute.
const EAGER_LOOKS: usize = 100;
/// How long it is left to them then.
const PAUSE: Duration = Duration::from_micros(50);

/// This process among those that `mpirun` has started.
///
/// Only the thread that made it may use it.
pub struct Mpi {
    world: SimpleCommunicator,
    local: usize,
    universe: RefCell<Option<Universe>>,
}

impl Mpi {
    /// Joins the other processes. To be called once, by a program's first thread, before it starts others.
    ///
    /// # Errors
    /// MPI that was begun before, or that does not let a program have several threads.
    pub fn join() -> Result<Self, TrainError> {
        let unusable = |reason: &str| TrainError::Unusable(format!("MPI: {reason}"));
        let (universe, threading) = mpi::initialize_with_threading(Threading::Funneled)
            .ok_or_else(|| unusable("it was begun before in this process"))?;
        if threading < Threading::Funneled {
            return Err(unusable(
                "this library lets no program have several threads; accepted: MPI_THREAD_FUNNELED or more",
            ));
        }
        let world = universe.world();
        let local = world.split_shared(world.rank()).rank();
        Ok(Self {
            world,
            local: local as usize,
            universe: RefCell::new(Some(universe)),
        })
    }

    /// This process's number among those on the same machine: which of its GPUs is this one's.
    pub fn local_rank(&self) -> usize {
        self.local
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        // Whoever has not left has failed, and would wait here for others who wait for it.
        std::mem::forget(self.universe.take());
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn leave(&self) {
        // MPI waits for all others here.
        drop(self.universe.take());
    }

    fn exchange(
        &self,
        send: Option<(usize, &[u8])>,
        receive: Option<(usize, &mut [u8])>,
        idle: &dyn Fn(),
    ) -> Result<(), TrainError> {
        mpi::request::scope(|scope| {
            let mut sending = send.map(|(to, bytes)| {
                let to = self.world.process_at_rank(to as i32);
                to.immediate_send(scope, bytes)
            });
            let mut receiving = receive.map(|(from, bytes)| {
                let from = self.world.process_at_rank(from as i32);
                from.immediate_receive_into(scope, bytes)
            });
            // Waiting within MPI would keep a processor busy, and nobody would see Ctrl-C.
            for look in 0.. {
                sending = sending.take().and_then(|request| request.test().err());
                receiving = receiving.take().and_then(|request| request.test().err());
                if sending.is_none() && receiving.is_none() {
                    break;
                }
                match look < EAGER_LOOKS {
                    true => std::thread::yield_now(),
                    false => {
                        idle();
                        std::thread::sleep(PAUSE);
                    }
                }
            }
        });
        Ok(())
    }
}
