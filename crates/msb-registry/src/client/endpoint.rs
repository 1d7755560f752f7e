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

/// The root of a registry's API.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// With a slash at its end.
    pub(super) api: Url,
    /// Whether plain HTTP is tried where it does not speak TLS.
    pub(super) may_be_plain: bool,
}

impl Schemes {
    /// Returns the API of the registry that `reference` names.
    pub(super) fn endpoint(
        &self,
        reference: &Reference,
        plain: &NamedHosts,
        tls_only: bool,
    ) -> Result<Endpoint, Error> {
        let plain_root = root("http", reference)?;
        if plain.contains(&plain_root) {
            return Ok(Endpoint {
                api: plain_root,
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
            api: root(known.unwrap_or("https"), reference)?,
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

/// Returns the root of the API of the registry that `reference` names, under `scheme`.
pub(super) fn root(scheme: &str, reference: &Reference) -> Result<Url, Error> {
    let authority = match reference.registry() {
        // The name in references, and the host that serves them.
        "docker.io" => "registry-1.docker.io",
        other => other,
    };
    Url::parse(&format!("{scheme}://{authority}/v2/")).map_err(|_| invalid(reference))
}

/// Returns the URL of `path` below the API, for the registry `namespace` where the host serves several.
pub(super) fn below(api: &Url, path: &str, query: Option<&str>, namespace: Option<&str>) -> Url {
    let mut url = api.clone();
    // Names, tags and digests hold nothing that a URL's path would have to escape.
    url.set_path(&format!("{}{path}", api.path()));
    url.set_query(query);
    if let Some(namespace) = namespace {
        url.query_pairs_mut().append_pair("ns", namespace);
    }
    url
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
        assert_eq!(root.as_str(), "https://registry-1.docker.io/v2/");
        assert_eq!(
            below(&root, "library/alpine/tags/list", None, None).as_str(),
            "https://registry-1.docker.io/v2/library/alpine/tags/list"
        );
        assert_eq!(
            below(&root, "a/tags/list", Some("n=1"), Some("localhost:5000")).as_str(),
            "https://registry-1.docker.io/v2/a/tags/list?n=1&ns=localhost%3A5000"
        );
    }
}
