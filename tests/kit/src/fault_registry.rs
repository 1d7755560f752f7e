//! A registry inside the test's own process: it serves OCI layouts over plain HTTP on loopback, and misbehaves as it is told.
//!
//! ```text
//!   OCI layout ──serve()──▶  /v2/NAME/manifests/{TAG,DIGEST}   /v2/NAME/blobs/DIGEST   (GET, HEAD, Range: bytes=N-)
//!   fault()  ──────────────▶  the first fault whose text is in the path decides the answer
//!   requests() ◀────────────  every request, in the order of their coming
//! ```
//!
//! It needs no other program, so that it also serves where nothing is installed. A verdict on the protocol itself comes from
//! [`DockerRegistry`](crate::registry::DockerRegistry).

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{KitError, image::blob_path};

/// What goes wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This status, with a body that a registry would send.
    Status(u16),
    /// This status with this body and content type.
    Answer {
        /// The status.
        status: u16,
        /// `Content-Type`.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// 401 with this challenge.
    Challenge(String),
    /// These bytes in place of the right ones.
    Body(Vec<u8>),
    /// The connection is closed after this many bytes of the body; the header claims the right length.
    CutAfter(usize),
    /// Nothing comes after this many bytes of the body, and the connection stays open, for this long.
    StallAfter(usize, Duration),
    /// The body comes in pieces of this many bytes with a pause before each.
    Slow(usize, Duration),
    /// `Range` is not obeyed: 200 and everything from the start.
    NoRange,
}

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// The first byte that `Range` asked for, else 0.
    pub from: usize,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

/// The running registry; it stops listening when dropped.
#[derive(Debug)]
pub struct FaultRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Repository to layout.
    layouts: BTreeMap<String, PathBuf>,
    faults: Vec<Armed>,
    asked: Vec<Asked>,
}

#[derive(Debug, Clone)]
struct Armed {
    part: String,
    fault: Fault,
    /// How many answers it still spoils; `None`: all.
    left: Option<usize>,
}

impl FaultRegistry {
    /// Starts a registry that has nothing.
    ///
    /// # Errors
    /// When no port of loopback can be had.
    pub fn start() -> Result<FaultRegistry, KitError> {
        let listener =
            TcpListener::bind("127.0.0.1:0").map_err(KitError::io("bind", "127.0.0.1"))?;
        let address = listener
            .local_addr()
            .map_err(KitError::io("bind", "127.0.0.1"))?;
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if seen.stopped.load(Ordering::Acquire) {
                    return;
                }
                let seen = Arc::clone(&seen);
                // The client's end of a connection is the client's business.
                thread::spawn(move || drop(converse(&socket, &seen)));
            }
        });
        Ok(FaultRegistry { address, shared })
    }

    /// `127.0.0.1:PORT`, the first part of a reference.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Serves the OCI layout at `layout` as the repository `name`, with all of its tags. What is in the folder is read when it
    /// is asked for.
    pub fn serve(&self, name: &str, layout: &Path) {
        let mut state = self.shared.lock();
        state.layouts.insert(name.to_owned(), layout.to_owned());
    }

    /// Spoils every answer to a request with `part` in its path. An earlier fault comes before a later one.
    pub fn fault(&self, part: &str, fault: Fault) {
        self.arm(part, fault, None);
    }

    /// As [`fault`](Self::fault), the first `times` times.
    pub fn fault_times(&self, part: &str, times: usize, fault: Fault) {
        self.arm(part, fault, Some(times));
    }

    /// Behaves again.
    pub fn heal(&self) {
        self.shared.lock().faults.clear();
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Asked> {
        self.shared.lock().asked.clone()
    }

    /// How many requests had `part` in their path.
    pub fn count(&self, part: &str) -> usize {
        let state = self.shared.lock();
        state
            .asked
            .iter()
            .filter(|asked| asked.path.contains(part))
            .count()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.lock().asked.clear();
    }

    fn arm(&self, part: &str, fault: Fault, left: Option<usize>) {
        let part = part.to_owned();
        self.shared.lock().faults.push(Armed { part, fault, left });
    }
}

impl Drop for FaultRegistry {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the listening thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_fault(&mut self, path: &str) -> Option<Fault> {
        let armed = self
            .faults
            .iter_mut()
            .find(|armed| armed.left != Some(0) && path.contains(&armed.part))?;
        if let Some(left) = &mut armed.left {
            *left -= 1;
        }
        Some(armed.fault.clone())
    }
}

/// An answer before anything went wrong with it.
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Reply {
            status,
            headers,
            body: body.into(),
        }
    }

    fn problem(status: u16) -> Reply {
        let code = match status {
            401 => "UNAUTHORIZED",
            404 => "MANIFEST_UNKNOWN",
            429 => "TOOMANYREQUESTS",
            _ => "UNKNOWN",
        };
        let body = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"as told\"}}]}}");
        Reply::new(status, "application/json", body)
    }
}

