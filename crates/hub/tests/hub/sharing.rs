//! The cache: what is there already, what other programs do with it, and life without the hub.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{flock, FlockOperation};

use super::loopback::{Loopback, COMMIT};
use super::{content, hub_with, Client, REPO};

const FILE: &str = "model.safetensors";

fn put_blob(client: &Client, etag: &str, content: &[u8]) {
    fs::create_dir_all(client.cached("blobs")).unwrap();
    fs::write(client.cached("blobs").join(etag), content).unwrap();
}

#[test]
fn what_is_in_the_cache_is_used() {
    let large = content(300_000);
    let (hub, etag) = hub_with(&large);
    let mut client = Client::of(&hub);
    put_blob(&client, &etag, &large);
    let folder = client.pull(&[FILE]).unwrap();
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), large);
    assert!(hub.downloads().is_empty());
    assert_eq!(client.positions.last(), Some(&300_000), "it was checked");
    client.pull(&[FILE]).unwrap();
    assert!(hub.downloads().is_empty());
}

#[test]
fn a_store_of_the_whole_cache_is_read_through_its_link() {
    let large = content(300_000);
    let (hub, etag) = hub_with(&large);
    let mut client = Client::of(&hub);
    let store = client.folder.path().join("hub/blobs/ab");
    fs::create_dir_all(&store).unwrap();
    fs::create_dir_all(client.cached("blobs")).unwrap();
    symlink("../../blobs/ab/shared", client.cached("blobs").join(&etag)).unwrap();
    fs::write(store.join("shared"), &large).unwrap();
    client.pull(&[FILE]).unwrap();
    assert!(hub.downloads().is_empty());
    // Damaged, it is fetched again, and what the link led to is another client's.
    fs::write(store.join("shared"), vec![1; large.len()]).unwrap();
    let folder = client.pull(&[FILE]).unwrap();
    assert!(fs::read(folder.join(FILE)).unwrap() == large);
    assert_eq!(
        fs::read(store.join("shared")).unwrap(),
        vec![1; large.len()]
    );
    assert!(client.notes[0].contains("damaged"), "{:?}", client.notes);
}

#[test]
fn a_cached_file_that_is_damaged_is_fetched_again() {
    let large = content(300_000);
    let (hub, etag) = hub_with(&large);
    for damage in [large[..299_999].to_vec(), vec![0; 300_000]] {
        let mut client = Client::of(&hub);
        put_blob(&client, &etag, &damage);
        let folder = client.pull(&[FILE]).unwrap();
        assert!(fs::read(folder.join(FILE)).unwrap() == large);
        assert_eq!(client.blobs(), [etag.as_str()]);
    }
}

#[test]
fn a_file_system_without_links_has_the_file_in_the_snapshot() {
    let (hub, _) = hub_with(b"large");
    let mut client = Client::of(&hub);
    let snapshot = client.cached("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(snapshot.join(FILE), b"large").unwrap();
    client.pull(&[FILE]).unwrap();
    assert!(hub.downloads().is_empty() && client.blobs().is_empty());
}

#[test]
fn another_program_s_download_is_waited_for() {
    let (hub, etag) = hub_with(b"large");
    let mut client = Client::of(&hub);
    let locks = client
        .folder
        .path()
        .join("hub/.locks/models--xinlai--LISA-7B-v1");
    fs::create_dir_all(&locks).unwrap();
    let theirs = fs::File::create(locks.join(format!("{etag}.lock"))).unwrap();
    flock(&theirs, FlockOperation::LockExclusive).unwrap();
    // In the third pause it is done, and has the file.
    let blobs = client.cached("blobs");
    let (mut pauses, mut theirs) = (0, Some(theirs));
    *client.pauses.then.lock().unwrap() = Some(Box::new(move || {
        pauses += 1;
        if pauses == 3 {
            fs::create_dir_all(&blobs).unwrap();
            fs::write(blobs.join(&etag), b"large").unwrap();
            theirs.take();
        }
    }));
    client.pull(&[FILE]).unwrap();
    assert_eq!(client.waited().len(), 3);
    assert_eq!(client.notes.len(), 1, "{:?}", client.notes);
    assert!(client.notes[0].contains("another program is downloading"));
    assert!(hub.downloads().is_empty());
}

#[test]
fn offline_the_cache_is_all_there_is() {
    let large = content(300_000);
    let (hub, etag) = hub_with(&large);
    let mut client = Client::of(&hub).with("HF_HUB_OFFLINE", "1");
    let error = client.refused(&[FILE]);
    for word in ["HF_HUB_OFFLINE", REPO, "main", "unset it"] {
        assert!(error.contains(word), "{error}");
    }
    client.set("HF_HUB_OFFLINE", "0");
    client.pull(&[FILE]).unwrap();
    hub.forget();
    client.set("HF_HUB_OFFLINE", "1");
    for revision in ["main", COMMIT] {
        let folder = client.pull_of(REPO, revision, &[FILE]).unwrap();
        assert_eq!(fs::read(folder.join(FILE)).unwrap(), large);
    }
    let error = client.refused(&[FILE, "config.json"]);
    assert!(error.contains("no config.json"), "{error}");
    // What the cache holds is not taken on trust.
    fs::write(client.cached("blobs").join(&etag), vec![0; large.len()]).unwrap();
    let error = client.refused(&[FILE]);
    assert!(error.contains("damaged") && error.contains(FILE), "{error}");
    assert!(hub.asked().is_empty());
}

#[test]
fn offline_a_ref_that_leads_elsewhere_leads_nowhere() {
    let hub = Loopback::start();
    let mut client = Client::of(&hub).with("HF_HUB_OFFLINE", "1");
    fs::create_dir_all(client.cached("refs")).unwrap();
    fs::write(client.cached("refs/main"), "../../../..").unwrap();
    assert!(client.refused(&[]).contains("has nothing of"));
}
