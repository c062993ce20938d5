//! What goes wrong on the way and is survived.

use std::fs;

use super::loopback::{Fault, Loopback};
use super::{content, hub_with, Client, REPO};

const FILE: &str = "model.safetensors";

fn status(code: u16) -> Fault {
    Fault::Status(code, Vec::new())
}

/// The ranges that were asked for.
fn ranges(hub: &Loopback) -> Vec<Option<String>> {
    let downloads = hub.downloads();
    let stored = downloads.iter().filter(|request| request.store);
    stored
        .map(|request| request.header("range").map(str::to_owned))
        .collect()
}

#[test]
fn a_cut_in_the_middle_goes_on_at_its_byte() {
    let large = content(700_000);
    let (hub, _) = hub_with(&large);
    hub.fault("GET", "/large/", 1, Fault::Cut(300_000));
    hub.fault("GET", "/large/", 1, Fault::Cut(100_001));
    let mut client = Client::of(&hub);
    let folder = client.pull(&[FILE]).unwrap();
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), large);
    let at = |byte: u32| Some(format!("bytes={byte}-"));
    assert_eq!(ranges(&hub), [None, at(300_000), at(400_001)]);
    // Each time something came, so each pause is a first one.
    assert_eq!(client.waited(), [1, 1]);
    assert!(
        client.notes[0].contains(FILE) && client.notes[0].contains("300000"),
        "{:?}",
        client.notes
    );
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_ended() {
    let large = content(500_000);
    let (hub, etag) = hub_with(&large);
    hub.fault("GET", "/large/", 1, Fault::Cut(200_000));
    hub.fault("GET", "/large/", 4, status(503));
    let mut client = Client::of(&hub);
    let error = client.refused(&[FILE]);
    assert!(
        error.contains(FILE) && error.contains("503") && error.contains("kept"),
        "{error}"
    );
    assert_eq!(client.blobs(), [format!("{etag}.incomplete")]);
    assert!(
        !client.cached("refs/main").exists(),
        "the cache leads to what is whole"
    );
    hub.forget();
    let folder = client.pull(&[FILE]).unwrap();
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), large);
    assert_eq!(ranges(&hub), [Some("bytes=200000-".to_owned())]);
    assert_eq!(client.blobs(), [etag]);
    assert_eq!(client.begun, Some((1, 500_000)));
}

#[test]
fn a_server_that_ignores_ranges_sends_all_and_all_is_taken() {
    let large = content(400_000);
    let (hub, _) = hub_with(&large);
    for fault in [Fault::NoRanges, Fault::OtherRange, status(416)] {
        hub.forget();
        hub.fault("GET", "/large/", 1, Fault::Cut(150_000));
        hub.fault("GET", "/large/", 1, fault.clone());
        let mut client = Client::of(&hub);
        let folder = client.pull(&[FILE]).unwrap();
        assert!(
            fs::read(folder.join(FILE)).unwrap() == large,
            "after {fault:?}"
        );
        assert!(client.positions.contains(&0), "it began anew");
    }
}

#[test]
fn a_server_that_always_begins_anew_and_always_breaks_off_is_given_up() {
    let (hub, _) = hub_with(&content(400_000));
    hub.fault("GET", "/large/", 1, Fault::Cut(150_000));
    hub.fault("GET", "/large/", 1, Fault::OtherRange);
    hub.fault("GET", "/large/", 99, Fault::Cut(150_000));
    let mut client = Client::of(&hub);
    let error = client.refused(&[FILE]);
    assert!(error.contains("gave up after 5 tries"), "{error}");
}

#[test]
fn a_busy_hub_says_when_to_come_back() {
    let (hub, _) = hub_with(b"large");
    let busy = |after: &str| Fault::Status(429, vec![("retry-after", after.to_owned())]);
    hub.fault("GET", "/api/", 1, busy("7"));
    hub.fault("HEAD", FILE, 1, busy("Wed, 21 Oct 2015 07:28:00 GMT"));
    let mut client = Client::of(&hub);
    client.pull(&[FILE]).unwrap();
    assert_eq!(client.waited(), [7, 0]);
    assert!(
        client.notes[0].contains("429") && client.notes[0].contains("7 s"),
        "{:?}",
        client.notes
    );
    // Nobody waits for an hour.
    hub.fault("GET", "/api/", 1, busy("3600"));
    let error = client.refused(&[FILE]);
    assert!(error.contains("3600 s"), "{error}");
    assert_eq!(client.waited().len(), 2);
}

