//! The web server over its socket: what it answers, what it refuses, and what it does about clients that are slow, large, many or
//! gone. The model is one that does what the instruction says; `tests/web` asks a real one, with a browser.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

mod serving;
mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use coco_rle::Rle;
use lisa::web::{Limits, Listener, WebConfig, WebError};
use serde_json::{json, Value};

use serving::{form, png, Bench, Response, HEIGHT, WIDTH};
use support::process::{ended, send};

const SECRET: &str = "0123456789abcdef";

fn limits(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

fn assert_refused(response: &Response, status: u16, kind: &str, words: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    let said = response.json();
    assert_eq!(said["kind"], kind, "{said}");
    let error = said["error"].as_str().unwrap();
    assert!(error.contains(words), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn a_question_in_json_or_as_a_form_is_answered_with_masks() {
    let bench = Bench::new();
    let image = base64::encode(png(1));
    let asked = json!({"instruction": "mask", "image": image, "conversation": "a"});
    let answer = bench.post_json(&asked).answer();
    assert_eq!(answer["status"], "SEGMENTED");
    assert_eq!(answer["answer"], "It is [SEG].");
    assert_eq!(answer["conversation"], "a");
    assert_eq!(answer["picture"]["width"], WIDTH);
    let object = &answer["objects"][0];
    assert_eq!(
        object["box"],
        json!({"x": 2, "y": 1, "width": 3, "height": 2})
    );
    assert_eq!(
        (&object["label"], &object["area"]),
        (&json!("mask"), &json!(6))
    );
    let rle: Rle = serde_json::from_value(object["mask"].clone()).unwrap();
    let inside = rle.decode(WIDTH, HEIGHT).unwrap();
    let expected = |i: usize| {
        let (x, y) = (i % WIDTH as usize, i / WIDTH as usize);
        (2..5).contains(&x) && (1..3).contains(&y)
    };
    assert!(inside
        .iter()
        .enumerate()
        .all(|(i, inside)| *inside == expected(i)));

    let fields = [("instruction", "mask"), ("masks", "png")];
    let as_form = bench.post_form("", &fields, Some(&png(1))).answer();
    let mask = as_form["objects"][0]["mask"].as_str().unwrap();
    let mask = image::load_from_memory(&base64::decode(mask).unwrap())
        .unwrap()
        .to_luma8();
    assert_eq!(mask.dimensions(), (WIDTH, HEIGHT));
    assert!(mask
        .as_raw()
        .iter()
        .zip(&inside)
        .all(|(pixel, inside)| (*pixel == 255) == *inside));
    let url = format!("data:image/png;base64,{image}");
    let none = json!({"instruction": "mask", "image": url, "masks": "none"});
    assert!(bench.post_json(&none).answer()["objects"][0]
        .get("mask")
        .is_none());
}

#[test]
fn words_survive_in_any_language() {
    let bench = Bench::new();
    for words in [
        "Wo ist die größte Tasse – dort, süß?",
        "杯はどこ",
        "\u{1f9d0} \"quoted\" \\ [SEG] </s>",
    ] {
        let image = base64::encode(png(1));
        let as_json = bench
            .post_json(&json!({"instruction": words, "image": image}))
            .answer();
        assert_eq!(as_json["answer"], words);
        let as_form = bench
            .post_form("", &[("instruction", words)], Some(&png(1)))
            .answer();
        assert_eq!(
            (&as_form["answer"], &as_form["instruction"]),
            (&json!(words), &json!(words))
        );
    }
}

#[test]
fn the_same_picture_is_the_same_frame_whether_sent_again_or_named() {
    let bench = Bench::new();
    let first = bench
        .post_form("", &[("instruction", "a")], Some(&png(1)))
        .answer();
    let id = first["picture"]["id"].as_str().unwrap();
    bench
        .post_form("", &[("instruction", "b")], Some(&png(1)))
        .answer();
    bench
        .post_form("", &[("instruction", "c"), ("picture", id)], None)
        .answer();
    bench
        .post_form("", &[("instruction", "d")], Some(&png(2)))
        .answer();
    let frames = bench.frames();
    assert_eq!(frames[0], frames[1]);
    assert_eq!(frames[0], frames[2]);
    assert_ne!(frames[0], frames[3]);

    let shown = bench.get(&format!("/v1/pictures/{id}"));
    assert_eq!(shown.header("content-type"), Some("image/jpeg"));
    let shown = image::load_from_memory(&shown.body).unwrap();
    assert_eq!((shown.width(), shown.height()), (WIDTH, HEIGHT));
    assert_refused(
        &bench.get("/v1/pictures/0123456789abcdef"),
        404,
        "picture",
        "kept",
    );
}

#[test]
fn events_come_in_their_order_and_end_with_the_answer() {
    let bench = Bench::new();
    for (query, accept) in [("?stream=true", "*/*"), ("", "text/event-stream")] {
        let (kind, body) = form(&[("instruction", "mask")], Some(&png(1)));
        let head = format!(
            "POST /v1/segment{query} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: {kind}\r\n"
        );
        let response = bench.send(&head, &body);
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        let events = response.events();
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["accepted", "stage", "text", "object", "text", "done"]
        );
        assert_eq!(events[0].1["picture"]["width"], WIDTH);
        assert_eq!(events[3].1, events[5].1["objects"][0]);
        assert_eq!(events[5].1["answer"], "It is [SEG].");
    }
    let failed = bench.post_form("?stream=true", &[("instruction", "fail")], Some(&png(1)));
    let (name, data) = failed.events().pop().unwrap();
    assert_eq!((name.as_str(), &data["kind"]), ("error", &json!("model")));
}

#[test]
fn the_answer_comes_drawn_where_a_png_is_accepted() {
    let bench = Bench::new();
    let (kind, body) = form(&[("instruction", "mask")], Some(&png(1)));
    let head = format!("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nAccept: image/png\r\nContent-Type: {kind}\r\n");
    let drawn = bench.send(&head, &body);
    assert_eq!(drawn.header("content-type"), Some("image/png"));
    let drawn = image::load_from_memory(&drawn.body).unwrap().to_rgb8();
    let plain = image::load_from_memory(&png(1)).unwrap().to_rgb8();
    assert_eq!(drawn.dimensions(), plain.dimensions());
    assert_ne!(drawn, plain);
}

/// Each is refused with its status, one line of what is accepted, and the next question works.
#[test]
fn malformed_questions_are_refused_and_the_next_one_works() {
    let bench = Bench::new();
    let image = base64::encode(png(1));
    let with = |field: &str, value: Value| {
        let mut asked = json!({"instruction": "a", "image": image});
        asked[field] = value;
        bench.post_json(&asked)
    };
    let long = "x".repeat(5000);
    assert_refused(
        &with("instruction", json!(" ")),
        400,
        "instruction",
        "empty",
    );
    assert_refused(
        &with("instruction", json!(long)),
        400,
        "instruction",
        "4096",
    );
    assert_refused(
        &with("instruction", json!("a\u{0}b")),
        400,
        "instruction",
        "control",
    );
    assert_refused(
        &with("image", json!("no base64!")),
        400,
        "picture",
        "base64",
    );
    assert_refused(
        &with("image", json!("AAAA")),
        400,
        "picture",
        "PNG, JPEG, WebP, BMP",
    );
    assert_refused(&with("image", json!("")), 400, "picture", "empty");
    assert_refused(&with("picture", json!("0")), 400, "picture", "exclude");
    assert_refused(&with("conversation", json!("")), 400, "conversation", "128");
    assert_refused(
        &with("conversation", json!("x".repeat(129))),
        400,
        "conversation",
        "128",
    );
    assert_refused(
        &with("temperature", json!(2.5)),
        400,
        "option",
        "accepted: 0 to 2",
    );
    assert_refused(
        &with("mask_threshold", json!(1)),
        400,
        "option",
        "0.01 to 0.99",
    );
    assert_refused(&with("max_new_tokens", json!(0)), 400, "option", "1 to 512");
    assert_refused(
        &with("max_new_tokens", json!(513)),
        400,
        "option",
        "1 to 512",
    );
    assert_refused(&with("masks", json!("svg")), 400, "json", "rle");
    assert_refused(
        &with("instructions", json!("a")),
        400,
        "json",
        "unknown field",
    );
    assert_refused(
        &bench.post_json(&json!({"instruction": "a"})),
        400,
        "picture",
        "no picture",
    );
    assert_refused(&bench.post_json(&json!(["a"])), 400, "json", "object");

    let post = |kind: &str, body: &[u8]| {
        let head =
            format!("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n");
        bench.send(&head, body)
    };
    assert_refused(
        &post("application/json", b"{\"instruction\": "),
        400,
        "json",
        "EOF",
    );
    assert_refused(
        &post("application/json", b"\xff\xfe"),
        400,
        "json",
        "cannot be read",
    );
    assert_refused(
        &post("text/plain", b"a"),
        415,
        "content_type",
        "multipart/form-data",
    );
    assert_refused(&post("multipart/form-data", b"a"), 400, "form", "boundary");
    assert_refused(
        &post("multipart/form-data; boundary=x", b"--y\r\n\r\n"),
        400,
        "form",
        "",
    );
    let (kind, body) = form(&[("instruction", "a")], Some(&png(1)));
    assert_refused(
        &post(&kind, &body[..body.len() / 2]),
        400,
        "form",
        "cannot be read",
    );
    let twice = bench.post_form(
        "",
        &[("instruction", "a"), ("instruction", "b")],
        Some(&png(1)),
    );
    assert_refused(&twice, 400, "form", "twice");
    let long_field = bench.post_form("", &[("instruction", &"x".repeat(20_000))], Some(&png(1)));
    assert_refused(&long_field, 400, "form", "longer");
    let many: Vec<String> = (0..40).map(|i| format!("f{i}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert_refused(
        &bench.post_form("", &many, None),
        400,
        "form",
        "more than 16 fields",
    );
    let query = bench.post_form("?stream=perhaps", &[("instruction", "a")], Some(&png(1)));
    assert_refused(&query, 400, "query", "stream=true");
    let cut = &png(1)[..60];
    assert_refused(
        &bench.post_form("", &[("instruction", "a")], Some(cut)),
        400,
        "picture",
        "picture",
    );
    assert_refused(&bench.get("/v1/segment"), 405, "method", "POST");
    assert_refused(&bench.get("/v1/camera"), 404, "camera", "no camera");

    for (said, status) in [("fail", 500), ("panic", 500)] {
        let failed = bench.post_form("", &[("instruction", said)], Some(&png(1)));
        assert_eq!(failed.status, status, "{}", failed.text());
    }
    for garbage in [
        "GET / HTTP/9.9\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET /\r\n\r\n",
        "POST /v1/segment HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut socket = bench.connect();
        socket.write_all(garbage.as_bytes()).unwrap();
        let response = Response::read(&mut socket);
        assert!(
            response.is_none_or(|response| response.status >= 400),
            "{garbage:?}"
        );
    }
    assert_eq!(
        bench
            .post_form("", &[("instruction", "a")], Some(&png(1)))
            .status,
        200
    );
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let bench = Bench::with(limits(|limits| {
        limits.picture_bytes = 100_000;
        limits.picture_pixels = 1000;
    }));
    // Its length alone is enough: nothing of the body is sent.
    let mut socket = bench.connect();
    let head = "POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000000000\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let refused = Response::read(&mut socket).unwrap();
    assert_refused(&refused, 413, "too_large", "100000 bytes");

    // Without a length it ends at the limit.
    let mut socket = bench.connect();
    let head = "POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let sent = (0..100)
        .take_while(|_| socket.write_all(&chunk).is_ok())
        .count();
    assert!(sent < 100, "it took 6.5 MB");

    let file = bench.post_form("", &[("instruction", "a")], Some(&vec![7; 110_000]));
    assert_refused(&file, 413, "too_large", "100000 bytes");
    let many_pixels = serving::png_of(40, 30, 1);
    let file = bench.post_form("", &[("instruction", "a")], Some(&many_pixels));
    assert_refused(&file, 413, "too_large", "40x30 pixels; accepted: 1000");
    let long_head = format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n",
        "x".repeat(100_000)
    );
    let mut socket = bench.connect();
    // It may refuse before everything is written.
    let _ = socket.write_all(long_head.as_bytes());
    let response = Response::read(&mut socket);
    assert!(response.is_none_or(|response| response.status == 431));
    assert_eq!(bench.get("/healthz").status, 200);
}

#[test]
fn a_client_that_is_too_slow_is_not_waited_for() {
    let short = Duration::from_millis(300);
    let bench = Bench::with(limits(|limits| {
        (limits.head, limits.upload) = (short, short)
    }));
    let mut head = bench.connect();
    head.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc")
        .unwrap();
    let mut body = bench.connect();
    let begin = "POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    body.write_all(begin.as_bytes()).unwrap();
    let mut idle = bench.connect();
    assert!(Response::read(&mut head).is_none_or(|response| response.status == 408));
    assert_refused(
        &Response::read(&mut body).unwrap(),
        408,
        "too_slow",
        "0.3 s",
    );
    assert!(Response::read(&mut idle).is_none_or(|response| response.status == 408));
    assert_eq!(bench.get("/healthz").status, 200);
}

#[test]
fn a_question_whose_client_has_gone_is_cancelled() {
    let bench = Bench::new();
    for query in ["?stream=true", ""] {
        let before = bench.load().cancelled;
        let (kind, body) = form(&[("instruction", "wait")], Some(&png(1)));
        let head = format!(
            "POST /v1/segment{query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        );
        let socket = bench.begin(&head, &body);
        bench.until("it is being answered", || bench.load().running);
        socket.shutdown(Shutdown::Both).unwrap();
        drop(socket);
        bench.until("it is cancelled", || bench.load().cancelled == before + 1);
    }
    // One that waits for its turn leaves the queue.
    let (kind, body) = form(&[("instruction", "wait")], Some(&png(1)));
    let head = format!("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n");
    let first = bench.begin(&head, &body);
    bench.until("the first is being answered", || bench.load().running);
    let second = bench.begin(&head, &body);
    bench.until("the second waits", || bench.load().waiting == 1);
    drop(second);
    bench.until("the second has left", || bench.load().waiting == 0);
    assert!(bench.load().running);
    drop(first);
    assert_eq!(
        bench
            .post_form("", &[("instruction", "a")], Some(&png(1)))
            .status,
        200
    );
}

#[test]
fn an_answer_and_a_connection_do_not_last_for_ever() {
    let short = Duration::from_millis(300);
    let bench = Bench::with(limits(|limits| limits.answer = short));
    let late = bench.post_form("", &[("instruction", "wait")], Some(&png(1)));
    assert_refused(&late, 504, "too_long", "0.3 s");
    bench.until("it is cancelled", || bench.load().cancelled == 1);

    // Nothing of the answer is read, which a server only notices by the time that it takes.
    let bench = Bench::with(limits(|limits| limits.connection = short));
    let (kind, body) = form(&[("instruction", "wait")], Some(&png(1)));
    let head = format!(
        "POST /v1/segment?stream=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    );
    let _unread = bench.begin(&head, &body);
    bench.until("it is cancelled", || bench.load().cancelled == 1);
}

#[test]
fn two_hundred_connections_at_once_are_served() {
    let bench = Bench::new();
    let mut sockets: Vec<_> = (0..200).map(|_| bench.connect()).collect();
    for socket in &mut sockets {
        socket
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
    }
    for socket in &mut sockets {
        assert_eq!(Response::read(socket).unwrap().status, 200);
    }
    // As many questions: each is answered, or told to come back.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = |i: u8| bench.post_form("", &[("instruction", "a")], Some(&png(i)));
        let asking: Vec<_> = (0..200u8).map(|i| scope.spawn(move || ask(i))).collect();
        let responses = asking.into_iter().map(|asked| asked.join().unwrap());
        responses
            .map(|response| {
                if response.status == 503 {
                    assert_eq!(response.header("retry-after"), Some("1"));
                    assert_eq!(response.json()["kind"], "busy");
                }
                response.status
            })
            .collect()
    });
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&200));
    assert_eq!(
        bench
            .post_form("", &[("instruction", "a")], Some(&png(1)))
            .status,
        200
    );
}

