//! The hosts of a registry, in the order in which they are tried.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Header, HostUrl, Warning};

/// The hosts to try for one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hosts {
    /// The hosts in order; never empty, the server last.
    pub hosts: Vec<HostConfig>,
    /// What has no effect in the file, in the order of its lines; the first 100.
    pub warnings: Vec<Warning>,
    /// The directory that the hosts come from; `None` if none of the directories has settings for this registry.
    pub directory: Option<PathBuf>,
}

/// One host and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostConfig {
    /// The root of the host's registry API.
    pub url: HostUrl,
    /// Where the host comes from.
    pub role: HostRole,
    /// What the host may be used for.
    pub capabilities: Capabilities,
    /// Files of certificate authorities (PEM) to trust beside those of the system.
    pub ca: Vec<PathBuf>,
    /// Client certificates.
    pub client: Vec<ClientCertificate>,
    /// Whether to skip the verification of the server's certificate; `None` if the file does not set it.
    pub skip_verify: Option<bool>,
    /// Headers to send with every request to this host, in the order of the file.
    pub headers: Vec<Header>,
    /// Whether the path of the URL is used without an added `/v2`. [`Self::url`] already accounts for it.
    pub override_path: bool,
    /// Longest time to wait for a connection; `None` for the client's own.
    pub dial_timeout: Option<Duration>,
}

/// Where a host comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostRole {
    /// A `[host]` table.
    Mirror,
    /// The `server` key.
    Server,
    /// The registry itself, because there is no `server` key. The client's rules for the scheme apply.
    Registry,
}

/// What a host may be used for. The default is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Capabilities {
    /// Fetching manifests and blobs by digest.
    pub pull: bool,
    /// Turning a tag into a digest. The host is trusted for it.
    pub resolve: bool,
    /// Pushing.
    pub push: bool,
    /// Listing referrers.
    pub referrers: bool,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// The file of the certificate (PEM).
    pub cert: PathBuf,
    /// The file of the private key (PEM); `None` if the certificate's file contains it.
    pub key: Option<PathBuf>,
}

impl HostConfig {
    pub(crate) fn new(url: HostUrl, role: HostRole) -> Self {
        Self {
            url,
            role,
            capabilities: Capabilities::ALL,
            ca: Vec::new(),
            client: Vec::new(),
            skip_verify: None,
            headers: Vec::new(),
            override_path: false,
            dial_timeout: None,
        }
    }

    /// Returns the value of the `ns` query parameter for requests on behalf of `registry`; `None` if this host is the registry.
    #[must_use]
    pub fn namespace<'a>(&self, registry: &'a str) -> Option<&'a str> {
        // A port may be written in one and left out of the other.
        let is_registry = self.role == HostRole::Registry
            || HostUrl::of_registry(registry)
                .is_ok_and(|own| own.authority() == self.url.authority());
        (!is_registry).then_some(registry)
    }
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self {
        pull: true,
        resolve: true,
        push: true,
        referrers: true,
    };
    /// Nothing.
    pub const NONE: Self = Self {
        pull: false,
        resolve: false,
        push: false,
        referrers: false,
    };
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::ALL
    }
}
