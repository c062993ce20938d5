//! Prefetching: several threads work ahead, and results come out in order.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{bounded, Receiver, Sender};

/// The result of an item, or the panic that ended its computation.
type LoadedSample<T, E> = Result<Result<T, E>, Box<dyn Any + Send>>;

/// Computes `f(first)`, `f(first + 1)`, … ahead of time and hands them out in that order.
///
/// Dropping it ends the threads after the items under way.
pub struct Loader<T, E> {
    results: Receiver<(u64, LoadedSample<T, E>)>,
    permits: Option<Sender<()>>,
    waiting: std::cell::RefCell<BTreeMap<u64, LoadedSample<T, E>>>,
    next: std::cell::Cell<u64>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static, E: Send + 'static> Loader<T, E> {
    /// Starts `threads` threads, which compute at most `ahead` items beyond those that were handed out.
    pub fn new(
        threads: usize,
        ahead: usize,
        first: u64,
        f: impl Fn(u64) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let ahead = ahead.max(1);
        let (permits, permitted) = bounded::<()>(ahead);
        let (done, results) = bounded(ahead);
        for _ in 0..ahead {
            let _ = permits.send(()); // room for all of them
        }
        let (f, index) = (Arc::new(f), Arc::new(AtomicU64::new(first)));
        let threads = (0..threads.max(1))
            .map(|_| {
                let (f, index) = (f.clone(), index.clone());
                let (permitted, done) = (permitted.clone(), done.clone());
                std::thread::spawn(move || {
                    while permitted.recv().is_ok() {
                        let i = index.fetch_add(1, Ordering::Relaxed);
                        // A panic is passed on to whoever waits for the item, who would otherwise wait forever.
                        let outcome = catch_unwind(AssertUnwindSafe(|| f(i)));
                        if done.send((i, outcome)).is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        Self {
            results,
            permits: Some(permits),
            waiting: BTreeMap::new().into(),
            next: first.into(),
            threads,
        }
    }

    /// The next item.
    ///
    /// # Errors
    /// The error of the item's own computation.
    ///
    /// # Panics
    /// With the panic of the thread that computed the item.
    pub fn next(&self) -> Result<T, E> {
        let next = self.next.get();
        let mut waiting = self.waiting.borrow_mut();
        let item = loop {
            if let Some(item) = waiting.remove(&next) {
                break item;
            }
            match self.results.recv() {
                Ok((i, item)) => waiting.insert(i, item),
                Err(_) => panic!("the threads that prepare items have died"),
            };
        };
        self.next.set(next + 1);
        if let Some(permits) = &self.permits {
            let _ = permits.send(());
        }
        item.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<T, E> Drop for Loader<T, E> {
    fn drop(&mut self) {
        self.permits = None;
        // A thread may be waiting to hand in a result, so results are taken and dropped until all threads have ended.
        while self.threads.iter().any(|t| !t.is_finished()) {
            while self.results.try_recv().is_ok() {}
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_errors_in_their_place() {
        let loader = Loader::new(3, 4, 10, |i| {
            std::thread::sleep(std::time::Duration::from_micros(i * 37 % 200));
            if i == 15 {
                Err("fifteen")
            } else {
                Ok(i)
            }
        });
        let items: Vec<_> = (0..10).map(|_| loader.next()).collect();
        assert_eq!(items[0], Ok(10));
        assert_eq!(items[5], Err("fifteen"));
        assert_eq!(items[9], Ok(19));
    }

    #[test]
    fn a_panic_reaches_whoever_waits() {
        let loader: Loader<u64, ()> = Loader::new(2, 4, 0, |i| match i {
            3 => panic!("three"),
            _ => Ok(i),
        });
        for i in 0..3 {
            assert_eq!(loader.next(), Ok(i));
        }
        let panic = catch_unwind(AssertUnwindSafe(|| loader.next())).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"three"));
        assert_eq!(loader.next(), Ok(4));
    }

    #[test]
    fn dropping_ends_the_threads() {
        let counted = Arc::new(AtomicU64::new(0));
        let inner = counted.clone();
        let loader: Loader<u64, ()> = Loader::new(2, 3, 0, move |i| {
            inner.fetch_add(1, Ordering::Relaxed);
            Ok(i)
        });
        assert_eq!(loader.next(), Ok(0));
        drop(loader);
        let after = counted.load(Ordering::Relaxed);
        assert!(after <= 6, "{after}");
        assert_eq!(Arc::strong_count(&counted), 1);
    }
}
