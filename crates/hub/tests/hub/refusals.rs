//! What cannot be had, and the line that says so.

use super::loopback::{Fault, Loopback, COMMIT};
use super::{hub_with, Client, REPO};

fn status(code: u16, headers: &[(&'static str, &str)]) -> Fault {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    Fault::Status(code, headers.collect())
}

#[track_caller]
fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "no {word:?} in: {error}");
    }
}

#[test]
fn a_name_that_nobody_has_is_said_with_what_a_private_one_needs() {
    let (hub, _) = hub_with(b"large");
    let mut client = Client::of(&hub);
    let error = client
        .pull_of("xinlai/LISA-7B", "main", &[])
        .unwrap_err()
        .to_string();
    says(&error, &["xinlai/LISA-7B;", "check the name", "HF_TOKEN"]);
    let error = client.pull_of(REPO, "v2", &[]).unwrap_err().to_string();
    says(&error, &[REPO, "no revision v2"]);
    let error = client.refused(&["weights.bin"]);
    says(&error, &[REPO, "no file weights.bin"]);
    client.pull_of(REPO, COMMIT, &["config.json"]).unwrap();
    assert!(
        client.waited().is_empty(),
        "none of these becomes another one by waiting"
    );
}

#[test]
fn a_token_that_is_not_accepted_is_named_by_its_origin() {
    let (hub, _) = hub_with(b"large");
    hub.fault(
        "GET",
        "/api/",
        1,
        status(401, &[("x-error-message", "Invalid credentials")]),
    );
    let mut client = Client::of(&hub).with("HF_TOKEN", "hf_secret");
    let error = client.refused(&["config.json"]);
    says(&error, &["does not accept the token of HF_TOKEN"]);
    assert!(!error.contains("hf_secret"));
    // With a token that is accepted, the hub says plainly that there is no such model.
    hub.fault(
        "GET",
        "/api/",
        1,
        status(404, &[("x-error-code", "RepoNotFound")]),
    );
    says(
        &client.refused(&["config.json"]),
        &["use a token that may read it"],
    );
}

#[test]
fn a_gated_model_says_where_its_conditions_are_accepted() {
    let (hub, _) = hub_with(b"large");
    let gated = [
        ("x-error-code", "GatedRepo"),
        ("x-error-message", "Access is restricted"),
    ];
    for code in [401, 403] {
        hub.fault("HEAD", "config.json", 1, status(code, &gated));
        let error = Client::of(&hub).refused(&["config.json"]);
        says(
            &error,
            &[
                "gated",
                &format!("{}/{REPO}", hub.endpoint),
                "Access is restricted",
                "HF_TOKEN",
            ],
        );
    }
    hub.fault(
        "HEAD",
        "config.json",
        1,
        status(403, &[("x-error-message", "no right")]),
    );
    says(
        &Client::of(&hub).refused(&["config.json"]),
        &["403", "no right"],
    );
}

#[test]
fn a_name_that_climbs_out_of_the_folder_is_refused() {
    let hub = Loopback::start();
    for name in [
        "../../../../escaped",
        "/etc/escaped",
        "a/../../escaped",
        "..\\escaped",
    ] {
        hub.put(REPO, name, b"x", false);
        let mut client = Client::of(&hub);
        let error = client.refused(&[name]);
        says(&error, &["escaped", "below the repository"]);
        assert!(!client.folder.path().join("hub").exists());
    }
    assert!(hub.downloads().is_empty());
}

#[test]
fn a_hub_cannot_name_places_by_its_answers() {
    let (hub, _) = hub_with(b"large");
    // The commit and the checksum become names of files.
    hub.fault(
        "GET",
        "/api/",
        1,
        Fault::Page(r#"{"sha": "../../../x", "siblings": []}"#),
    );
    says(
        &Client::of(&hub).refused(&["config.json"]),
        &["is no commit"],
    );
    let etag = ("x-linked-etag", "\"../../../x\"".to_owned());
    hub.fault("HEAD", "model.safetensors", 1, Fault::Headers(vec![etag]));
    says(
        &Client::of(&hub).refused(&["model.safetensors"]),
        &["no checksum"],
    );
}

#[test]
fn what_is_no_hub_is_told() {
    let (hub, _) = hub_with(b"large");
    hub.fault("GET", "/api/", 1, Fault::Page("<html>log in</html>"));
    says(
        &Client::of(&hub).refused(&["config.json"]),
        &["not answer as a model hub", "HF_ENDPOINT", "login page"],
    );
    hub.fault(
        "HEAD",
        "config.json",
        1,
        Fault::Headers(vec![("etag", String::new())]),
    );
    says(
        &Client::of(&hub).refused(&["config.json"]),
        &["no checksum"],
    );
    hub.fault(
        "GET",
        "/api/",
        99,
        status(302, &[("location", "/api/again")]),
    );
    says(&Client::of(&hub).refused(&["config.json"]), &["on and on"]);
}

#[test]
fn a_hub_that_cannot_be_reached_is_told_soon() {
    let (hub, _) = hub_with(b"large");
    // A port that was free a moment ago, and that nobody listens to.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut client = Client::of(&hub).with("HF_ENDPOINT", format!("http://{free}"));
    let error = client.refused(&["config.json"]);
    says(
        &error,
        &[
            "cannot reach",
            &free.to_string(),
            "refused",
            "HTTPS_PROXY",
            "HF_HUB_OFFLINE=1",
        ],
    );
    assert_eq!(client.waited(), [1]);
}

#[test]
fn an_encrypted_hub_needs_a_certificate_that_is_trusted() {
    let (hub, _) = hub_with(b"large");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.pem");
    std::fs::write(&file, "").unwrap();
    let mut client = Client::of(&hub).with("SSL_CERT_FILE", file.to_str().unwrap());
    says(
        &client.refused(&["config.json"]),
        &["SSL_CERT_FILE", "no certificate"],
    );
}
