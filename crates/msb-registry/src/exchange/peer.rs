//! A host with settings of its own.

use std::sync::Arc;

use reqwest::header::HeaderMap;

use crate::host::RegistryHost;
use crate::secrets::Secret;
use crate::transport::profile::Profile;

/// A mirror, or a registry with TLS settings of its own. Counts for requests to the origin of [`Request::own`] alone.
///
/// [`Request::own`]: super::request::Request::own
#[derive(Debug)]
pub(crate) struct Peer {
    /// Whose credentials are sent.
    pub(crate) host: RegistryHost,
    pub(crate) headers: HeaderMap,
    /// Connections and TLS; `None` shares those of other hosts.
    pub(crate) profile: Option<Profile>,
    /// Keeps the values of headers known for redaction.
    pub(crate) _secrets: Vec<Arc<Secret>>,
}
