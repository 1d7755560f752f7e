//! Addresses that a server elsewhere must not lead a client to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Returns whether the host of `url` is an address literal, or a name, of this machine or of a local network.
///
/// URLs have one spelling for each IPv4 address by the time they are parsed: `0x7f.1` and `2130706433` are `127.0.0.1`.
pub(crate) fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => is_private_v6(address),
        Err(_) => is_local_name(host),
    }
}

/// Returns whether a name means this machine: by RFC 6761, or as in `/etc/hosts` of Linux distributions.
fn is_local_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    matches!(
        last,
        "localhost" | "localdomain" | "ip6-localhost" | "ip6-loopback"
    )
}

/// Checks an address against the special-purpose registry of RFC 6890, as far as such addresses may lead to a machine.
fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        // "This network", shared address space, protocol assignments, benchmarks, reserved.
        || a == 0
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18)
        || a >= 240
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [a, b, ..] = segments;
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return true;
    }
    // Unique local, link-local, site-local.
    if a & 0xfe00 == 0xfc00 || a & 0xffc0 == 0xfe80 || a & 0xffc0 == 0xfec0 {
        return true;
    }
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Compatible, mapped and translated IPv4 addresses.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // NAT64 prefixes of local use.
        [0x64, 0xff9b, 1, ..] => true,
        // 6to4 and Teredo carry an IPv4 address.
        [0x2002, high, low, ..] => v4(high, low),
        _ if a == 0x2001 && b == 0 => v4(!segments[6], !segments[7]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_seen_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "\u{ff11}27.0.0.1",
            "0",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "localhost.localdomain",
        ] {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            assert!(is_private(&url), "{host} {url}");
        }
    }

    #[test]
    fn public_addresses_and_names_are_not() {
        for host in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "[2606:4700::1111]",
            "[::ffff:8.8.8.8]",
            "registry.example",
            "localhost.example",
            "10.example",
        ] {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            assert!(!is_private(&url), "{host}");
        }
    }
}
