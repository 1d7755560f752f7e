//! The name of a registry's host, as the key of credentials.

use std::fmt;
use std::str::FromStr;

use msb_oci::{Excerpt, Reference};
use reqwest::Url;

/// The name of Docker Hub in references.
const DOCKER_HUB: &str = "docker.io";
/// The hosts that serve Docker Hub, or did so once.
const DOCKER_HUB_HOSTS: [&str; 3] = [DOCKER_HUB, "index.docker.io", "registry-1.docker.io"];

/// A registry's `host` or `host:port`, in lower case. Credentials belong to exactly one.
///
/// The three names of Docker Hub are one host, and the port of HTTPS is left out:
///
/// ```
/// use msb_registry::RegistryHost;
///
/// let hub: RegistryHost = "registry-1.docker.io".parse()?;
/// assert_eq!(hub.as_str(), "docker.io");
/// let ghcr: RegistryHost = "GHCR.io:443".parse()?;
/// assert_eq!(ghcr.as_str(), "ghcr.io");
/// # Ok::<(), msb_registry::InvalidHost>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryHost(Box<str>);

/// A text that is not of the form `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is not of the form HOST or HOST:PORT")]
pub struct InvalidHost {
    input: Excerpt,
}

impl RegistryHost {
    /// Returns the host of the registry that `reference` names.
    #[must_use]
    pub fn of(reference: &Reference) -> Self {
        // References that no URL can be made of fail when they are used.
        parse_authority(reference.registry()).map_or_else(
            || Self(reference.registry().into()),
            |url| Self::of_url(&url),
        )
    }

    /// Returns the host and port of `url`.
    pub(crate) fn of_url(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        if DOCKER_HUB_HOSTS.contains(&host) && url.port_or_known_default() == Some(443) {
            return Self(DOCKER_HUB.into());
        }
        match url.port() {
            Some(port) if port != 443 => Self(format!("{host}:{port}").into()),
            _ => Self(host.into()),
        }
    }

    /// Returns the host as text, such as `ghcr.io`, `localhost:5000` or `[::1]:5000`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegistryHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let url = parse_authority(text).ok_or_else(|| InvalidHost {
            input: Excerpt::new(text),
        })?;
        Ok(Self::of_url(&url))
    }
}

/// Parses `HOST` or `HOST:PORT` into a URL with nothing else in it.
pub(crate) fn parse_authority(text: &str) -> Option<Url> {
    if text.contains(['/', '?', '#', '@', '\\']) || text.contains(char::is_whitespace) {
        return None;
    }
    let url = Url::parse(&format!("https://{text}/")).ok()?;
    url.host_str().filter(|host| !host.is_empty())?;
    Some(url)
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hubs_names_are_one_host() {
        for reference in [
            "alpine",
            "docker.io/a/b",
            "index.docker.io/a/b",
            "registry-1.docker.io/a/b",
        ] {
            let host = RegistryHost::of(&reference.parse().unwrap());
            assert_eq!(host.as_str(), "docker.io", "{reference}");
        }
        let other: RegistryHost = "docker.io:444".parse().unwrap();
        assert_eq!(other.as_str(), "docker.io:444");
    }

    #[test]
    fn a_host_has_one_spelling() {
        let host = |text: &str| text.parse::<RegistryHost>().unwrap().to_string();
        assert_eq!(host("Registry.Example:443"), "registry.example");
        assert_eq!(host("registry.example:5000"), "registry.example:5000");
        assert_eq!(host("[::1]:5000"), "[::1]:5000");
        for odd in ["", "https://x", "x/y", "user@x", "x y", "x:99999"] {
            assert!(odd.parse::<RegistryHost>().is_err(), "{odd}");
        }
    }
}