#[test]
fn a_server_s_fault_is_tried_again_with_longer_pauses() {
    let (hub, _) = hub_with(b"large");
    hub.fault("GET", "/api/", 2, status(500));
    hub.fault("HEAD", FILE, 2, Fault::Silence);
    hub.fault("GET", "/large/", 2, status(502));
    let mut client = Client::of(&hub);
    client.pull(&[FILE]).unwrap();
    assert_eq!(client.waited(), [1, 2, 1, 2, 1, 2]);
    hub.fault("GET", "/api/", 9, status(500));
    let error = client.refused(&[FILE]);
    assert!(
        error.contains("after 5 tries") && error.contains("500"),
        "{error}"
    );
    assert_eq!(client.waited()[6..], [1, 2, 4, 8]);
}

#[test]
fn an_address_whose_signature_has_run_out_is_asked_for_anew() {
    let large = content(300_000);
    let (hub, _) = hub_with(&large);
    hub.fault("GET", "/large/", 1, Fault::Cut(100_000));
    hub.fault("GET", "/large/", 1, status(403));
    let mut client = Client::of(&hub);
    let folder = client.pull(&[FILE]).unwrap();
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), large);
    let asked = hub.downloads();
    assert_eq!(asked.iter().filter(|request| !request.store).count(), 3);
    assert!(
        !client.notes.concat().contains("secret"),
        "{:?}",
        client.notes
    );
}

#[test]
fn a_renamed_repository_is_followed() {
    let (hub, _) = hub_with(b"large");
    let to = |path: &str| Fault::Status(307, vec![("location", path.to_owned())]);
    hub.fault(
        "GET",
        "/api/models/old",
        1,
        to(&format!("/api/models/{REPO}/revision/main")),
    );
    hub.fault(
        "HEAD",
        "/old/",
        1,
        to(&format!("/{REPO}/resolve/main/{FILE}")),
    );
    hub.fault(
        "GET",
        "/old/",
        1,
        to(&format!("/{REPO}/resolve/main/{FILE}")),
    );
    let mut client = Client::of(&hub);
    let folder = client.pull_of("old/LISA", "main", &[FILE]).unwrap();
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), b"large");
}

#[test]
fn wrong_content_is_fetched_again_once_and_never_kept() {
    let large = content(300_000);
    let (hub, etag) = hub_with(&large);
    hub.fault("GET", "/large/", 1, Fault::Wrong);
    let mut client = Client::of(&hub);
    let folder = client.pull(&[FILE]).unwrap();
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), large);
    assert!(client.notes[0].contains("checksum"), "{:?}", client.notes);
    for (file, name) in [(FILE, "SHA-256"), ("config.json", "git SHA-1")] {
        hub.forget();
        hub.fault(
            "GET",
            if file == FILE { "/large/" } else { file },
            9,
            Fault::Wrong,
        );
        let mut client = Client::of(&hub);
        let error = client.refused(&[file]);
        assert!(
            error.contains(file) && error.contains(name) && error.contains("nothing of it is kept"),
            "{error}"
        );
        assert!(client.blobs().is_empty(), "{:?}", client.blobs());
        assert!(!client.cached("snapshots").exists());
    }
    assert_eq!(etag.len(), 64);
}

