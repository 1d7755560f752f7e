//! Origins, and the hosts that may be spoken to over plain HTTP.

use msb_oci::{Excerpt, Reference};
use reqwest::Url;

use crate::error::Error;

/// Whether two URLs share scheme, host and port, which is as far as `Authorization` goes.
pub(crate) fn same_origin(left: &Url, right: &Url) -> bool {
    left.scheme() == right.scheme()
        && left.host_str() == right.host_str()
        && left.port_or_known_default() == right.port_or_known_default()
}

/// The root of the registry that `reference` names, under `scheme`.
pub(crate) fn base_url(scheme: &str, reference: &Reference) -> Result<Url, Error> {
    let authority = match reference.registry() {
        // The name that images carry, and the machine that serves them.
        "docker.io" => "registry-1.docker.io",
        other => other,
    };
    Url::parse(&format!("{scheme}://{authority}/")).map_err(|_| Error::RegistryUrl {
        registry: Excerpt::new(reference.registry()),
    })
}

/// Hosts that were named for plain HTTP.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlainHosts(Vec<PlainHost>);

#[derive(Debug, Clone)]
struct PlainHost {
    /// As [`Url::host_str`] has it: an IPv6 address is in brackets.
    host: String,
    /// `None` stands for every port.
    port: Option<u16>,
}

impl PlainHosts {
    /// Adds `HOST` or `HOST:PORT`.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), Error> {
        let fault = || Error::PlainHttpHost {
            input: Excerpt::new(text),
        };
        if text.contains(['/', '?', '#', '@', '\\']) || text.contains(char::is_whitespace) {
            return Err(fault());
        }
        let url = Url::parse(&format!("http://{text}/")).map_err(|_| fault())?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(fault)?
            .to_owned();
        // A URL forgets a port that is its scheme's own.
        let port = if text.ends_with(":80") {
            Some(80)
        } else {
            url.port()
        };
        self.0.push(PlainHost { host, port });
        Ok(())
    }

    /// Whether `url`'s host and port are named.
    pub(crate) fn allow(&self, url: &Url) -> bool {
        self.0.iter().any(|plain| {
            Some(plain.host.as_str()) == url.host_str()
                && plain
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
    fn plain_http_is_for_the_named_host_and_port() {
        let mut hosts = PlainHosts::default();
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
            assert!(hosts.allow(&url(yes)), "{yes}");
        }
        for no in [
            "http://mirror.lan/",
            "http://x.any.lan/",
            "http://[::1]/",
            "http://web.lan:81/",
        ] {
            assert!(!hosts.allow(&url(no)), "{no}");
        }
        for odd in ["", "http://x", "a/b", "a b", "x:99999", "user@x", "a?b"] {
            assert!(hosts.add(odd).is_err(), "{odd}");
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

    #[test]
    fn docker_io_is_served_elsewhere() {
        let reference = "alpine".parse().unwrap();
        assert_eq!(
            base_url("https", &reference).unwrap().as_str(),
            "https://registry-1.docker.io/"
        );
    }
}
