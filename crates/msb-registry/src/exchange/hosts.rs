//! Hosts that were named for something, and origins.

use reqwest::Url;

use crate::host::{RegistryHost, parse_authority};

/// Returns whether two URLs share scheme, host and port, which is as far as `Authorization` goes.
pub(crate) fn same_origin(left: &Url, right: &Url) -> bool {
    left.scheme() == right.scheme()
        && left.host_str() == right.host_str()
        && left.port_or_known_default() == right.port_or_known_default()
}

/// A list of hosts, each with one port or all of its ports.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamedHosts(Vec<NamedHost>);

#[derive(Debug, Clone)]
struct NamedHost {
    /// As [`Url::host_str`] has it: an IPv6 address is in brackets.
    host: String,
    /// `None` stands for every port.
    port: Option<u16>,
}

impl NamedHosts {
    /// Adds `HOST` or `HOST:PORT`. Returns `None` if `text` has another form.
    pub(crate) fn add(&mut self, text: &str) -> Option<()> {
        let url = parse_authority(text)?;
        let host = url.host_str()?.to_owned();
        // A URL drops a port that is its scheme's own.
        let port = if text.ends_with(":443") {
            Some(443)
        } else {
            url.port()
        };
        self.0.push(NamedHost { host, port });
        Some(())
    }

    /// Adds the host, and the port if it has one, of a registry.
    pub(crate) fn add_registry(&mut self, host: &RegistryHost) {
        // A registry's host was parsed in the same way.
        let _ = self.add(host.as_str());
    }

    /// Returns whether `url`'s host and port are named.
    pub(crate) fn contains(&self, url: &Url) -> bool {
        self.0.iter().any(|named| {
            Some(named.host.as_str()) == url.host_str()
                && named
                    .port
                    .is_none_or(|port| url.port_or_known_default() == Some(port))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_is_named_with_one_port_or_all() {
        let mut hosts = NamedHosts::default();
        for host in ["mirror.lan:5000", "any.lan", "[::1]:5000", "web.lan:80"] {
            hosts.add(host).unwrap();
        }
        for yes in [
            "http://mirror.lan:5000/",
            "http://any.lan/",
            "http://any.lan:81/",
            "http://[::1]:5000/",
            "http://web.lan/",
        ] {
            assert!(hosts.contains(&url(yes)), "{yes}");
        }
        for no in [
            "http://mirror.lan/",
            "http://x.any.lan/",
            "http://[::1]/",
            "http://web.lan:81/",
        ] {
            assert!(!hosts.contains(&url(no)), "{no}");
        }
        for odd in ["", "http://x", "a/b", "a b", "x:99999", "user@x", "a?b"] {
            assert!(hosts.add(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn origins_differ_by_scheme_host_and_port() {
        let origin = url("https://a.example/x");
        assert!(same_origin(&origin, &url("https://a.example:443/y?z")));
        for other in [
            "http://a.example/",
            "https://a.example:444/",
            "https://b.example/",
            "https://a.example.evil/",
        ] {
            assert!(!same_origin(&origin, &url(other)), "{other}");
        }
    }
}
