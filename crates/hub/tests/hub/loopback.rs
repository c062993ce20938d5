//! A model hub on loopback, with the faults that a test asks for. Large files lie in a store of another port.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{json, Value};
use sha1::Digest as _;

/// The commit of every repository here.
pub const COMMIT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

/// What a client asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whether the hub was asked, or the store that large files lie in.
    pub store: bool,
    pub method: String,
    /// Path and query.
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The answer is this status, with these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// So many bytes of the content, then the connection is closed.
    Cut(usize),
    /// So many bytes of the content, then nothing until the client goes.
    Hold(usize),
    /// The whole content whatever range was asked for.
    NoRanges,
    /// Another range than was asked for.
    OtherRange,
    /// Other content of the same length.
    Wrong,
    /// More than was announced.
    More,
    /// The connection is closed without an answer.
    Silence,
    /// Headers of the right answer are replaced; an empty value leaves one out.
    Headers(Vec<(&'static str, String)>),
    /// This text with status 200.
    Page(&'static str),
}

struct Planned {
    method: &'static str,
    path: String,
    times: usize,
    fault: Fault,
}

struct File {
    content: Vec<u8>,
    large: bool,
}

impl File {
    fn etag(&self) -> String {
        let bytes: Vec<u8> = match self.large {
            true => sha2::Sha256::digest(&self.content).to_vec(),
            false => {
                let mut hasher = sha1::Sha1::new();
                hasher.update(format!("blob {}\0", self.content.len()));
                hasher.update(&self.content);
                hasher.finalize().to_vec()
            }
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[derive(Default)]
struct State {
    /// By repository and name.
    files: Mutex<BTreeMap<(String, String), File>>,
    card: Mutex<BTreeMap<String, Value>>,
    faults: Mutex<Vec<Planned>>,
    asked: Mutex<Vec<Request>>,
    store: Mutex<String>,
}

/// The hub. Its threads end with the test.
pub struct Loopback {
    /// Address of the hub, as for HF_ENDPOINT.
    pub endpoint: String,
    state: Arc<State>,
}

impl Loopback {
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let store = serve(Arc::clone(&state), true);
        *state.store.lock().unwrap() = store;
        Self {
            endpoint: serve(Arc::clone(&state), false),
            state,
        }
    }

    /// Adds a file. A large one is named by its SHA-256 and lies in the store.
    pub fn put(&self, repo: &str, name: &str, content: &[u8], large: bool) -> String {
        let file = File {
            content: content.to_vec(),
            large,
        };
        let etag = file.etag();
        let key = (repo.to_owned(), name.to_owned());
        self.state.files.lock().unwrap().insert(key, file);
        etag
    }

    /// The card of a repository.
    pub fn card(&self, repo: &str, card: Value) {
        self.state
            .card
            .lock()
            .unwrap()
            .insert(repo.to_owned(), card);
    }

    /// The next `times` requests of that method whose path holds `path` meet a fault. Faults for one request are used up in the
    /// order in which they were asked for.
    pub fn fault(&self, method: &'static str, path: &str, times: usize, fault: Fault) {
        self.state.faults.lock().unwrap().push(Planned {
            method,
            path: path.to_owned(),
            times,
            fault,
        });
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.state.asked.lock().unwrap().clone()
    }

    /// The GET requests that content was asked by.
    pub fn downloads(&self) -> Vec<Request> {
        let mut asked = self.asked();
        asked.retain(|r| r.method == "GET" && (r.store || r.path.contains("/resolve/")));
        asked
    }

    pub fn forget(&self) {
        self.state.asked.lock().unwrap().clear();
        self.state.faults.lock().unwrap().clear();
    }
}

fn serve(state: Arc<State>, store: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            // A client that goes away in the middle is an error here, and no fault of the server.
            std::thread::spawn(move || answer(&state, store, stream).ok());
        }
    });
    address
}

fn read_request(stream: &TcpStream, store: bool) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines
        .map_while(|line| line.ok().filter(|line| !line.is_empty()))
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
    Some(Request {
        store,
        method,
        path,
        headers: headers.collect(),
    })
}

/// A right answer.
#[derive(Default)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, headers: &[(&str, String)], body: Vec<u8>) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Self {
            status,
            headers: headers.collect(),
            body,
        }
    }
}

