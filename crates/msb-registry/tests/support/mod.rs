//! A registry that misbehaves as told: HTTP/1.1 over a socket, answers written by the test.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic; not every test file uses everything"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use msb_registry::{BlobEvent, BlobStream, Client, ClientBuilder, Error, Timeouts};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte that `Range` asks for, else 0.
    pub(crate) fn from(&self) -> usize {
        let range = self
            .header("range")
            .and_then(|range| range.strip_prefix("bytes="));
        range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap())
    }
}

/// An answer, faults included.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    declared: Option<usize>,
    chunked: bool,
    sent: Option<usize>,
    piece: usize,
    pause: Duration,
    stall: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            declared: None,
            chunked: false,
            sent: None,
            piece: usize::MAX,
            pause: Duration::ZERO,
            stall: false,
        }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// 206 with the right `Content-Range` for `whole[from..]`.
    pub(crate) fn partial(whole: &[u8], from: usize) -> Self {
        let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
        Self::new(206, &whole[from..]).header("Content-Range", &range)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends that many bytes of the body, then closes the connection.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.sent = Some(bytes);
        self
    }

    /// Sends that many bytes of the body, then nothing, and leaves the connection open.
    pub(crate) fn stall_after(mut self, bytes: usize) -> Self {
        self.stall = true;
        self.cut_after(bytes)
    }

    /// Sends the body in pieces with a pause before each.
    pub(crate) fn slowly(mut self, piece: usize, pause: Duration) -> Self {
        (self.piece, self.pause) = (piece, pause);
        self
    }

    /// Frames the body without a length.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    async fn write(&self, stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<bool> {
        let mut head = format!("HTTP/1.1 {} X\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &if self.chunked {
            "Transfer-Encoding: chunked\r\n\r\n".to_owned()
        } else {
            format!(
                "Content-Length: {}\r\n\r\n",
                self.declared.unwrap_or(self.body.len())
            )
        };
        stream.write_all(head.as_bytes()).await?;
        let sent = &self.body[..self.sent.unwrap_or(self.body.len())];
        for piece in sent.chunks(self.piece.min(sent.len().max(1))) {
            tokio::time::sleep(self.pause).await;
            if self.chunked {
                stream
                    .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                    .await?;
            }
            stream.write_all(piece).await?;
            if self.chunked {
                stream.write_all(b"\r\n").await?;
            }
            stream.flush().await?;
        }
        if self.stall {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        if self.chunked && self.sent.is_none() {
            stream.write_all(b"0\r\n\r\n").await?;
        }
        stream.flush().await?;
        Ok(self.sent.is_none())
    }
}

/// The server; stops listening when dropped.
pub(crate) struct Server {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    pub(crate) log: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers each request as `handler` says, which is given the request and how many came before it.
    pub(crate) async fn start(
        handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(handler, None).await
    }

    /// As [`Server::start`], over TLS with a fresh certificate, which comes back as PEM.
    pub(crate) async fn start_tls(
        handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        Self::start_tls_as("localhost", false, handler).await
    }

    /// As [`Server::start_tls`], with a certificate for `name`, marked as a CA or not.
    pub(crate) async fn start_tls_as(
        name: &str,
        ca: bool,
        handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        if name == "localhost" {
            let address = rcgen::SanType::IpAddress([127, 0, 0, 1].into());
            params.subject_alt_names.push(address);
        }
        if ca {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        let key_pair = rcgen::KeyPair::generate().unwrap();
        let cert = params.self_signed(&key_pair).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key_pair.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (
            Self::start_with(handler, Some(acceptor)).await,
            cert.pem().into_bytes(),
        )
    }

    async fn start_with(
        handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (handler, seen) = (Arc::new(handler), Arc::clone(&log));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (handler, seen, tls) = (Arc::clone(&handler), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(socket).await {
                                serve(stream, &*handler, &seen).await;
                            }
                        }
                        None => serve_plain(socket, &*handler, &seen).await,
                    }
                });
            }
        });
        Self { host, log, task }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// How many requests had `part` in their path.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.path.contains(part))
            .count()
    }

    /// A builder that allows plain HTTP to this server and never waits long.
    pub(crate) fn client(&self) -> ClientBuilder {
        Client::builder().plain_http(&self.host).timeouts(hasty())
    }

    pub(crate) fn reference(&self, rest: &str) -> msb_oci::Reference {
        format!("{}/{rest}", self.host).parse().unwrap()
    }
}

/// Short waits, so that faults show soon.
pub(crate) fn hasty() -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.first_byte = Duration::from_millis(2000);
    timeouts.stall = Duration::from_millis(200);
    timeouts.backoff = Duration::from_millis(2);
    timeouts
}

async fn serve_plain(
    socket: TcpStream,
    handler: &(impl Fn(&Request, usize) -> Reply + Sync),
    log: &Mutex<Vec<Request>>,
) {
    let mut first = [0];
    // A TLS handshake; hang up, as servers that know only HTTP do.
    if socket
        .peek(&mut first)
        .await
        .is_ok_and(|_| first[0] == 0x16)
    {
        return;
    }
    serve(socket, handler, log).await;
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: &(impl Fn(&Request, usize) -> Reply + Sync),
    log: &Mutex<Vec<Request>>,
) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(count) if count > 0 => {}
                _ => return,
            }
        };
        let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.lines();
        let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let request = Request { path, headers };
        let before = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        match handler(&request, before).write(&mut stream).await {
            Ok(true) => {}
            _ => return,
        }
    }
}

/// All bytes of a stream and how often it restarted.
pub(crate) async fn drain(mut blob: BlobStream) -> Result<(Vec<u8>, u32), Error> {
    let (mut bytes, mut restarts) = (Vec::new(), 0);
    while let Some(event) = blob.next_event().await? {
        match event {
            BlobEvent::Data(data) => bytes.extend_from_slice(&data),
            BlobEvent::Restarted => {
                bytes.clear();
                restarts += 1;
            }
        }
        if restarts == 0 {
            assert!(blob.position() >= bytes.len() as u64);
        } else {
            assert_eq!(blob.position(), bytes.len() as u64);
        }
    }
    Ok((bytes, restarts))
}

/// Bytes that differ from place to place.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| u8::try_from(index * 7 % 251).unwrap())
        .collect()
}

/// One line, nothing unprintable.
pub(crate) fn assert_presentable(error: &Error) {
    let shown = error.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}