/// Answers the requests of one connection until either side has enough.
fn converse(socket: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut first = [0];
    // A TLS handshake: hang up, as servers that know only HTTP do.
    if socket.peek(&mut first)? == 0 || first[0] == 0x16 {
        return Ok(());
    }
    let mut input = BufReader::new(socket);
    while let Some(asked) = read_request(&mut input)? {
        let (fault, layouts) = {
            let mut state = shared.lock();
            state.asked.push(asked.clone());
            (state.take_fault(&asked.path), state.layouts.clone())
        };
        let obeys_range = fault != Some(Fault::NoRange);
        let mut reply = answer(&asked, &layouts, obeys_range);
        match &fault {
            Some(Fault::Status(status)) => reply = Reply::problem(*status),
            Some(Fault::Answer {
                status,
                content_type,
                body,
            }) => {
                reply = Reply::new(*status, content_type, body.clone());
            }
            Some(Fault::Challenge(challenge)) => {
                reply = Reply::problem(401);
                reply.headers.push(("WWW-Authenticate", challenge.clone()));
            }
            Some(Fault::Body(body)) => reply.body.clone_from(body),
            _ => {}
        }
        let is_whole = send(socket, &asked, &reply, fault.as_ref())?;
        if !is_whole {
            return Ok(());
        }
    }
    Ok(())
}

fn read_request(input: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut asked = Asked {
        method,
        path,
        from: 0,
        authorization: None,
    };
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some(asked));
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let from = value
                    .trim()
                    .strip_prefix("bytes=")
                    .and_then(|range| range.split('-').next());
                asked.from = from.and_then(|from| from.parse().ok()).unwrap_or_default();
            }
            "authorization" => asked.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
}

/// What a registry that behaves says.
fn answer(asked: &Asked, layouts: &BTreeMap<String, PathBuf>, obeys_range: bool) -> Reply {
    let path = asked.path.split('?').next().unwrap_or_default();
    if path == "/v2/" {
        return Reply::new(200, "application/json", "{}");
    }
    let rest = path.strip_prefix("/v2/").unwrap_or_default();
    let split = |kind: &str| {
        let (name, wanted) = rest.rsplit_once(kind)?;
        Some((layouts.get(name)?, wanted.to_owned()))
    };
    if let Some((layout, wanted)) = split("/manifests/") {
        let digest = if wanted.contains(':') {
            Some(wanted)
        } else {
            tagged(layout, &wanted)
        };
        let Some((digest, bytes)) =
            digest.and_then(|digest| blob(layout, &digest).map(|bytes| (digest, bytes)))
        else {
            return Reply::problem(404);
        };
        let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let media_type = document["mediaType"]
            .as_str()
            .unwrap_or("application/octet-stream");
        let mut reply = Reply::new(200, media_type, bytes);
        reply.headers.push(("Docker-Content-Digest", digest));
        return reply;
    }
    let Some(bytes) = split("/blobs/").and_then(|(layout, digest)| blob(layout, &digest)) else {
        return Reply::problem(404);
    };
    let length = bytes.len();
    match asked.from {
        from if from == 0 || !obeys_range => Reply::new(200, "application/octet-stream", bytes),
        from if from < length => {
            let mut reply = Reply::new(206, "application/octet-stream", &bytes[from..]);
            let range = format!("bytes {from}-{}/{length}", length - 1);
            reply.headers.push(("Content-Range", range));
            reply
        }
        _ => Reply::problem(416),
    }
}

fn blob(layout: &Path, digest: &str) -> Option<Vec<u8>> {
    // A digest is part of a path here.
    let is_digest = digest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    fs::read(blob_path(layout, digest))
        .ok()
        .filter(|_| is_digest)
}

fn tagged(layout: &Path, tag: &str) -> Option<String> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).ok()?).ok()?;
    let named =
        |manifest: &&Value| manifest["annotations"]["org.opencontainers.image.ref.name"] == tag;
    let manifest = index["manifests"].as_array()?.iter().find(named)?;
    manifest["digest"].as_str().map(str::to_owned)
}

/// Sends the answer; false if the connection cannot go on after it.
fn send(
    mut socket: &TcpStream,
    asked: &Asked,
    reply: &Reply,
    fault: Option<&Fault>,
) -> io::Result<bool> {
    let mut head = format!(
        "HTTP/1.1 {} X\r\nContent-Length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes())?;
    if asked.method == "HEAD" {
        return Ok(true);
    }
    let body = &reply.body;
    match fault {
        Some(Fault::CutAfter(bytes)) => {
            socket.write_all(&body[..(*bytes).min(body.len())])?;
            Ok(false)
        }
        Some(Fault::StallAfter(bytes, pause)) => {
            socket.write_all(&body[..(*bytes).min(body.len())])?;
            thread::sleep(*pause);
            Ok(false)
        }
        Some(Fault::Slow(piece, pause)) => {
            for piece in body.chunks((*piece).max(1)) {
                thread::sleep(*pause);
                socket.write_all(piece)?;
            }
            Ok(true)
        }
        _ => socket.write_all(body).map(|()| true),
    }
}
