//! The thread and its queue, with a reasoner that does what the instruction says.

use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use super::*;
use crate::engine::{AnswerOptions, AnswerStatus, CacheLoad, Frame, Timings};

/// "say", "panic", "wait" (until cancelled), "fail".
struct ScriptedReasoner {
    conversations: Vec<String>,
    cleared: usize,
    loaded: bool,
}

impl Reasoner for ScriptedReasoner {
    fn answer(
        &mut self,
        request: &Request,
        context: &mut RequestContext<'_>,
    ) -> Result<Answer, RequestError> {
        match request.instruction.as_str() {
            "panic" => panic!("the puppet fell over"),
            "fail" => return Err(RequestError::Model("no".into())),
            "wait" => {
                let mut tokens = 0;
                while !context.cancel.is_cancelled() {
                    tokens += 1;
                    context.send(Event::TextDelta {
                        text: "x".into(),
                        tokens,
                    });
                    std::thread::sleep(Duration::from_millis(1));
                }
                return Err(RequestError::Cancelled { tokens });
            }
            _ => {}
        }
        self.conversations.extend(request.conversation_id.clone());
        Ok(Answer {
            status: AnswerStatus::TextOnly,
            text: format!("{}; cleared {}", request.instruction, self.cleared),
            objects: vec![],
            tokens: 1,
            truncated: false,
            notes: vec![],
            timings: Timings::default(),
            attention: None,
            trace: None,
        })
    }

    fn reset_conversation(&mut self, _: Source, id: Option<&str>) {
        self.conversations
            .retain(|known| id.is_some_and(|id| id != known));
    }

    fn caches(&self) -> CacheLoad {
        CacheLoad {
            conversations: self.conversations.len(),
            ..CacheLoad::default()
        }
    }

    fn clear_caches(&mut self) {
        self.cleared += 1;
    }

    fn is_loaded(&self) -> bool {
        self.loaded
    }

    fn unload(&mut self) {
        self.loaded = false;
    }

    fn load_again(&mut self) -> Result<(), RequestError> {
        self.loaded = true;
        Ok(())
    }
}

fn engine(max_pending: usize) -> Engine {
    Engine::start_with(max_pending, || {
        let puppet = ScriptedReasoner {
            conversations: vec![],
            cleared: 0,
            loaded: true,
        };
        let info = ModelInfo {
            model: "puppet".into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            parameters: 0,
            guided_head: None,
        };
        Ok((puppet, info))
    })
    .unwrap()
}

fn request(instruction: &str) -> Request {
    Request {
        instruction: instruction.into(),
        frame: Frame::new(::image::RgbImage::new(2, 2)),
        conversation_id: None,
        options: AnswerOptions::default(),
    }
}

/// Waits until the request is being answered.
fn started(ticket: &Ticket) {
    assert!(ticket.events.recv_timeout(Duration::from_secs(10)).is_ok());
}

#[test]
fn a_panic_fails_its_request_and_the_next_one_works() {
    let engine = engine(4);
    let error = engine.submit(request("panic")).unwrap().wait().unwrap_err();
    assert!(
        matches!(&error, RequestError::Panicked(text) if text.contains("fell over")),
        "{error}"
    );
    let answer = engine.submit(request("say")).unwrap().wait().unwrap();
    assert_eq!(answer.text, "say; cleared 1");
    let load = engine.load();
    assert_eq!((load.answered, load.failed), (1, 1));
}

#[test]
fn one_too_many_is_overloaded_and_nothing_waiting_is_lost() {
    let engine = engine(2);
    let running = engine.submit(request("wait")).unwrap();
    started(&running);
    let waiting = [
        engine.submit(request("say")).unwrap(),
        engine.submit(request("say")).unwrap(),
    ];
    match engine.submit(request("say")) {
        Err(RequestError::Overloaded { pending: 2, max: 2 }) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the bound did not hold"),
    }
    engine.set_max_pending(3);
    let third = engine.submit(request("say")).unwrap();
    running.cancel.cancel();
    assert!(matches!(running.wait(), Err(RequestError::Cancelled { tokens }) if tokens > 0));
    for ticket in waiting.into_iter().chain([third]) {
        ticket.wait().unwrap();
    }
}

#[test]
fn a_request_cancelled_while_it_waits_costs_nothing() {
    let engine = engine(4);
    let running = engine.submit(request("wait")).unwrap();
    started(&running);
    let waiting = engine.submit(request("panic")).unwrap();
    waiting.cancel.cancel();
    running.cancel.cancel();
    assert!(matches!(
        waiting.wait(),
        Err(RequestError::Cancelled { tokens: 0 })
    ));
}

/// The one end of a request that was taken back while it waited, and nothing after it.
fn taken_back(ticket: &Ticket) {
    let end = ticket.events.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(
        matches!(end, Event::Failed(RequestError::Cancelled { tokens: 0 })),
        "{end:?}"
    );
    let after = ticket.events.recv_timeout(Duration::from_secs(10));
    assert!(
        matches!(after, Err(RecvTimeoutError::Disconnected)),
        "{after:?}"
    );
}

