//! Publishes a bag as it was recorded: the same bytes, the same intervals, the same quality of service.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{sync_channel, Receiver};
use std::time::{Duration, Instant};

use r2r::rosgraph_msgs::msg::Clock;
use r2r::{Node, Publisher, PublisherUntyped, QosProfile};
use rosbag2::{Bag, BagError, RawMessage, Selection};

use super::qos::offered;
use super::{node, RecordingError, StopCount};
use crate::frames::Stamp;
use crate::ros::clock::time;

/// How a bag is played.
#[derive(Clone, Debug, PartialEq)]
pub struct PlayOptions {
    /// The bag: its folder, or one of its files.
    pub bag: PathBuf,
    /// How many recorded seconds are played in a second, above 0.
    pub rate: f64,
    /// Whether to play again from the beginning until a signal comes.
    pub repeat: bool,
    /// How many times a second the recording's time is published on `/clock`; `None` publishes none.
    pub clock_hz: Option<f64>,
    /// How many seconds of the recording are skipped.
    pub start_s: f64,
    /// How many seconds of it are played; `None` plays all.
    pub duration_s: Option<f64>,
    /// The topics that are played; all if this is empty.
    pub topics: Vec<String>,
    /// Topics, and how many subscribers each of them must have before playing begins.
    pub wait_for: Vec<(String, usize)>,
    /// After how many seconds of waiting for them to give up.
    pub wait_s: f64,
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlaySummary {
    /// How many messages were published.
    pub messages: u64,
    /// How many topics they were published on.
    pub topics: usize,
    /// How many messages could not be read.
    pub unread: u64,
    /// By how much the most delayed message was late.
    pub latest: Duration,
    /// Whether a signal ended the playing.
    pub stopped: bool,
}

/// How many messages are read ahead, so that unpacking a chunk delays none.
const READ_AHEAD: usize = 32;
/// How long the middleware gets to deliver the last messages.
const DELIVERY: Duration = Duration::from_millis(500);
/// How long to wait after the last subscriber was discovered, because it may not have discovered us yet.
const DISCOVERY: Duration = Duration::from_millis(500);
/// The longest sleep before signals are checked again.
const MAX_SLEEP: Duration = Duration::from_millis(50);

/// Plays a bag to its end, or until a signal.
///
/// # Errors
/// The bag cannot be read, no message is selected, or subscribers do not come.
pub fn play(options: &PlayOptions, stop: &StopCount) -> Result<PlaySummary, RecordingError> {
    let bag = Bag::open(&options.bag)?;
    for note in bag.notes() {
        tracing::warn!("{note}");
    }
    for topic in &options.topics {
        bag.topic(topic)?;
    }
    let mut player = Player::create(&bag, options)?;
    player.wait(options, stop)?;
    loop {
        let messages = read_ahead(&options.bag, player.selection(&bag, options))?;
        player.run(&messages, options, stop);
        if !options.repeat || player.played.stopped {
            break;
        }
    }
    let until = Instant::now() + DELIVERY;
    while Instant::now() < until && stop.get() < 2 {
        player.node.spin_once(Duration::from_millis(10));
    }
    Ok(player.played)
}

struct Player {
    node: Node,
    /// The publishers, by the index of their topic in the bag.
    publishers: HashMap<usize, PublisherUntyped>,
    names: HashMap<String, usize>,
    clock: Option<(Publisher<Clock>, Duration)>,
    /// The log time at which playing begins, nanoseconds.
    start: u64,
    played: PlaySummary,
}

impl Player {
    fn create(bag: &Bag, options: &PlayOptions) -> Result<Self, RecordingError> {
        let mut node = node("lisa_bag_player")?;
        let mut publishers = HashMap::new();
        let mut names = HashMap::new();
        for (number, topic) in bag.topics().iter().enumerate() {
            let wanted = options.topics.is_empty() || options.topics.contains(&topic.name);
            // Two clocks would contradict each other.
            let own_clock = options.clock_hz.is_some() && topic.name == "/clock";
            if !wanted || own_clock || topic.messages == 0 {
                continue;
            }
            let qos = offered(&topic.qos);
            match node.create_publisher_untyped(&topic.name, &topic.ros_type, qos) {
                Ok(publisher) => {
                    publishers.insert(number, publisher);
                    names.insert(topic.name.clone(), number);
                }
                Err(error) => tracing::warn!(
                    "{} is not played: its type {} is not built in ({error})",
                    topic.name,
                    topic.ros_type
                ),
            }
        }
        let clock = match options.clock_hz {
            Some(hz) => {
                let publisher = node.create_publisher("/clock", QosProfile::default())?;
                Some((publisher, Duration::from_secs_f64(1.0 / hz)))
            }
            None => None,
        };
        let begin = bag.span().map_or(0, |(first, _)| first);
        let played = PlaySummary {
            topics: publishers.len(),
            ..PlaySummary::default()
        };
        let player = Self {
            node,
            publishers,
            names,
            clock,
            start: begin.saturating_add(nanoseconds(options.start_s)),
            played,
        };
        let selection = player.selection(bag, options);
        if player.publishers.is_empty() || bag.messages(&selection)?.next().is_none() {
            return Err(RecordingError::NothingToPlay {
                bag: options.bag.display().to_string(),
                topics: match options.start_s > 0.0 {
                    true => format!(" after {} s", options.start_s),
                    false => String::new(),
                },
            });
        }
        Ok(player)
    }

    fn selection(&self, bag: &Bag, options: &PlayOptions) -> Selection {
        let topics = self.publishers.keys().filter_map(|n| bag.topics().get(*n));
        let selection = Selection::all()
            .topics(topics.map(|topic| topic.name.clone()))
            .from(self.start);
        let end = |seconds| self.start.checked_add(nanoseconds(seconds));
        match options.duration_s.and_then(end) {
            Some(end) => selection.until(end),
            None => selection,
        }
    }

