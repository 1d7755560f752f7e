//! The root of a host's registry API.

use std::fmt;

use url::Url;

use crate::error::ValueFault;

/// Name of Docker Hub in references.
const DOCKER_HUB: &str = "docker.io";
/// The host that serves Docker Hub's registry API.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// Last part of a path that is the root of the API.
const API_ROOT: &str = "v2";
/// Longest URL.
const MAX_BYTES: usize = 2048;

/// `http` or `https`, a host with an optional port, and the path of the registry API, without a slash at the end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostUrl {
    text: String,
    /// Where host and port begin.
    authority: usize,
    /// Where the path begins: `0 < authority < path <= text.len()`.
    path: usize,
}

impl HostUrl {
    /// Parses the URL or host of a file. Also returns whether user, query or fragment were left out.
    pub(crate) fn parse(text: &str, override_path: bool) -> Result<(Self, bool), ValueFault> {
        // A parser of URLs drops line breaks and takes backslashes for slashes.
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.len() > MAX_BYTES || text.contains(is_odd) {
            return Err(ValueFault::Url);
        }
        let url = match text.split_once("://") {
            Some(("http" | "https", rest)) if !rest.starts_with('/') => Url::parse(text),
            Some(("http" | "https", _)) => return Err(ValueFault::Url),
            Some(_) => return Err(ValueFault::Scheme),
            None if text.is_empty() || text.starts_with('/') => return Err(ValueFault::Url),
            None => Url::parse(&format!("https://{text}")),
        };
        let url = url.map_err(|_| ValueFault::Url)?;
        let host = url.host_str().ok_or(ValueFault::Url)?;
        let mut this = Self {
            text: format!("{}://", url.scheme()),
            authority: 0,
            path: 0,
        };
        this.authority = this.text.len();
        this.text.push_str(host);
        if let Some(port) = url.port() {
            this.text.push_str(&format!(":{port}"));
        }
        this.path = this.text.len();
        let mut segments: Vec<&str> = url
            .path_segments()
            .into_iter()
            .flatten()
            .filter(|segment| !segment.is_empty())
            .collect();
        if !override_path && segments.last() != Some(&API_ROOT) {
            segments.push(API_ROOT);
        }
        for segment in segments {
            this.text.push('/');
            this.text.push_str(segment);
        }
        let has_more = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        Ok((this, has_more))
    }

    /// Returns the URL of the registry itself.
    pub(crate) fn of_registry(registry: &str) -> Result<Self, ValueFault> {
        let host = match registry {
            DOCKER_HUB => DOCKER_HUB_HOST,
            registry => registry,
        };
        Self::parse(host, false).map(|(url, _)| url)
    }

    /// Returns the whole URL, such as `https://mirror.example.com:5000/v2`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the scheme is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Returns the host with its port, if that is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.text[self.authority..self.path]
    }

    /// Returns the path, which is empty or begins with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.path..]
    }
}

impl fmt::Display for HostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for HostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_root_of_the_api() {
        let cases = [
            ("https://h", false, "https://h/v2"),
            ("https://h/", false, "https://h/v2"),
            ("https://h/v2", false, "https://h/v2"),
            ("https://h/v2/", false, "https://h/v2"),
            ("https://h/us", false, "https://h/us/v2"),
            ("https://h//a/../b//", false, "https://h/b/v2"),
            ("https://h/v2/prefix", true, "https://h/v2/prefix"),
            ("https://h", true, "https://h"),
            ("https://h/", true, "https://h"),
            ("http://H:80/x", true, "http://h/x"),
            ("h:5000", false, "https://h:5000/v2"),
            ("httpbin.example/x", false, "https://httpbin.example/x/v2"),
            ("http://[::1]:5000", false, "http://[::1]:5000/v2"),
        ];
        for (text, override_path, expected) in cases {
            let (url, has_more) = HostUrl::parse(text, override_path).unwrap();
            assert_eq!(url.as_str(), expected);
            assert!(!has_more, "{text}");
        }
    }

    #[test]
    fn the_parts_fit_together() {
        let (url, has_more) = HostUrl::parse("http://u:p@h:81/x?q#f", true).unwrap();
        assert!(has_more && !url.is_https());
        assert_eq!(
            (url.as_str(), url.authority(), url.path()),
            ("http://h:81/x", "h:81", "/x")
        );
    }

    #[test]
    fn what_is_no_url_of_a_host_is_refused() {
        let long = format!("https://h/{}", "x".repeat(MAX_BYTES));
        for text in [
            "",
            "/",
            "https://",
            "https:///x",
            "https://a b",
            "https://h\n",
            "https://h\\@x",
            "https://h:99999",
            "h o",
            &long,
        ] {
            assert_eq!(
                HostUrl::parse(text, false).err(),
                Some(ValueFault::Url),
                "{text}"
            );
        }
        assert_eq!(
            HostUrl::parse("ftp://h", false).err(),
            Some(ValueFault::Scheme)
        );
    }
}
