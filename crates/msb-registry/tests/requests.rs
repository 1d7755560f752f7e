//! Manifests, retries, caps, and messages.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod support;

use std::time::{Duration, Instant};

use msb_oci::{Algorithm, Digest, media_type};
use msb_registry::{Client, CredentialUse, Error, Limits, ManifestProblem, RegistryAuth};
use support::{INDEX, Reply, Server, assert_presentable, hasty};

#[tokio::test]
async fn a_manifest_comes_with_its_exact_bytes_and_digest() {
    let server = Server::start(|_, _| {
        Reply::ok(INDEX)
            .header("Content-Type", "text/plain")
            .header("Docker-Content-Digest", "sha256:lies")
    })
    .await;
    let client = server.client().build().unwrap();
    let document = client.manifest(&server.reference("a/b:tag")).await.unwrap();
    assert_eq!(&*document.bytes, INDEX.as_bytes());
    assert_eq!(document.digest, Digest::sha256_of(INDEX.as_bytes()));
    assert_eq!(document.media_type, media_type::OCI_INDEX);
    let request = &server.requests()[0];
    assert_eq!(request.path, "/v2/a/b/manifests/tag");
    for wanted in [
        media_type::OCI_MANIFEST,
        media_type::DOCKER_LIST,
        media_type::DOCKER_MANIFEST,
    ] {
        assert!(request.header("accept").unwrap().contains(wanted));
    }
}

#[tokio::test]
async fn a_digest_decides_over_a_tag_and_is_checked_sha512_too() {
    let server = Server::start(|_, _| Reply::ok(INDEX)).await;
    let client = server.client().build().unwrap();
    let digest = Digest::of(Algorithm::Sha512, INDEX.as_bytes());
    let document = client
        .manifest(&server.reference(&format!("a:tag@{digest}")))
        .await
        .unwrap();
    assert_eq!(document.digest, digest);
    assert_eq!(
        server.requests()[0].path,
        format!("/v2/a/manifests/{digest}")
    );
    let other = Digest::sha256_of(b"other");
    let error = client
        .manifest(&server.reference(&format!("a@{other}")))
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::DigestMismatch { expected, .. } if *expected == other));
    let text = error.to_string();
    assert!(
        text.contains("digest mismatch") && text.contains(server.reference("a").repository()),
        "{text}"
    );
    assert!(error.is_corrupt() && !error.is_temporary());
}

#[tokio::test]
async fn html_from_a_mirror_is_named_even_when_a_digest_was_asked_for() {
    let server = Server::start(|_, _| {
        Reply::ok("<!DOCTYPE html><p>Sign in").header("Content-Type", "text/html")
    })
    .await;
    let client = server.client().build().unwrap();
    let by_digest = format!("a@{}", Digest::sha256_of(b"x"));
    for rest in ["a:tag", &by_digest] {
        let error = client.manifest(&server.reference(rest)).await.unwrap_err();
        assert!(matches!(error, Error::Html { .. }), "{error}");
        assert!(error.to_string().contains("HTML page"), "{error}");
    }
}

#[tokio::test]
async fn schema_1_is_refused_by_name() {
    let server = Server::start(|_, _| Reply::ok(r#"{"schemaVersion":1,"fsLayers":[]}"#)).await;
    let error = server.manifest().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Manifest {
                problem: ManifestProblem::Schema1,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_cut_manifest_is_fetched_again() {
    let server = Server::start(|_, before| match before {
        0 => Reply::ok(INDEX).cut_after(5),
        _ => Reply::ok(INDEX),
    })
    .await;
    server.manifest().await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn server_faults_are_retried_and_then_reported() {
    let server = Server::start(|_, before| match before {
        0 => Reply::new(503, "busy"),
        1 => Reply::new(500, ""),
        2 => Reply::new(429, ""),
        _ => Reply::ok(INDEX),
    })
    .await;
    server.manifest().await.unwrap();
    assert_eq!(server.requests().len(), 4);

    let server = Server::start(|_, _| Reply::new(502, "<html>")).await;
    let limits = Limits::default().with_retries(4);
    let client = server.client().limits(limits).build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 502, .. }) && error.is_temporary());
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_its_cap() {
    let server = Server::start(|_, before| match before {
        0 => Reply::new(429, "").header("Retry-After", "1"),
        _ => Reply::ok(INDEX),
    })
    .await;
    let begun = Instant::now();
    server.manifest().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));

    let server = Server::start(|_, _| Reply::new(429, "").header("Retry-After", "86400")).await;
    let error = server.manifest().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(86_400)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn answers_over_their_caps_are_refused() {
    let limits = Limits::default()
        .with_manifest_bytes(100)
        .with_index_bytes(20);
    for chunked in [false, true] {
        let server = Server::start(move |request, _| {
            let body = if request.path.contains("index") {
                INDEX.to_owned()
            } else {
                "x".repeat(101)
            };
            if chunked {
                Reply::ok(body).chunked()
            } else {
                Reply::ok(body)
            }
        })
        .await;
        let client = server.client().limits(limits.clone()).build().unwrap();
        let error = client
            .manifest(&server.reference("a:index"))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::OverLimit { limit: 20, .. }),
            "{error}"
        );
        let error = client
            .manifest(&server.reference("a:manifest"))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::OverLimit { limit: 100, .. }),
            "{error}"
        );
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn an_endless_error_body_is_not_read_to_its_end() {
    let server = Server::start(|_, _| Reply::new(404, vec![b'x'; 10 << 20]).chunked()).await;
    let error = server.manifest().await.unwrap_err();
    assert!(error.is_not_found());
    let server = Server::start(|_, _| Reply::new(404, "").chunked().stall_after(0)).await;
    let error = server.manifest().await.unwrap_err();
    assert!(error.is_not_found());
}

