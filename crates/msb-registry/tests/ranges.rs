//! A range is an optimization: whatever a server answers to one, the blob is whole in the end.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use msb_oci::Digest;
use msb_registry::{BlobRequest, Error, Limits, Notice};
use support::{Reply, Request, Server, content, drain, hasty};

const SIZE: usize = 50_000;
const CUT: usize = 20_000;

fn request(bytes: &[u8]) -> BlobRequest {
    BlobRequest::new(Digest::sha256_of(bytes), bytes.len() as u64)
}

/// Cuts the first response, answers ranges with `ranged`, and all else with the whole blob.
async fn server(
    bytes: &[u8],
    ranged: impl Fn(&[u8], &Request) -> Reply + Send + Sync + 'static,
) -> Server {
    let bytes: Arc<[u8]> = bytes.into();
    Server::start(
        move |request, before| match (before, request.header("range")) {
            (0, _) => Reply::ok(&*bytes).cut_after(CUT),
            (_, None) => Reply::ok(&*bytes),
            (_, Some(_)) => ranged(&bytes, request),
        },
    )
    .await
}

#[tokio::test]
async fn a_server_that_takes_closed_ranges_alone_completes_a_blob_that_is_always_cut() {
    let bytes: Arc<[u8]> = content(1 << 20).into();
    let whole = Arc::clone(&bytes);
    let server = Server::start(move |request, _| match request.header("range") {
        None => Reply::ok(&*whole).cut_after(300_000),
        Some(_) => match request.range() {
            None => Reply::new(416, ""),
            Some((first, last)) => {
                assert_eq!(last, whole.len() - 1);
                Reply::partial(&whole, first).cut_after(300_000.min(whole.len() - first))
            }
        },
    })
    .await;
    let blob = server.blob(request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes.to_vec(), 0));
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn every_refusal_of_a_range_leads_to_one_request_without() {
    let bytes = content(SIZE);
    for status in [400, 401, 403, 404, 405, 406, 410, 412, 416, 418, 451, 501] {
        let server = server(&bytes, move |_, _| Reply::new(status, "no")).await;
        let blob = server.blob(request(&bytes));
        let (found, restarts) = drain(blob).await.unwrap();
        assert!(found == bytes && restarts == 1, "{status}");
        let plain = server
            .requests()
            .iter()
            .filter(|request| request.header("range").is_none())
            .count();
        assert_eq!(plain, 2, "{status}");
    }
}

#[tokio::test]
async fn a_server_fault_is_tried_once_more_with_the_range_before_bytes_are_discarded() {
    let bytes = content(SIZE);
    for status in [408, 429, 500, 502, 503] {
        let server = server(&bytes, move |_, _| Reply::new(status, "")).await;
        let blob = server.blob(request(&bytes));
        let (found, restarts) = drain(blob).await.unwrap();
        assert!(found == bytes && restarts == 1, "{status}");
        assert_eq!(server.requests().len(), 4, "{status}");
    }
    // A server that is busy once loses no bytes.
    let busy = Mutex::new(true);
    let server = server(&bytes, move |bytes, request| {
        if std::mem::take(&mut *busy.lock().unwrap()) {
            Reply::new(503, "")
        } else {
            Reply::partial(bytes, request.from())
        }
    })
    .await;
    assert_eq!(
        drain(server.blob(request(&bytes))).await.unwrap(),
        (bytes, 0)
    );
}

