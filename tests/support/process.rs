//! Programs that a test starts, sends signals to, and waits for.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Long enough for any machine.
const LONG: Duration = Duration::from_secs(300);

/// Waits until it has ended.
pub fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("it did not end in five minutes");
}

/// Sends a signal, such as "-TERM".
pub fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// The same command below `nohup`, saying nothing. Whoever started the test may have left signals ignored, as a shell does for
/// what it starts in the background; here all but SIGHUP are as usual.
pub fn nohup(command: &Command) -> Command {
    let mut nohup = Command::new("env");
    nohup
        .args(["--default-signal=INT,TERM", "nohup"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    nohup
}

/// Waits until it handles SIGTERM itself, and says whether it ignores SIGHUP then.
pub fn ignores_hangup(child: &mut Child) -> bool {
    let deadline = Instant::now() + LONG;
    loop {
        let path = format!("/proc/{}/status", child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let bit = |mask: &str, signal: u32| {
            let line = status.lines().find_map(|line| line.strip_prefix(mask));
            let mask = u64::from_str_radix(line.unwrap_or(": 0")[1..].trim(), 16).unwrap();
            mask & (1 << (signal - 1)) != 0
        };
        if bit("SigCgt", 15) {
            return bit("SigIgn", 1);
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(Instant::now() < deadline, "no handler in five minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
}