#[test]
fn one_connection_more_than_there_may_be_is_told_so() {
    let bench = Bench::with(limits(|limits| limits.connections = 3));
    let held: Vec<_> = (0..3).map(|_| bench.connect()).collect();
    bench.until("a fourth one is refused", || {
        let response = Response::read(&mut bench.connect());
        response.is_some_and(|response| response.status == 503)
    });
    drop(held);
    bench.until("there is room again", || {
        bench
            .try_get("/healthz")
            .is_some_and(|response| response.status == 200)
    });
}

#[test]
fn others_pages_and_names_are_refused() {
    let bench = Bench::new();
    let ask = |host: &str, more: &str| {
        let (kind, body) = form(&[("instruction", "a")], Some(&png(1)));
        let head =
            format!("POST /v1/segment HTTP/1.1\r\nHost: {host}\r\n{more}Content-Type: {kind}\r\n");
        bench.send(&head, &body)
    };
    let own = bench.address().to_string();
    assert_eq!(
        ask(
            &own,
            &format!("Origin: http://{own}\r\nSec-Fetch-Site: same-origin\r\n")
        )
        .status,
        200
    );
    assert_refused(
        &ask(&own, "Origin: http://evil.example\r\n"),
        403,
        "origin",
        "evil.example",
    );
    assert_refused(&ask(&own, "Origin: null\r\n"), 403, "origin", "own page");
    assert_refused(
        &ask(&own, "Sec-Fetch-Site: cross-site\r\n"),
        403,
        "origin",
        "another site",
    );
    assert_refused(
        &ask("evil.example", "Origin: http://evil.example\r\n"),
        403,
        "origin",
        "not called",
    );
    let asked_first = bench.send(
        "OPTIONS /v1/segment HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n",
        b"",
    );
    assert_eq!(asked_first.status, 403);
    assert!(asked_first.header("access-control-allow-origin").is_none());
    assert_eq!(bench.load().answered, 1);
}

