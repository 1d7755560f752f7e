//! Where a registry is: its URL, and whether it speaks TLS.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use msb_oci::{Excerpt, Reference};
use reqwest::Url;

use crate::error::Error;
use crate::exchange::hosts::NamedHosts;

/// The largest number of loopback registries whose scheme is remembered.
const MAX_SCHEMES: usize = 256;

/// The scheme of each loopback registry that has answered.
#[derive(Debug, Default)]
pub(super) struct Schemes(Mutex<HashMap<String, &'static str>>);

/// The root of a registry.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) root: Url,
    /// Whether plain HTTP is tried where it does not speak TLS.
    pub(super) may_be_plain: bool,
}

impl Schemes {
    /// Returns the root of the registry that `reference` names.
    pub(super) fn endpoint(
        &self,
        reference: &Reference,
        plain: &NamedHosts,
        tls_only: bool,
    ) -> Result<Endpoint, Error> {
        let plain_root = root("http", reference)?;
        if plain.contains(&plain_root) {
            return Ok(Endpoint {
                root: plain_root,
                may_be_plain: false,
            });
        }
        let open = reference.is_loopback() && !tls_only;
        let known = if open {
            let schemes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            schemes.get(reference.registry()).copied()
        } else {
            None
        };
        Ok(Endpoint {
            root: root(known.unwrap_or("https"), reference)?,
            may_be_plain: open && known.is_none(),
        })
    }

    pub(super) fn remember(&self, reference: &Reference, scheme: &'static str) {
        let mut schemes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if schemes.len() < MAX_SCHEMES {
            schemes.insert(reference.registry().to_owned(), scheme);
        }
    }
}

/// Returns the root of the registry that `reference` names, under `scheme`.
pub(super) fn root(scheme: &str, reference: &Reference) -> Result<Url, Error> {
    let authority = match reference.registry() {
        // The name in references, and the host that serves them.
        "docker.io" => "registry-1.docker.io",
        other => other,
    };
    Url::parse(&format!("{scheme}://{authority}/")).map_err(|_| invalid(reference))
}

/// Returns the URL of `path` below the repository.
pub(super) fn below(root: &Url, reference: &Reference, path: &str) -> Result<Url, Error> {
    // Names, tags and digests hold nothing that a URL's path would have to escape.
    root.join(&format!("/v2/{}/{path}", reference.repository()))
        .map_err(|_| invalid(reference))
}

fn invalid(reference: &Reference) -> Error {
    Error::RegistryUrl {
        registry: Excerpt::new(reference.registry()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_io_is_served_elsewhere() {
        let reference = "alpine".parse().unwrap();
        let root = root("https", &reference).unwrap();
        assert_eq!(root.as_str(), "https://registry-1.docker.io/");
        assert_eq!(
            below(&root, &reference, "tags/list").unwrap().as_str(),
            "https://registry-1.docker.io/v2/library/alpine/tags/list"
        );
    }
}
