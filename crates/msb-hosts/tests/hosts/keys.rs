//! Every key of `hosts.toml`.

use std::path::PathBuf;
use std::time::Duration;

use msb_hosts::{Capabilities, ClientCertificate, Header, HostConfig, HostRole};

use crate::support::{Dir, parse, urls, warnings};

/// The only mirror of a file with this content in its table.
fn mirror(keys: &str) -> HostConfig {
    let hosts = parse(&format!("[host.\"https://m.example\"]\n{keys}\n")).unwrap();
    assert_eq!(warnings(&hosts), Vec::<String>::new());
    assert_eq!(hosts.hosts.len(), 2);
    hosts.hosts[0].clone()
}

fn headers(headers: &[Header]) -> Vec<(&str, &str)> {
    headers
        .iter()
        .map(|header| (header.name(), header.value()))
        .collect()
}

fn pairs(client: &[ClientCertificate]) -> Vec<(&str, Option<&str>)> {
    let show = |path: &PathBuf| path.to_str().unwrap().to_owned().leak() as &str;
    client
        .iter()
        .map(|pair| (show(&pair.cert), pair.key.as_ref().map(show)))
        .collect()
}

#[test]
fn hosts_come_in_the_order_of_the_file_and_the_server_last() {
    let hosts = parse(
        "server = \"https://upstream.example\"
ca = \"/ca.pem\"
[host.\"https://z.example\"]
[host.\"https://b.example\".header]
  x = \"y\"
[host.\"https://a.example/us\"]
[host.\"https://b.example\"]
  capabilities = [\"pull\"]
[host]
\"c.example:5000\".skip_verify = true
\"http://0.example\" = {}
",
    )
    .unwrap();
    let expected = [
        "https://z.example/v2",
        "https://b.example/v2",
        "https://a.example/us/v2",
        "https://c.example:5000/v2",
        "http://0.example/v2",
        "https://upstream.example/v2",
    ];
    assert_eq!(urls(&hosts), expected);
    let roles: Vec<_> = hosts.hosts.iter().map(|host| host.role).collect();
    assert_eq!(roles[..5], [HostRole::Mirror; 5]);
    assert_eq!(roles[5], HostRole::Server);
    assert_eq!(hosts.hosts[5].ca, [PathBuf::from("/ca.pem")]);
    assert!(hosts.hosts[0].ca.is_empty());
    assert_eq!(headers(&hosts.hosts[1].headers), [("x", "y")]);
    assert!(!hosts.hosts[1].capabilities.resolve);
}

#[test]
fn a_server_replaces_the_registry_and_an_empty_one_does_not() {
    for (text, role, url) in [
        (
            "server = \"http://s.example:81/x\"",
            HostRole::Server,
            "http://s.example:81/x/v2",
        ),
        (
            "server = \"s.example\"",
            HostRole::Server,
            "https://s.example/v2",
        ),
        ("server = \"\"", HostRole::Registry, "https://r.example/v2"),
        ("# nothing", HostRole::Registry, "https://r.example/v2"),
    ] {
        let hosts = parse(text).unwrap();
        assert_eq!(urls(&hosts), [url]);
        assert_eq!(hosts.hosts[0].role, role);
    }
}

#[test]
fn keys_outside_of_the_tables_are_the_servers() {
    let keys =
        "skip_verify = true\ndial_timeout = \"2s\"\nclient = \"c.pem\"\n[header]\na = \"b\"\n";
    for server in ["", "server = \"https://r.example\"\n"] {
        let hosts = parse(&format!("{server}{keys}")).unwrap();
        let host = &hosts.hosts[0];
        assert_eq!(host.skip_verify, Some(true));
        assert_eq!(host.dial_timeout, Some(Duration::from_secs(2)));
        assert_eq!((host.client.len(), host.headers.len()), (1, 1));
    }
    // As in containerd, the registry itself may do everything.
    let hosts = parse("capabilities = [\"pull\"]\noverride_path = true").unwrap();
    assert_eq!(hosts.hosts[0].capabilities, Capabilities::ALL);
    assert_eq!(urls(&hosts), ["https://r.example/v2"]);
    let expected = [
        "1: capabilities has no effect without server",
        "2: override_path has no effect without server",
    ];
    assert_eq!(warnings(&hosts), expected);
    let hosts = parse(
        "server = \"https://r.example/api\"\ncapabilities = [\"pull\"]\noverride_path = true",
    )
    .unwrap();
    assert!(!hosts.hosts[0].capabilities.push);
    assert_eq!(urls(&hosts), ["https://r.example/api"]);
}

#[test]
fn capabilities_are_all_unless_they_are_named() {
    assert_eq!(mirror("").capabilities, Capabilities::ALL);
    assert_eq!(mirror("capabilities = []").capabilities, Capabilities::ALL);
    let host = mirror("capabilities = [\"pull\", \"Resolve\"]").capabilities;
    assert_eq!(
        (host.pull, host.resolve, host.push, host.referrers),
        (true, true, false, false)
    );
    let host = mirror("capabilities = [\"push\", \"referrers\"]").capabilities;
    assert_eq!(
        (host.pull, host.resolve, host.push, host.referrers),
        (false, false, true, true)
    );
    let hosts = parse("[host.\"m\"]\ncapabilities = [\"pull\",\n\"fly\"]").unwrap();
    assert_eq!(warnings(&hosts), ["3: unknown capability fly"]);
    assert!(hosts.hosts[0].capabilities.pull && !hosts.hosts[0].capabilities.resolve);
    let hosts = parse("[host.\"m\"]\ncapabilities = [\"fly\"]").unwrap();
    assert_eq!(hosts.hosts[0].capabilities, Capabilities::NONE);
}

#[test]
fn paths_are_absolute_or_relative_to_the_file() {
    let dir = Dir::new();
    let file = dir.write(
        "r.example/hosts.toml",
        "ca = \"a.pem\"\n[host.m]\nca = [\"/abs/b.pem\", \"sub/c.pem\"]\nclient = [[\"d.cert\", \"../d.key\"]]\n",
    );
    let hosts = dir.hosts("r.example").unwrap();
    let folder = file.parent().unwrap();
    assert_eq!(hosts.hosts[1].ca, [folder.join("a.pem")]);
    assert_eq!(
        hosts.hosts[0].ca,
        [PathBuf::from("/abs/b.pem"), folder.join("sub/c.pem")]
    );
    assert_eq!(hosts.hosts[0].client[0].key, Some(folder.join("../d.key")));
}

#[test]
fn client_certificates_have_three_forms() {
    assert_eq!(
        pairs(&mirror("client = \"/a.pem\"").client),
        [("/a.pem", None)]
    );
    assert_eq!(
        pairs(&mirror("client = [\"/a.pem\", \"/b.pem\"]").client),
        [("/a.pem", None), ("/b.pem", None)]
    );
    assert_eq!(
        pairs(
            &mirror("client = [[\"/a.cert\", \"/a.key\"], [\"/b.pem\", \"\"], \"/c.pem\"]").client
        ),
        [
            ("/a.cert", Some("/a.key")),
            ("/b.pem", None),
            ("/c.pem", None)
        ]
    );
    assert!(mirror("client = []").client.is_empty());
}

#[test]
fn verification_of_certificates_is_skipped_only_where_it_is_asked_for() {
    assert_eq!(mirror("").skip_verify, None);
    assert_eq!(mirror("skip_verify = false").skip_verify, Some(false));
    assert_eq!(mirror("skip_verify = true").skip_verify, Some(true));
    let hosts = parse("[host.\"https://m.example\"]\nskip_verify = true").unwrap();
    assert_eq!(hosts.hosts[1].skip_verify, None, "the server keeps its own");
}

#[test]
fn headers_keep_their_order_and_are_not_printed() {
    let host = mirror(
        "[host.\"https://m.example\".header]\nX-Z = \"1\"\nAuthorization = [\"Bearer hunter2\", \"b\tc\"]\nx-a = \"\"",
    );
    let expected = [
        ("X-Z", "1"),
        ("Authorization", "Bearer hunter2"),
        ("Authorization", "b\tc"),
        ("x-a", ""),
    ];
    assert_eq!(headers(&host.headers), expected);
    assert!(!format!("{host:?}").contains("hunter2"));
}

#[test]
fn an_overridden_path_gets_no_api_root() {
    let hosts = parse("[host.\"https://m.example/v2/upstream\"]\noverride_path = true\n[host.\"https://n.example\"]\noverride_path = true").unwrap();
    assert_eq!(
        urls(&hosts)[..2],
        ["https://m.example/v2/upstream", "https://n.example"]
    );
    assert!(hosts.hosts[0].override_path && !hosts.hosts[2].override_path);
}

#[test]
fn a_dial_timeout_is_a_duration() {
    assert_eq!(mirror("").dial_timeout, None);
    assert_eq!(
        mirror("dial_timeout = \"1m1.5s\"").dial_timeout,
        Some(Duration::from_millis(61_500))
    );
    // No limit.
    assert_eq!(mirror("dial_timeout = \"0s\"").dial_timeout, None);
}

#[test]
fn a_mirror_gets_the_registry_as_its_namespace() {
    let hosts = parse("server = \"https://r.example\"\n[host.\"https://m.example\"]\n[host.\"http://r.example/mirror\"]").unwrap();
    let namespaces = hosts.hosts.iter().map(|host| host.namespace("r.example"));
    assert_eq!(
        namespaces.collect::<Vec<_>>(),
        [Some("r.example"), None, None]
    );
    let dir = Dir::new();
    dir.write(
        "p.example_443_/hosts.toml",
        "server = \"https://p.example\"",
    );
    assert_eq!(
        dir.hosts("p.example:443").unwrap().hosts[0].namespace("p.example:443"),
        None
    );
    dir.write(
        "docker.io/hosts.toml",
        "server = \"https://registry-1.docker.io\"\n[host.\"https://docker.io.example\"]",
    );
    let hosts = dir.hosts("docker.io").unwrap();
    let namespaces = hosts.hosts.iter().map(|host| host.namespace("docker.io"));
    assert_eq!(namespaces.collect::<Vec<_>>(), [Some("docker.io"), None]);
}

#[test]
fn unknown_keys_are_warnings_with_their_lines() {
    let hosts = parse(
        "shiny = 1
[other]
x = 1
[host.\"https://u:hunter2@m.example/?hunter2#hunter2\"]
server = \"https://nested\"
[host.\"https://u:hunter2@m.example/?hunter2#hunter2\".host.\"x\"]
capabilities = 3
",
    )
    .unwrap();
    assert_eq!(
        urls(&hosts),
        ["https://m.example/v2", "https://r.example/v2"]
    );
    let expected = [
        "1: unknown key shiny",
        "2: unknown key other",
        "4: user, query and fragment of a URL have no effect",
        "5: unknown key server",
        "6: unknown key host",
    ];
    assert_eq!(warnings(&hosts), expected);
    assert!(
        hosts.warnings[0]
            .to_string()
            .ends_with("r.example/hosts.toml:1: unknown key shiny")
    );
    assert!(!format!("{hosts:?}").contains("hunter2"));
}
