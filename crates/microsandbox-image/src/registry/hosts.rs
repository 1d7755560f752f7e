use std::error::Error as StdError;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msb_hosts::{HostRole, Hosts, HostsDirs};
use msb_registry::{
    Capabilities, ClientCertificate, HostConfig, HostProvider, HostsFuture, RegistryHost,
};

/// The longest file of certificates or keys, in bytes.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// The hosts of registries from directories with `hosts.toml` files.
#[derive(Clone, Debug, Default)]
pub(super) struct HostsFiles {
    pub(super) dirs: Vec<PathBuf>,
    /// Whether containerd's own directories are searched after `dirs`.
    pub(super) has_containerd_dirs: bool,
}

/// The hosts of registries from files, and for registries without settings in them, from a provider.
#[derive(Clone, Default)]
pub(super) struct HostSources {
    pub(super) files: HostsFiles,
    pub(super) provider: Option<Arc<dyn HostProvider>>,
}

impl HostSources {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.provider.is_none()
    }
}

impl HostProvider for HostSources {
    fn hosts<'a>(&'a self, registry: &'a RegistryHost) -> HostsFuture<'a> {
        Box::pin(async move {
            if !self.files.is_empty() {
                let (files, registry) = (self.files.clone(), registry.clone());
                let read = tokio::task::spawn_blocking(move || files.read(&registry));
                if let Some(hosts) = read.await?? {
                    return Ok(hosts);
                }
            }
            match &self.provider {
                Some(provider) => provider.hosts(registry).await,
                None => Ok(Vec::new()),
            }
        })
    }
}

impl fmt::Debug for HostSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSources")
            .field("files", &self.files)
            .field("has_provider", &self.provider.is_some())
            .finish()
    }
}

type Fault = Box<dyn StdError + Send + Sync>;

/// A file of certificates or keys cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
struct PemFile {
    path: PathBuf,
    source: io::Error,
}

impl HostsFiles {
    fn is_empty(&self) -> bool {
        self.dirs.is_empty() && !self.has_containerd_dirs
    }

    /// Returns the hosts of `registry`; `None` if no directory has settings for it. Blocks on file I/O.
    fn read(&self, registry: &RegistryHost) -> Result<Option<Vec<HostConfig>>, Fault> {
        let hosts = self.find(registry)?;
        for warning in &hosts.warnings {
            tracing::warn!("{warning}");
        }
        let Some(directory) = &hosts.directory else {
            return Ok(None);
        };
        let count = hosts.hosts.len();
        tracing::debug!(%registry, directory = %directory.display(), count, "hosts found");
        let configs = hosts.hosts.iter().map(|host| config(host, registry));
        configs.collect::<Result<_, _>>().map(Some)
    }

    fn find(&self, registry: &RegistryHost) -> Result<Hosts, Fault> {
        let named = HostsDirs::new(&self.dirs).hosts(registry.as_str())?;
        if named.directory.is_some() || !self.has_containerd_dirs {
            return Ok(named);
        }
        match HostsDirs::containerd().hosts(registry.as_str()) {
            // These directories are defaults, which users without privileges may be unable to read.
            Err(msb_hosts::Error::Read { path, source })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                tracing::warn!(path = %path.display(), "settings of registries cannot be read and are ignored");
                Ok(named)
            }
            found => Ok(found?),
        }
    }
}

/// Converts the settings of one host, and reads the files that they name.
fn config(host: &msb_hosts::HostConfig, registry: &RegistryHost) -> Result<HostConfig, Fault> {
    let mut config = match host.role {
        HostRole::Mirror => HostConfig::at(host.url.as_str())?,
        HostRole::Server => HostConfig::at(host.url.as_str())?.as_server(),
        _ => HostConfig::registry(),
    };
    if let Some(namespace) = host.namespace(registry.as_str()) {
        config = config.with_namespace(namespace);
    }
    let has = host.capabilities;
    config = config.with_capabilities(
        Capabilities::NONE
            .with_pull(has.pull)
            .with_resolve(has.resolve)
            .with_referrers(has.referrers),
    );
    for path in &host.ca {
        config = config.with_ca_cert(path.display().to_string(), pem(path)?);
    }
    for certificate in &host.client {
        let cert = pem(&certificate.cert)?;
        let key = match &certificate.key {
            Some(path) => pem(path)?,
            None => cert.clone(),
        };
        let name = certificate.cert.display().to_string();
        let certificate = ClientCertificate::from_pem(&name, &cert, &key)?;
        config = config.with_client_certificate(certificate);
    }
    for header in &host.headers {
        config = config.with_header(header.name(), header.value())?;
    }
    if let Some(timeout) = host.dial_timeout {
        config = config.with_dial_timeout(timeout);
    }
    Ok(config.with_skip_verify(host.skip_verify.unwrap_or(false)))
}

fn pem(path: &Path) -> Result<Vec<u8>, Fault> {
    let read = || {
        let mut bytes = Vec::new();
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        file.take(MAX_PEM_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_PEM_BYTES {
            let limit = format!("longer than {MAX_PEM_BYTES} bytes");
            return Err(io::Error::other(limit));
        }
        Ok(bytes)
    };
    Ok(read().map_err(|source| PemFile {
        path: path.to_owned(),
        source,
    })?)
}
