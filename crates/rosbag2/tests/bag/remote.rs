//! Bags by URL, from a web server on loopback that counts what it sends and can be as bad as servers are.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rosbag2::{
    Bag, BagError, BagWriter, NewTopic, Selection, StringMessage, UrlFault, WriterOptions,
};

use super::sample::{self, ways, Plain, START};

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Manner {
    #[default]
    Good,
    /// Refuses everything with this status.
    Refuses(u16),
    /// Sends objects whole, whatever range is asked for.
    IgnoresRanges,
    /// Ends so many answers in their middle.
    Cuts(usize),
    /// Objects are others from the second request on.
    Changes,
}

#[derive(Default)]
struct Served {
    manner: Manner,
    requests: usize,
    bytes: u64,
}

/// Serves the files of a folder.
struct Server {
    address: String,
    served: Arc<Mutex<Served>>,
}

impl Server {
    fn new(folder: &Path) -> Self {
        // The environment may name a proxy, which knows nothing of this machine's loopback.
        std::env::set_var("NO_PROXY", "127.0.0.1");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(Mutex::new(Served::default()));
        let (folder, shared) = (folder.to_owned(), Arc::clone(&served));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (folder, shared) = (folder.clone(), Arc::clone(&shared));
                // A client that goes away is its own affair.
                std::thread::spawn(move || serve(&folder, &shared, connection.unwrap()));
            }
        });
        Self { address, served }
    }

    fn url(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}/{path}", self.address))
    }

    fn is(&self, manner: Manner) {
        *self.served.lock().unwrap() = Served {
            manner,
            ..Served::default()
        };
    }

    /// Requests, and bytes of bodies, since the last call.
    fn counted(&self) -> (usize, u64) {
        let mut served = self.served.lock().unwrap();
        let counted = (served.requests, served.bytes);
        (served.requests, served.bytes) = (0, 0);
        counted
    }
}

fn serve(folder: &Path, served: &Mutex<Served>, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let target = line.split(' ').nth(1).unwrap().to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(": ") else {
                break;
            };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let manner = {
            let mut served = served.lock().unwrap();
            served.requests += 1;
            served.manner
        };
        let path = target.split('?').next().unwrap().trim_start_matches('/');
        let status = |status: u16| format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
        if let Manner::Refuses(code) = manner {
            stream.write_all(status(code).as_bytes()).unwrap();
            continue;
        }
        let Ok(bytes) = std::fs::read(folder.join(path)) else {
            stream.write_all(status(404).as_bytes()).unwrap();
            continue;
        };
        let all = bytes.len();
        let range = headers
            .get("range")
            .filter(|_| manner != Manner::IgnoresRanges);
        let range = range.map(|range| {
            let (from, until) = range
                .strip_prefix("bytes=")
                .unwrap()
                .split_once('-')
                .unwrap();
            match (from.parse::<usize>(), until.parse::<usize>()) {
                (Ok(from), Ok(until)) => from..(until + 1).min(all),
                (Err(_), Ok(last)) => all.saturating_sub(last)..all,
                _ => 0..all,
            }
        });
        if range.as_ref().is_some_and(|range| range.is_empty()) {
            stream.write_all(status(416).as_bytes()).unwrap();
            continue;
        }
        let mut served = served.lock().unwrap();
        let changed = manner == Manner::Changes && served.requests > 1;
        if changed && headers.contains_key("if-match") {
            stream.write_all(status(412).as_bytes()).unwrap();
            continue;
        }
        let tag = match manner {
            Manner::Changes => "ETag: \"first\"\r\n",
            _ => "",
        };
        let (head, body) = match range {
            Some(range) => (
                format!(
                    "HTTP/1.1 206 x\r\n{tag}Content-Range: bytes {}-{}/{all}\r\nContent-Length: {}\r\n\r\n",
                    range.start,
                    range.end - 1,
                    range.len()
                ),
                &bytes[range],
            ),
            None => (
                format!("HTTP/1.1 200 x\r\n{tag}Content-Length: {all}\r\n\r\n"),
                &bytes[..],
            ),
        };
        let _ = stream.write_all(head.as_bytes());
        if let Manner::Cuts(left @ 1..) = manner {
            served.manner = Manner::Cuts(left - 1);
            let _ = stream.write_all(&body[..body.len() / 2]);
            return;
        }
        served.bytes += body.len() as u64;
        drop(served);
        if stream.write_all(body).is_err() {
            return;
        }
    }
}

/// A bag of 20 MB: a text of 100 kB every 10 ms, in chunks of 768 kB.
fn large(folder: &Path) -> PathBuf {
    let path = folder.join("large");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let topic = writer
        .add_topic(NewTopic::of::<StringMessage>("/text"))
        .unwrap();
    for k in 0..200u64 {
        let data = char::from(b'a' + (k % 26) as u8)
            .to_string()
            .repeat(100_000);
        writer
            .write_message(topic, START + k * 10_000_000, &StringMessage { data })
            .unwrap();
    }
    writer.finish().unwrap();
    path
}

/// All of its messages, of which none is damaged.
fn plain(bag: &Bag) -> Vec<Plain> {
    let (plain, errors) = sample::read(bag, &Selection::all());
    assert!(errors.is_empty(), "{errors:?}");
    plain
}

