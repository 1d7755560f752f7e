//! Blobs through mirrors.

use msb_registry::BlobRequest;

use super::support::{content, drain};
use super::*;

#[tokio::test]
async fn a_download_that_is_cut_resumes_at_the_mirror() {
    let bytes = content(1_000_000);
    let origin = nowhere();
    let whole = bytes.clone();
    let server = Server::start(move |request, _| {
        let from = request.from();
        let reply = match request.range() {
            Some(_) => Reply::partial(&whole, from),
            None => Reply::ok(whole.clone()),
        };
        reply.cut_after(100_000.min(whole.len() - from))
    })
    .await;
    let client = client([mirror(&server, &origin)]).build().unwrap();
    let request = BlobRequest::new(Digest::sha256_of(&bytes), bytes.len() as u64);
    let blob = client.blob(&reference(&origin, "a"), request);
    let (received, restarts) = drain(blob).await.unwrap();
    assert!(received == bytes && restarts == 0);
    let froms: Vec<usize> = server.requests().iter().map(Request::from).collect();
    // No byte twice.
    assert_eq!(froms, (0..10).map(|cut| cut * 100_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_mirror_that_stalls_in_a_blob_is_replaced_within_it() {
    let bytes = content(300_000);
    let (first, second) = (bytes.clone(), bytes.clone());
    let origin = Server::start(move |request, _| Reply::partial(&second, request.from())).await;
    let stalling = Server::start(move |_, _| Reply::ok(first.clone()).stall_after(100_000)).await;
    let client = client([mirror(&stalling, &origin.host)])
        .plain_http(&origin.host)
        .build()
        .unwrap();
    let request = BlobRequest::new(Digest::sha256_of(&bytes), bytes.len() as u64);
    let (received, restarts) = drain(client.blob(&origin.reference("a"), request))
        .await
        .unwrap();
    assert!(received == bytes && restarts == 0);
    assert_eq!(stalling.count(""), 1);
    assert_eq!(origin.requests()[0].from(), 100_000);
}

#[tokio::test]
async fn a_blob_of_another_length_or_other_bytes_comes_from_the_next_host() {
    let size = BLOB.len() as u64;
    let other = vec![b'x'; BLOB.len()];
    for bad in [vec![b'x'; BLOB.len() + 1], other] {
        let origin = Server::start(|request, _| serve(request)).await;
        let server = Server::start(move |_, _| Reply::ok(bad.clone())).await;
        let client = client([mirror(&server, &origin.host)])
            .plain_http(&origin.host)
            .build()
            .unwrap();
        let reference = origin.reference("a");
        let digest = blob_digest();
        let blob = client.blob_bytes(&reference, &digest, size, size).await;
        assert_eq!(&blob.unwrap().bytes[..], BLOB);
        assert_eq!((server.count(""), origin.count("")), (1, 1));
    }
}

#[tokio::test]
async fn wrong_bytes_of_the_registry_itself_are_an_error() {
    let origin = Server::start(|_, _| Reply::ok(vec![b'x'; BLOB.len()])).await;
    let client = client([]).plain_http(&origin.host).build().unwrap();
    let size = BLOB.len() as u64;
    let (reference, digest) = (origin.reference("a"), blob_digest());
    let blob = client.blob_bytes(&reference, &digest, size, size).await;
    assert!(blob.unwrap_err().is_corrupt());
    assert_eq!(origin.count(""), 1);
}
