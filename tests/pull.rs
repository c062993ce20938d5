//! `lisa pull` as a user meets it, against a hub on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

#[path = "../crates/hub/tests/hub/loopback.rs"]
#[allow(dead_code)] // the tests of the client use the rest
mod loopback;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lisa::convert::{convert, ConvertOptions};
use lisa::weights::ModelDir;
use loopback::{Fault, Loopback, COMMIT};
use serde_json::{json, Value};
use support::output::{done, failed, text};
use support::process::{ended, send};
use support::{own_golden, Golden};

const LISA: &str = "xinlai/LISA-tiny";
const CLIP: &str = "openai/clip-tiny";
const SHARD: &str = "pytorch_model-00002-of-00002.bin";

/// The tiny checkpoint in pickle shards, as it is published.
fn pickled() -> Golden {
    let mut golden = own_golden().into_iter();
    let sharded = |g: &Golden| g.lisa_folder().join(SHARD).is_file();
    golden.find(sharded).unwrap()
}

struct Published {
    hub: Loopback,
    golden: Golden,
    folder: tempfile::TempDir,
}

impl Published {
    fn new() -> Self {
        let hub = Loopback::start();
        let golden = pickled();
        for (repo, folder) in [(LISA, golden.lisa_folder()), (CLIP, golden.clip_folder())] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let large = name.ends_with(".bin") || name.ends_with(".model");
                hub.put(repo, &name, &std::fs::read(entry.path()).unwrap(), large);
            }
            for other in [".gitattributes", "README.md", "optimizer.pt", "tf_model.h5"] {
                hub.put(repo, other, b"not needed", true);
            }
        }
        hub.card(LISA, json!({"license": "llama2"}));
        Self {
            hub,
            golden,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, in the folder of the test and with nothing of the environment's hub.
    fn lisa(&self) -> Command {
        // A shell that starts the tests in the background makes its children ignore SIGINT.
        let mut command = Command::new("env");
        command
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_lisa")])
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let upper = name.to_ascii_uppercase();
            if upper.starts_with("HF_")
                || upper.starts_with("HUGGING")
                || upper.ends_with("_PROXY")
                || upper.contains("OFFLINE")
            {
                command.env_remove(name);
            }
        }
        command
            .env("HF_HOME", self.at("home"))
            .env("HF_ENDPOINT", &self.hub.endpoint);
        command
    }

    fn pull(&self, more: &[&str]) -> Output {
        let mut command = self.lisa();
        command.args(["pull", LISA]).args(more);
        command.output().unwrap()
    }

    /// A file of the checkpoint with another content.
    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.golden.lisa_folder().join(name);
        let mut json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        change(&mut json);
        self.hub.put(LISA, name, json.to_string().as_bytes(), false);
    }

    fn large_downloads(&self) -> usize {
        self.hub.downloads().iter().filter(|r| r.store).count()
    }
}

fn one_line(error: &str, words: &[&str]) {
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "no {word:?} in: {error}");
    }
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn a_checkpoint_becomes_a_model_directory_and_only_what_it_is_made_of_is_fetched() {
    let published = Published::new();
    let busy = vec![("retry-after", "0".to_owned())];
    published
        .hub
        .fault("GET", "/api/", 1, Fault::Status(429, busy.clone()));
    published
        .hub
        .fault("GET", "/large/", 2, Fault::Status(500, busy));
    let output = published.pull(&["--clip", CLIP, "--out", "new/model"]);
    let said = done(&output);
    for line in [
        "try: lisa segment --model new/model",
        "licence of xinlai/LISA-tiny: llama2",
        "licence of openai/clip-tiny: not stated",
    ] {
        assert!(said.contains(line), "no {line:?} in: {said}");
    }
    // Standard error is no terminal here.
    let progress = text(&output.stderr);
    for line in ["429", "fetching 3 files", SHARD, "100 % of"] {
        assert!(progress.contains(line), "no {line:?} in: {progress}");
    }
    for request in published.hub.downloads() {
        for other in [
            "gitattributes",
            "README",
            "optimizer",
            "tf_model",
            "special_tokens",
        ] {
            assert!(!request.path.contains(other), "{request:?}");
        }
    }
    // The same as what `lisa convert` makes of the folders.
    let made = published.at("new/model");
    let (lisa, clip) = (
        published.golden.lisa_folder(),
        published.golden.clip_folder(),
    );
    let options = ConvertOptions::new(lisa, clip, published.at("converted"));
    convert(&options, |_, _, _| ()).unwrap();
    for name in ["model.safetensors", "tokenizer.json"] {
        assert!(
            read(&made, name) == read(&options.out, name),
            "{name} differs"
        );
    }
    let config = ModelDir::open(&made).unwrap().config;
    assert_eq!(config.name, "LISA-tiny");
    assert_eq!(config.licence.as_deref(), Some("llama2"));
    assert!(
        config
            .source
            .contains(&format!("{LISA} at {COMMIT} and {CLIP}")),
        "{}",
        config.source
    );

    // Everything is in the cache now, and the hub is not needed any more.
    published.hub.forget();
    let mut offline = published.lisa();
    offline.args(["pull", LISA, "--clip", CLIP, "--json"]);
    let json: Value =
        serde_json::from_str(&done(&offline.env("HF_HUB_OFFLINE", "1").output().unwrap())).unwrap();
    assert_eq!(json["model"], "LISA-tiny");
    assert!(
        read(&published.at("LISA-tiny"), "model.safetensors") == read(&made, "model.safetensors")
    );
    assert!(published.hub.asked().is_empty());
}

