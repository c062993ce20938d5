//! Once a second, the node says how it is, and in words why nothing comes out.

use std::path::Path;
use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::std_msgs::msg::Header;

use super::clock::RosClock;
use super::convert::{ros_text, Status};
use super::dispatch::Dispatcher;
use super::params::NodeParams;
use super::shared::{ImagePublisher, Shared};

/// Silence of the camera that is worth a word.
pub const SILENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ok = 0,
    Warn = 1,
    Error = 2,
}

/// The node's state in a line and a table.
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
        let values = self.values.into_iter().map(|(key, value)| KeyValue {
            key,
            value: ros_text(&value),
        });
        let status = DiagnosticStatus {
            level: self.level as u8,
            name: format!("{}: reasoning segmentation", node.trim_start_matches('/')),
            message: ros_text(&self.message),
            hardware_id: "lisa_ros".to_owned(),
            values: values.collect(),
        };
        DiagnosticArray {
            header: Header {
                stamp: clock.now(),
                frame_id: String::new(),
            },
            status: vec![status],
        }
    }
}

/// While the model is being opened.
pub fn loading(shared: &Shared, clock: &RosClock, model: &Path, since: Instant) -> DiagnosticArray {
    let mut report = Report {
        level: Level::Warn,
        message: format!(
            "loading the model, for {:.0} s: instructions are not yet taken",
            since.elapsed().as_secs_f64()
        ),
        values: Vec::new(),
    };
    report.value("model directory", model.display());
    report.value("memory", memory());
    report.into_message(&shared.names.node, clock)
}

/// While the node answers.
pub fn running(shared: &Shared, clock: &RosClock, dispatcher: &Dispatcher) -> DiagnosticArray {
    let now = Instant::now();
    let (params, publishers) = (shared.params(), shared.image_publishers());
    let (received, rate, age) = {
        let mut frames = shared.frames();
        let age = frames
            .newest()
            .map(|h| now.saturating_duration_since(h.arrived));
        (frames.received(), frames.rate_hz(now), age)
    };
    let silent = age.unwrap_or_else(|| shared.listening_since().elapsed());
    let health = &dispatcher.endings().health;

    let (level, message) = if !shared.enabled() {
        (
            Level::Warn,
            format!("disabled: call {} with data: true", shared.names.enable),
        )
    } else if silent >= SILENCE {
        (
            Level::Warn,
            image_trouble(&shared.names.image, silent, &params, &publishers),
        )
    } else if let (Some(Status::Error), Some((refusal, _))) =
        (health.last_status, &health.last_error)
    {
        (
            Level::Error,
            format!("the last instruction failed: {}", refusal.why),
        )
    } else if let (Some(Status::Overloaded | Status::NoImage), Some((refusal, _))) =
        (health.last_status, &health.last_error)
    {
        (
            Level::Warn,
            format!("the last instruction was not answered: {}", refusal.why),
        )
    } else if health.last_status.is_none() {
        (
            Level::Ok,
            format!(
                "ready: waiting for an instruction on {}",
                shared.names.instruction
            ),
        )
    } else {
        (Level::Ok, "answering".to_owned())
    };

    let mut report = Report {
        level,
        message,
        values: Vec::new(),
    };
    let engine = dispatcher.engine().status();
    report.value("model", &engine.model.model);
    report.value("model directory", params.model.display());
    report.value("parameters of the model", engine.model.parameters);
    report.value("device", &engine.model.device);
    report.value("dtype", &engine.model.dtype);
    report.value("memory", memory());
    report.value(
        "guided head",
        match engine.model.guided_head {
            Some(head) => format!("layer {}, head {}", head.layer, head.head),
            None => format!("none: nothing is published on {}", shared.names.attention),
        },
    );
    report.value(
        "mode",
        if params.continuous {
            "continuous"
        } else {
            "on_instruction"
        },
    );
    report.value("image topic", &shared.names.image);
    report.value("image publishers", publishers.len());
    report.value(
        "image age",
        age.map_or("none received".to_owned(), |a| {
            format!("{:.3} s", a.as_secs_f64())
        }),
    );
    report.value("image rate", format!("{rate:.1} Hz"));
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
        format!(
            "{} of {}",
            engine.pending + dispatcher.waiting(),
            engine.max_pending
        ),
    );
    report.value("busy", engine.busy);
    report.value("conversations", engine.conversations);
    report.value("action goals", dispatcher.endings().action.remembered());
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
    let last_error = match &health.last_error {
        Some((refusal, at)) => format!("{} ({:.0} s ago)", refusal.why, at.elapsed().as_secs_f64()),
        None => "none".to_owned(),
    };
    report.value("last error", last_error);
    report.into_message(&shared.names.node, clock)
}

