//! One host, and how requests to it are made.

use std::fmt;
use std::time::Duration;

use msb_oci::Excerpt;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::ClientCertificate;

/// One host that serves a registry: a mirror, or the registry itself.
///
/// ```
/// use msb_registry::{Capabilities, HostConfig};
///
/// let mirror = HostConfig::at("https://mirror.example:5000/v2")?
///     .with_namespace("docker.io")
///     .with_capabilities(Capabilities::NONE.with_pull(true));
/// # Ok::<(), msb_registry::InvalidHostUrl>(())
/// ```
#[derive(Clone)]
pub struct HostConfig {
    /// The root of the API, with a slash at its end; `None` is the registry itself, by the client's rules for the scheme.
    pub(crate) api: Option<Url>,
    pub(crate) namespace: Option<String>,
    pub(crate) capabilities: Capabilities,
    /// Names and contents of PEM bundles.
    pub(crate) ca_bundles: Vec<(String, Vec<u8>)>,
    pub(crate) certificates: Vec<ClientCertificate>,
    pub(crate) skip_verify: bool,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) dial_timeout: Option<Duration>,
    pub(crate) is_mirror: bool,
}

/// A text that is not the URL of a registry's API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is not an http or https URL of a registry's API")]
pub struct InvalidHostUrl {
    input: Excerpt,
}

/// A header that cannot be sent. The value is not part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {name} cannot be sent")]
pub struct InvalidHeader {
    name: Excerpt,
}

impl HostConfig {
    /// Returns the registry itself, over HTTPS or by the client's rules for plain HTTP.
    #[must_use]
    pub fn registry() -> Self {
        Self {
            api: None,
            namespace: None,
            capabilities: Capabilities::ALL,
            ca_bundles: Vec::new(),
            certificates: Vec::new(),
            skip_verify: false,
            headers: Vec::new(),
            dial_timeout: None,
            is_mirror: false,
        }
    }

    /// Returns a mirror at `url`, the root of its API: `{url}/{repository}/manifests/{tag}` is requested. Plain HTTP is used where
    /// the URL has that scheme; credentials are not sent over it unless the client names the host for plain HTTP.
    ///
    /// # Errors
    ///
    /// [`InvalidHostUrl`] if `url` is not an http or https URL, or has a user, a query or a fragment.
    pub fn at(url: &str) -> Result<Self, InvalidHostUrl> {
        let invalid = || InvalidHostUrl {
            input: Excerpt::new(url),
        };
        let mut api = Url::parse(url).map_err(|_| invalid())?;
        let is_plain = matches!(api.scheme(), "http" | "https")
            && api.host_str().is_some_and(|host| !host.is_empty())
            && api.username().is_empty()
            && api.password().is_none()
            && api.query().is_none()
            && api.fragment().is_none();
        if !is_plain {
            return Err(invalid());
        }
        if !api.path().ends_with('/') {
            let path = format!("{}/", api.path());
            api.set_path(&path);
        }
        Ok(Self {
            api: Some(api),
            is_mirror: true,
            ..Self::registry()
        })
    }

    /// Marks the host as the registry's own server, whose refusals are final.
    #[must_use]
    pub fn as_server(mut self) -> Self {
        self.is_mirror = false;
        self
    }

    /// Sets the registry that requests name in the query parameter `ns`. Default: none.
    #[must_use]
    pub fn with_namespace(mut self, registry: impl Into<String>) -> Self {
        self.namespace = Some(registry.into());
        self
    }

    /// Sets what the host may be used for. Default: everything.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Trusts the certificates in `pem` for this host, beside those of the client. `name` is for warnings and errors.
    #[must_use]
    pub fn with_ca_cert(mut self, name: impl Into<String>, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_bundles.push((name.into(), pem.into()));
        self
    }

    /// Adds a client certificate. Of several, the first whose key the server's signature schemes allow is presented.
    #[must_use]
    pub fn with_client_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// Sets whether the verification of the host's certificate is skipped. Default: no.
    #[must_use]
    pub fn with_skip_verify(mut self, skip: bool) -> Self {
        self.skip_verify = skip;
        self
    }

    /// Adds a header to every request to this host. It follows no redirect to another origin, and its value is redacted.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] if the name or the value cannot be sent.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        let invalid = || InvalidHeader {
            name: Excerpt::new(name),
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(self)
    }

    /// Sets how long a connection may take. Default: the client's own timeout.
    #[must_use]
    pub fn with_dial_timeout(mut self, timeout: Duration) -> Self {
        self.dial_timeout = Some(timeout);
        self
    }
}

impl fmt::Debug for HostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostConfig")
            .field("api", &self.api.as_ref().map(Url::as_str))
            .field("namespace", &self.namespace)
            .field("capabilities", &self.capabilities)
            .field("skip_verify", &self.skip_verify)
            .field("dial_timeout", &self.dial_timeout)
            .finish_non_exhaustive()
    }
}

/// What a host may be used for. Default: everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Capabilities {
    /// Fetching manifests and blobs by digest.
    pub pull: bool,
    /// Turning a tag into a digest, and listing tags. The host is trusted for it.
    pub resolve: bool,
    /// Listing referrers.
    pub referrers: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self {
        pull: true,
        resolve: true,
        referrers: true,
    };
    /// Nothing.
    pub const NONE: Self = Self {
        pull: false,
        resolve: false,
        referrers: false,
    };

    /// Sets [`pull`](Self::pull).
    #[must_use]
    pub fn with_pull(mut self, pull: bool) -> Self {
        self.pull = pull;
        self
    }

    /// Sets [`resolve`](Self::resolve).
    #[must_use]
    pub fn with_resolve(mut self, resolve: bool) -> Self {
        self.resolve = resolve;
        self
    }

    /// Sets [`referrers`](Self::referrers).
    #[must_use]
    pub fn with_referrers(mut self, referrers: bool) -> Self {
        self.referrers = referrers;
        self
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::ALL
    }
}
