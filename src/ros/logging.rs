//! Turns `tracing` events into ROS log lines, which appear on the console, in the log file and on `/rosout` under the node's
//! name. `--ros-args --log-level` decides which of them do.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::node::ros_text;

/// The name of the logger that lines appear under; `lisa` until the node has a name.
#[derive(Clone, Default)]
pub struct LoggerName(Arc<OnceLock<String>>);

impl LoggerName {
    /// Sets the node's own logger name, without which lines do not reach `/rosout`.
    pub fn set(&self, name: &str) {
        // It is set once, because a process has one node.
        let _ = self.0.set(name.to_owned());
    }
}

/// Sends the process's `tracing` events to ROS: those of this crate from debug level up, those of others from warnings up.
pub fn init() -> LoggerName {
    let name = LoggerName::default();
    let filter = Targets::new()
        .with_default(Level::WARN)
        .with_target("lisa", Level::DEBUG);
    let layer = RosLayer { name: name.clone() }.with_filter(filter);
    // If a subscriber is set already, this one is refused, and that one goes on.
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
        // r2r makes C strings of these, and panics on a NUL.
        let text = ros_text(&line.0);
        // Not watched for a stall: a console that nobody reads (Ctrl-S) holds this call for as long as it likes.
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
