//! Names of registries, and which keys of a credential file belong to them.

use std::fmt;
use std::str::FromStr;

use msb_oci::Excerpt;

use crate::Error;

/// Name of Docker Hub in references and in podman's files.
const DOCKER_HUB: &str = "docker.io";
/// Key of Docker Hub in Docker's file and for helpers.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Hosts of Docker Hub.
const DOCKER_HUB_HOSTS: [&str; 3] = [DOCKER_HUB, "index.docker.io", "registry-1.docker.io"];
/// Longest name, in bytes. A host name has 253 at most.
const MAX_BYTES: usize = 300;

/// Host and port of a registry, in lower case.
///
/// Parsing accepts what users pass to `docker login`: a host, a host with port, or a URL whose path is ignored. The hosts of Docker Hub
/// are one name, `docker.io`.
///
/// ```
/// use msb_credentials::RegistryName;
///
/// let name: RegistryName = "https://Registry.Example.com:5000/v2/".parse()?;
/// assert_eq!(name.as_str(), "registry.example.com:5000");
/// let hub: RegistryName = "registry-1.docker.io".parse()?;
/// assert_eq!(hub.as_str(), "docker.io");
/// # Ok::<(), msb_credentials::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryName(String);

impl RegistryName {
    /// Returns `host` or `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is Docker Hub.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        self.0 == DOCKER_HUB
    }

    /// Returns the key under which credentials are stored, the only one that Docker reads.
    #[must_use]
    pub fn storage_key(&self) -> &str {
        if self.is_docker_hub() {
            DOCKER_HUB_KEY
        } else {
            &self.0
        }
    }

    /// Returns the server URLs under which a helper may hold credentials: Docker's key, then podman's.
    pub(crate) fn helper_keys(&self) -> impl Iterator<Item = &str> {
        let podman = self.is_docker_hub().then_some(DOCKER_HUB);
        std::iter::once(self.storage_key()).chain(podman)
    }

    /// Ranks a key of `auths` for this registry and repository; `None` if the key belongs to neither.
    ///
    /// Higher is better. The longest path that is a prefix of the repository wins; a plain host wins over a URL.
    pub(crate) fn rank(&self, key: &str, repository: Option<&str>) -> Option<Rank> {
        let (has_scheme, host, path) = split_key(key);
        if canonical_host(host) != self.0 {
            return None;
        }
        if path.is_empty() {
            return Some(Rank {
                path_bytes: 0,
                spelling: match has_scheme {
                    false if host == self.0 => Spelling::Exact,
                    false => Spelling::Alias,
                    true => Spelling::Url,
                },
            });
        }
        let is_prefix = repository.is_some_and(|repository| {
            repository
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if is_prefix {
            let spelling = if has_scheme {
                Spelling::Url
            } else {
                Spelling::Exact
            };
            return Some(Rank {
                path_bytes: path.len(),
                spelling,
            });
        }
        // Docker once stored URLs as typed and compares only their hosts.
        has_scheme.then_some(Rank {
            path_bytes: 0,
            spelling: Spelling::UrlWithPath,
        })
    }

    /// Returns whether a key of `credHelpers` names this registry.
    pub(crate) fn is_named_by(&self, key: &str) -> bool {
        let (_, host, path) = split_key(key);
        path.is_empty() && canonical_host(host) == self.0
    }
}

/// How well a key fits. The order of the fields is the order of importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Length of the path that the key and the repository share.
    path_bytes: usize,
    spelling: Spelling,
}

/// How a key is written, from the worst to the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Spelling {
    UrlWithPath,
    Url,
    Alias,
    Exact,
}

/// Splits a key into whether it has a scheme, its host, and its path without slashes at the ends.
///
/// `/v1/` and `/v2/` are roots of the registry API, not paths.
fn split_key(key: &str) -> (bool, &str, &str) {
    let (has_scheme, rest) = match key.split_once("://") {
        Some(("http" | "https", rest)) => (true, rest),
        _ => (false, key),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = match path {
        "v1/" | "v2/" => "",
        "v1" | "v2" if has_scheme => "",
        path => path.trim_matches('/'),
    };
    (has_scheme, host, path)
}

fn canonical_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if DOCKER_HUB_HOSTS.contains(&host.as_str()) {
        DOCKER_HUB.to_owned()
    } else {
        host
    }
}

impl FromStr for RegistryName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (_, host, _) = split_key(text);
        let is_host_char = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let is_host = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && host.len() <= MAX_BYTES
            && host.chars().all(is_host_char);
        if !is_host {
            return Err(Error::Registry {
                name: Excerpt::new(text),
            });
        }
        Ok(Self(canonical_host(host)))
    }
}

impl fmt::Display for RegistryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'a>(registry: &str, repository: Option<&str>, keys: &[&'a str]) -> Option<&'a str> {
        let registry: RegistryName = registry.parse().unwrap();
        let ranked = keys
            .iter()
            .filter_map(|key| Some((registry.rank(key, repository)?, *key)));
        ranked.max().map(|(_, key)| key)
    }

    #[test]
    fn the_longest_path_wins() {
        let keys = [
            "h.example",
            "h.example/a",
            "h.example/a/b",
            "https://h.example/",
        ];
        let cases = [
            (Some("a/b/c"), "h.example/a/b"),
            (Some("a/b"), "h.example/a/b"),
            (Some("a/bc"), "h.example/a"),
            (Some("ab"), "h.example"),
            (None, "h.example"),
        ];
        for (repository, expected) in cases {
            assert_eq!(
                best("h.example", repository, &keys),
                Some(expected),
                "{repository:?}"
            );
        }
        assert_eq!(best("h.example", Some("x"), &["h.example/a"]), None);
        assert_eq!(
            best("h.example", None, &["h.example:443x", "xh.example"]),
            None
        );
    }

    #[test]
    fn api_roots_and_urls_are_hosts() {
        for key in [
            "https://h.example",
            "http://h.example/v1/",
            "https://h.example/v2",
            "h.example/v1/",
            "H.Example",
            "https://h.example/ui/login",
        ] {
            assert_eq!(best("h.example", Some("a"), &[key]), Some(key));
        }
        assert_eq!(best("h.example", Some("a"), &["h.example/v1"]), None);
        assert_eq!(
            best("h.example", Some("v1/a"), &["h.example", "h.example/v1"]),
            Some("h.example/v1")
        );
    }

    #[test]
    fn docker_hub_has_one_name() {
        for name in [
            "docker.io",
            "index.docker.io",
            "registry-1.docker.io",
            DOCKER_HUB_KEY,
        ] {
            let hub: RegistryName = name.parse().unwrap();
            assert!(hub.is_docker_hub(), "{name}");
            assert_eq!(hub.storage_key(), DOCKER_HUB_KEY);
            for key in [
                "docker.io",
                "index.docker.io",
                "registry-1.docker.io",
                DOCKER_HUB_KEY,
            ] {
                assert!(
                    hub.rank(key, Some("library/alpine")).is_some(),
                    "{name} {key}"
                );
                assert!(hub.is_named_by(key), "{name} {key}");
            }
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for name in [
            "",
            "https://",
            "a b",
            "../x",
            "a\nb",
            "h.example@x",
            "user:pw@h",
        ] {
            let result: Result<RegistryName, _> = name.parse();
            assert!(result.is_err(), "{name:?}");
        }
    }
}
