//! Proxies from the environment.

use std::net::IpAddr;

use reqwest::Url;

/// The proxies that `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` name, and the hosts that `NO_PROXY` excepts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Vec<Exception>,
}

/// One entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    /// Leading bits of addresses, and how many.
    Network(IpAddr, u8),
    /// A name or an address in lower case, with one port or all. A name stands for its subdomains too.
    Host {
        host: String,
        port: Option<u16>,
        subdomains_only: bool,
    },
}

impl Proxies {
    /// Reads variables in either case; the lower case counts first. `HTTP_PROXY` is ignored in a CGI process, where a client's
    /// `Proxy` header sets it.
    pub(crate) fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            let found = var(name).filter(|value| !value.is_empty());
            found.or_else(|| var(&name.to_ascii_uppercase()).filter(|value| !value.is_empty()))
        };
        let proxy = |name: &str| {
            let text = either(name)?;
            let parsed = parse_proxy(&text);
            if parsed.is_none() {
                // The value may hold a password.
                tracing::warn!("the value of {name} is not a URL of a proxy and is ignored");
            }
            parsed
        };
        let all = proxy("all_proxy");
        let is_cgi = var("REQUEST_METHOD").is_some();
        let http = if is_cgi { None } else { proxy("http_proxy") };
        Self {
            http: http.or_else(|| all.clone()),
            https: proxy("https_proxy").or(all),
            exceptions: either("no_proxy").map_or_else(Vec::new, |text| parse_exceptions(&text)),
        }
    }

    /// Returns whether no request goes through a proxy.
    pub(crate) fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// Returns the proxy for requests to `url`.
    pub(crate) fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }?;
        let is_excepted = self.exceptions.iter().any(|entry| entry.covers(url));
        (!is_excepted).then_some(proxy)
    }
}

fn parse_proxy(text: &str) -> Option<Url> {
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{text}")),
    };
    url.ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
}

/// Parses a list with commas or blanks. An entry that makes no sense is skipped.
fn parse_exceptions(text: &str) -> Vec<Exception> {
    text.split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty())
        .filter_map(Exception::parse)
        .collect()
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let bits: u8 = bits.parse().ok()?;
            let width = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= width).then_some(Self::Network(address, bits));
        }
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::host(&address.to_string(), None, false));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let suffix = host.strip_prefix("*.").or_else(|| host.strip_prefix('.'));
        let name = suffix.unwrap_or(host);
        (!name.is_empty()).then(|| Self::host(name, port, suffix.is_some()))
    }

    fn host(host: &str, port: Option<u16>, subdomains_only: bool) -> Self {
        Self::Host {
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            port,
            subdomains_only,
        }
    }

    fn covers(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match self {
            Self::All => true,
            Self::Network(network, bits) => host
                .parse()
                .is_ok_and(|address| is_within(address, *network, *bits)),
            Self::Host {
                host: name,
                port,
                subdomains_only,
            } => {
                let is_subdomain = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.ends_with('.'));
                let is_named = is_subdomain || (host == name && !subdomains_only);
                is_named && port.is_none_or(|port| url.port_or_known_default() == Some(port))
            }
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    // The number of trailing bits that do not count; the shift is refused where none counts.
    let same = |left: u128, right: u128, width: u8| {
        let ignored = u32::from(width - bits);
        left.checked_shr(ignored).unwrap_or(0) == right.checked_shr(ignored).unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            same(u32::from(left).into(), u32::from(right).into(), 32)
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => same(left.into(), right.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(vars: &[(&str, &str)]) -> Proxies {
        Proxies::from_vars(|name| {
            let found = vars.iter().find(|(var, _)| *var == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn is_proxied(no_proxy: &str, url: &str) -> bool {
        let proxies = proxies(&[("https_proxy", "proxy:3128"), ("no_proxy", no_proxy)]);
        proxies.of(&url.parse().unwrap()).is_some()
    }

    #[test]
    fn no_proxy_has_names_suffixes_networks_and_ports() {
        let list = "registry.lan, .corp.example,*.wild.example,10.0.0.0/8 fd00::/8,one.example:5000,[::1]:5000,192.168.7.7";
        for direct in [
            "https://registry.lan/",
            "https://REGISTRY.lan:5000/",
            "https://a.registry.lan/",
            "https://a.corp.example/",
            "https://a.b.wild.example/",
            "https://10.20.30.40/",
            "https://[fd12::1]/",
            "https://one.example:5000/",
            "https://a.one.example:5000/",
            "https://[::1]:5000/",
            "https://192.168.7.7:99/",
        ] {
            assert!(!is_proxied(list, direct), "{direct}");
        }
        for proxied in [
            "https://xregistry.lan/",
            "https://registry.lan.evil/",
            "https://corp.example/",
            "https://11.0.0.1/",
            "https://[fe00::1]/",
            "https://one.example/",
            "https://one.example:5001/",
            "https://[::1]/",
            "https://192.168.7.8/",
        ] {
            assert!(is_proxied(list, proxied), "{proxied}");
        }
        assert!(!is_proxied("*", "https://any.example/"));
        assert!(!is_proxied("0.0.0.0/0", "https://8.8.8.8/"));
        assert!(is_proxied("0.0.0.0/0", "https://[::2]/"));
        for odd in ["", ",,", "10.0.0.0/33", "x:port", "/8", ".", "*."] {
            assert!(is_proxied(odd, "https://any.example/"), "{odd}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let of = |proxies: &Proxies, url: &str| {
            let proxy = proxies.of(&url.parse().unwrap());
            proxy.map(ToString::to_string)
        };
        let both = proxies(&[("HTTPS_PROXY", "http://s:1"), ("http_proxy", "h:2")]);
        assert_eq!(of(&both, "https://x/").as_deref(), Some("http://s:1/"));
        assert_eq!(of(&both, "http://x/").as_deref(), Some("http://h:2/"));
        let all = proxies(&[("all_proxy", "a:3")]);
        assert_eq!(of(&all, "http://x/").as_deref(), Some("http://a:3/"));
        assert_eq!(of(&all, "https://x/").as_deref(), Some("http://a:3/"));
        let cgi = proxies(&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(of(&cgi, "http://x/"), None);
        assert!(proxies(&[("https_proxy", "ftp://x"), ("http_proxy", "")]).is_empty());
    }
}
