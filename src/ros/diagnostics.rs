//! The node's diagnostics, once a second: its state, its counts, and in words why there are no answers.

use std::path::Path;
use std::time::Instant;

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::std_msgs::msg::Header;

use super::clock::RosClock;
use super::shared::{ResolvedNames, Ros, Shared, SharedCamera};
use crate::engine::{Engine, EngineLoad};
use crate::node::{ros_text, NodeCore, ResultStatus};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ok = 0,
    Warn = 1,
    Error = 2,
}

/// The node's state: a line, and a table of values.
struct Report {
    level: Level,
    message: String,
    values: Vec<(String, String)>,
}

impl Report {
    fn value(&mut self, key: impl Into<String>, value: impl std::fmt::Display) {
        self.values.push((key.into(), value.to_string()));
    }

    fn into_message(self, node: &str, clock: &RosClock) -> DiagnosticArray {
        message(vec![self.into_status(node)], clock)
    }

    fn into_status(self, node: &str) -> DiagnosticStatus {
        let values = self.values.into_iter().map(|(key, value)| KeyValue {
            key,
            value: ros_text(&value),
        });
        DiagnosticStatus {
            level: self.level as u8,
            name: format!("{}: reasoning segmentation", node.trim_start_matches('/')),
            message: ros_text(&self.message),
            hardware_id: "lisa_ros".to_owned(),
            values: values.collect(),
        }
    }
}

fn message(status: Vec<DiagnosticStatus>, clock: &RosClock) -> DiagnosticArray {
    DiagnosticArray {
        header: Header {
            stamp: clock.now(),
            frame_id: String::new(),
        },
        status,
    }
}

/// The diagnostics while the model is being loaded.
pub fn loading(shared: &Shared, clock: &RosClock, model: &Path, since: Instant) -> DiagnosticArray {
    let mut report = Report {
        level: Level::Warn,
        message: format!(
            "loading the model, for {:.0} s: instructions are not yet taken",
            since.elapsed().as_secs_f64()
        ),
        values: Vec::new(),
    };
    report.value("lifecycle state", shared.lifecycle().state().label());
    report.value("model directory", model.display());
    report.value("model in memory", "not yet");
    report.value("memory", memory());
    report.into_message(&shared.node, clock)
}

/// The diagnostics while there is no model; `failure` says why the last one could not be loaded.
pub fn without_model(shared: &Shared, clock: &RosClock, failure: Option<&str>) -> DiagnosticArray {
    // No camera is active without a model.
    let why = shared.cameras[0]
        .core()
        .standby()
        .unwrap_or_default()
        .to_owned();
    let (level, message) = match failure {
        Some(failure) => (Level::Error, format!("{failure}; {why}")),
        None => (Level::Warn, why),
    };
    let mut report = Report {
        level,
        message,
        values: Vec::new(),
    };
    report.value("lifecycle state", shared.lifecycle().state().label());
    report.value("model directory", shared.params().model.display());
    report.value("model in memory", "no");
    report.value("memory", memory());
    report.value("last error", failure.unwrap_or("none"));
    report.into_message(&shared.node, clock)
}

/// The diagnostics once the model is ready: a status for each camera.
pub fn running(shared: &Shared, clock: &RosClock, engine: &Engine) -> DiagnosticArray {
    let cameras = shared.cameras.iter();
    let statuses = cameras.map(|camera| camera_status(shared, camera, engine));
    message(statuses.collect(), clock)
}

fn camera_status(shared: &Shared, camera: &SharedCamera, engine: &Engine) -> DiagnosticStatus {
    let names = &camera.resolved;
    let (now, params) = (Instant::now(), shared.params());
    let (model, load) = (engine.model(), engine.load());
    let core = camera.core();
    let (level, message) = headline(&core, shared, names, now);
    let mut report = Report {
        level,
        message,
        values: Vec::new(),
    };
    report.value("lifecycle state", shared.lifecycle().state().label());
    report.value("model", &model.model);
    report.value("model directory", params.model.display());
    report.value("parameters of the model", model.parameters);
    report.value("device", &model.device);
    report.value("dtype", &model.dtype);
    report.value(
        "model in memory",
        match load.loaded {
            true => "yes",
            false => "no: the next instruction loads it again",
        },
    );
    report.value("memory", memory());
    report.value(
        "guided head",
        match model.guided_head {
            Some(head) => format!("layer {}, head {}", head.layer, head.head),
            None => format!("none: nothing is published on {}", names.attention),
        },
    );
    report.value(
        "mode",
        if params.settings.continuous {
            "continuous"
        } else {
            "on_instruction"
        },
    );
    let faults = shared.qos_faults();
    report.value(
        "qos",
        match faults.is_empty() {
            true => "what publishers offer is enough".to_owned(),
            false => faults.join("; "),
        },
    );
    report.value("image topic", &names.image);
    let publishers = core.camera().publishers.as_ref();
    report.value("image publishers", publishers.map_or(0, Vec::len));
    let age = core.frames().newest().map(|stored| stored.arrived);
    let age = age.map(|arrived| now.saturating_duration_since(arrived).as_secs_f64());
    let none = || "none received".to_owned();
    report.value("image age", age.map_or_else(none, |s| format!("{s:.3} s")));
    let rate = core.frames().rate_hz(now);
    report.value("image rate", format!("{rate:.1} Hz"));
    let (received, health) = (core.frames().received(), core.health());
    report.value("frames received", received);
    report.value(
        "frames dropped",
        format!(
            "{} (newer ones were there)",
            received.saturating_sub(health.frames_used)
        ),
    );
    report.value(
        "queue",
        format!("{} of {}", core.pending(), params.settings.max_pending),
    );
    report.value("busy", load.running);
    report.value("conversations", load.caches.conversations);
    report.value("action goals", core.goals());
    report.value("goals followed", core.followers());
    for (status, count) in &health.results {
        report.value(format!("results {}", status.name()), count);
    }
    if let Some(timings) = &health.timings {
        for (stage, time) in timings.stages() {
            report.value(
                format!("latency {}", stage.name()),
                format!("{:.4} s", time.as_secs_f64()),
            );
        }
        report.value(
            "latency per token",
            format!("{:.4} s", timings.per_token().as_secs_f64()),
        );
        report.value(
            "latency total",
            format!("{:.4} s", timings.total.as_secs_f64()),
        );
    }
    engine_gauges(&mut report, &load);
    if params.settings.space.enabled {
        report.value("depth images", core.depth_received());
        report.value("objects placed", health.placed);
        for (code, count) in &health.not_placed {
            report.value(format!("objects not placed {code}"), count);
        }
        let why = health.last_not_placed.as_deref();
        report.value("last object not placed", why.unwrap_or("none"));
    }
    let last_error = match &health.last_error {
        Some((refusal, at)) => format!("{} ({:.0} s ago)", refusal.why, at.elapsed().as_secs_f64()),
        None => "none".to_owned(),
    };
    report.value("last error", last_error);
    report.into_status(&names.node)
}