#[test]
fn other_addresses_need_a_token_and_the_token_is_asked_for() {
    let config = |address: &str, token: Option<&str>| WebConfig {
        address: address.parse().unwrap(),
        token: token.map(|token| token.parse().unwrap()),
        hosts: Vec::new(),
        limits: Limits::default(),
    };
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = Listener::bind(config(address, None)).unwrap_err();
        assert!(matches!(refused, WebError::NeedsToken(_)), "{refused}");
    }
    assert!(Listener::bind(config("0.0.0.0:0", Some(SECRET))).is_ok());

    let bench = Bench::with_token(SECRET);
    assert_eq!(bench.get("/").status, 200);
    assert_eq!(bench.get("/healthz").status, 200);
    for path in ["/v1/model", "/metrics", "/v1/pictures/0"] {
        let refused = bench.get(path);
        assert_refused(&refused, 401, "token", "Bearer");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let (kind, body) = form(&[("instruction", "a")], Some(&png(1)));
    for (token, status) in [(SECRET, 200), ("0123456789abcdeX", 401)] {
        let head = format!(
            "POST /v1/segment HTTP/1.1\r\nHost: robot.lan\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
        );
        assert_eq!(bench.send(&head, &body).status, status);
    }
}

#[test]
fn no_path_reaches_the_file_system_and_every_response_is_guarded() {
    let bench = Bench::new();
    for path in [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/page/index.html",
        "/v1/pictures/..%2f..%2fetc%2fpasswd",
        "/v1/pictures/%00",
        "/Cargo.toml",
        "/style.css/../../../Cargo.toml",
        "/app.js%00.css",
    ] {
        let response = bench.get(path);
        assert!(
            (400..=404).contains(&response.status),
            "{path}: {}",
            response.status
        );
        assert!(!response.text().contains("root:"), "{path}");
    }
    let mut paths = vec!["/healthz", "/nothing"];
    paths.extend([
        "/",
        "/style.css",
        "/app.js",
        "/server.js",
        "/picture.js",
        "/panel.js",
        "/history.js",
        "/icon.svg",
    ]);
    for path in paths {
        let response = bench.get(path);
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert_eq!(
            response.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            response.header("cross-origin-resource-policy"),
            Some("same-origin"),
            "{path}"
        );
        let kept = response.header("cache-control").unwrap();
        assert!(["no-store", "no-cache"].contains(&kept), "{path}");
    }
}

