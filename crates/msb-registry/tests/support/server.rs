//! The server, and a client for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use msb_registry::{BlobRequest, BlobStream, Client, ClientBuilder, Document, Error};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Reply, Request, hasty};

/// A running server. Stops listening when dropped.
pub(crate) struct Server {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    pub(crate) log: Arc<Mutex<Vec<Request>>>,
    /// Responses that are being sent.
    pub(crate) gauge: Arc<Gauge>,
    task: tokio::task::JoinHandle<()>,
}

/// Counts the responses that are being sent, and the largest number at once.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }

    fn enter(&self) -> Entered<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        Entered(self)
    }
}

struct Entered<'a>(&'a Gauge);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts a server that sends the reply of `handler`, which takes the request and the number of requests before it.
    pub(crate) async fn start(
        handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(handler, None).await
    }

    /// Starts a server like [`Server::start`], over TLS with a new certificate, which is returned as PEM.
    pub(crate) async fn start_tls(
        handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        Self::start_tls_as("localhost", false, handler).await
    }

    /// Starts a server like [`Server::start_tls`], with a certificate for `name` that is marked as a CA or not.
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
        Self::start_with_certificate(params, None, handler).await
    }

    /// Starts a server like [`Server::start_tls`], for clients that present the certificate `client`.
    pub(crate) async fn start_mutual_tls(
        client: CertificateDer<'static>,
        handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let address = rcgen::SanType::IpAddress([127, 0, 0, 1].into());
        params.subject_alt_names.push(address);
        Self::start_with_certificate(params, Some(client), handler).await
    }

    async fn start_with_certificate(
        params: rcgen::CertificateParams,
        client: Option<CertificateDer<'static>>,
        handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        let key_pair = rcgen::KeyPair::generate().unwrap();
        let cert = params.self_signed(&key_pair).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key_pair.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = builder
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
        let gauge = Arc::<Gauge>::default();
        let (handler, seen) = (Arc::new(handler), (Arc::clone(&log), Arc::clone(&gauge)));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (handler, seen, tls) = (Arc::clone(&handler), seen.clone(), tls.clone());
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
        Self {
            host,
            log,
            gauge,
            task,
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// Returns the number of requests with `part` in their path.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.path.contains(part))
            .count()
    }

    /// Returns a builder that allows plain HTTP to this server and has short timeouts.
    pub(crate) fn client(&self) -> ClientBuilder {
        Client::builder().plain_http(&self.host).timeouts(hasty())
    }

    /// Fetches the manifest of this server's image `a` with a new client.
    pub(crate) async fn manifest(&self) -> Result<Document, Error> {
        let client = self.client().build().unwrap();
        client.manifest(&self.reference("a")).await
    }

    /// Returns a blob of this server's image `a`, from a new client.
    pub(crate) fn blob(&self, request: BlobRequest) -> BlobStream {
        let client = self.client().build().unwrap();
        client.blob(&self.reference("a"), request)
    }

    pub(crate) fn reference(&self, rest: &str) -> msb_oci::Reference {
        format!("{}/{rest}", self.host).parse().unwrap()
    }
}

/// What a server notes about its requests.
type Seen = (Arc<Mutex<Vec<Request>>>, Arc<Gauge>);

async fn serve_plain(
    socket: TcpStream,
    handler: &(impl Fn(&Request, usize) -> Reply + Sync),
    seen: &Seen,
) {
    let mut first = [0];
    // A TLS handshake: close the connection, as servers without TLS do.
    if socket
        .peek(&mut first)
        .await
        .is_ok_and(|_| first[0] == 0x16)
    {
        return;
    }
    serve(socket, handler, seen).await;
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: &(impl Fn(&Request, usize) -> Reply + Sync),
    seen: &Seen,
) {
    let mut buffer = Vec::new();
    while let Some(request) = Request::read(&mut stream, &mut buffer).await {
        let before = {
            let mut log = seen.0.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        let _entered = seen.1.enter();
        match handler(&request, before).write(&mut stream).await {
            Ok(true) => {}
            _ => return,
        }
    }
}
