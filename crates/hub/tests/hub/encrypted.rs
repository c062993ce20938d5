//! A hub behind TLS, as every hub outside of tests is. `tests/data` holds an authority of the test, whose own key is thrown away,
//! and a certificate of 127.0.0.1 with its key.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
