//! Ranges that are fetched ahead of the reader of a large blob: when, how many, and what becomes of their faults.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use msb_oci::Digest;
use msb_registry::{
    BlobEvent, BlobRequest, BlobStream, Client, ClientBuilder, HostConfig, HostProvider,
    HostsFuture, Limits, RegistryAuth, RegistryHost, Timeouts,
};
use support::{Reply, Request, Server, content, drain, hasty};

/// Long enough for ranges after the first measurements.
static BLOB: LazyLock<Arc<[u8]>> =
    LazyLock::new(|| content(251 << 10).repeat(115)[..28 << 20].into());
static DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::sha256_of(&BLOB));

fn request() -> BlobRequest {
    BlobRequest::new(*DIGEST, BLOB.len() as u64)
}

/// Sends a reply at about 12 MB/s.
fn throttled(reply: Reply) -> Reply {
    reply.slowly(64 << 10, Duration::from_millis(4))
}

/// The right response to a request, throttled.
fn serve(request: &Request) -> Reply {
    throttled(match request.range() {
        None => Reply::ok(&**BLOB),
        Some(range) => Reply::range(&BLOB, range),
    })
}

/// Answers a request for the whole blob, and ranges with `ranged`; the number is that of ranges before this one.
async fn server(ranged: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request, before| match request.header("range") {
        None => serve(request),
        Some(_) => ranged(request, before - 1),
    })
    .await
}

/// A client that waits long enough for a busy machine.
fn client(server: &Server) -> ClientBuilder {
    server.client().timeouts(timeouts())
}

fn timeouts() -> Timeouts {
    hasty()
        .with_first_byte(Duration::from_secs(60))
        .with_stall(Duration::from_secs(5))
        .with_unresponsive(Duration::from_secs(60))
        .with_retry_time(Duration::from_secs(60))
}

fn blob(server: &Server) -> BlobStream {
    let client = client(server).build().unwrap();
    client.blob(&server.reference("a"), request())
}

/// Asserts that the stream has the right bytes, and lost none of those handed out.
async fn assert_whole(blob: BlobStream, name: &str) {
    let (found, restarts) = drain(blob).await.unwrap();
    assert!(found == **BLOB, "{name}: other bytes");
    assert_eq!(restarts, 0, "{name}");
}

/// The ranges that a server was asked for, in order of their first bytes.
fn ranges(server: &Server) -> Vec<(usize, usize)> {
    let mut ranges: Vec<_> = server
        .requests()
        .iter()
        .filter_map(Request::range)
        .collect();
    ranges.sort_unstable();
    ranges
}

#[tokio::test]
async fn a_slow_connection_gets_ranges_beside_it_that_are_bounded_and_disjoint() {
    let server = server(|request, _| serve(request)).await;
    assert_whole(blob(&server), "slow").await;
    let peak = server.gauge.peak();
    // The server notices late that the first response is closed.
    assert!((2..=5).contains(&peak), "{peak} at once");
    let ranges = ranges(&server);
    assert_eq!(server.requests().len(), ranges.len() + 1);
    assert!(ranges.iter().all(|(first, last)| last - first < 8 << 20));
    for pair in ranges.windows(2) {
        assert!(pair[0].1 < pair[1].0, "{pair:?} overlap");
    }
}