#[test]
fn numbers_for_prometheus_add_up() {
    let bench = Bench::new();
    bench
        .post_form("", &[("instruction", "mask")], Some(&png(1)))
        .answer();
    bench.post_form("", &[("instruction", "fail")], Some(&png(1)));
    bench.get("/nothing");
    let metrics = bench.get("/metrics");
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = metrics.text();
    for line in [
        "lisa_requests_total{outcome=\"answered\"} 1",
        "lisa_requests_total{outcome=\"failed\"} 1",
        "lisa_answers_total{status=\"SEGMENTED\"} 1",
        "lisa_objects_total 1",
        "lisa_answer_seconds_bucket{le=\"+Inf\"} 1",
        "lisa_answer_seconds_count 1",
        "lisa_stage_seconds_count{stage=\"generate\"} 1",
        "lisa_http_responses_total{route=\"/v1/segment\",status=\"200\"} 1",
        "lisa_http_responses_total{route=\"other\",status=\"404\"} 1",
        "lisa_model_loaded 1",
    ] {
        assert!(
            text.lines().any(|own| own == line),
            "{line} is not in\n{text}"
        );
    }
    // Every sample has a name that was announced, and a number.
    let mut announced = Vec::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            announced.push(kind.split(' ').next().unwrap());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(announced.iter().any(|own| name.starts_with(own)), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn with_a_camera_a_question_is_about_its_newest_frame() {
    let bench = Bench::with_camera();
    assert_refused(
        &bench.post_json(&json!({"instruction": "a"})),
        503,
        "busy",
        "camera",
    );
    assert_eq!(bench.get("/v1/camera").status, 503);
    bench.set_camera(&png(1));
    bench.set_camera(&png(2));
    let answer = bench.post_json(&json!({"instruction": "mask"})).answer();
    assert_eq!(answer["status"], "SEGMENTED");
    let id = answer["picture"]["id"].as_str().unwrap();
    assert_eq!(bench.get(&format!("/v1/pictures/{id}")).status, 200);
    assert_eq!(
        bench.get("/v1/camera").header("content-type"),
        Some("image/jpeg")
    );
    assert_eq!(bench.get("/v1/model").json()["camera"], true);
    // A picture of one's own is possible as well.
    let own = bench
        .post_form("", &[("instruction", "a")], Some(&png(3)))
        .answer();
    assert_ne!(own["picture"]["id"], answer["picture"]["id"]);
}

#[test]
fn a_conversation_can_be_forgotten() {
    let bench = Bench::new();
    let asked = [("instruction", "a"), ("conversation", "küche 1")];
    bench.post_form("", &asked, Some(&png(1))).answer();
    bench.until("it is kept", || bench.load().caches.conversations == 1);
    let path = "/v1/conversations/k%C3%BCche%201";
    let deleted = bench.send(
        &format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\n"),
        b"",
    );
    assert_eq!(deleted.status, 204);
    bench.until("it is forgotten", || bench.load().caches.conversations == 0);
}

#[test]
fn the_end_of_the_server_is_the_end_of_its_answers() {
    let mut bench = Bench::new();
    let (kind, body) = form(&[("instruction", "wait")], Some(&png(1)));
    let head = format!(
        "POST /v1/segment?stream=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    );
    let mut socket = bench.begin(&head, &body);
    bench.until("it is being answered", || bench.load().running);
    let begun = Instant::now();
    bench.stop();
    assert!(begun.elapsed() < Duration::from_secs(20));
    let (name, data) = Response::read(&mut socket).unwrap().events().pop().unwrap();
    assert_eq!(
        (name.as_str(), &data["kind"]),
        ("error", &json!("shutting_down"))
    );
    bench.until("it is cancelled", || {
        bench.cancelled.load(Ordering::Relaxed) == 1
    });
}

/// `lisa serve` with lisa-mini, and the address that it prints.
fn start_program(arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lisa"))
        .args(["serve", "--device", "cpu", "--port", "0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map(Result::unwrap)
        .find_map(|line| Some(line.strip_prefix("http://")?.split('/').next()?.to_owned()))
        .expect("a line with its address");
    (child, address)
}

#[test]
fn the_program_says_where_it_listens_and_ends_with_a_signal() {
    for signal in ["-INT", "-TERM"] {
        let (mut child, address) = start_program(&[]);
        let mut socket = std::net::TcpStream::connect(&address).unwrap();
        let head =
            format!("GET /v1/model HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let said = Response::read(&mut socket).unwrap().answer();
        assert_eq!(said["model"]["name"], "lisa-mini");
        send(signal, &child);
        assert_eq!(ended(&mut child).code(), Some(0), "{signal}");
    }
}

#[test]
fn the_program_says_what_is_wrong_before_it_loads_a_model() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, words) in [
        (&["--port", &port][..], "cannot listen on 127.0.0.1"),
        (
            &["--port", "0", "--address", "0.0.0.0"][..],
            "a token is needed",
        ),
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_lisa"))
            .args(["serve", "--model", "/there/is/none"])
            .args(arguments)
            .env_remove("LISA_WEB_TOKEN")
            .output()
            .unwrap();
        let said = support::output::failed(&done);
        assert!(said.contains(words), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    }
}

#[test]
fn of_several_cameras_the_named_one_is_asked_about_and_the_first_where_none_is_named() {
    let bench = Bench::with_camera();
    let cameras = json!(["front", "/robot2/arm"]);
    assert_eq!(bench.get("/v1/model").json()["cameras"], cameras);
    bench.set_camera(&png(1));
    let front = bench.get("/v1/camera").body;
    assert_eq!(bench.get("/v1/cameras/front").body, front);
    let arm = bench.get("/v1/cameras/robot2/arm").body;
    assert_ne!(arm, front);
    let shown = |asked: &Value| {
        let answer = bench.post_json(asked).answer();
        let id = answer["picture"]["id"].as_str().unwrap().to_owned();
        bench.get(&format!("/v1/pictures/{id}")).body
    };
    assert_eq!(shown(&json!({"instruction": "a"})), front);
    for name in ["/robot2/arm", "robot2/arm"] {
        assert_eq!(shown(&json!({"instruction": "a", "camera": name})), arm);
    }
    let nobody = bench.post_json(&json!({"instruction": "a", "camera": "back"}));
    assert_refused(&nobody, 404, "camera", "accepted: front, /robot2/arm");
    assert_refused(&bench.get("/v1/cameras/back"), 404, "camera", "front");
    let both = bench.post_form(
        "",
        &[("instruction", "a"), ("camera", "front")],
        Some(&png(3)),
    );
    assert_refused(&both, 400, "picture", "camera excludes image and picture");
    let none = Bench::new().get("/v1/cameras/front");
    assert_refused(&none, 404, "camera", "there are not several");
}