/// The engine's gauges: counts of its requests, and of lookups in its caches.
fn engine_gauges(report: &mut Report, load: &EngineLoad) {
    report.value(
        "engine waiting",
        format!("{} of {}", load.waiting, load.max_waiting),
    );
    report.value("engine answered", load.answered);
    report.value("engine cancelled", load.cancelled);
    report.value("engine failed", load.failed);
    report.value("engine tokens", load.tokens);
    let caches = &load.caches;
    report.value("cache frames", caches.frames);
    for (cache, count) in [
        ("clip", caches.clip),
        ("sam", caches.sam),
        ("prompt positions", caches.prompt),
    ] {
        report.value(
            format!("cache {cache}"),
            format!("{} hits, {} misses", count.hits, count.misses),
        );
    }
}

/// The node's state in a line.
fn headline(
    core: &NodeCore<Ros>,
    shared: &Shared,
    names: &ResolvedNames,
    now: Instant,
) -> (Level, String) {
    if let Some(why) = core.standby() {
        return (Level::Warn, why.to_owned());
    }
    if !core.is_enabled() {
        return (Level::Warn, format!("disabled: {}", core.how_to_enable()));
    }
    if let Some(fault) = shared.qos_faults().into_iter().next() {
        return (Level::Warn, fault);
    }
    if let Some(why) = core.camera_fault(now) {
        return (Level::Warn, why);
    }
    let health = core.health();
    let last = health.last_error.as_ref().map(|(refusal, _)| &refusal.why);
    if let (Some(ResultStatus::Segmented), Some(why)) =
        (health.last_status, &health.last_not_placed)
    {
        return (
            Level::Warn,
            format!("answering without places in space: {why}"),
        );
    }
    match (health.last_status, last) {
        (None, _) => (
            Level::Ok,
            format!("ready: waiting for an instruction on {}", names.instruction),
        ),
        (Some(ResultStatus::Error), Some(why)) => {
            (Level::Error, format!("the last instruction failed: {why}"))
        }
        (Some(ResultStatus::Overloaded | ResultStatus::NoImage), Some(why)) => (
            Level::Warn,
            format!("the last instruction was not answered: {why}"),
        ),
        _ => (Level::Ok, "answering".to_owned()),
    }
}

/// Resident memory of the process, if the system tells it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    resident(&status).map_or("unknown".to_owned(), |kib| format!("{} MiB", kib / 1024))
}

/// Resident memory in KiB, from the text of `/proc/self/status`.
fn resident(status: &str) -> Option<u64> {
    status.lines().find_map(|line| {
        let size = line.strip_prefix("VmRSS:")?.trim();
        size.strip_suffix(" kB")?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_system() {
        let status = "VmPeak:\t  900000 kB\nVmRSS:\t  123456 kB\nRssAnon:\t 7 kB\n";
        assert_eq!(resident(status), Some(123_456));
        for other in ["", "VmPeak:\t900000 kB\n", "VmRSS:\tmuch kB\n"] {
            assert_eq!(resident(other), None, "{other:?}");
        }
    }

    /// The node runs on Linux, which always tells it; these pages are touched, and so resident.
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_of_this_process_grows_by_what_it_takes() {
        let mebibytes = || -> u64 {
            let text = memory();
            let number = text
                .strip_suffix(" MiB")
                .unwrap_or_else(|| panic!("{text}"));
            number.parse().unwrap()
        };
        let taken = std::hint::black_box(vec![1u8; 64 << 20]);
        let with = mebibytes();
        std::hint::black_box(&taken);
        assert!(with >= 64, "{with} MiB with {} bytes taken", taken.len());
        assert!(with < 1 << 20, "{with} MiB");
    }
}