#[test]
fn a_cancelled_request_ends_and_frees_its_place_before_its_turn() {
    let engine = engine(2);
    let running = engine.submit(request("wait")).unwrap();
    started(&running);
    // Those that wait never get their turn, because the running request is not cancelled before the end of the test.
    for round in 0..3 {
        let waiting = ["panic", "panic"].map(|text| engine.submit(request(text)).unwrap());
        assert_eq!(engine.load().waiting, 2);
        assert!(matches!(
            engine.submit(request("say")),
            Err(RequestError::Overloaded { pending: 2, max: 2 })
        ));
        for (left, ticket) in [(1, &waiting[1]), (0, &waiting[0])] {
            ticket.cancel.cancel();
            ticket.cancel.cancel();
            assert_eq!(engine.load().waiting, left);
            taken_back(ticket);
        }
        let load = engine.load();
        assert!(
            load.running && load.cancelled == 2 * (round + 1) && load.failed == 0,
            "{load:?}"
        );
    }
    // Dropping a ticket cancels its request, too.
    drop(["panic", "panic"].map(|text| engine.submit(request(text)).unwrap()));
    let last = engine.submit(request("say")).unwrap();
    running.cancel.cancel();
    last.wait().unwrap();
}

#[test]
fn gauges_say_how_requests_ended() {
    let engine = engine(1);
    engine.submit(request("say")).unwrap().wait().unwrap();
    engine.submit(request("fail")).unwrap().wait().unwrap_err();
    let running = engine.submit(request("wait")).unwrap();
    started(&running);
    let waiting = engine.submit(request("say")).unwrap();
    assert!(engine.submit(request("say")).is_err());
    let load = engine.load();
    assert!(load.running, "{load:?}");
    assert_eq!((load.waiting, load.max_waiting, load.overloaded), (1, 1, 1));
    waiting.cancel.cancel();
    running.cancel.cancel();
    running.wait().unwrap_err();
    let load = engine.load();
    assert_eq!((load.answered, load.failed, load.cancelled), (1, 1, 2));
    assert_eq!((load.running, load.waiting, load.tokens), (false, 0, 1));
}

#[test]
fn a_request_that_is_cancelled_as_its_turn_comes_ends_once() {
    let engine = engine(1);
    for round in 0..500 {
        let ticket = engine.submit(request("say")).unwrap();
        let cancel = ticket.cancel.clone();
        let other = std::thread::spawn(move || cancel.cancel());
        let ends = ticket
            .events
            .iter()
            .filter(|event| matches!(event, Event::Done(_) | Event::Failed(_)))
            .count();
        other.join().unwrap();
        assert_eq!(ends, 1, "round {round}");
    }
}

#[test]
fn a_dropped_ticket_takes_its_request_back() {
    let engine = engine(4);
    let running = engine.submit(request("wait")).unwrap();
    started(&running);
    drop(running);
    engine.submit(request("say")).unwrap().wait().unwrap();
}

#[test]
fn dropping_the_engine_ends_what_runs_and_what_waits() {
    let engine = engine(4);
    let running = engine.submit(request("wait")).unwrap();
    started(&running);
    let waiting = engine.submit(request("say")).unwrap();
    engine.shutdown();
    assert!(matches!(
        running.wait(),
        Err(RequestError::Cancelled { .. })
    ));
    assert!(matches!(waiting.wait(), Err(RequestError::ShuttingDown)));
}

#[test]
fn a_reset_takes_effect_between_the_requests_around_it() {
    let engine = engine(4);
    let mut first = request("say");
    first.conversation_id = Some("a".into());
    engine.submit(first).unwrap().wait().unwrap();
    assert_eq!(engine.load().caches.conversations, 1);
    engine.reset_conversation(Some("b"));
    engine.submit(request("say")).unwrap().wait().unwrap();
    assert_eq!(engine.load().caches.conversations, 1);
    engine.reset_conversation(None);
    engine.submit(request("say")).unwrap().wait().unwrap();
    assert_eq!(engine.load().caches.conversations, 0);
}

#[test]
fn what_is_forgotten_is_forgotten_between_the_requests_around_it() {
    let engine = engine(4);
    let mut first = request("say");
    first.conversation_id = Some("a".into());
    let before = engine.submit(first).unwrap().wait().unwrap();
    assert_eq!(before.text, "say; cleared 0");
    engine.forget();
    let after = engine.submit(request("say")).unwrap().wait().unwrap();
    assert_eq!(after.text, "say; cleared 1");
    assert_eq!(engine.load().caches.conversations, 0);
}

