//! Errors end with the next command that works, and have one line for each cause.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::{ok, run, run_with_input, stderr};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};

const PLATFORM: [&str; 2] = ["--platform", "linux/amd64"];

fn push(registry: &DockerRegistry) -> String {
    let layout = tempfile::tempdir().unwrap();
    ImageBuilder::new()
        .layer(Layer::recipe("file a data=a").gzip())
        .write_layout(layout.path(), "v1")
        .unwrap();
    registry
        .push_oci_layout(layout.path(), "test", "v1")
        .unwrap();
    format!("{}/test:v1", registry.host())
}

fn with_password(tls: bool) -> DockerRegistry {
    DockerRegistry::start(RegistryOptions {
        basic_auth: Some(("me".into(), "hunter2".into())),
        tls,
        ..RegistryOptions::default()
    })
    .unwrap()
}

/// Returns the error output of a failed pull.
fn failed(args: &[&str], input: &str) -> String {
    let cache = tempfile::tempdir().unwrap();
    let args = [&["pull"], args, &PLATFORM, &["--progress", "none"]].concat();
    let output = run_with_input(cache.path(), &args, input);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    stderr(&output)
}

fn hint(text: &str) -> &str {
    let hints: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("hint: "))
        .collect();
    assert_eq!(hints.len(), 1, "{text}");
    hints[0]
}

#[test]
fn each_reason_for_a_refusal_has_its_own_hint() {
    let registry = with_password(true);
    let reference = push(&registry);
    let ca = registry.ca_cert().unwrap();
    let ca = ["--ca-cert", ca.to_str().unwrap()];
    let sign_in = ["--username", "me", "--password-stdin"];
    let host = registry.host();
    let command = format!(
        "`printf %s \"$PASSWORD\" | msb-image login {host} --username NAME --password-stdin`, or give the two options to `msb-image pull`"
    );

    let none = failed(&[&reference, ca[0], ca[1]], "");
    assert_eq!(hint(&none), format!("log in with {command}"));
    let wrong = failed(
        &[&[reference.as_str()], &ca[..], &sign_in].concat(),
        "hunter3",
    );
    assert_eq!(
        hint(&wrong),
        format!("the user name or the password is wrong; log in again with {command}")
    );
    assert!(!wrong.contains("hunter"), "{wrong}");

    // The commands in the hint, in a home directory of their own.
    let (home, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log_in = [&["login", host.as_str()], &ca[..], &sign_in].concat();
    for (args, input) in [
        (log_in, "hunter2"),
        (vec!["pull", &reference, ca[0], ca[1]], ""),
    ] {
        let args = if args[0] == "pull" {
            [&args[..], &PLATFORM].concat()
        } else {
            args
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), input).unwrap();
        let mut command = common::command(cache.path());
        command
            .env("HOME", home.path())
            .args(args)
            .stdin(file.reopen().unwrap());
        ok(&command.output().unwrap());
    }
    let cache = tempfile::tempdir().unwrap();
    let args = [&["pull", reference.as_str()], &ca[..], &sign_in, &PLATFORM].concat();
    ok(&run_with_input(cache.path(), &args, "hunter2"));
}

#[test]
fn credentials_withheld_from_plain_http_hint_at_the_flag() {
    let registry = with_password(false);
    let reference = push(&registry);
    let host = registry.host();
    let sign_in = ["--username", "me", "--password-stdin"];
    let withheld = failed(&[&[reference.as_str()], &sign_in[..]].concat(), "hunter2");
    assert_eq!(
        hint(&withheld),
        format!("credentials are sent over TLS only; allow plain HTTP with `--plain-http {host}`")
    );
    let cache = tempfile::tempdir().unwrap();
    let flag = ["--plain-http", &host];
    let args = [
        &["pull", reference.as_str()],
        &flag[..],
        &sign_in,
        &PLATFORM,
    ]
    .concat();
    ok(&run_with_input(cache.path(), &args, "hunter2"));
}

#[test]
fn an_unknown_certificate_authority_hints_at_ca_cert() {
    let registry = with_password(true);
    let reference = push(&registry);
    let text = failed(&[&reference], "");
    assert_eq!(
        hint(&text),
        format!(
            "trust the registry's certificate authority with `msb-image pull --ca-cert FILE {reference}`"
        )
    );
}

#[test]
fn a_host_that_has_no_address_is_one_cause() {
    let text = failed(&["no-such-host.invalid/test:v1"], "");
    let causes: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("  caused by: "))
        .collect();
    assert_eq!(causes.len(), 1, "{text}");
    assert!(
        causes[0].contains("lookup") || causes[0].contains("resolve"),
        "{text}"
    );
}

#[test]
fn no_cause_is_printed_twice() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    for reference in [
        format!("{address}/test:v1"),
        "no-such-host.invalid/test:v1".to_owned(),
    ] {
        let begun = Instant::now();
        let text = failed(
            &[
                &reference,
                "--plain-http",
                reference.split('/').next().unwrap(),
                "--retry-seconds",
                "1",
            ],
            "",
        );
        // The default is a minute.
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?}");
        let lines: Vec<&str> = text
            .lines()
            .map(|line| {
                line.trim_start_matches("  caused by: ")
                    .trim_start_matches("error: ")
            })
            .collect();
        for (place, line) in lines.iter().enumerate() {
            assert!(
                !lines[..place].iter().any(|earlier| earlier.contains(line)),
                "{text}"
            );
        }
    }
}

#[test]
fn what_a_server_sends_reaches_the_terminal_escaped() {
    let registry = FaultRegistry::start().unwrap();
    let body =
        "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\u001b[2J\\u202e\\u009b\u{200b}\"}]}";
    registry.fault(
        "/v2/",
        Fault::Response {
            status: 403,
            content_type: "application/json",
            body: body.into(),
        },
    );
    let text = failed(&[&format!("{}/test:v1", registry.host())], "");
    assert!(
        text.contains(r"no\u{1b}[2J\u{202e}\u{9b}\u{200b}"),
        "{text}"
    );
    let raw = |c: char| c != '\n' && !escape_text::is_printable(c);
    assert!(!text.chars().any(raw), "{text:?}");
}

#[test]
fn an_argument_from_outside_is_escaped_in_a_usage_error() {
    let cache = tempfile::tempdir().unwrap();
    let output = run(cache.path(), ["pull", "a", "--policy", "\x1b[2J\u{202e}"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    // clap itself removes terminal sequences.
    assert!(text.contains(r"invalid value '\u{202e}'"), "{text}");
    let output = run(
        cache.path(),
        ["pull", "a.invalid/x", "--ca-cert", "/no\x1b[2J\u{202e}"],
    );
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains(r"error: /no\u{1b}[2J\u{202e}: reading"),
        "{text}"
    );
}

#[test]
fn a_limit_is_set_by_its_name_and_named_in_its_error() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let cache = tempfile::tempdir().unwrap();
    let pull = |limit: &str| {
        let args = [&["pull", &reference, "--limit", limit][..], &PLATFORM].concat();
        run(cache.path(), args)
    };
    let refused = pull("layer-uncompressed-bytes=1K");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        stderr(&refused).contains("uncompressed bytes"),
        "{refused:?}"
    );
    let unknown = pull("no-such-limit=1");
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    assert!(
        stderr(&unknown).contains("image-memory-bytes"),
        "{unknown:?}"
    );
    let taken = pull("layer-uncompressed-bytes=1M");
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
}
