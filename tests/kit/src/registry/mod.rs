//! A real docker-registry on a loopback port. Its access log is the evidence of a client's requests.

mod log;
mod nginx;
mod raw;
mod setup;
mod skopeo;
mod token;

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub use log::Request;
pub use nginx::NginxMirror;
pub use skopeo::PushFormat;
pub use token::{TokenOptions, TokenRequest, TokenServer};

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// The timeout for the registry to listen.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Options of the registry. The default is plain HTTP without authentication.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// The user and password that every request must have (htpasswd, basic authentication); with a
    /// token service, those with which images are pushed.
    pub basic_auth: Option<(String, String)>,
    /// Whether to serve HTTPS, with a certificate for `127.0.0.1` and `localhost` of a new authority
    /// ([`DockerRegistry::ca_cert`]).
    pub tls: bool,
    /// The realm of a token service and the certificate of its tokens, in place of htpasswd ([`TokenServer`]).
    pub token: Option<(String, PathBuf)>,
    /// The registry to cache, such as `http://127.0.0.1:5000`, to run a pull-through cache.
    pub proxy: Option<String>,
}

/// A running registry with its own storage. Stopped and removed when dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    child: Child,
    port: u16,
    folder: TempDir,
    options: RegistryOptions,
}

impl DockerRegistry {
    /// Starts a registry and waits until it listens.
    ///
    /// # Errors
    ///
    /// When it does not start, with the end of its log.
    pub fn start(options: RegistryOptions) -> Result<DockerRegistry, KitError> {
        // The port is free when it is chosen; another process may take it before the registry does.
        let mut last = KitError::Registry {
            reason: "was not tried".to_owned(),
        };
        for _ in 0..5 {
            match DockerRegistry::try_start(&options) {
                Ok(registry) => return Ok(registry),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn try_start(options: &RegistryOptions) -> Result<DockerRegistry, KitError> {
        let folder = tempfile::Builder::new()
            .prefix("msb-registry-")
            .tempdir()
            .map_err(KitError::io("create a folder in", std::env::temp_dir()))?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .map_err(KitError::io("find a free port for", folder.path()))?;
        let port = listener
            .local_addr()
            .map_err(KitError::io("find a free port for", folder.path()))?
            .port();
        drop(listener);
        let config = setup::write(folder.path(), port, options)?;
        let log = std::fs::OpenOptions::new()
            .create(true)
            // Appends, so that the log can be truncated while the registry writes.
            .append(true)
            .open(folder.path().join("log"))
            .map_err(KitError::io("create", folder.path().join("log")))?;
        let errors = log
            .try_clone()
            .map_err(KitError::io("share", folder.path().join("log")))?;
        let program = require(Tool::DockerRegistry);
        let child = Command::new(&program)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|source| KitError::Spawn {
                program: program.display().to_string(),
                source,
            })?;
        let mut registry = DockerRegistry {
            child,
            port,
            folder,
            options: options.clone(),
        };
        registry.wait()?;
        Ok(registry)
    }

    /// Returns `127.0.0.1:PORT`, the first part of a reference.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns `http://127.0.0.1:PORT` or `https://...`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.host())
    }

    /// Returns the path of the authority's certificate (PEM), for a registry with TLS.
    #[must_use]
    pub fn ca_cert(&self) -> Option<PathBuf> {
        self.options.tls.then(|| self.folder.path().join("ca.pem"))
    }

    /// Returns the directory of its storage: `docker/registry/v2/blobs/..`, for tests that damage it.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    /// Returns every answered request, in the order of the responses. A log line may appear a moment after the
    /// response.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        thread::sleep(Duration::from_millis(20));
        log::requests(&self.log())
    }

    /// Returns the number of GET requests for this blob digest that were answered with data (200 or 206).
    #[must_use]
    pub fn blob_gets(&self, digest: &str) -> usize {
        let is_get = |request: &&Request| {
            request.method == "GET"
                && request.path.ends_with(&format!("/blobs/{digest}"))
                && matches!(request.status, 200 | 206)
        };
        self.requests().iter().filter(is_get).count()
    }

    /// Truncates the log.
    ///
    /// # Errors
    ///
    /// When the log file cannot be truncated.
    pub fn forget_requests(&self) -> Result<(), KitError> {
        thread::sleep(Duration::from_millis(20));
        let path = self.folder.path().join("log");
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(KitError::io("open", &path))?;
        file.set_len(0).map_err(KitError::io("truncate", &path))
    }

    /// Pushes the image or index `tag` of an OCI layout as `name:tag`, with skopeo. Returns the digest in the registry.
    ///
    /// # Errors
    ///
    /// When skopeo or the registry refuses it.
    pub fn push_oci_layout(
        &self,
        layout: &Path,
        name: &str,
        tag: &str,
    ) -> Result<String, KitError> {
        self.push_oci_layout_as(layout, name, tag, PushFormat::AsIs)
    }

    /// Pushes an image as [`push_oci_layout`](Self::push_oci_layout) does, converting it to `format`.
    ///
    /// # Errors
    ///
    /// When skopeo or the registry refuses it.
    pub fn push_oci_layout_as(
        &self,
        layout: &Path,
        name: &str,
        tag: &str,
        format: PushFormat,
    ) -> Result<String, KitError> {
        skopeo::push(self, layout, name, tag, format)
    }

    /// Pushes exactly the bytes of a layout, blob by blob, for images that skopeo would refuse or change. Plain HTTP
    /// without a password only. Returns the digest of the tag.
    ///
    /// # Errors
    ///
    /// When a blob is missing or the registry refuses a request.
    pub fn push_raw(&self, layout: &Path, name: &str, tag: &str) -> Result<String, KitError> {
        raw::push(self, layout, name, tag)
    }

    fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn wait(&mut self) -> Result<(), KitError> {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let reason = format!(
                    "ended with {status}: {}",
                    command::tail(self.log().as_bytes())
                );
                return Err(KitError::Registry { reason });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(KitError::Registry {
            reason: format!("does not listen: {}", command::tail(self.log().as_bytes())),
        })
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
