//! SIGINT (Ctrl-C, `ros2 launch`) and SIGTERM (a supervisor) both ask the node to end.

use tokio::signal::unix::{signal, Signal, SignalKind};

/// Completes when the process is asked to end.
pub struct StopRequest {
    interrupt: Signal,
    terminate: Signal,
}

impl StopRequest {
    /// From here on the two signals no longer kill the process.
    ///
    /// # Errors
    /// The operating system's, where a handler cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The name of the signal, once it comes.
    pub async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
