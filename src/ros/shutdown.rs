//! SIGINT (Ctrl-C, `ros2 launch`) and SIGTERM (a supervisor) both ask the node to end.
//!
//! A thread of its own waits for them, because the main thread may be anywhere when they come: inside the middleware, or
//! in a log line that nobody reads. The same thread keeps the promise that the node is gone within two seconds, however
//! the orderly end fares.

use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;
use tokio::sync::watch;

/// How long the orderly end may take before the process is ended as it is. Two seconds are promised, and the system needs some of
/// them to take the process down.
const ORDERLY: Duration = Duration::from_millis(1700);

/// Completes when the process is asked to end.
pub struct StopRequest {
    asked: watch::Receiver<Option<&'static str>>,
}

impl StopRequest {
    /// From here on the two signals no longer kill the process, and the first of them begins its end.
    ///
    /// Further ones change nothing. One press of Ctrl-C may well arrive twice, from the terminal and from a launcher that
    /// passes it on, and must not cost the results that the orderly end still owes.
    ///
    /// # Errors
    /// The operating system refuses a handler or a thread.
    pub fn listen() -> std::io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (ask, asked) = watch::channel(None);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let first = signals.forever().next();
                // If the node is already ending for another reason, nobody receives this.
                let _ = ask.send(Some(match first {
                    Some(SIGTERM) => "SIGTERM",
                    _ => "SIGINT",
                }));
                std::thread::sleep(ORDERLY);
                // Nothing is logged and no destructor runs, because whatever blocks the main thread could block this one, too.
                low_level::exit(0);
            })?;
        Ok(Self { asked })
    }

    /// The name of the signal, once it comes.
    pub async fn recv(&mut self) -> &'static str {
        loop {
            if let Some(signal) = *self.asked.borrow_and_update() {
                return signal;
            }
            if self.asked.changed().await.is_err() {
                // The thread has ended, so no signal will be reported any more.
                std::future::pending::<()>().await;
            }
        }
    }
}