#[test]
fn what_was_given_back_is_loaded_for_the_next_request_and_its_answer_says_so() {
    let engine = engine(4);
    let ask = || engine.submit(request("say")).unwrap().wait().unwrap();
    assert!(engine.load().loaded && ask().notes.is_empty());
    // Closed, and so done.
    assert!(engine.unload().recv().is_err());
    assert!(!engine.load().loaded);
    let answer = ask();
    assert!(answer.notes[0].contains("loading it again took"));
    assert!(answer
        .timings
        .stages()
        .any(|(stage, _)| stage == Stage::Load));
    assert!(engine.load().loaded && ask().notes.is_empty());
    // After a moment without a request it goes by itself.
    engine.set_unload_after(Some(Duration::from_millis(1)));
    let asked = Instant::now();
    while engine.load().loaded {
        assert!(
            asked.elapsed() < Duration::from_secs(60),
            "never given back"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    engine.set_unload_after(None);
    assert!(!ask().notes.is_empty() && ask().notes.is_empty());
}

#[test]
fn requests_that_cannot_be_answered_are_refused_by_name() {
    let engine = engine(4);
    let refused = |change: &dyn Fn(&mut Request)| {
        let mut request = request("say");
        change(&mut request);
        match engine.submit(request) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it was taken"),
        }
    };
    assert!(refused(&|r| r.options.max_new_tokens = 0).contains("max_new_tokens"));
    assert!(refused(&|r| r.options.temperature = f64::NAN).contains("temperature"));
    assert!(refused(&|r| r.options.mask_threshold = 1.0).contains("mask_threshold"));
    assert!(refused(&|r| r.frame = Frame::new(::image::RgbImage::new(0, 3))).contains("0x3"));
    assert!(refused(&|r| r.instruction = "  ".into()).contains("empty"));
    assert!(refused(&|r| r.instruction = "\u{7}".into()).contains("U+0007"));
}

#[test]
fn a_load_that_fails_or_panics_says_so() {
    let failed =
        Engine::start_with::<ScriptedReasoner>(1, || Err(EngineError::Panicked("as told".into())));
    assert!(matches!(failed, Err(EngineError::Panicked(text)) if text == "as told"));
    let panicked = Engine::start_with::<ScriptedReasoner>(1, || panic!("no model"));
    assert!(matches!(panicked, Err(EngineError::Panicked(text)) if text == "no model"));
}

/// Collects what a subscriber writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_request_is_traced_from_its_submission_to_its_end() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut reasoner = ScriptedReasoner {
            conversations: vec![],
            cleared: 0,
            loaded: true,
        };
        for (id, instruction) in [(7, "say"), (8, "fail")] {
            let job = Job::new(
                RequestId(id),
                Source::default(),
                request(instruction),
                Box::new(|_| {}),
            );
            let mut job = Box::new(job);
            let result = answer(&mut reasoner, &mut job);
            job.end(result);
        }
    });
    let log = String::from_utf8(lock(&log.0).clone()).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let expected = [
        (7, "stage ended request=7 stage=\"queue\" seconds="),
        (7, "request answered request=7 seconds="),
        (8, "stage ended request=8 stage=\"queue\" seconds="),
        (8, "request ended without an answer request=8 seconds="),
    ];
    assert_eq!(lines.len(), expected.len(), "{log}");
    for (line, (id, words)) in lines.iter().zip(expected) {
        let span = format!("request{{id={id} width=2 height=2 conversation=false");
        assert!(line.contains(&span) && line.contains(words), "{log}");
    }
}

#[test]
fn a_ticket_whose_events_end_without_a_last_one_says_that_it_was_dropped() {
    let (sender, events) = crossbeam_channel::unbounded();
    let ticket = Ticket {
        events,
        cancel: CancelToken::new(),
    };
    sender.send(Event::Stage(Stage::Queue)).unwrap();
    drop(sender);
    assert!(matches!(ticket.wait(), Err(RequestError::Dropped)));
}

#[test]
fn a_flood_of_one_source_neither_delays_another_nor_takes_its_places() {
    let engine = engine(3);
    let running = engine.submit(request("wait")).unwrap();
    started(&running);
    let (sender, ended) = crossbeam_channel::unbounded();
    let ask = |source: u16| {
        let sender = sender.clone();
        engine.submit_from(Source(source), request("say"), move |event| {
            if matches!(event, Event::Done(_) | Event::Failed(_)) {
                sender.send(source).unwrap();
            }
        })
    };
    (0..3).for_each(|_| drop(ask(0).unwrap()));
    assert!(matches!(
        ask(0),
        Err(RequestError::Overloaded { pending: 3, max: 3 })
    ));
    ask(1).unwrap();
    let load = engine.load();
    assert_eq!((load.waiting, load.max_waiting), (4, 6));
    running.cancel.cancel();
    let order: Vec<u16> = ended.iter().take(4).collect();
    assert_eq!(order, [1, 0, 0, 0]);
}