#[tokio::test]
async fn a_contradiction_under_200_or_206_never_puts_bytes_in_the_wrong_place() {
    let bytes = content(SIZE);
    type Answer = fn(&[u8], usize) -> Reply;
    let answers: &[(&str, Answer)] = &[
        ("200 with the rest alone", |bytes, from| {
            Reply::ok(&bytes[from..])
        }),
        ("200 with the rest and its range", |bytes, from| {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Reply::ok(&bytes[from..]).header("Content-Range", &range)
        }),
        ("200 with the rest, chunked", |bytes, from| {
            Reply::ok(&bytes[from..]).chunked()
        }),
        ("200 with the whole and a part's range", |bytes, _| {
            Reply::ok(bytes).header("Content-Range", "bytes 20000-49999/50000")
        }),
        ("206 without a range", |bytes, from| {
            Reply::new(206, &bytes[from..])
        }),
        ("206 of the wrong start", |bytes, from| {
            Reply::new(206, &bytes[from + 1..]).header("Content-Range", "bytes 20001-49999/50000")
        }),
        ("206 of the whole", |bytes, _| {
            Reply::new(206, bytes).header("Content-Range", "bytes 0-49999/50000")
        }),
        ("206 of another size", |bytes, from| {
            Reply::new(206, &bytes[from..]).header("Content-Range", "bytes 20000-49999/60000")
        }),
        (
            "206 with a length that is not its range's",
            |bytes, from| {
                Reply::new(206, &bytes[from..from + 10])
                    .header("Content-Range", "bytes 20000-49999/50000")
            },
        ),
        ("206 with more bytes than its range", |bytes, from| {
            Reply::new(206, &bytes[from..])
                .chunked()
                .header("Content-Range", "bytes 20000-20001/50000")
        }),
        ("206 with no bytes", |_, _| {
            Reply::new(206, "")
                .chunked()
                .header("Content-Range", "bytes 20000-49999/50000")
        }),
        ("204", |_, _| Reply::new(204, "")),
        ("a redirect to nowhere", |_, _| Reply::new(307, "")),
    ];
    for (name, answer) in answers {
        let server = server(&bytes, move |bytes, request| answer(bytes, request.from())).await;
        let (found, restarts) = drain(server.blob(request(&bytes))).await.unwrap();
        assert!(
            found == bytes && restarts == 1,
            "{name}: {restarts} restarts"
        );
    }
}

#[tokio::test]
async fn a_part_that_is_shorter_than_asked_for_is_continued() {
    let bytes = content(SIZE);
    let server = server(&bytes, |bytes, request| {
        let from = request.from();
        let to = (from + 10_000).min(bytes.len());
        let range = format!("bytes {from}-{}/{}", to - 1, bytes.len());
        Reply::new(206, &bytes[from..to]).header("Content-Range", &range)
    })
    .await;
    assert_eq!(
        drain(server.blob(request(&bytes))).await.unwrap(),
        (bytes, 0)
    );
}

#[tokio::test]
async fn a_range_that_breaks_the_connection_leads_to_a_request_without() {
    let bytes = content(SIZE);
    let server = server(&bytes, |bytes, request| {
        Reply::partial(bytes, request.from()).cut_after(0)
    })
    .await;
    assert_eq!(
        drain(server.blob(request(&bytes))).await.unwrap(),
        (bytes, 1)
    );
}

#[tokio::test]
async fn a_blob_that_is_refused_with_and_without_a_range_is_the_servers_error() {
    let bytes = content(SIZE);
    let whole = bytes.clone();
    let server = Server::start(move |_, before| match before {
        0 => Reply::ok(&*whole).cut_after(CUT),
        _ => Reply::new(404, ""),
    })
    .await;
    let error = drain(server.blob(request(&bytes))).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn with_one_retry_a_range_still_gives_way_before_the_error() {
    let bytes = content(SIZE);
    let server = server(&bytes, |_, _| Reply::new(500, "")).await;
    let limits = Limits::default().with_retries(1);
    let client = server.client().limits(limits).build().unwrap();
    let blob = client.blob(&server.reference("a"), request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes, 1));
}

