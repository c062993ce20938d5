//! A server with a model that does what the instruction says, and a client that shows every byte.

use std::io::{Cursor, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use image::{GrayImage, Luma, Rgb, RgbImage};
use lisa::engine::{
    Answer, AnswerOptions, AnswerStatus, CacheLoad, CancelToken, Engine, EngineLoad, Event, Frame,
    FrameKey, ModelInfo, ObjectMask, Reasoner, Request, RequestContext, RequestError, SegPrompt,
    Source, Stage, Timings,
};
use lisa::image::{decode_image, Roi};
use lisa::node::PageEvent;
use lisa::web::{
    Backend, CameraPicture, EventSink, Limits, Listener, PageQuestion, Server, SubmitError, Taken,
    WebConfig,
};
use rosbag2::Header;
use serde_json::Value;

/// Size of the pictures.
pub const WIDTH: u32 = 8;
pub const HEIGHT: u32 = 6;

/// Long enough for any machine.
const LONG: Duration = Duration::from_secs(60);

/// "mask" finds an object, "wait" writes until it is cancelled, "fail" and "panic" do that, and all else is said again.
struct Scripted {
    conversations: Vec<String>,
    frames: Arc<Mutex<Vec<FrameKey>>>,
    cancelled: Arc<AtomicUsize>,
}

impl Reasoner for Scripted {
    fn answer(
        &mut self,
        request: &Request,
        context: &mut RequestContext<'_>,
    ) -> Result<Answer, RequestError> {
        self.frames.lock().unwrap().push(request.frame.key());
        self.conversations.extend(request.conversation_id.clone());
        let mut answer = Answer {
            status: AnswerStatus::TextOnly,
            text: request.instruction.clone(),
            objects: Vec::new(),
            tokens: 1,
            truncated: false,
            notes: Vec::new(),
            timings: Timings::default(),
            attention: None,
            trace: None,
        };
        answer
            .timings
            .add(Stage::Generate, Duration::from_millis(2));
        match request.instruction.as_str() {
            "panic" => panic!("the puppet fell over"),
            "fail" => return Err(RequestError::Model("no".into())),
            "wait" => {
                let mut tokens = 0;
                while !context.cancel.is_cancelled() {
                    tokens += 1;
                    // So much that the buffers of a socket are full before long.
                    say(context, &"x".repeat(1000), tokens);
                    std::thread::sleep(Duration::from_millis(1));
                }
                self.cancelled.fetch_add(1, Ordering::Relaxed);
                return Err(RequestError::Cancelled { tokens });
            }
            "mask" => {
                say(context, "It is [SEG]", 3);
                let object = ObjectMask {
                    index: 0,
                    label: "mask".into(),
                    score: 0.5,
                    roi: Roi {
                        x: 2,
                        y: 1,
                        width: 3,
                        height: 2,
                    },
                    mask: Arc::new(GrayImage::from_pixel(3, 2, Luma([255]))),
                    area: 6,
                    prompt: SegPrompt::default(),
                };
                context.send(Event::Mask(object.clone()));
                say(context, ".", 4);
                answer.status = AnswerStatus::Segmented;
                answer.text = "It is [SEG].".into();
                answer.objects.push(object);
            }
            _ => {}
        }
        Ok(answer)
    }

    fn reset_conversation(&mut self, _: Source, id: Option<&str>) {
        self.conversations
            .retain(|known| id.is_some_and(|id| id != known));
    }

    fn caches(&self) -> CacheLoad {
        CacheLoad {
            conversations: self.conversations.len(),
            ..CacheLoad::default()
        }
    }

    fn clear_caches(&mut self) {}

    fn is_loaded(&self) -> bool {
        true
    }

    fn unload(&mut self) {}

    fn load_again(&mut self) -> Result<(), RequestError> {
        Ok(())
    }
}

fn say(context: &mut RequestContext<'_>, text: &str, tokens: usize) {
    let text = text.to_owned();
    context.send(Event::TextDelta { text, tokens });
}

struct Scene {
    engine: Engine,
    has_camera: bool,
    newest: Mutex<Option<Frame>>,
}

impl Backend for Scene {
    fn submit(
        &self,
        question: PageQuestion,
        mut sink: EventSink,
    ) -> Result<CancelToken, SubmitError> {
        let sink = move |event| sink(PageEvent::from(event));
        Ok(self.engine.submit_to(question.request, sink)?)
    }

    fn reset_conversation(&self, id: &str) {
        self.engine.reset_conversation(Some(id));
    }

    fn model(&self) -> Option<ModelInfo> {
        Some(self.engine.model().clone())
    }

    fn load(&self) -> EngineLoad {
        self.engine.load()
    }

    fn options(&self) -> AnswerOptions {
        AnswerOptions::default()
    }

    fn has_camera(&self) -> bool {
        self.has_camera
    }

    fn cameras(&self) -> Vec<String> {
        match self.has_camera {
            true => vec!["front".to_owned(), "/robot2/arm".to_owned()],
            false => Vec::new(),
        }
    }

    /// The arm's picture is that of the front camera in opposite colours.
    fn newest_frame(&self, camera: usize) -> Result<CameraPicture, SubmitError> {
        let newest = self.newest.lock().unwrap().clone();
        let none = || SubmitError::NotNow("nothing from the camera yet".to_owned());
        let newest = newest.ok_or_else(none)?;
        Ok(CameraPicture {
            frame: match camera {
                0 => newest,
                _ => {
                    let mut other = newest.pixels().clone();
                    image::imageops::invert(&mut other);
                    Frame::new(other)
                }
            },
            taken: Taken {
                camera,
                header: Header::default(),
            },
        })
    }
}

/// A server on a free port of the loopback interface.
pub struct Bench {
    server: Option<Server>,
    address: SocketAddr,
    scene: Arc<Scene>,
    frames: Arc<Mutex<Vec<FrameKey>>>,
    /// Questions "wait" that have heard that they are cancelled.
    pub cancelled: Arc<AtomicUsize>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        Self::start(limits, None, false)
    }

    pub fn with_token(token: &str) -> Self {
        Self::start(Limits::default(), Some(token), false)
    }

    pub fn with_camera() -> Self {
        Self::start(Limits::default(), None, true)
    }

    fn start(limits: Limits, token: Option<&str>, has_camera: bool) -> Self {
        let frames = Arc::<Mutex<Vec<FrameKey>>>::default();
        let cancelled = Arc::<AtomicUsize>::default();
        let scripted = Scripted {
            conversations: Vec::new(),
            frames: Arc::clone(&frames),
            cancelled: Arc::clone(&cancelled),
        };
        let info = ModelInfo {
            model: "scripted".into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            parameters: 0,
            guided_head: None,
        };
        let scene = Arc::new(Scene {
            engine: Engine::start_with(8, move || Ok((scripted, info))).unwrap(),
            has_camera,
            newest: Mutex::default(),
        });
        let listener = Listener::bind(WebConfig {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            token: token.map(|token| token.parse().unwrap()),
            hosts: Vec::new(),
            limits,
        });
        let backend: Arc<dyn Backend> = scene.clone();
        let server = listener.unwrap().serve(backend).unwrap();
        Self {
            address: server.address(),
            server: Some(server),
            scene,
            frames,
            cancelled,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn load(&self) -> EngineLoad {
        self.scene.engine.load()
    }

    /// The frames that were asked about, in order.
    pub fn frames(&self) -> Vec<FrameKey> {
        self.frames.lock().unwrap().clone()
    }

    pub fn set_camera(&self, file: &[u8]) {
        let frame = Frame::new(decode_image("camera", file).unwrap());
        *self.scene.newest.lock().unwrap() = Some(frame);
    }

    pub fn stop(&mut self) {
        self.server = None;
    }

    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + LONG;
        while !is_so() {
            assert!(Instant::now() < end, "in vain: {what}; {:?}", self.load());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket
    }

    /// Sends a request, whose answer is not read yet. `head` has no length, and no empty line at its end.
    pub fn begin(&self, head: &str, body: &[u8]) -> TcpStream {
        let mut socket = self.connect();
        let length = body.len();
        let head = format!("{head}Connection: close\r\nContent-Length: {length}\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        // A server that refuses need not read everything.
        let _ = socket.write_all(body);
        socket
    }

    pub fn send(&self, head: &str, body: &[u8]) -> Response {
        Response::read(&mut self.begin(head, body)).expect("a response")
    }

    pub fn get(&self, path: &str) -> Response {
        self.try_get(path).expect("a response")
    }

    pub fn try_get(&self, path: &str) -> Option<Response> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
        Response::read(&mut self.begin(&head, b""))
    }

    pub fn post_json(&self, question: &Value) -> Response {
        let head =
            "POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        self.send(head, question.to_string().as_bytes())
    }

    pub fn post_form(
        &self,
        query: &str,
        fields: &[(&str, &str)],
        image: Option<&[u8]>,
    ) -> Response {
        let (kind, body) = form(fields, image);
        let head = format!(
            "POST /v1/segment{query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        );
        self.send(&head, &body)
    }
}

/// A form as browsers and curl send it: its content type and its body.
pub fn form(fields: &[(&str, &str)], image: Option<&[u8]>) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!(
            "--border\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        body.extend_from_slice(part.as_bytes());
    }
    if let Some(image) = image {
        let head = "--border\r\nContent-Disposition: form-data; name=\"image\"; filename=\"../a.png\"\r\nContent-Type: image/png\r\n\r\n";
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(image);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--border--\r\n");
    ("multipart/form-data; boundary=border".to_owned(), body)
}

/// A picture file of one colour.
pub fn png(red: u8) -> Vec<u8> {
    png_of(WIDTH, HEIGHT, red)
}

pub fn png_of(width: u32, height: u32, red: u8) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = RgbImage::from_pixel(width, height, Rgb([red, 100, 200]));
    picture
        .write_to(&mut file, image::ImageFormat::Png)
        .unwrap();
    file.into_inner()
}

/// A response, read to the end of its connection.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Reads it; `None` where the connection ends without one.
    pub fn read(socket: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut part = [0; 1 << 16];
        // A server that refuses a body it has not read resets the connection after its answer.
        loop {
            match socket.read(&mut part) {
                Ok(0) => break,
                Ok(n) => bytes.extend_from_slice(&part[..n]),
                Err(error) => {
                    let late = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
                    assert!(!late.contains(&error.kind()), "no end in a minute");
                    break;
                }
            }
            if Self::parse(&bytes).is_some_and(|response| response.is_whole()) {
                break;
            }
        }
        let mut response = Self::parse(&bytes)?;
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = unchunked(&response.body);
        }
        Some(response)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        Some(Self {
            status,
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: bytes[end + 4..].to_vec(),
        })
    }

    fn is_whole(&self) -> bool {
        let length = self
            .header("content-length")
            .and_then(|length| length.parse().ok());
        length.is_some_and(|length: usize| self.body.len() >= length)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(own, _)| own == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The JSON of a question that was answered.
    pub fn answer(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// Server-sent events: their names and data.
    pub fn events(&self) -> Vec<(String, Value)> {
        assert_eq!(self.status, 200, "{}", self.text());
        let text = self.text();
        let events = text.split("\n\n").filter_map(|event| {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let data = serde_json::from_str(field("data: ")?).unwrap();
            Some((field("event: ")?.to_owned(), data))
        });
        events.collect()
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&body[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        let chunk = &body[end + 2..];
        let taken = length.min(chunk.len());
        whole.extend_from_slice(&chunk[..taken]);
        body = chunk.get(length + 2..).unwrap_or_default();
    }
    whole
}