fn fault(error: BagError) -> UrlFault {
    match error {
        BagError::Url { fault, .. } => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_bag_is_the_same_by_url() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(folder.path());
    let messages = sample::messages();
    for (name, options) in ways() {
        let here = sample::write(folder.path(), name, options, &messages);
        let local = Bag::open(&here).unwrap();
        for url in [
            server.url(name),
            format!("file://{}", here.display()).into(),
        ] {
            let bag = Bag::open(&url).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(bag.topics(), local.topics(), "{name}");
            assert_eq!(plain(&bag), plain(&local), "{name}");
            // An MCAP file without chunks is copied, which is said.
            assert!(bag.notes().len() <= 1, "{name}: {:?}", bag.notes());
        }
        let file = local.files()[0].path.file_name().unwrap().to_owned();
        let one = server.url(&format!("{name}/{}", file.to_string_lossy()));
        let alone = Bag::open(local.files()[0].path.clone()).unwrap();
        assert_eq!(plain(&Bag::open(one).unwrap()), plain(&alone), "{name}");
    }
}

#[test]
fn an_index_is_read_and_not_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let here = large(folder.path());
    let server = Server::new(folder.path());
    let size = Bag::open(&here).unwrap().files()[0].bytes;
    assert!(size > 20_000_000);
    let bag = Bag::open(server.url("large")).unwrap();
    assert_eq!((bag.message_count(), bag.files()[0].bytes), (200, size));
    let (requests, bytes) = server.counted();
    println!("opened: {requests} requests, {bytes} bytes of {size}");
    // metadata.yaml, the file's end and its beginning.
    assert!(
        requests <= 3 && bytes < 600_000,
        "{requests} requests, {bytes} bytes"
    );
    let at = START + 100 * 10_000_000;
    let one = Selection::all().at(at);
    for again in [false, true] {
        let found: Vec<_> = bag.messages(&one).unwrap().map(Result::unwrap).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].data.len(), 100_009);
        let (requests, bytes) = server.counted();
        println!("one message: {requests} requests, {bytes} bytes");
        // A chunk, to the next border of blocks on both sides; the second time it is still here.
        let most = if again { 0 } else { 1_600_000 };
        assert!(bytes <= most, "{requests} requests, {bytes} bytes");
    }
    let all: Vec<_> = bag
        .messages(&Selection::all())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(all.len(), 200);
    let (requests, bytes) = server.counted();
    println!("all of it: {requests} requests, {bytes} bytes");
    assert!(bytes <= size + 1_000_000, "{bytes} of {size}");
    // Reading ahead makes requests few: a block has 256 kB.
    assert!(requests < 20, "{requests} requests");
}

#[test]
fn what_is_wrong_with_a_store_is_told_by_what_can_be_done_about_it() {
    let folder = tempfile::tempdir().unwrap();
    large(folder.path());
    std::fs::create_dir(folder.path().join("nothing")).unwrap();
    std::fs::write(folder.path().join("empty.mcap"), "").unwrap();
    let server = Server::new(folder.path());
    let file = server.url("large/large_0.mcap");
    let open = |path: &Path| Bag::open(path).err().unwrap();

    assert_eq!(fault(open(&server.url("none.mcap"))), UrlFault::NotFound);
    assert_eq!(fault(open(&server.url("nothing"))), UrlFault::NoListing);
    let empty = open(&server.url("empty.mcap"));
    assert!(matches!(empty, BagError::EmptyFile { .. }), "{empty:?}");
    for status in [401, 403] {
        server.is(Manner::Refuses(status));
        let denied = open(&file);
        assert!(!denied.may_pass());
        assert_eq!(fault(denied), UrlFault::Denied);
    }
    server.is(Manner::IgnoresRanges);
    assert_eq!(fault(open(&file)), UrlFault::NoRanges);
    server.is(Manner::Refuses(503));
    let busy = open(&file);
    assert!(
        busy.may_pass() && busy.to_string().contains("503"),
        "{busy}"
    );

    // Cut twice it comes whole the third time; cut always it is an error, in one line and by name.
    server.is(Manner::Cuts(2));
    assert_eq!(Bag::open(&file).unwrap().message_count(), 200);
    server.is(Manner::Good);
    let bag = Bag::open(&file).unwrap();
    server.is(Manner::Cuts(usize::MAX));
    let read: Result<Vec<_>, _> = bag.messages(&Selection::all()).unwrap().collect();
    let cut = read.err().unwrap();
    let said = cut.to_string();
    assert!(
        cut.may_pass() && said.contains("large_0.mcap: the store did not answer"),
        "{said}"
    );
    assert!(matches!(fault(cut), UrlFault::Network { tries: 3, .. }));

    server.is(Manner::Changes);
    let changed = open(&file);
    assert!(changed.may_pass());
    assert_eq!(fault(changed), UrlFault::Changed);
}

#[test]
fn a_server_that_is_not_there_and_a_signature_are_told_without_the_signature() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(folder.path());
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let signed = |host: &str| PathBuf::from(format!("http://{host}/a.mcap?X-Signature=secret"));
    let host = server.address.trim_start_matches("http://").to_owned();
    for url in [signed(&gone.to_string()), signed(&host)] {
        let error = Bag::open(&url).err().unwrap();
        let said = error.to_string();
        assert!(
            said.contains("/a.mcap: ") && !said.contains("secret"),
            "{said}"
        );
        assert!(!said.contains('\n'));
    }
}