fn answer(state: &State, store: bool, mut stream: TcpStream) -> std::io::Result<()> {
    let Some(request) = read_request(&stream, store) else {
        return Ok(());
    };
    state.asked.lock().unwrap().push(request.clone());
    let fault = {
        let mut faults = state.faults.lock().unwrap();
        let met = faults.iter_mut().find(|planned| {
            planned.times > 0
                && planned.method == request.method
                && request.path.contains(&planned.path)
        });
        met.map(|planned| {
            planned.times -= 1;
            planned.fault.clone()
        })
    };
    let ranges = !matches!(fault, Some(Fault::NoRanges));
    let mut answer = right(state, &request, ranges);
    let mut announced = answer.body.len();
    let mut hold = false;
    match fault {
        Some(Fault::Silence) => return Ok(()),
        Some(Fault::Status(status, headers)) => {
            answer = Answer::new(status, &headers, Vec::new());
            announced = 0;
        }
        Some(Fault::Page(text)) => {
            answer = Answer::new(
                200,
                &[("content-type", "text/html".to_owned())],
                text.into(),
            );
            announced = text.len();
        }
        Some(Fault::Cut(bytes)) => answer.body.truncate(bytes),
        Some(Fault::Hold(bytes)) => {
            answer.body.truncate(bytes);
            hold = true;
        }
        Some(Fault::Wrong) => answer.body.iter_mut().for_each(|byte| *byte ^= 0x55),
        Some(Fault::More) => {
            answer.body.extend([0; 10]);
            answer.headers.remove("content-length");
            // Of an unknown length, and so ended by closing.
            announced = usize::MAX;
        }
        Some(Fault::OtherRange) => {
            answer
                .headers
                .insert("content-range".to_owned(), "bytes 1-2/3".to_owned());
        }
        Some(Fault::Headers(headers)) => {
            for (name, value) in headers {
                answer.headers.insert(name.to_owned(), value);
            }
            answer.headers.retain(|_, value| !value.is_empty());
        }
        Some(Fault::NoRanges) | None => {}
    }
    let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", answer.status);
    if announced != usize::MAX && !answer.headers.contains_key("content-length") {
        head += &format!("content-length: {announced}\r\n");
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body)?;
    }
    stream.flush()?;
    if hold {
        // Ends when the client closes the connection.
        let mut rest = [0; 64];
        while stream.read(&mut rest)? > 0 {}
    }
    Ok(())
}

fn right(state: &State, request: &Request, ranges: bool) -> Answer {
    let files = state.files.lock().unwrap();
    let path = request.path.split('?').next().unwrap();
    if request.store {
        let found = files.values().find(|file| path.ends_with(&file.etag()));
        return found.map_or(Answer::new(403, &[], Vec::new()), |file| {
            part(file, request, ranges)
        });
    }
    let refused = |status: u16, code: &str| {
        Answer::new(status, &[("x-error-code", code.to_owned())], Vec::new())
    };
    if let Some(rest) = path.strip_prefix("/api/models/") {
        let Some((repo, revision)) = rest.split_once("/revision/") else {
            return refused(404, "RepoNotFound");
        };
        let names: Vec<&String> = files
            .keys()
            .filter(|(of, _)| of == repo)
            .map(|(_, name)| name)
            .collect();
        if names.is_empty() {
            return refused(401, "RepoNotFound");
        }
        if revision != "main" && revision != COMMIT {
            return refused(404, "RevisionNotFound");
        }
        let siblings: Vec<Value> = names
            .iter()
            .map(|name| json!({"rfilename": name}))
            .collect();
        let card = state.card.lock().unwrap().get(repo).cloned();
        let body = json!({"sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []});
        return Answer::new(200, &[], body.to_string().into_bytes());
    }
    let named = path.trim_start_matches('/').split_once("/resolve/");
    let file = named.and_then(|(repo, rest)| {
        let name = rest.split_once('/')?.1;
        files.get(&(repo.to_owned(), name.to_owned()))
    });
    let Some(file) = file else {
        return refused(404, "EntryNotFound");
    };
    if !file.large {
        return part(file, request, ranges);
    }
    let store = state.store.lock().unwrap();
    let location = format!("{store}/large/{}?signature=secret", file.etag());
    Answer::new(
        302,
        &[
            ("location", location),
            ("x-linked-etag", format!("\"{}\"", file.etag())),
            ("x-linked-size", file.content.len().to_string()),
            ("x-repo-commit", COMMIT.to_owned()),
        ],
        b"Found. Redirecting".to_vec(),
    )
}

/// The content, or the part of it that was asked for.
fn part(file: &File, request: &Request, ranges: bool) -> Answer {
    let etag = ("etag", format!("\"{}\"", file.etag()));
    let length = file.content.len();
    let from = request
        .header("range")
        .filter(|_| ranges)
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        });
    let content_length = |bytes: usize| ("content-length", bytes.to_string());
    match from {
        None => Answer::new(200, &[etag, content_length(length)], file.content.clone()),
        Some(from) if from >= length => Answer::new(416, &[], Vec::new()),
        Some(from) => Answer::new(
            206,
            &[
                etag,
                (
                    "content-range",
                    format!("bytes {from}-{}/{length}", length - 1),
                ),
                content_length(length - from),
            ],
            file.content[from..].to_vec(),
        ),
    }
}
