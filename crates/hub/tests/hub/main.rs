//! The client against a hub of its own on loopback: what it survives, what it refuses, and what it leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

mod faults;
#[allow(dead_code)] // the tests of the program use the rest
mod loopback;
mod refusals;
mod sharing;
mod ways;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model_hub::{Event, Hub, HubError, Pause, Revision, Settings, Stop};

use self::loopback::Loopback;

const REPO: &str = "xinlai/LISA-7B-v1";

/// Counts the pauses instead of waiting, and does something in them.
#[derive(Default)]
struct Pauses {
    of: Mutex<Vec<Duration>>,
    #[allow(clippy::type_complexity)]
    then: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl std::fmt::Debug for Pauses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pauses")
    }
}

impl Pause for Pauses {
    fn pause(&self, time: Duration, _: &Stop) {
        self.of.lock().unwrap().push(time);
        if let Some(then) = self.then.lock().unwrap().as_mut() {
            then();
        }
    }
}

/// A client with a cache of its own.
struct Client {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    pauses: Arc<Pauses>,
    stop: Arc<Stop>,
    /// What a person was told.
    notes: Vec<String>,
    /// The last [`Event::Begin`].
    begun: Option<(usize, u64)>,
    /// The positions that were told of the files.
    positions: Vec<u64>,
}

impl Client {
    fn of(hub: &Loopback) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        Self {
            variables: vec![("HF_HOME", home), ("HF_ENDPOINT", hub.endpoint.clone())],
            folder,
            pauses: Arc::default(),
            stop: Arc::default(),
            notes: Vec::new(),
            begun: None,
            positions: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.into()));
    }

    fn hub(&self) -> Result<Hub, HubError> {
        let of = |name: &str| {
            let found = self.variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        let mut settings = Settings::from_variables(of)?;
        settings.pause = Arc::clone(&self.pauses) as Arc<dyn Pause>;
        Hub::new(settings, Arc::clone(&self.stop))
    }

    /// Fetches files of [`REPO`] and returns the folder that they are in.
    fn pull(&mut self, files: &[&str]) -> Result<PathBuf, HubError> {
        self.pull_of(REPO, "main", files)
    }

    fn pull_of(&mut self, repo: &str, revision: &str, files: &[&str]) -> Result<PathBuf, HubError> {
        let hub = self.hub()?;
        let (notes, begun, positions) = (&mut self.notes, &mut self.begun, &mut self.positions);
        let mut say = |event: Event<'_>| match event {
            Event::Note(text) => notes.push(text.to_owned()),
            Event::Begin { files, bytes } => *begun = Some((files, bytes)),
            Event::At(at) => positions.push(at),
            Event::File { .. } | Event::Done => {}
        };
        let revision: Revision = revision.parse()?;
        let snapshot = hub.open(&repo.parse()?, &revision, &mut say)?;
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let plan = hub.plan(&snapshot, &files, &mut say)?;
        hub.fetch(&[plan], &mut say)?;
        hub.remember(&snapshot)?;
        Ok(snapshot.folder())
    }

    /// The error of a pull that fails, which is one line.
    fn refused(&mut self, files: &[&str]) -> String {
        let error = self.pull(files).expect_err("it was pulled").to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    fn waited(&self) -> Vec<u64> {
        self.pauses
            .of
            .lock()
            .unwrap()
            .iter()
            .map(Duration::as_secs)
            .collect()
    }

    /// A path in the folder of [`REPO`].
    fn cached(&self, path: &str) -> PathBuf {
        self.folder
            .path()
            .join("hub/models--xinlai--LISA-7B-v1")
            .join(path)
    }

    /// The names in `blobs/`.
    fn blobs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.cached("blobs"));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Content that is the same nowhere, so that a part in a wrong place shows.
fn content(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// A hub with a small and a large file.
fn hub_with(large: &[u8]) -> (Loopback, String) {
    let hub = Loopback::start();
    hub.put(REPO, "config.json", b"{}", false);
    let etag = hub.put(REPO, "model.safetensors", large, true);
    (hub, etag)
}

#[test]
fn files_lie_in_the_cache_as_other_clients_have_them_and_the_token_stays_at_home() {
    let large = content(1_000_000);
    let (hub, etag) = hub_with(&large);
    let mut client = Client::of(&hub).with("HF_TOKEN", "hf_secret");
    let folder = client.pull(&["config.json", "model.safetensors"]).unwrap();
    assert_eq!(folder, client.cached("snapshots").join(loopback::COMMIT));
    assert_eq!(
        std::fs::read(folder.join("model.safetensors")).unwrap(),
        large
    );
    assert_eq!(std::fs::read(folder.join("config.json")).unwrap(), b"{}");
    let blob = std::fs::read_link(folder.join("model.safetensors")).unwrap();
    assert_eq!(blob, PathBuf::from("../../blobs").join(&etag));
    let commit = std::fs::read_to_string(client.cached("refs/main")).unwrap();
    assert_eq!(commit, loopback::COMMIT);
    assert_eq!(
        client.blobs().len(),
        2,
        "nothing is left over: {:?}",
        client.blobs()
    );
    assert_eq!(client.begun, Some((2, 1_000_002)));
    assert_eq!(client.positions.last(), Some(&1_000_000));
    assert!(client.notes.is_empty() && client.waited().is_empty());
    // The store is another origin, though its host is the same.
    let mut stored = 0;
    for request in hub.asked() {
        let token = request.header("authorization");
        assert_eq!(
            token,
            (!request.store).then_some("Bearer hf_secret"),
            "{request:?}"
        );
        stored += usize::from(request.store);
    }
    assert_eq!(stored, 1);
}