#[test]
fn ctrl_c_leaves_nothing_half_trusted_and_the_next_pull_goes_on() {
    let published = Published::new();
    let shard = read(&published.golden.lisa_folder(), SHARD);
    let half = shard.len() / 2;
    let etag = published.hub.put(LISA, SHARD, &shard, true);
    published.hub.fault("GET", &etag, 1, Fault::Hold(half));
    let mut child = published.lisa();
    child.args(["pull", LISA, "--clip", CLIP, "--out", "model"]);
    let mut child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let repo = published.at("home/hub/models--xinlai--LISA-tiny");
    let partial = repo.join("blobs").join(format!("{etag}.incomplete"));
    while std::fs::metadata(&partial).map_or(0, |found| found.len()) < half as u64 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    send("-INT", &child);
    assert_eq!(ended(&mut child).code(), Some(130));
    let said = text(&child.wait_with_output().unwrap().stderr);
    assert!(
        said.contains("interrupted; what was downloaded is kept"),
        "{said}"
    );
    assert!(!published.at("model").exists());
    assert!(!repo.join("refs").exists() && !repo.join("blobs").join(&etag).exists());
    assert!(!repo.join("snapshots").join(COMMIT).join(SHARD).exists());
    assert_eq!(std::fs::read(&partial).unwrap(), shard[..half]);

    published.hub.forget();
    done(&published.pull(&["--clip", CLIP, "--out", "model"]));
    let asked = published.hub.downloads();
    let again: Vec<_> = asked.iter().filter(|r| r.path.contains(&etag)).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(
        again[0].header("range"),
        Some(format!("bytes={half}-").as_str())
    );
    ModelDir::open(published.at("model")).unwrap();
}

#[test]
fn the_clip_is_the_one_that_the_checkpoint_names() {
    let published = Published::new();
    let error = failed(&published.pull(&[]));
    one_line(
        &error,
        &["\"clip-tiny\"", "--clip openai/clip-vit-large-patch14"],
    );
    published.change("config.json", |json| json["mm_vision_tower"] = CLIP.into());
    done(&published.pull(&[]));
    ModelDir::open(published.at("LISA-tiny")).unwrap();
}

#[test]
fn what_is_no_lisa_is_told_before_its_weights_are_fetched() {
    let published = Published::new();
    published.change("added_tokens.json", |json| {
        json.as_object_mut().unwrap().remove("[SEG]");
    });
    published.change("tokenizer_config.json", |json| {
        json.as_object_mut().unwrap().remove("added_tokens_decoder");
    });
    // Nothing of what is large but the tokenizer.
    let shards = |name: &str| {
        published
            .hub
            .downloads()
            .iter()
            .any(|r| r.path.contains(name))
    };
    let error = failed(&published.pull(&["--clip", CLIP]));
    assert!(error.contains("[SEG]"), "{error}");
    assert!(published.large_downloads() <= 1 && !shards("-of-00002.bin"));
    let climbing = json!({"weight_map": {"a": "../../../../../escaped.bin"}});
    let published = Published::new();
    let index = "pytorch_model.bin.index.json";
    published
        .hub
        .put(LISA, index, climbing.to_string().as_bytes(), false);
    let error = failed(&published.pull(&["--clip", CLIP]));
    one_line(&error, &["escaped.bin", "accepted"]);
    let error = failed(&published.pull(&["--clip", LISA]));
    one_line(&error, &["preprocessor_config.json", LISA]);
}

#[test]
fn names_places_and_networks_that_are_not_there_are_told_in_one_line() {
    let published = Published::new();
    let run = |words: &[&str]| published.lisa().args(words).output().unwrap();
    let error = failed(&run(&["pull", "xinlai/LISA-8B"]));
    one_line(
        &error,
        &[
            "shows no model xinlai/LISA-8B",
            "check the name",
            "HF_TOKEN",
        ],
    );
    let error = failed(&run(&["pull", LISA, "--revision", "v9"]));
    one_line(&error, &["no revision v9"]);
    let wrong = run(&["pull", "../../etc"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("OWNER/NAME"));
    published.hub.forget();
    std::fs::write(published.at("file"), "").unwrap();
    let error = failed(&published.pull(&["--out", "file"]));
    one_line(&error, &["file", "name a new folder"]);
    assert!(
        published.hub.asked().is_empty(),
        "the place is looked at first"
    );
    let mut offline = published.lisa();
    offline.args(["pull", LISA]).env("HF_HUB_OFFLINE", "1");
    one_line(
        &failed(&offline.output().unwrap()),
        &["HF_HUB_OFFLINE is set", "unset it"],
    );
    // A port that was free a moment ago, and that nobody listens to.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut alone = published.lisa();
    alone
        .args(["pull", LISA])
        .env("HF_ENDPOINT", format!("http://{free}"));
    let error = failed(&alone.output().unwrap());
    let last = error.lines().last().unwrap();
    one_line(
        last,
        &[
            "cannot reach",
            "check the network",
            "HTTPS_PROXY",
            "HF_HUB_OFFLINE=1",
        ],
    );
    assert!(
        std::fs::read_dir(published.folder.path()).unwrap().count() <= 2,
        "nothing is left behind"
    );
}

#[test]
fn a_model_that_has_a_name_of_the_hub_is_not_downloaded_in_silence() {
    let published = Published::new();
    let picture = published.golden.folder.join("image.png");
    let mut command = published.lisa();
    command
        .args([
            "segment",
            "--model",
            LISA,
            "--instruction",
            "the mug",
            "--image",
        ])
        .arg(picture);
    let error = failed(&command.output().unwrap());
    one_line(&error, &["`lisa pull xinlai/LISA-tiny --out DIR`"]);
    assert!(published.hub.asked().is_empty());
}