#[test]
fn the_remains_of_another_program_are_no_harm() {
    let large = content(300_000);
    let (hub, etag) = hub_with(&large);
    // Wrong from its first byte, and longer than the file.
    for remains in [vec![7; 100_000], vec![7; 400_000], vec![7; 300_000]] {
        let mut client = Client::of(&hub);
        fs::create_dir_all(client.cached("blobs")).unwrap();
        let partial = client.cached("blobs").join(format!("{etag}.incomplete"));
        fs::write(&partial, &remains).unwrap();
        let folder = client.pull(&[FILE]).unwrap();
        assert!(
            fs::read(folder.join(FILE)).unwrap() == large,
            "after {} bytes",
            remains.len()
        );
        assert_eq!(client.blobs(), [etag.as_str()]);
    }
}

#[test]
fn more_than_was_announced_is_not_taken() {
    let (hub, _) = hub_with(&content(300_000));
    hub.fault("GET", "/large/", 1, Fault::More);
    hub.fault("GET", "/large/", 1, Fault::Page("<html>log in</html>"));
    let mut client = Client::of(&hub);
    client.pull(&[FILE]).unwrap();
    assert_eq!(client.notes.len(), 2, "{:?}", client.notes);
}

#[test]
fn a_disk_that_is_full_is_named() {
    let (hub, etag) = hub_with(b"large");
    // /dev/full takes nothing, as a full disk does.
    let mut client = Client::of(&hub);
    fs::create_dir_all(client.cached("blobs")).unwrap();
    let partial = client.cached("blobs").join(format!("{etag}.incomplete"));
    std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
    let error = client.refused(&[FILE]);
    assert!(
        error.contains("cannot write") && error.contains("No space left"),
        "{error}"
    );
    assert!(!client.cached("snapshots").exists());
}

#[test]
fn what_does_not_fit_is_refused_before_the_first_byte() {
    let (hub, _) = hub_with(b"large");
    let size = "1000000000000000000".to_owned();
    hub.fault(
        "HEAD",
        FILE,
        1,
        Fault::Headers(vec![("x-linked-size", size)]),
    );
    let mut client = Client::of(&hub);
    let error = client.refused(&[FILE]);
    assert!(
        error.contains("1000000000.0 GB") && error.contains("HF_HOME"),
        "{error}"
    );
    assert!(hub.downloads().is_empty());
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    let large = content(300_000);
    let (hub, _) = hub_with(&large);
    hub.fault("GET", "/large/", 1, Fault::Hold(120_000));
    let mut client = Client::of(&hub).with("HF_HUB_DOWNLOAD_TIMEOUT", "1");
    let folder = client.pull(&[FILE]).unwrap();
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), large);
    assert_eq!(ranges(&hub)[1], Some("bytes=120000-".to_owned()));
}

#[test]
fn stopping_closes_the_connection_and_keeps_what_came() {
    let large = content(300_000);
    let (hub, etag) = hub_with(&large);
    hub.fault("GET", "/large/", 1, Fault::Hold(120_000));
    let mut client = Client::of(&hub);
    let stop = client.stop.clone();
    let partial = client.cached("blobs").join(format!("{etag}.incomplete"));
    let asked = partial.clone();
    std::thread::scope(|scope| {
        // Once everything that the server sends has come, the client waits for more and would do so for ten seconds.
        scope.spawn(move || {
            while fs::metadata(&asked).map_or(0, |found| found.len()) < 120_000 {
                std::thread::yield_now();
            }
            stop.ask();
        });
        assert_eq!(client.refused(&[FILE]), "interrupted");
    });
    assert_eq!(fs::read(&partial).unwrap(), large[..120_000]);
    assert_eq!(client.blobs().len(), 1);
    assert!(client.waited().is_empty());
    client.stop = std::sync::Arc::default();
    client.pull(&[FILE]).unwrap();
    assert_eq!(ranges(&hub), [None, Some("bytes=120000-".to_owned())]);
}

#[test]
fn a_pause_is_over_when_it_is_stopped() {
    let (hub, _) = hub_with(b"large");
    hub.fault("GET", "/api/", 9, status(500));
    let mut client = Client::of(&hub);
    let stop = client.stop.clone();
    *client.pauses.then.lock().unwrap() = Some(Box::new(move || stop.ask()));
    assert_eq!(client.refused(&[FILE]), "interrupted");
    assert_eq!(client.waited().len(), 1);
}
