//! Files that cannot be used.

use std::os::unix::fs::symlink;
use std::process::Command;

use msb_hosts::HostsDirs;
use proptest::prelude::*;

use crate::support::{Dir, parse};

#[test]
fn a_file_that_is_no_toml_names_file_line_and_column() {
    let deep = format!("a = {}", "[".repeat(100_000));
    let dotted = format!("a{} = 1", ".a".repeat(100_000));
    let cases: [(&[u8], &str); 9] = [
        (b"server = \"x\"\n[host\n", "hosts.toml:2:6: not valid TOML"),
        (b"x = hunter2\n", "hosts.toml:1:"),
        (
            b"a = 1\n\na = 2\n",
            "hosts.toml:3:1: not valid TOML: duplicate key",
        ),
        (b"[header]\nx = 'hunter2\n", "hosts.toml:2:"),
        (b"{\"server\": \"hunter2\"}", "hosts.toml:1:"),
        (
            b"server = \"\xc3\xa4\"\nca = \"hunter2\xff\"",
            "hosts.toml:2:14: not valid TOML: not UTF-8",
        ),
        (b"\0\0\0", "hosts.toml:1:"),
        (deep.as_bytes(), "hosts.toml:1:"),
        (dotted.as_bytes(), "hosts.toml:1:"),
    ];
    for (bytes, expected) in cases {
        let dir = Dir::new();
        let path = dir.write("r.example/hosts.toml", bytes);
        let error = dir.hosts("r.example").unwrap_err();
        assert!(error.is_corrupt());
        let message = error.to_string();
        assert!(message.starts_with(path.to_str().unwrap()), "{message}");
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(
            !message.contains("hunter2") && !format!("{error:?}").contains("hunter2"),
            "{message}"
        );
    }
}

#[test]
fn a_value_that_cannot_be_used_names_its_line_and_key() {
    let cases = [
        ("server = 1", "server: not a string"),
        (
            "server = \"ftp://x\"",
            "server: the scheme is neither http nor https",
        ),
        ("server = \"https://a b\"", "server: not a URL of a host"),
        ("host = 1", "host: not a table of hosts"),
        ("[host]\nx = 1", "host: not a table"),
        ("[host.\"\"]", ": not a URL of a host"),
        (
            "[host.\"unix:///x\"]",
            "host: the scheme is neither http nor https",
        ),
        (
            "capabilities = \"pull\"",
            "capabilities: not an array of strings",
        ),
        (
            "capabilities = [1]",
            "capabilities: not an array of strings",
        ),
        ("ca = 1", "ca: not a string or an array of strings"),
        ("ca = [[\"x\"]]", "ca: not a string"),
        ("ca = \"\"", "ca: an empty path"),
        ("client = {}", "client: not a string"),
        ("client = [[\"a\"]]", "client: not a pair"),
        ("client = [[\"a\", \"b\", \"c\"]]", "client: not a pair"),
        ("client = [[\"\", \"b\"]]", "client: an empty path"),
        ("skip_verify = \"true\"", "skip_verify: not true or false"),
        ("override_path = 1", "override_path: not true or false"),
        ("header = \"x\"", "header: not a table"),
        ("[header]\nx = 1", "x: not a string or an array of strings"),
        (
            "[header]\n\"a b\" = \"hunter2\"",
            "a b: not the name of an HTTP header",
        ),
        (
            "[header]\nx = \"hunter2\\r\\nEvil: 1\"",
            "x: a header's value contains a control character",
        ),
        ("dial_timeout = 3", "dial_timeout: not a string"),
        ("dial_timeout = \"3\"", "dial_timeout: not a duration"),
        ("dial_timeout = \"-3s\"", "dial_timeout: not a duration"),
    ];
    for (text, expected) in cases {
        let error = parse(&format!("\n# comment\n{text}\n")).unwrap_err();
        assert!(error.is_corrupt());
        let message = error.to_string();
        let line = 2 + text.matches("\n").count() + 1;
        assert!(
            message.contains(&format!("hosts.toml:{line}:")),
            "{line}: {message}"
        );
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(
            !message.contains("hunter2") && !message.contains('\n'),
            "{message}"
        );
    }
    // The same in a host's table.
    let error = parse("[host.m]\nskip_verify = 1").unwrap_err();
    assert!(
        error.to_string().contains("hosts.toml:2:15: skip_verify"),
        "{error}"
    );
}

#[test]
fn more_hosts_than_a_client_could_try_are_refused() {
    let tables =
        |count: usize| -> String { (0..count).map(|n| format!("[host.\"h{n}\"]\n")).collect() };
    assert_eq!(parse(&tables(256)).unwrap().hosts.len(), 257);
    let error = parse(&tables(257)).unwrap_err();
    assert!(error.to_string().contains("more than 256 hosts"), "{error}");
}

#[test]
fn a_file_full_of_unknown_keys_has_a_bounded_number_of_warnings() {
    let text: String = (0..100_000).map(|n| format!("k{n}=1\n")).collect();
    let hosts = parse(&text).unwrap();
    assert_eq!(hosts.warnings.len(), 100);
    assert_eq!((hosts.warnings[0].line, hosts.warnings[99].line), (1, 100));
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    type Make = fn(&Dir);
    let make: [(&str, Make); 5] = [
        ("directory", |dir| {
            std::fs::create_dir(dir.path("r.example/hosts.toml")).unwrap()
        }),
        ("fifo", |dir| {
            let status = Command::new("mkfifo")
                .arg(dir.path("r.example/hosts.toml"))
                .status();
            assert!(status.unwrap().success());
        }),
        ("device", |dir| {
            symlink("/dev/zero", dir.path("r.example/hosts.toml")).unwrap()
        }),
        ("loop", |dir| {
            symlink("hosts.toml", dir.path("r.example/hosts.toml")).unwrap()
        }),
        ("large", |dir| {
            let file = std::fs::File::create(dir.path("r.example/hosts.toml")).unwrap();
            file.set_len(1 << 40).unwrap();
        }),
    ];
    for (name, make) in make {
        let dir = Dir::new();
        std::fs::create_dir(dir.path("r.example")).unwrap();
        make(&dir);
        let error = dir.hosts("r.example").unwrap_err();
        assert!(
            error.to_string().contains("r.example/hosts.toml"),
            "{name}: {error}"
        );
    }
    // A file in the place of a directory.
    let dir = Dir::new();
    let file = dir.write("r.example", "x");
    assert!(
        dir.hosts("r.example")
            .unwrap_err()
            .to_string()
            .contains("r.example")
    );
    assert!(HostsDirs::new([file]).hosts("r.example").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the file holds, the list is complete or the error is one line.
    #[test]
    fn any_text_is_hosts_or_an_error(
        lines in proptest::collection::vec(
            prop_oneof![
                "[a-z_]{1,12} = [\\[\\]\",a-z0-9{}=. ]{0,16}",
                "(server|ca|client|dial_timeout) = \"[ -~]{0,12}\"",
                "\\[host\\.\"[!-~]{0,12}\"(\\.header)?\\]",
                "\\PC{0,20}",
            ],
            0..6,
        ),
    ) {
        match parse(&lines.join("\n")) {
            Ok(hosts) => {
                let last = hosts.hosts.last().unwrap();
                prop_assert!(last.role != msb_hosts::HostRole::Mirror);
                for host in &hosts.hosts {
                    prop_assert!(!host.url.as_str().ends_with('/'));
                    prop_assert!(!host.url.authority().is_empty());
                }
            }
            Err(error) => prop_assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
}
