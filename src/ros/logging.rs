//! `tracing` events become ROS log lines: on the console, in the log file and on `/rosout`, under the node's name, and
//! `--ros-args --log-level` rules them.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Under which name lines appear; `lisa` until the node has its own.
#[derive(Clone, Default)]
pub struct LoggerName(Arc<OnceLock<String>>);

impl LoggerName {
    /// `/rosout` only knows lines by the node's own logger name.
    pub fn set(&self, name: &str) {
        // Set once; there is one node in the process.
        let _ = self.0.set(name.to_owned());
    }
}

/// Sends the process's `tracing` events to ROS. Our own from debug up, other crates' from warnings up.
pub fn init() -> LoggerName {
    let name = LoggerName::default();
    let filter = Targets::new()
        .with_default(Level::WARN)
        .with_target("lisa", Level::DEBUG);
    let layer = RosLayer { name: name.clone() }.with_filter(filter);
    // A second subscriber in one process is refused; the first one serves.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    name
}

struct RosLayer {
    name: LoggerName,
}

impl<S: Subscriber> Layer<S> for RosLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let meta = event.metadata();
        let severity = match *meta.level() {
            Level::ERROR => r2r::LogSeverity::Error,
            Level::WARN => r2r::LogSeverity::Warn,
            Level::INFO => r2r::LogSeverity::Info,
            _ => r2r::LogSeverity::Debug,
        };
        let name = self.name.0.get().map_or("lisa", String::as_str);
        // r2r makes C strings of these, and a NUL would end in a panic.
        let text = line.0.replace('\0', "\u{fffd}");
        r2r::log(
            &text,
            name,
            meta.file().unwrap_or_default(),
            meta.line().unwrap_or_default(),
            severity,
        );
    }
}

/// An event's message, then its other fields as `name=value`.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
