//! How a blob gets into a repository.

use msb_registry::Pushed;

use super::support::{Reply, Server};
use super::*;

#[tokio::test]
async fn a_short_blob_is_sent_with_one_request_and_an_existing_one_not_at_all() {
    let state = State::default();
    let seen = Arc::clone(&state);
    let server = Server::start(move |request, _| answer(&seen, request)).await;
    let client = server.client().build().unwrap();
    let (reference, bytes) = (server.reference("a"), text(1000));
    let upload = upload_of(&bytes);
    let pushed = client.push_blob(&reference, &upload).await.unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    assert_eq!(state.lock().unwrap().blob.as_deref(), Some(&*bytes));
    assert_eq!(methods(&server), ["HEAD", "POST", "PUT"]);
    let pushed = client.push_blob(&reference, &upload).await.unwrap();
    assert_eq!(pushed, Pushed::Existing);
    assert_eq!(methods(&server), ["HEAD", "POST", "PUT", "HEAD"]);
    assert!(client.has_blob(&reference, &upload.digest).await.unwrap());
}

#[tokio::test]
async fn an_empty_blob_is_sent() {
    let state = State::default();
    let seen = Arc::clone(&state);
    let server = Server::start(move |request, _| answer(&seen, request)).await;
    let client = server.client().build().unwrap();
    client
        .push_blob(&server.reference("a"), &upload_of(b""))
        .await
        .unwrap();
    assert_eq!(state.lock().unwrap().blob.as_deref(), Some(&b""[..]));
}

#[tokio::test]
async fn a_long_blob_is_sent_in_chunks() {
    let state = State::default();
    let seen = Arc::clone(&state);
    let server = Server::start(move |request, _| answer(&seen, request)).await;
    let bytes = text(35);
    chunking(&server)
        .push_blob(&server.reference("a"), &upload_of(&bytes))
        .await
        .unwrap();
    assert_eq!(state.lock().unwrap().blob.as_deref(), Some(&*bytes));
    let expected = ["HEAD", "POST", "PATCH", "PATCH", "PATCH", "PATCH", "PUT"];
    assert_eq!(methods(&server), expected);
}

#[tokio::test]
async fn the_shortest_chunk_of_the_registry_counts() {
    let state = State::default();
    let seen = Arc::clone(&state);
    let server = Server::start(move |request, _| {
        let reply = answer(&seen, request);
        match request.method.as_str() {
            "POST" => reply.header("OCI-Chunk-Min-Length", "30"),
            _ => reply,
        }
    })
    .await;
    let bytes = text(35);
    chunking(&server)
        .push_blob(&server.reference("a"), &upload_of(&bytes))
        .await
        .unwrap();
    assert_eq!(methods(&server), ["HEAD", "POST", "PATCH", "PATCH", "PUT"]);
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let server = Server::start(|request, _| match request.method.as_str() {
        "POST" if request.path.contains("?mount=sha256%3A") => {
            assert!(request.path.ends_with("&from=b%2Fc"));
            Reply::new(201, "").header("Location", "/v2/a/blobs/x")
        }
        _ => Reply::new(404, ""),
    })
    .await;
    let client = server.client().build().unwrap();
    let upload = upload_of(&text(20)).with_mount_from("b/c");
    let pushed = client.push_blob(&server.reference("a"), &upload).await;
    assert_eq!(pushed.unwrap(), Pushed::Mounted);
    assert_eq!(methods(&server), ["HEAD", "POST"]);
}

#[tokio::test]
async fn a_blob_that_cannot_be_mounted_is_sent() {
    for status in [202, 401, 403, 404, 405] {
        let state = State::default();
        let seen = Arc::clone(&state);
        let server = Server::start(move |request, _| {
            let mounts = request.method == "POST" && request.path.contains("mount=");
            if mounts && status != 202 {
                return Reply::new(status, "");
            }
            answer(&seen, request)
        })
        .await;
        let client = server.client().build().unwrap();
        let bytes = text(20);
        let upload = upload_of(&bytes).with_mount_from("b");
        let pushed = client.push_blob(&server.reference("a"), &upload).await;
        assert_eq!(pushed.unwrap(), Pushed::Uploaded, "{status}");
        assert_eq!(state.lock().unwrap().blob.as_deref(), Some(&*bytes));
    }
}

#[tokio::test]
async fn a_registry_without_chunks_is_sent_the_whole_blob() {
    for status in [404, 405, 415, 416, 501] {
        let state = State::default();
        let seen = Arc::clone(&state);
        let server = Server::start(move |request, _| match request.method.as_str() {
            "PATCH" => Reply::new(status, ""),
            _ => answer(&seen, request),
        })
        .await;
        let bytes = text(35);
        chunking(&server)
            .push_blob(&server.reference("a"), &upload_of(&bytes))
            .await
            .unwrap();
        assert_eq!(
            state.lock().unwrap().blob.as_deref(),
            Some(&*bytes),
            "{status}"
        );
    }
}

#[tokio::test]
async fn mounting_alone_sends_no_bytes_and_leaves_no_session() {
    let state = State::default();
    let seen = Arc::clone(&state);
    let server = Server::start(move |request, _| match request.method.as_str() {
        "DELETE" => Reply::new(204, ""),
        _ => answer(&seen, request),
    })
    .await;
    let client = server.client().build().unwrap();
    let digest = Digest::sha256_of(b"x");
    let mounted = client
        .mount_blob(&server.reference("a"), &digest, "b")
        .await;
    assert!(!mounted.unwrap());
    assert_eq!(methods(&server), ["POST", "DELETE"]);
    let server = Server::start(|_, _| Reply::new(201, "")).await;
    let client = server.client().build().unwrap();
    let mounted = client
        .mount_blob(&server.reference("a"), &digest, "b")
        .await;
    assert!(mounted.unwrap());
}
