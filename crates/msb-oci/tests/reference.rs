//! The grammar of references, and Docker's defaults.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

use msb_oci::{Digest, Reference};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parse(text: &str) -> Reference {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn names_are_completed_as_docker_does() {
    for (text, canonical) in [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.22", "docker.io/library/alpine:3.22"),
        ("user/app", "docker.io/user/app:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        (
            "docker.io/library/alpine",
            "docker.io/library/alpine:latest",
        ),
        ("index.docker.io/alpine", "docker.io/library/alpine:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("GHCR.io/a/b", "ghcr.io/a/b:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("127.0.0.1:5000/x:y", "127.0.0.1:5000/x:y"),
        ("[::1]/x", "[::1]/x:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ("[2001:db8::1]:5000/x/y:z", "[2001:db8::1]:5000/x/y:z"),
        ("local/x", "docker.io/local/x:latest"),
        ("a--b/c__d/e_f/g.h", "docker.io/a--b/c__d/e_f/g.h:latest"),
        ("x:_.-A", "docker.io/library/x:_.-A"),
    ] {
        let reference = parse(text);
        assert_eq!(reference.to_string(), canonical, "{text}");
        assert_eq!(
            parse(canonical),
            reference,
            "canonical form of {text} reads back"
        );
        let theirs = oci_spec::distribution::Reference::from(&reference);
        assert_eq!(
            Reference::try_from(&theirs),
            Ok(reference.clone()),
            "{text} through oci-spec"
        );
        let json = serde_json::to_string(&reference).unwrap();
        assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
    }
}

#[test]
fn digest_decides_and_the_tag_is_kept() {
    let both = parse(&format!("localhost:5000/x:tag@sha256:{HEX}"));
    assert_eq!(both.tag(), Some("tag"));
    assert_eq!(both.identifier(), format!("sha256:{HEX}"));
    let only = parse(&format!("x@sha256:{HEX}"));
    assert_eq!(
        (only.tag(), only.digest()),
        (None, Some(&Digest::sha256_of(b"")))
    );
    assert_eq!(
        only.to_string(),
        format!("docker.io/library/x@sha256:{HEX}")
    );
    assert_eq!(both.with_digest(Digest::sha256_of(b"")).tag(), None);
    assert_eq!(
        only.with_tag("v1").unwrap().to_string(),
        "docker.io/library/x:v1"
    );
    assert!(only.with_tag("a/b").is_err());
}

#[test]
fn broken_names_are_refused() {
    let long = "a".repeat(256);
    let tag = format!("x:{}", "t".repeat(129));
    let id_like = HEX.to_owned();
    for text in [
        "",
        ":",
        "@",
        "/",
        "a:",
        "a@",
        ":tag",
        "a//b",
        "/a",
        "a/",
        "Alpine",
        "a/B",
        "localhost:5000/B",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "a b",
        "a\n",
        "a:b:c",
        "a:b/c:d",
        "x:.t",
        "x:-t",
        "x:t t",
        "x:t\n",
        "http://a/b",
        "a@sha256:00",
        "x@md5:00000000000000000000000000000000",
        "localhost:/x",
        "localhost:0/x",
        "localhost:+80/x",
        "localhost:99999/x",
        "[::1/x",
        "[::1]x/x",
        "[::g]/x",
        "[]/x",
        "[127.0.0.1]/x",
        "a..b/x",
        ".a/x",
        "-a.b/x",
        "a-.b/x",
        "a.b_c/x",
        "a/../b",
        "a/./b",
        "a.b/%2e%2e/c",
        "user@host.io/x",
        "é/x",
        &long,
        &tag,
        &id_like,
    ] {
        let error = text.parse::<Reference>().expect_err(text);
        assert!(
            !error.to_string().chars().any(char::is_control),
            "{error:?}"
        );
    }
}

#[test]
fn limits_are_exact() {
    let tag = "t".repeat(128);
    assert_eq!(parse(&format!("x:{tag}")).tag(), Some(tag.as_str()));
    // "localhost/" is ten bytes.
    assert_eq!(
        parse(&format!("localhost/{}", "a".repeat(245)))
            .name()
            .len(),
        255
    );
    assert!(
        format!("localhost/{}", "a".repeat(246))
            .parse::<Reference>()
            .is_err()
    );
}

#[test]
fn loopback_is_determined_by_the_reference() {
    for text in [
        "localhost/x",
        "localhost:5000/x",
        "127.0.0.1/x",
        "127.255.0.9:80/x",
        "[::1]/x",
        "[::1]:5000/x",
    ] {
        assert!(parse(text).is_loopback(), "{text}");
    }
    for text in [
        "localhost.example.com/x",
        "128.0.0.1/x",
        "[::2]/x",
        "127.0.0.1.nip.io/x",
        "0.0.0.0/x",
        "alpine",
        "127.1/x",
    ] {
        assert!(!parse(text).is_loopback(), "{text}");
    }
}

#[test]
fn host_and_port_are_taken_apart() {
    for (text, host, port) in [
        ("alpine", "docker.io", None),
        ("localhost:5000/x", "localhost", Some(5000)),
        ("[::1]:443/x", "::1", Some(443)),
        ("[::1]/x", "::1", None),
    ] {
        let reference = parse(text);
        assert_eq!((reference.host(), reference.port()), (host, port), "{text}");
    }
}

#[test]
fn urls_are_refused_by_name() {
    for (url, reference) in [
        (
            "https://docker.io/library/alpine",
            "docker.io/library/alpine",
        ),
        ("http://localhost:5000/a", "localhost:5000/a"),
        ("docker://alpine", "alpine"),
        (
            "docker://docker.io/library/alpine:3",
            "docker.io/library/alpine:3",
        ),
        ("oci://host/a/b", "host/a/b"),
    ] {
        let error = url.parse::<Reference>().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("reference `{url}` is a URL; write `{reference}`")
        );
        assert!(reference.parse::<Reference>().is_ok());
    }
}

#[test]
fn a_password_in_a_reference_is_not_shown() {
    for text in [
        "https://user:s3cret@ghcr.io/a/b",
        "user:s3cret@ghcr.io/a/b",
        "docker://user:s3@cret@ghcr.io/a",
    ] {
        let error = text.parse::<Reference>().unwrap_err().to_string();
        assert!(
            !error.contains("s3") && error.contains("***@ghcr.io/a"),
            "{error}"
        );
    }
}