#[tokio::test]
async fn a_limit_of_one_turns_it_off() {
    let server = server(|request, _| serve(request)).await;
    let limits = Limits::default().with_ranges(1);
    let client = client(&server).limits(limits).build().unwrap();
    assert_whole(client.blob(&server.reference("a"), request()), "off").await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_reader_that_is_slower_than_the_connection_gets_none() {
    let server = Server::start(|_, _| Reply::ok(&**BLOB)).await;
    let mut blob = self::blob(&server);
    while let Some(event) = blob.next_event().await.unwrap() {
        assert!(matches!(event, BlobEvent::Data(_)));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_server_without_ranges_is_not_asked_for_any() {
    let server = Server::start(|request, _| serve(request).header("Accept-Ranges", "none")).await;
    assert_whole(blob(&server), "none").await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_or_contradiction_leaves_the_single_stream_as_it_is() {
    type Answer = fn(&Request) -> Reply;
    let answers: &[(&str, Answer)] = &[
        ("200", |_| throttled(Reply::ok(&**BLOB))),
        ("416", |_| Reply::new(416, "")),
        ("401", |_| Reply::new(401, "")),
        ("404", |_| Reply::new(404, "")),
        ("429", |_| Reply::new(429, "").header("Retry-After", "30")),
        ("503", |_| Reply::new(503, "")),
        ("a redirect to nowhere", |_| Reply::new(307, "")),
        ("another total", |request| {
            let (first, last) = request.range().unwrap();
            let range = format!("bytes {first}-{last}/{}", BLOB.len() + 1);
            Reply::new(206, &BLOB[first..=last]).header("Content-Range", &range)
        }),
        ("another start", |request| {
            let (first, last) = request.range().unwrap();
            Reply::range(&BLOB, (first + 1, last))
        }),
        ("a shorter part", |request| {
            let (first, last) = request.range().unwrap();
            Reply::range(&BLOB, (first, last - 1))
        }),
        ("no range", |request| {
            let (first, last) = request.range().unwrap();
            Reply::new(206, &BLOB[first..=last])
        }),
    ];
    let mut cases = tokio::task::JoinSet::new();
    for (name, answer) in answers {
        cases.spawn(async move {
            let server = server(|request, _| answer(request)).await;
            assert_whole(blob(&server), name).await;
            let asked = ranges(&server).len();
            assert!(asked > 0, "{name}: no range was tried");
            assert!(asked < 4, "{name}: {asked} ranges after a refusal");
            // The response that was there first has all bytes.
            assert_eq!(server.requests().len(), asked + 1, "{name}");
        });
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

#[tokio::test]
async fn another_entity_tag_is_other_bytes() {
    let server = Server::start(|request, before| {
        serve(request).header("ETag", if before == 0 { "\"a\"" } else { "\"b\"" })
    })
    .await;
    assert_whole(blob(&server), "other tag").await;
    assert_eq!(server.requests().len(), ranges(&server).len() + 1);

    let server = Server::start(|request, _| serve(request).header("ETag", "\"a\"")).await;
    assert_whole(blob(&server), "same tag").await;
    assert!(server.gauge.peak() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_the_middle_of_ranges_lose_no_bytes() {
    type Fault = fn(&Request, usize) -> Reply;
    let faults: &[(&str, Fault)] = &[
        ("one is cut", |request, before| match before {
            0 => serve(request).cut_after(300_000),
            _ => serve(request),
        }),
        ("all are cut", |request, _| serve(request).cut_after(50_000)),
        (
            "one breaks off before its header",
            |request, before| match before {
                0 => Reply::new(206, "").declared(5).cut_after(0),
                _ => serve(request),
            },
        ),
        ("one stalls", |request, before| match before {
            0 => serve(request).stall_after(300_000),
            _ => serve(request),
        }),
        ("one has more bytes than its range", |request, before| {
            let (first, last) = request.range().unwrap();
            if before > 0 {
                return serve(request);
            }
            let range = format!("bytes {first}-{last}/{}", BLOB.len());
            let mut bytes = BLOB[first..=last].to_vec();
            bytes.extend([b'x'; 5000]);
            Reply::new(206, bytes)
                .chunked()
                .header("Content-Range", &range)
        }),
        ("one comes a byte at a time", |request, before| {
            let (first, last) = request.range().unwrap();
            if before > 0 || last - first > 4 << 20 {
                return serve(request);
            }
            serve(request).slowly(512, Duration::ZERO).chunked()
        }),
    ];
    let mut cases = tokio::task::JoinSet::new();
    for (name, fault) in faults {
        cases.spawn(async move {
            let server = server(fault).await;
            assert_whole(blob(&server), name).await;
            assert!(!ranges(&server).is_empty(), "{name}: no range was tried");
        });
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

#[tokio::test]
async fn a_range_that_is_far_slower_than_the_others_is_replaced() {
    let server = server(|request, before| match before {
        0 => serve(request).slowly(1000, Duration::from_millis(100)),
        _ => serve(request),
    })
    .await;
    // At its own speed, the range would take longer than ten minutes.
    let whole = assert_whole(blob(&server), "dripping");
    tokio::time::timeout(Duration::from_secs(120), whole)
        .await
        .unwrap();
}

#[tokio::test]
async fn dropping_the_stream_ends_every_request() {
    let server = server(|request, _| serve(request)).await;
    let mut blob = self::blob(&server);
    while server.gauge.now() < 2 {
        blob.next_event().await.unwrap().unwrap();
    }
    drop(blob);
    let ended = async {
        while server.gauge.now() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_reader_that_pauses_bounds_what_is_fetched_for_all_blobs_of_a_client() {
    let server = server(|request, _| serve(request)).await;
    let limits = Limits::default().with_ranges(2);
    let client = client(&server).limits(limits).build().unwrap();
    let reference = server.reference("a");
    let mut blobs = [
        client.blob(&reference, request()),
        client.blob(&reference, request()),
    ];
    while ranges(&server).is_empty() {
        for blob in &mut blobs {
            blob.next_event().await.unwrap().unwrap();
        }
    }
    // Nothing is read for as long as some segments take.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let held: usize = ranges(&server)
        .iter()
        .map(|(first, last)| last - first + 1)
        .sum();
    assert!(held <= 2 * (8 << 20), "{held} bytes");
    let [first, second] = blobs;
    let (first, second) = tokio::join!(drain(first), drain(second));
    assert_eq!((first.unwrap().1, second.unwrap().1), (0, 0));
    // Two fronts, two segments, and the responses that were there before.
    assert!(server.gauge.peak() <= 6);
}

#[tokio::test]
async fn each_range_is_redirected_and_only_the_registry_gets_credentials() {
    let storage = Arc::new(Server::start(|request, _| serve(request)).await);
    let target = storage.host.clone();
    let registry = Server::start(move |request, before| {
        if request.header("authorization").is_none() {
            return Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        // The address is good for one request.
        let location = format!("http://{target}{}?signature={before}", request.path);
        Reply::new(307, "").header("Location", &location)
    })
    .await;
    let auth = RegistryAuth::Basic {
        username: "user".into(),
        password: "password".into(),
    };
    let client = client(&registry)
        .plain_http(&storage.host)
        .auth(auth)
        .build()
        .unwrap();
    assert_whole(
        client.blob(&registry.reference("a"), request()),
        "redirected",
    )
    .await;
    let stored = storage.requests();
    assert!(stored.len() > 1);
    assert!(
        stored
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    let mut signatures: Vec<_> = stored.iter().map(|request| request.path.clone()).collect();
    signatures.sort();
    signatures.dedup();
    assert_eq!(signatures.len(), stored.len());
}

struct OneMirror(HostConfig);

impl HostProvider for OneMirror {
    fn hosts<'a>(&'a self, _: &'a RegistryHost) -> HostsFuture<'a> {
        let hosts = vec![self.0.clone(), HostConfig::registry()];
        Box::pin(async move { Ok(hosts) })
    }
}

#[tokio::test]
async fn ranges_go_to_the_mirror_that_serves_the_blob_and_the_registry_takes_over_after_it() {
    let is_down = Arc::new(AtomicBool::new(false));
    let down = Arc::clone(&is_down);
    let mirror = Server::start(move |request, _| match down.load(Ordering::SeqCst) {
        true => Reply::new(503, ""),
        false => serve(request),
    })
    .await;
    let registry = Server::start(|request, _| serve(request)).await;
    let config = HostConfig::at(&format!("http://{}/v2", mirror.host)).unwrap();
    let client = Client::builder()
        .timeouts(timeouts())
        .hosts(OneMirror(config))
        .plain_http(&registry.host)
        .build()
        .unwrap();
    let reference = registry.reference("a");
    assert_whole(client.blob(&reference, request()), "mirror").await;
    assert!(mirror.gauge.peak() > 1);
    assert!(registry.requests().is_empty());

    let mut blob = client.blob(&reference, request());
    let mut bytes = Vec::new();
    while let Some(event) = blob.next_event().await.unwrap() {
        let BlobEvent::Data(data) = event else {
            panic!("the stream started over");
        };
        bytes.extend_from_slice(&data);
        if mirror.gauge.now() > 1 {
            is_down.store(true, Ordering::SeqCst);
        }
    }
    assert!(bytes == **BLOB);
}
