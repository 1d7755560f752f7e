//! Registries that refuse a push, lie about it, or lose it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use msb_registry::{Error, HostConfig, HostProvider, HostsFuture, Pushed, RegistryHost};

use super::support::{Reply, Server, assert_presentable};
use super::*;

#[tokio::test]
async fn an_upload_resumes_where_the_registry_has_its_end() {
    let state = State::default();
    let (seen, cuts) = (Arc::clone(&state), AtomicUsize::new(0));
    let server = Server::start(move |request, _| {
        let reply = answer(&seen, request);
        // Each second chunk arrives, but its response does not.
        if request.method == "PATCH" && cuts.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            return reply.declared(5).cut_after(0);
        }
        reply
    })
    .await;
    let bytes = text(95);
    let pushed = chunking(&server)
        .push_blob(&server.reference("a"), &upload_of(&bytes))
        .await;
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    assert_eq!(state.lock().unwrap().blob.as_deref(), Some(&*bytes));
    let sent: usize = server
        .requests()
        .iter()
        .filter(|request| request.method == "PATCH")
        .map(|request| request.body.len())
        .sum();
    assert_eq!(sent, bytes.len(), "no byte is sent twice");
}

#[tokio::test]
async fn an_upload_that_the_registry_lost_starts_over_within_a_limit() {
    for lost in [1, usize::MAX] {
        let state = State::default();
        let (seen, losses) = (Arc::clone(&state), AtomicUsize::new(0));
        let server = Server::start(move |request, _| {
            let is_second = request.header("content-range") == Some("10-19");
            if is_second && losses.fetch_add(1, Ordering::SeqCst) < lost {
                seen.lock().unwrap().is_open = false;
            }
            answer(&seen, request)
        })
        .await;
        let bytes = text(35);
        let pushed = chunking(&server)
            .push_blob(&server.reference("a"), &upload_of(&bytes))
            .await;
        if lost == 1 {
            assert_eq!(pushed.unwrap(), Pushed::Uploaded);
            assert_eq!(state.lock().unwrap().blob.as_deref(), Some(&*bytes));
        } else {
            assert!(pushed.unwrap_err().is_not_found());
        }
    }
}

#[tokio::test]
async fn an_upload_whose_last_response_was_lost_is_complete() {
    let state = State::default();
    let seen = Arc::clone(&state);
    let server = Server::start(move |request, _| {
        let reply = answer(&seen, request);
        match request.method.as_str() {
            "PUT" => reply.cut_after(0).declared(5),
            _ => reply,
        }
    })
    .await;
    let client = server.client().build().unwrap();
    let pushed = client
        .push_blob(&server.reference("a"), &upload_of(&text(20)))
        .await;
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    assert_eq!(methods(&server).iter().filter(|m| *m == "PUT").count(), 1);
}

#[tokio::test]
async fn a_registry_that_forbids_push_is_named_with_the_step() {
    for (status, predicate) in [
        (401, Error::is_unauthorized as fn(&Error) -> bool),
        (403, Error::is_unauthorized),
        (405, |error| {
            matches!(error, Error::Status { status: 405, .. })
        }),
    ] {
        let server = Server::start(move |request, _| match request.method.as_str() {
            "POST" => Reply::new(status, r#"{"errors":[{"code":"DENIED"}]}"#),
            _ => Reply::new(404, ""),
        })
        .await;
        let client = server.client().build().unwrap();
        let error = client
            .push_blob(&server.reference("a"), &upload_of(&text(20)))
            .await
            .unwrap_err();
        assert!(predicate(&error), "{error}");
        assert!(
            error.to_string().starts_with("push of a blob of "),
            "{error}"
        );
        assert_presentable(&error);
        assert_eq!(server.count("/blobs/uploads/"), 1, "no retry");
    }
}

#[tokio::test]
async fn a_digest_that_the_registry_reports_is_compared() {
    let state = State::default();
    let server = Server::start(move |request, _| {
        let other = format!("sha256:{}", "1".repeat(64));
        match request.method.as_str() {
            "PUT" => Reply::new(201, "").header("Docker-Content-Digest", &other),
            _ => answer(&state, request),
        }
    })
    .await;
    let client = server.client().build().unwrap();
    let error = client
        .push_blob(&server.reference("a"), &upload_of(&text(20)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn an_upload_follows_no_url_to_a_private_address_or_out_of_tls() {
    for location in [
        "http://127.0.0.2:1/x",
        "http://registry.example/x",
        "https://10.0.0.1/x",
        "ftp://registry.example/x",
        "",
    ] {
        let server = Server::start(move |request, _| match request.method.as_str() {
            "POST" if location.is_empty() => Reply::new(202, ""),
            "POST" => Reply::new(202, "").header("Location", location),
            _ => Reply::new(404, ""),
        })
        .await;
        let client = server.client().build().unwrap();
        let error = client
            .push_blob(&server.reference("a"), &upload_of(&text(20)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::UploadUrl { .. }),
            "{location} {error}"
        );
        assert_presentable(&error);
    }
}

#[tokio::test]
async fn a_number_of_bytes_that_were_not_sent_is_an_error() {
    for range in ["0-99", "0-3", "0-0"] {
        let state = State::default();
        let server = Server::start(move |request, _| {
            let reply = answer(&state, request);
            match (request.method.as_str(), request.header("content-range")) {
                ("PATCH", Some("10-19")) => Reply::new(202, "").header("Range", range),
                _ => reply,
            }
        })
        .await;
        let error = chunking(&server)
            .push_blob(&server.reference("a"), &upload_of(&text(35)))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::UploadOffset { .. }), "{error}");
    }
}

struct Unreadable;

impl read_at::ReadAt for Unreadable {
    fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(io::Error::other("a broken disk"))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(20)
    }
}

#[tokio::test]
async fn bytes_that_cannot_be_read_end_the_push_at_once() {
    let state = State::default();
    let server = Server::start(move |request, _| answer(&state, request)).await;
    let client = server.client().build().unwrap();
    let upload = BlobUpload::new(Digest::sha256_of(b""), 20, Arc::new(Unreadable));
    let error = client
        .push_blob(&server.reference("a"), &upload)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::UploadSource { .. }), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "a broken disk");
}

#[derive(Debug)]
struct Mirrored(String);

impl HostProvider for Mirrored {
    fn hosts<'a>(&'a self, _: &'a RegistryHost) -> HostsFuture<'a> {
        let mirror = HostConfig::at(&format!("http://{}/v2", self.0)).unwrap();
        Box::pin(async move { Ok(vec![mirror, HostConfig::registry()]) })
    }
}

#[tokio::test]
async fn a_mirror_is_never_pushed_to() {
    let mirror = Server::start(|_, _| Reply::ok("")).await;
    let state = State::default();
    let server = Server::start(move |request, _| answer(&state, request)).await;
    let hosts = Mirrored(mirror.host.clone());
    let client = server.client().hosts(hosts).build().unwrap();
    let pushed = client
        .push_blob(&server.reference("a"), &upload_of(&text(20)))
        .await;
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    assert!(mirror.requests().is_empty());
}
