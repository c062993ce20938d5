//! Numbers for Prometheus, in its text format (0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::engine::{Answer, EngineLoad, Stage};

/// Upper ends of the buckets of `lisa_answer_seconds`.
const BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// What the server itself counts. The rest is read from the engine when it is asked for.
#[derive(Default)]
pub struct Metrics {
    pub connections: AtomicU64,
    pub refused_connections: AtomicU64,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// Responses by route and status. The routes are those of the program, so there are few.
    responses: BTreeMap<(String, u16), u64>,
    /// Answers by what kind they are.
    answers: BTreeMap<&'static str, u64>,
    /// Answers that took no longer than each of [`BUCKETS`].
    buckets: [u64; BUCKETS.len()],
    /// Seconds of all answers.
    seconds: f64,
    objects: u64,
    /// How often each stage took place, and its seconds.
    stages: BTreeMap<Stage, (u64, f64)>,
}

impl Metrics {
    /// Counts a response.
    pub fn responded(&self, route: &str, status: u16) {
        let mut counted = self.counted();
        *counted
            .responses
            .entry((route.to_owned(), status))
            .or_default() += 1;
    }

    /// Counts an answer.
    pub fn answered(&self, answer: &Answer) {
        let mut counted = self.counted();
        *counted.answers.entry(answer.status.name()).or_default() += 1;
        counted.objects += answer.objects.len() as u64;
        let seconds = answer.timings.total.as_secs_f64();
        counted.seconds += seconds;
        for (bucket, end) in counted.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= end);
        }
        for (stage, time) in answer.timings.stages() {
            let (count, sum) = counted.stages.entry(stage).or_default();
            *count += 1;
            *sum += time.as_secs_f64();
        }
    }

    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them.
    pub fn text(&self, load: &EngineLoad) -> String {
        let mut out = Text(String::new());
        out.gauge(
            "lisa_connections",
            "Open connections.",
            self.connections.load(Relaxed),
        );
        out.counter(
            "lisa_connections_refused_total",
            "Connections closed because there were too many.",
            self.refused_connections.load(Relaxed),
        );
        out.gauge(
            "lisa_model_loaded",
            "Whether the weights are in memory.",
            load.loaded.into(),
        );
        out.gauge(
            "lisa_requests_running",
            "Questions that are being answered.",
            load.running.into(),
        );
        out.gauge(
            "lisa_requests_waiting",
            "Questions that wait.",
            load.waiting as u64,
        );
        out.gauge(
            "lisa_requests_waiting_max",
            "Questions that may wait.",
            load.max_waiting as u64,
        );
        out.head(
            "lisa_requests_total",
            "counter",
            "Questions that have ended, by how.",
        );
        for (outcome, count) in [
            ("answered", load.answered),
            ("cancelled", load.cancelled),
            ("failed", load.failed),
            ("overloaded", load.overloaded),
        ] {
            out.line(format_args!(
                "lisa_requests_total{{outcome=\"{outcome}\"}} {count}"
            ));
        }
        out.counter("lisa_tokens_total", "Tokens of all answers.", load.tokens);
        let caches = &load.caches;
        out.gauge(
            "lisa_conversations",
            "Conversations that are kept.",
            caches.conversations as u64,
        );
        out.gauge(
            "lisa_cached_frames",
            "Pictures whose embeddings are kept.",
            caches.frames as u64,
        );
        self.counted().write(&mut out);
        out.0
    }
}

impl Counted {
    fn write(&self, out: &mut Text) {
        out.head(
            "lisa_http_responses_total",
            "counter",
            "Responses by route and status.",
        );
        for ((route, status), count) in &self.responses {
            out.line(format_args!(
                "lisa_http_responses_total{{route=\"{route}\",status=\"{status}\"}} {count}"
            ));
        }
        out.head(
            "lisa_answers_total",
            "counter",
            "Answers given over HTTP, by what kind they are.",
        );
        for (status, count) in &self.answers {
            out.line(format_args!(
                "lisa_answers_total{{status=\"{status}\"}} {count}"
            ));
        }
        out.counter(
            "lisa_objects_total",
            "Objects of these answers.",
            self.objects,
        );
        out.head(
            "lisa_answer_seconds",
            "histogram",
            "Seconds from a question's submission to its answer.",
        );
        let total: u64 = self.answers.values().sum();
        for (end, count) in BUCKETS.iter().zip(self.buckets) {
            out.line(format_args!(
                "lisa_answer_seconds_bucket{{le=\"{end}\"}} {count}"
            ));
        }
        out.line(format_args!(
            "lisa_answer_seconds_bucket{{le=\"+Inf\"}} {total}"
        ));
        out.line(format_args!("lisa_answer_seconds_sum {}", self.seconds));
        out.line(format_args!("lisa_answer_seconds_count {total}"));
        out.head(
            "lisa_stage_seconds",
            "summary",
            "Seconds of each stage of answering.",
        );
        for (stage, (count, sum)) in &self.stages {
            let stage = stage.name();
            out.line(format_args!(
                "lisa_stage_seconds_sum{{stage=\"{stage}\"}} {sum}"
            ));
            out.line(format_args!(
                "lisa_stage_seconds_count{{stage=\"{stage}\"}} {count}"
            ));
        }
    }
}

struct Text(String);

impl Text {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.line(format_args!("{name} {value}"));
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(format_args!("{name} {value}"));
    }
}
