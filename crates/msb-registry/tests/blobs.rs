//! Streams: cut, short, stalled, slow, long, resumed rightly and wrongly.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use msb_oci::{Algorithm, Digest};
use msb_registry::{BlobEvent, BlobRequest, Error, Wait};
use support::{Reply, Server, assert_presentable, content, drain};

fn request(bytes: &[u8]) -> BlobRequest {
    BlobRequest::new(Digest::sha256_of(bytes), bytes.len() as u64)
}

/// Serves `bytes`: `first` spoils the first response, and `later` makes all others.
async fn faulty(
    bytes: &[u8],
    first: impl Fn(Reply) -> Reply + Send + Sync + 'static,
    later: impl Fn(&[u8], usize) -> Reply + Send + Sync + 'static,
) -> Server {
    let bytes: Arc<[u8]> = bytes.into();
    Server::start(move |request, before| match before {
        0 => first(Reply::ok(&*bytes)),
        _ => later(&bytes, request.from()),
    })
    .await
}

#[tokio::test]
async fn a_cut_body_is_resumed_from_the_bytes_handed_out() {
    let bytes = content(100_000);
    for cut in [0, 1, 50_000, 99_999] {
        let server = faulty(&bytes, move |reply| reply.cut_after(cut), resume).await;
        let client = server.client().build().unwrap();
        let blob = client.blob(&server.reference("a/b"), request(&bytes));
        assert_eq!(
            drain(blob).await.unwrap(),
            (bytes.clone(), 0),
            "cut at {cut}"
        );
        assert_eq!(server.requests()[1].from(), cut);
    }
}

fn resume(bytes: &[u8], from: usize) -> Reply {
    if from == 0 {
        Reply::ok(bytes)
    } else {
        Reply::partial(bytes, from)
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_short_is_resumed_not_called_corrupt() {
    let bytes = content(10_000);
    let short = bytes[..4000].to_vec();
    let server = faulty(&bytes, move |_| Reply::ok(short.clone()), resume).await;
    let blob = server.blob(request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes, 0));
}

#[tokio::test]
async fn a_blob_that_stays_short_is_an_error_that_says_so() {
    let server = Server::start(|request, _| match request.from() {
        0 => Reply::ok(content(10)),
        _ => Reply::new(416, ""),
    })
    .await;
    let blob = server.blob(request(&content(20)));
    let error = drain(blob).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Short {
                expected: 20,
                actual: 10,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_corrupt());
}

#[tokio::test]
async fn a_wrong_content_range_starts_over() {
    let bytes = content(50_000);
    for wrong in [
        "bytes 0-49999/50000",
        "bytes 20001-49999/50000",
        "bytes 20000-49999/50001",
        "bytes 20000-49999/*",
        "x",
        "",
    ] {
        let later = move |bytes: &[u8], from: usize| match from {
            0 => Reply::ok(bytes),
            _ => Reply::new(206, &bytes[from..]).header("Content-Range", wrong),
        };
        let server = faulty(&bytes, |reply| reply.cut_after(20_000), later).await;
        let blob = server.blob(request(&bytes));
        assert_eq!(drain(blob).await.unwrap(), (bytes.clone(), 1), "{wrong}");
    }
}

#[tokio::test]
async fn a_200_to_a_resume_starts_over_with_that_body() {
    let bytes = content(50_000);
    let server = faulty(
        &bytes,
        |reply| reply.cut_after(20_000),
        |bytes, _| Reply::ok(bytes),
    )
    .await;
    let blob = server.blob(request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes, 1));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_416_to_a_resume_starts_over() {
    let bytes = content(50_000);
    let later = |bytes: &[u8], from: usize| {
        if from == 0 {
            Reply::ok(bytes)
        } else {
            Reply::new(416, "")
        }
    };
    let server = faulty(&bytes, |reply| reply.cut_after(20_000), later).await;
    let blob = server.blob(request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes, 1));
}

#[tokio::test]
async fn restarts_are_bounded() {
    let server = Server::start(|_, _| Reply::ok(content(50_000)).cut_after(100)).await;
    let blob = server.blob(request(&content(50_000)));
    assert!(drain(blob).await.is_err());
    assert!(server.requests().len() < 20, "{}", server.requests().len());
}

