//! Where the hosts of a registry come from.

use std::future::Future;
use std::pin::Pin;

use super::HostConfig;
use crate::host::RegistryHost;

/// What a [`HostProvider`] returns.
pub type HostsFuture<'a> = Pin<
    Box<
        dyn Future<Output = Result<Vec<HostConfig>, Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'a,
    >,
>;

/// Looks up the hosts that serve a registry, for example in containerd's `hosts.toml`.
///
/// A client asks once for each registry, before its first request to it.
pub trait HostProvider: Send + Sync {
    /// Returns the hosts to try for `registry`, in order. The registry itself is tried only if it is in the list; an empty list
    /// stands for the registry alone.
    ///
    /// The future runs on the caller's executor and must not block it.
    fn hosts<'a>(&'a self, registry: &'a RegistryHost) -> HostsFuture<'a>;
}