    /// Waits until every topic of `wait_for` has its subscribers.
    fn wait(&mut self, options: &PlayOptions, stop: &StopCount) -> Result<(), RecordingError> {
        let until = Instant::now() + Duration::from_secs_f64(options.wait_s);
        for (topic, wanted) in &options.wait_for {
            let Some(publisher) = self.names.get(topic).and_then(|n| self.publishers.get(n)) else {
                return Err(BagError::Topic {
                    topic: topic.clone(),
                    known: self.names.keys().cloned().collect(),
                }
                .into());
            };
            loop {
                let found = publisher.get_inter_process_subscription_count()?;
                if found >= *wanted || stop.get() > 0 {
                    break;
                }
                if Instant::now() > until {
                    return Err(RecordingError::NoSubscriber {
                        topic: topic.clone(),
                        seconds: options.wait_s,
                        found,
                        wanted: *wanted,
                    });
                }
                self.node.spin_once(MAX_SLEEP);
            }
        }
        // The subscribers may not have discovered us yet, and best-effort messages are sent only once.
        if !options.wait_for.is_empty() && stop.get() == 0 {
            std::thread::sleep(DISCOVERY);
        }
        Ok(())
    }

    /// Plays the messages once.
    fn run(
        &mut self,
        messages: &Receiver<Result<RawMessage, BagError>>,
        options: &PlayOptions,
        stop: &StopCount,
    ) {
        let mut pacer = Pacer {
            started: Instant::now(),
            start: self.start,
            rate: options.rate,
            tick: 0,
        };
        for message in messages {
            let message = match message {
                Ok(message) => message,
                Err(error) => {
                    self.played.unread += 1;
                    tracing::warn!("{error}");
                    continue;
                }
            };
            let due = pacer.due(message.log_time);
            self.sleep_until(due, &mut pacer, stop);
            if stop.get() > 0 {
                self.played.stopped = true;
                return;
            }
            self.played.latest = self.played.latest.max(due.elapsed());
            if let Some(publisher) = self.publishers.get(&message.topic) {
                match publisher.publish_raw(&message.data) {
                    Ok(()) => self.played.messages += 1,
                    Err(error) => tracing::error!("a message could not be published: {error}"),
                }
            }
        }
        // A repetition begins at the end of the duration, and not right after the last message.
        if let Some(seconds) = options.duration_s {
            let end = self.start.saturating_add(nanoseconds(seconds));
            self.sleep_until(pacer.due(end), &mut pacer, stop);
        }
        self.played.stopped = stop.get() > 0;
    }

    fn sleep_until(&mut self, due: Instant, pacer: &mut Pacer, stop: &StopCount) {
        while stop.get() == 0 {
            let now = Instant::now();
            if let Some((publisher, period)) = &self.clock {
                let next = pacer.started + *period * pacer.tick;
                if now >= next {
                    // Ticks that were missed are skipped.
                    let ticks =
                        now.duration_since(pacer.started).as_secs_f64() / period.as_secs_f64();
                    pacer.tick = ticks as u32 + 1;
                    let clock = Clock {
                        clock: time(pacer.at(now)),
                    };
                    if let Err(error) = publisher.publish(&clock) {
                        tracing::error!("/clock could not be published: {error}");
                    }
                    continue;
                }
                if next < due {
                    std::thread::sleep(next.duration_since(now).min(MAX_SLEEP));
                    continue;
                }
            }
            if now >= due {
                return;
            }
            std::thread::sleep(due.duration_since(now).min(MAX_SLEEP));
        }
    }
}

/// Relates the recording's time to the computer's.
struct Pacer {
    started: Instant,
    start: u64,
    rate: f64,
    /// Number of the next message on `/clock`.
    tick: u32,
}

impl Pacer {
    fn due(&self, log_time: u64) -> Instant {
        let recorded = Duration::from_nanos(log_time.saturating_sub(self.start));
        self.started + recorded.div_f64(self.rate)
    }

    fn at(&self, now: Instant) -> Stamp {
        let recorded = now.duration_since(self.started).mul_f64(self.rate);
        let at = self.start.saturating_add(recorded.as_nanos() as u64);
        Stamp(i64::try_from(at).unwrap_or(i64::MAX))
    }
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e9) as u64
}

/// Reads the bag on a thread of its own, so that unpacking a chunk delays no message.
fn read_ahead(
    path: &std::path::Path,
    selection: Selection,
) -> Result<Receiver<Result<RawMessage, BagError>>, RecordingError> {
    let (sender, receiver) = sync_channel(READ_AHEAD);
    let path = path.to_owned();
    std::thread::Builder::new()
        .name("bag-read".to_owned())
        .spawn(move || {
            let messages = Bag::open(&path).and_then(|bag| bag.messages(&selection));
            match messages {
                Ok(messages) => {
                    for message in messages {
                        // Sending fails once the player has ended.
                        if sender.send(message).is_err() {
                            return;
                        }
                    }
                }
                Err(error) => drop(sender.send(Err(error))),
            }
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_shortens_the_distances() {
        let pacer = Pacer {
            started: Instant::now(),
            start: 1_000_000_000,
            rate: 4.0,
            tick: 0,
        };
        let second = Duration::from_secs(1);
        assert_eq!(pacer.due(5_000_000_000), pacer.started + second);
        assert_eq!(pacer.due(0), pacer.started);
        assert_eq!(pacer.at(pacer.started + second), Stamp(5_000_000_000));
    }
}