#[tokio::test]
async fn a_dripping_server_is_left_and_the_blob_resumed_elsewhere() {
    let bytes: Arc<[u8]> = content(5000).into();
    let whole = Arc::clone(&bytes);
    let server = Server::start(move |request, before| match before {
        0 => Reply::ok(&*whole).slowly(1, Duration::from_millis(10)),
        _ if request.from() == 0 => Reply::ok(&*whole),
        _ => Reply::partial(&whole, request.from()),
    })
    .await;
    let timeouts = hasty()
        .with_least_rate(1000)
        .with_least_rate_window(Duration::from_millis(300));
    let client = server.client().timeouts(timeouts).build().unwrap();
    let begun = Instant::now();
    let blob = client.blob(&server.reference("a"), request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes.to_vec(), 0));
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_server_that_only_drips_is_an_error_that_says_so() {
    let bytes = content(5000);
    let whole = bytes.clone();
    let server = Server::start(move |request, _| {
        let reply = match request.from() {
            0 => Reply::ok(&*whole),
            from => Reply::partial(&whole, from),
        };
        reply.slowly(1, Duration::from_millis(10))
    })
    .await;
    let timeouts = hasty()
        .with_least_rate(1000)
        .with_least_rate_window(Duration::from_millis(200));
    let client = server.client().timeouts(timeouts).build().unwrap();
    let begun = Instant::now();
    let blob = client.blob(&server.reference("a"), request(&bytes));
    let error = drain(blob).await.unwrap_err();
    assert!(matches!(error, Error::TooSlow { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("less than 1000 bytes per second"),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn stalls_retries_and_resumes_are_announced() {
    let bytes = content(SIZE);
    let whole: Arc<[u8]> = bytes.clone().into();
    let server = Server::start(move |request, before| match before {
        0 => Reply::ok(&*whole).stall_after(CUT),
        _ => Reply::partial(&whole, request.from()),
    })
    .await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let timeouts = hasty().with_stall_notice(Duration::from_millis(70));
    let client = server.client().timeouts(timeouts).build().unwrap();
    let client = client.with_observer(move |notice| {
        log.lock().unwrap().push(match notice {
            Notice::Stalled { silent_for, .. } => format!("stalled {}", silent_for.as_millis()),
            Notice::Retrying { attempt, error, .. } => {
                assert!(
                    error.to_string().contains("the server stopped sending"),
                    "{error}"
                );
                format!("retry {attempt}")
            }
            Notice::Resumed { from_bytes, .. } => format!("resumed {from_bytes}"),
            other => format!("{other:?}"),
        });
    });
    let blob = client.blob(&server.reference("a"), request(&bytes));
    assert_eq!(drain(blob).await.unwrap(), (bytes, 0));
    let seen = seen.lock().unwrap();
    assert_eq!(
        *seen,
        ["stalled 70", "stalled 140", "retry 1", "resumed 20000"]
    );
}

#[tokio::test]
async fn a_registry_that_is_away_for_some_seconds_fails_nothing() {
    let begun = Instant::now();
    let server = Server::start(move |_, _| {
        if begun.elapsed() < Duration::from_millis(3000) {
            Reply::new(503, "")
        } else {
            Reply::ok(support::INDEX)
        }
    })
    .await;
    let client = msb_registry::Client::builder()
        .plain_http(&server.host)
        .build()
        .unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
}

#[tokio::test]
async fn slow_windows_in_a_row_are_an_error_whatever_the_retry_time() {
    let bytes: Arc<[u8]> = content(200_000).into();
    let whole = Arc::clone(&bytes);
    let server = Server::start(move |request, _| {
        let reply = match request.from() {
            0 => Reply::ok(&*whole),
            from => Reply::partial(&whole, from),
        };
        reply.slowly(100, Duration::from_millis(10))
    })
    .await;
    let timeouts = hasty()
        .with_retry_time(Duration::from_secs(600))
        .with_least_rate(100_000)
        .with_least_rate_window(Duration::from_millis(200));
    let client = server.client().timeouts(timeouts).build().unwrap();
    let blob = client.blob(&server.reference("a"), request(&bytes));
    let error = drain(blob).await.unwrap_err();
    assert!(matches!(error, Error::TooSlow { .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
}