#[tokio::test]
async fn unknown_tags_and_denials_are_one_clear_line() {
    let server = Server::start(|request, _| {
        let status = if request.path.contains("gone") { 404 } else { 403 };
        let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"\u001b[2Jno\nsuch https://s/x?sig=SECRET"}]}"#;
        Reply::new(status, body)
    })
    .await;
    let client = server.client().build().unwrap();
    let error = client
        .manifest(&server.reference("a:gone"))
        .await
        .unwrap_err();
    assert!(error.is_not_found() && !error.is_unauthorized());
    assert_presentable(&error);
    let shown = error.to_string();
    assert!(
        shown.starts_with(&format!(
            "manifest of {}/a:gone from http://{}/v2/",
            server.host, server.host
        )),
        "{shown}"
    );
    assert!(
        shown.contains("MANIFEST_UNKNOWN") && !shown.contains("SECRET"),
        "{shown}"
    );
    let error = client
        .manifest(&server.reference("a:mine"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Denied { .. }) && error.is_unauthorized());
}

#[tokio::test]
async fn a_refused_connection_is_a_temporary_fault_that_names_the_registry() {
    let server = Server::start(|_, _| Reply::ok("")).await;
    let (client, reference) = (server.client().build().unwrap(), server.reference("a"));
    drop(server);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let error = client.manifest(&reference).await.unwrap_err();
    assert!(
        matches!(error, Error::Connect { .. }) && error.is_temporary(),
        "{error}"
    );
    assert!(error.to_string().ends_with("cannot connect"), "{error}");
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let server = Server::start(|_, _| {
        std::thread::sleep(Duration::from_millis(300));
        Reply::ok(INDEX)
    })
    .await;
    let timeouts = hasty().with_first_byte(Duration::from_millis(50));
    let limits = Limits::default().with_retries(0);
    let client = server
        .client()
        .timeouts(timeouts)
        .limits(limits)
        .build()
        .unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[test]
fn building_a_client_is_cheap_and_needs_no_runtime() {
    let begun = Instant::now();
    for _ in 0..100 {
        let _ = Client::builder()
            .plain_http("localhost")
            .build()
            .unwrap()
            .clone();
    }
    // A single set of the system's certificates takes longer than this.
    assert!(
        begun.elapsed() < Duration::from_millis(50),
        "{:?}",
        begun.elapsed()
    );
    assert!(matches!(
        Client::builder().ca_cert("nonsense").build(),
        Err(Error::CaCertificate { .. })
    ));
    assert!(matches!(
        Client::builder().plain_http("a/b").build(),
        Err(Error::PlainHttpHost { .. })
    ));
}

#[test]
fn clients_streams_and_futures_can_be_sent() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    fn shared<T: Send + Sync>() {}
    shared::<Client>();
    let client = Client::builder()
        .auth(RegistryAuth::Anonymous)
        .build()
        .unwrap();
    let reference = "alpine".parse().unwrap();
    let digest = Digest::sha256_of(b"");
    drop(sendable(client.manifest(&reference)));
    drop(sendable(client.config(&reference, &digest, 0)));
    let mut blob = sendable(client.blob(&reference, msb_registry::BlobRequest::new(digest, 0)));
    drop(sendable(blob.next_event()));
    assert_ne!(CredentialUse::NoneGiven, CredentialUse::Sent);
}