/// Why there is no image, as far as the graph tells.
pub fn image_trouble(
    topic: &str,
    silent: Duration,
    params: &NodeParams,
    publishers: &[ImagePublisher],
) -> String {
    let wanted = if params.compressed {
        "sensor_msgs/msg/CompressedImage"
    } else {
        "sensor_msgs/msg/Image"
    };
    let asked = if params.reliable {
        "reliable"
    } else {
        "best effort"
    };
    let head = format!("no image on {topic} for {:.0} s", silent.as_secs_f64());
    let of_kind: Vec<_> = publishers.iter().filter(|p| p.kind == wanted).collect();
    let Some(first) = of_kind.first() else {
        return match publishers.first() {
            Some(other) => format!(
                "{head}: {} publishes {} there, we take {wanted}; see image_transport",
                other.node, other.kind
            ),
            None => {
                let name = if params.compressed {
                    "image/compressed"
                } else {
                    "image"
                };
                format!("{head}: 0 publishers; is the camera running, and is {name} remapped to its topic (-r {name}:=/camera/…)?")
            }
        };
    };
    let offers = match (
        of_kind.iter().all(|p| p.reliable),
        of_kind.iter().any(|p| p.reliable),
    ) {
        (true, _) => "reliable",
        (false, true) => "reliable and best effort",
        (false, false) => "best effort",
    };
    let (n, s) = (of_kind.len(), if of_kind.len() == 1 { "" } else { "s" });
    let head = format!("{head}: {n} publisher{s}, {offers}, we ask {asked}");
    match params.reliable && of_kind.iter().all(|p| !p.reliable) {
        true => {
            format!("{head}, which best effort cannot give; set image_reliability to best_effort")
        }
        false => format!(
            "{head}; they fit together, but nothing has come from {}",
            first.node
        ),
    }
}

/// Resident memory of the process, where the system tells it.
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
    use super::super::param_table::Value;
    use super::super::params::ParamStore;
    use super::*;

    fn publisher(reliable: bool, kind: &str) -> ImagePublisher {
        ImagePublisher {
            node: "/camera".to_owned(),
            reliable,
            kind: kind.to_owned(),
        }
    }

    fn trouble(reliability: &str, publishers: &[ImagePublisher]) -> String {
        let overrides = [(
            "image_reliability".to_owned(),
            Value::Text(reliability.to_owned()),
        )];
        let params = ParamStore::with_overrides(overrides).unwrap().0.params();
        image_trouble(
            "/camera/image_raw",
            Duration::from_secs(5),
            &params,
            publishers,
        )
    }

    #[test]
    fn silence_is_explained_by_what_the_graph_shows() {
        let image = "sensor_msgs/msg/Image";
        let said = trouble("best_effort", &[publisher(true, image)]);
        assert!(
            said.starts_with(
                "no image on /camera/image_raw for 5 s: 1 publisher, reliable, we ask best effort"
            ),
            "{said}"
        );
        let said = trouble(
            "reliable",
            &[publisher(false, image), publisher(false, image)],
        );
        assert!(
            said.contains("2 publishers, best effort, we ask reliable")
                && said.contains("image_reliability"),
            "{said}"
        );
        let said = trouble("best_effort", &[]);
        assert!(
            said.contains("0 publishers") && said.contains("-r image:="),
            "{said}"
        );
        let said = trouble(
            "best_effort",
            &[publisher(true, "sensor_msgs/msg/CompressedImage")],
        );
        assert!(
            said.contains("/camera publishes sensor_msgs/msg/CompressedImage")
                && said.contains("image_transport"),
            "{said}"
        );
    }

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
            let said = memory();
            let number = said
                .strip_suffix(" MiB")
                .unwrap_or_else(|| panic!("{said}"));
            number.parse().unwrap()
        };
        let taken = vec![1u8; 64 << 20];
        let with = mebibytes();
        assert!(with >= 64, "{with} MiB with {} bytes taken", taken.len());
        assert!(with < 1 << 20, "{with} MiB");
    }
}
