//! The ways to a hub: TLS, as every hub outside of tests has it, and proxies. `tests/data` holds an authority of the test, whose
//! own key was thrown away, and a certificate of 127.0.0.1 with its key.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::loopback::{Fault, Loopback};
use super::{hub_with, Client};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// Puts TLS before a hub; the address of the encrypted one.
fn encrypted(hub: &Loopback) -> String {
    let certificate = CertificateDer::from_pem_file(data("loopback.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(data("loopback.key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let plain = hub.endpoint.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // A client that does not trust the certificate goes away, which is no fault of the server.
            relay(StreamOwned::new(connection, stream), &plain).ok();
        }
    });
    address
}

/// One request and its answer.
fn relay(mut outer: StreamOwned<ServerConnection, TcpStream>, plain: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        outer.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let mut inner = TcpStream::connect(plain)?;
    inner.write_all(&request)?;
    let mut answer = Vec::new();
    inner.read_to_end(&mut answer)?;
    outer.write_all(&answer)?;
    outer.conn.send_close_notify();
    outer.flush()
}

#[test]
fn an_encrypted_hub_is_trusted_by_its_certificate() {
    let (hub, _) = hub_with(b"large");
    let endpoint = encrypted(&hub);
    let mut client = Client::of(&hub).with("HF_ENDPOINT", endpoint.as_str());
    let error = client.refused(&["config.json"]);
    assert!(
        error.contains("cannot reach https://") && error.contains("certificate"),
        "{error}"
    );
    assert!(hub.asked().is_empty());
    client.set("SSL_CERT_FILE", data("authority.pem").to_str().unwrap());
    client.pull(&["config.json"]).unwrap();
}

#[test]
fn an_encrypted_hub_does_not_lead_to_a_plain_one() {
    let (hub, _) = hub_with(b"large");
    let mut client = Client::of(&hub)
        .with("HF_ENDPOINT", encrypted(&hub))
        .with("HF_TOKEN", "hf_secret")
        .with("SSL_CERT_FILE", data("authority.pem").to_str().unwrap());
    // The store is a plain one.
    let error = client.refused(&["model.safetensors"]);
    assert!(
        error.contains("is not encrypted") && !error.contains("signature"),
        "{error}"
    );
    assert!(hub.asked().iter().all(|request| !request.store));
    // Nor does it with its own plain address, and the token is not sent there.
    let before = hub.asked().len();
    let location = format!("{}/api/models/x/revision/main", hub.endpoint);
    hub.fault(
        "GET",
        "/api/",
        1,
        Fault::Status(307, vec![("location", location)]),
    );
    assert!(client
        .refused(&["config.json"])
        .contains("is not encrypted"));
    assert_eq!(hub.asked().len(), before + 1);
}

/// A proxy that connects whoever asks (`CONNECT`), and keeps what it was asked.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || connect(stream, &kept).ok());
        }
    });
    (address, asked)
}

fn connect(mut client: TcpStream, kept: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    kept.lock().unwrap().push(head);
    let mut server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)
}

#[test]
fn a_proxy_is_used_with_its_password_and_learns_no_token() {
    let (hub, _) = hub_with(b"large");
    let (address, asked) = proxy();
    let mut client = Client::of(&hub)
        .with("HF_ENDPOINT", encrypted(&hub))
        .with("HF_TOKEN", "hf_secret")
        .with("SSL_CERT_FILE", data("authority.pem").to_str().unwrap())
        .with("HTTPS_PROXY", format!("http://ada:lace@{address}"));
    client.pull(&["config.json"]).unwrap();
    let asked = asked.lock().unwrap();
    assert!(!asked.is_empty());
    for head in asked.iter() {
        assert!(head.starts_with("CONNECT 127.0.0.1:"), "{head}");
        // base64 of ada:lace.
        assert!(head.contains("Basic YWRhOmxhY2U="), "{head}");
        assert!(!head.contains("hf_secret"), "{head}");
    }
}

#[test]
fn proxies_are_used_for_what_no_proxy_does_not_name() {
    let (hub, _) = hub_with(b"large");
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    // Nobody listens where the proxy should be.
    let mut client = Client::of(&hub).with("http_proxy", format!("http://ada:secret@{free}"));
    let error = client.refused(&["config.json"]);
    assert!(error.contains("cannot reach"), "{error}");
    assert!(
        !error.contains("secret") && hub.asked().is_empty(),
        "{error}"
    );
    client.set("NO_PROXY", "localhost, 127.0.0.1");
    client.pull(&["config.json"]).unwrap();
    // The proxy of another scheme is not used.
    let mut client = Client::of(&hub).with("HTTPS_PROXY", format!("http://{free}"));
    client.pull(&["config.json"]).unwrap();
}
