//! Hosts that do not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;

use super::*;

/// Takes connections and never answers. Returns its address and the number of connections so far.
async fn black_hole() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            held.push(socket);
        }
    });
    (host, count)
}

fn at(scheme: &str, host: &str) -> HostConfig {
    HostConfig::at(&format!("{scheme}://{host}/v2")).unwrap()
}

#[tokio::test]
async fn a_mirror_that_never_answers_is_left_and_then_tried_last() {
    for scheme in ["http", "https"] {
        let origin = Server::start(|request, _| serve(request)).await;
        let (hole, connections) = black_hole().await;
        let client = client([at(scheme, &hole)])
            .timeouts(
                timeouts()
                    .with_connect(Duration::from_secs(3600))
                    .with_first_byte(Duration::from_secs(3600))
                    .with_unresponsive(Duration::from_millis(400)),
            )
            .plain_http(&origin.host)
            .build()
            .unwrap();
        let reference = origin.reference("a");
        let first = tokio::time::timeout(Duration::from_secs(60), client.manifest(&reference));
        first.await.unwrap().unwrap();
        let after_first = connections.load(Ordering::SeqCst);
        assert!(after_first >= 1);
        for _ in 0..5 {
            client.manifest(&origin.reference("a")).await.unwrap();
        }
        assert_eq!(connections.load(Ordering::SeqCst), after_first);
        assert_eq!(origin.count("/manifests/"), 6);
    }
}

#[tokio::test]
async fn clients_that_share_the_state_of_hosts_wait_for_one_that_is_down_once() {
    let origin = Server::start(|request, _| serve(request)).await;
    let (hole, connections) = black_hole().await;
    let shared = HostHealth::default();
    let client = |health: HostHealth| {
        client([at("http", &hole)])
            .timeouts(timeouts().with_unresponsive(Duration::from_millis(400)))
            .plain_http(&origin.host)
            .host_health(health)
            .build()
            .unwrap()
    };
    let pull = async |health| {
        let client: Client = client(health);
        client.manifest(&origin.reference("a")).await.unwrap();
        connections.load(Ordering::SeqCst)
    };
    let after_first = pull(shared.clone()).await;
    assert!(after_first >= 1);
    assert_eq!(pull(shared.clone()).await, after_first);
    assert!(pull(HostHealth::default()).await > after_first);
}

#[tokio::test]
async fn a_mirror_that_works_on_a_long_answer_is_waited_for() {
    let origin = Server::start(|request, _| serve(request)).await;
    let slow = Server::start(|request, _| {
        let reply = serve(request);
        match request.path.contains("/manifests/") {
            true => reply.after(Duration::from_millis(1200)),
            false => reply,
        }
    })
    .await;
    let client = client([mirror(&slow, &origin.host)])
        .timeouts(
            timeouts()
                .with_first_byte(Duration::from_secs(30))
                .with_unresponsive(Duration::from_millis(400)),
        )
        .plain_http(&origin.host)
        .build()
        .unwrap();
    client.manifest(&origin.reference("a")).await.unwrap();
    assert_eq!(origin.count(""), 0);
}

#[tokio::test]
async fn a_mirror_that_is_back_returns_to_its_place() {
    let origin = Server::start(|request, _| serve(request)).await;
    let is_back = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&is_back);
    let flaky = Server::start(move |request, _| match answers.load(Ordering::SeqCst) {
        true => serve(request),
        false => Reply::new(503, ""),
    })
    .await;
    let client = client([mirror(&flaky, &origin.host)])
        .timeouts(timeouts().with_host_rest(Duration::from_millis(50)))
        .plain_http(&origin.host)
        .build()
        .unwrap();
    client.manifest(&origin.reference("a")).await.unwrap();
    is_back.store(true, Ordering::SeqCst);
    let served = async {
        let failed = flaky.count("/manifests/");
        while flaky.count("/manifests/") == failed {
            client.manifest(&origin.reference("a")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), served)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_dial_timeout_limits_the_connection_alone() {
    let origin = Server::start(|request, _| serve(request)).await;
    let (hole, _) = black_hole().await;
    // A connection includes its TLS handshake.
    let hole = at("https", &hole).with_dial_timeout(Duration::from_millis(100));
    let client = client([hole])
        .timeouts(timeouts().with_first_byte(Duration::from_secs(3600)))
        .plain_http(&origin.host)
        .build()
        .unwrap();
    let reference = origin.reference("a");
    let manifest = tokio::time::timeout(Duration::from_secs(20), client.manifest(&reference));
    manifest.await.unwrap().unwrap();
}