#[tokio::test]
async fn a_part_from_disk_goes_on_where_it_ends() {
    let bytes = content(50_000);
    let whole = bytes.clone();
    let server = Server::start(move |request, _| resume(&whole, request.from())).await;
    let client = server.client().build().unwrap();
    let at = |offset| client.blob(&server.reference("a"), request(&bytes).from_offset(offset));
    assert_eq!(
        drain(at(30_000)).await.unwrap(),
        (bytes[30_000..].to_vec(), 0)
    );
    assert_eq!(drain(at(50_000)).await.unwrap(), (Vec::new(), 0));
    // A part that is longer than the blob is not of this blob.
    assert_eq!(drain(at(50_001)).await.unwrap(), (bytes.clone(), 1));
}

#[tokio::test]
async fn a_stalled_body_times_out_and_is_resumed() {
    let bytes = content(50_000);
    let server = faulty(&bytes, |reply| reply.stall_after(10_000), resume).await;
    let blob = server.blob(request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes, 0));

    let server = Server::start(|_, _| Reply::ok(content(100)).stall_after(0)).await;
    let limits = msb_registry::Limits::default().with_retries(1);
    let client = server.client().limits(limits).build().unwrap();
    let error = drain(client.blob(&server.reference("a"), request(&content(100))))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                wait: Wait::Stall,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_temporary());
}

#[tokio::test]
async fn a_slow_body_does_not_time_out() {
    let bytes = content(12);
    let slow = bytes.clone();
    let server =
        Server::start(move |_, _| Reply::ok(slow.clone()).slowly(1, Duration::from_millis(50)))
            .await;
    let begun = Instant::now();
    let blob = server.blob(request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes, 0));
    assert!(begun.elapsed() > support::hasty().stall * 2);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn more_bytes_than_declared_are_never_handed_out() {
    let bytes = content(1000);
    for chunked in [false, true] {
        let server = Server::start(move |_, _| {
            let reply = Reply::ok(content(1001)).slowly(1000, Duration::from_millis(5));
            if chunked { reply.chunked() } else { reply }
        })
        .await;
        let mut blob = server.blob(request(&bytes));
        let mut received = 0;
        let error = loop {
            match blob.next_event().await {
                Ok(Some(BlobEvent::Data(data))) => received += data.len(),
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, Error::Long { expected: 1000, .. }),
            "{error}"
        );
        assert!(error.is_corrupt() && received <= 1000);
    }
}

#[tokio::test]
async fn a_blob_of_no_bytes() {
    let server = Server::start(|_, _| Reply::ok("")).await;
    let client = server.client().build().unwrap();
    let reference = server.reference("a");
    assert_eq!(
        drain(client.blob(&reference, request(b""))).await.unwrap(),
        (Vec::new(), 0)
    );
    let document = client
        .blob_bytes(&reference, &Digest::sha256_of(b""), 0, 10)
        .await
        .unwrap();
    assert!(document.bytes.is_empty());
}

#[tokio::test]
async fn small_blobs_are_verified_sha512_too() {
    let server =
        Server::start(|_, _| Reply::ok("hello").header("Content-Type", "text/plain; a=b")).await;
    let client = server.client().build().unwrap();
    let reference = server.reference("a");
    let digest = Digest::of(Algorithm::Sha512, b"hello");
    let document = client.config(&reference, &digest, 5).await.unwrap();
    assert_eq!(
        (&*document.bytes, document.media_type.as_str()),
        (&b"hello"[..], "text/plain")
    );
    let wrong = Digest::of(Algorithm::Sha384, b"other");
    let error = client.config(&reference, &wrong, 5).await.unwrap_err();
    assert!(
        matches!(&error, Error::DigestMismatch { expected, .. } if *expected == wrong),
        "{error}"
    );
    assert!(error.is_corrupt());
    let error = client
        .config(&reference, &digest, u64::MAX)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OverLimit { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&reference.to_string()) && text.contains(&digest.to_string()[..40]),
        "{text}"
    );
    assert_presentable(&error);
}

#[tokio::test]
async fn dropping_a_poll_loses_no_bytes() {
    let bytes = content(40);
    let slow = bytes.clone();
    let server =
        Server::start(move |_, _| Reply::ok(slow.clone()).slowly(4, Duration::from_millis(15)))
            .await;
    let mut blob = server.blob(request(&bytes));
    let mut received = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_millis(7), blob.next_event()).await {
            Err(_) => {}
            Ok(Ok(Some(BlobEvent::Data(data)))) => received.extend_from_slice(&data),
            Ok(Ok(None)) => break,
            Ok(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(received, bytes);
}
