//! Which directory counts for a registry.

use msb_hosts::{HostRole, HostsDirs};

use crate::support::{Dir, urls};

fn server(name: &str) -> String {
    format!("server = \"https://{name}\"\n")
}

#[test]
fn without_settings_the_registry_is_the_only_host() {
    let cases = [
        ("r.example", "https://r.example/v2"),
        ("r.example:5000", "https://r.example:5000/v2"),
        ("r.example:443", "https://r.example/v2"),
        ("[::1]:5000", "https://[::1]:5000/v2"),
        ("localhost:5000", "https://localhost:5000/v2"),
        ("docker.io", "https://registry-1.docker.io/v2"),
    ];
    for (registry, url) in cases {
        let dirs = [HostsDirs::default(), HostsDirs::new(["/no/such/directory"])];
        for dirs in dirs {
            let hosts = dirs.hosts(registry).unwrap();
            assert_eq!(urls(&hosts), [url]);
            assert_eq!(hosts.hosts[0].role, HostRole::Registry);
            assert_eq!(hosts.directory, None);
            assert_eq!(hosts.hosts[0].namespace(registry), None);
        }
    }
    let places: Vec<_> = HostsDirs::containerd()
        .iter()
        .map(|dir| dir.to_owned())
        .collect();
    assert_eq!(places.len(), 2);
    assert!(places[0].ends_with("containerd/certs.d") && places[1].ends_with("docker/certs.d"));
}

#[test]
fn the_directory_with_the_port_between_underscores_comes_first() {
    let dir = Dir::new();
    dir.write("_default/hosts.toml", server("default"));
    assert_eq!(
        urls(&dir.hosts("r.example:5000").unwrap()),
        ["https://default/v2"]
    );
    dir.write("r.example:5000/hosts.toml", server("colon"));
    assert_eq!(
        urls(&dir.hosts("r.example:5000").unwrap()),
        ["https://colon/v2"]
    );
    dir.write("r.example_5000_/hosts.toml", server("underscore"));
    let hosts = dir.hosts("r.example:5000").unwrap();
    assert_eq!(urls(&hosts), ["https://underscore/v2"]);
    assert_eq!(hosts.directory, Some(dir.path("r.example_5000_")));
    // Another port is another registry.
    for other in ["r.example", "r.example:5001"] {
        assert_eq!(urls(&dir.hosts(other).unwrap()), ["https://default/v2"]);
    }
    dir.write("[::1]_5000_/hosts.toml", server("six"));
    dir.write("[::1]/hosts.toml", server("bare-six"));
    assert_eq!(urls(&dir.hosts("[::1]:5000").unwrap()), ["https://six/v2"]);
    assert_eq!(urls(&dir.hosts("[::1]").unwrap()), ["https://bare-six/v2"]);
}

#[test]
fn the_first_directory_with_settings_counts_alone() {
    let (first, second) = (Dir::new(), Dir::new());
    first.write("a.example/hosts.toml", server("first-a"));
    second.write("a.example/hosts.toml", server("second-a"));
    second.write("b.example/hosts.toml", server("second-b"));
    let dirs = HostsDirs::new([first.path(""), second.path("")]);
    assert_eq!(
        urls(&dirs.hosts("a.example").unwrap()),
        ["https://first-a/v2"]
    );
    assert_eq!(
        urls(&dirs.hosts("b.example").unwrap()),
        ["https://second-b/v2"]
    );
    first.write("_default/hosts.toml", server("first-default"));
    assert_eq!(
        urls(&dirs.hosts("b.example").unwrap()),
        ["https://first-default/v2"]
    );
}

#[test]
fn a_directory_without_hosts_toml_has_dockers_certificates() {
    for empty_file in [false, true] {
        let dir = Dir::new();
        dir.write("_default/hosts.toml", server("default"));
        let names = [
            "b.crt", "a.crt", "x.cert", "x.key", "y.cert", "z.key", "README",
        ];
        for name in names {
            dir.write(&format!("r.example/{name}"), "x");
        }
        std::fs::create_dir(dir.path("r.example/d.crt")).unwrap();
        if empty_file {
            dir.write("r.example/hosts.toml", "");
        }
        let hosts = dir.hosts("r.example").unwrap();
        assert_eq!(urls(&hosts), ["https://r.example/v2"]);
        let host = &hosts.hosts[0];
        let path = |name: &str| dir.path(&format!("r.example/{name}"));
        assert_eq!(host.ca, [path("a.crt"), path("b.crt")]);
        assert_eq!(host.client.len(), 2);
        assert_eq!(
            (&host.client[0].cert, &host.client[0].key),
            (&path("x.cert"), &Some(path("x.key")))
        );
        assert_eq!(
            (&host.client[1].cert, &host.client[1].key),
            (&path("y.cert"), &None)
        );
    }
}

#[test]
fn a_name_that_leads_out_of_the_directory_is_refused() {
    let dir = Dir::new();
    dir.write("hosts.toml", server("outside"));
    dir.write("_default/hosts.toml", server("default"));
    for name in [
        "", ".", "..", "../x", "a/b", "a\\b", "a\0b", "_default", ".hidden", "a b", "a\nb",
    ] {
        let error = dir.hosts(name).unwrap_err();
        assert!(
            error.to_string().contains("is not the name of a registry"),
            "{error}"
        );
    }
}
