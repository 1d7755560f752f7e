//! Layers that a manifest also names by URL.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod support;

use msb_oci::Digest;
use msb_registry::{BlobRequest, Client, Error, RegistryAuth};
use support::{Reply, Server, assert_presentable, content, drain, hasty};

fn request(bytes: &[u8], urls: &[String]) -> BlobRequest {
    BlobRequest::new(Digest::sha256_of(bytes), bytes.len() as u64).with_urls(urls.to_vec())
}

/// A registry that lacks every blob, and knows a user.
async fn lacking(status: u16) -> Server {
    Server::start(move |request, _| match request.header("authorization") {
        None => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
        Some(_) => Reply::new(status, ""),
    })
    .await
}

fn client(server: &Server, pem: &[u8]) -> Client {
    let auth = RegistryAuth::Basic {
        username: "alice".into(),
        password: "hunter2".into(),
    };
    let builder = Client::builder().plain_http(&server.host).ca_cert(pem);
    builder.auth(auth).timeouts(hasty()).build().unwrap()
}

#[tokio::test]
async fn a_blob_that_the_registry_lacks_comes_from_its_url_without_credentials() {
    let bytes = content(30_000);
    let whole = bytes.clone();
    let (elsewhere, pem) = Server::start_tls(move |request, before| match before {
        0 => Reply::ok(&*whole).cut_after(10_000),
        _ => Reply::partial(&whole, request.from()),
    })
    .await;
    for status in [404, 403] {
        let registry = lacking(status).await;
        let urls = [
            format!("http://{}/plain", elsewhere.host),
            format!("https://user:pw@{}/layer?sig=x", elsewhere.host),
        ];
        elsewhere.log.lock().unwrap().clear();
        let blob = client(&registry, &pem).blob(&registry.reference("a"), request(&bytes, &urls));
        assert_eq!(drain(blob).await.unwrap(), (bytes.clone(), 0), "{status}");
        let requests = elsewhere.requests();
        assert_eq!(requests.len(), 2);
        for request in requests {
            assert_eq!(request.header("authorization"), None);
            assert_eq!(request.path, "/layer?sig=x");
        }
    }
}

#[tokio::test]
async fn the_registry_comes_first_and_urls_are_no_escape_from_the_rules() {
    let bytes = content(100);
    let whole = bytes.clone();
    let plain = Server::start(move |_, _| Reply::ok(&*whole)).await;
    let whole = bytes.clone();
    let (_, pem) = Server::start_tls(|_, _| Reply::ok("")).await;
    let serving = Server::start(move |_, _| Reply::ok(&*whole)).await;
    let url = [format!("http://{}/x", plain.host)];
    let blob = client(&serving, &pem).blob(&serving.reference("a"), request(&bytes, &url));
    assert_eq!(drain(blob).await.unwrap().0, bytes);
    assert!(plain.requests().is_empty());

    // Named for plain HTTP, which a URL of a manifest is not worth.
    let registry = lacking(404).await;
    let named = Client::builder()
        .plain_http(&registry.host)
        .plain_http(&plain.host)
        .timeouts(hasty())
        .build()
        .unwrap();
    for url in [
        format!("http://{}/x", plain.host),
        "file:///etc/passwd".to_owned(),
        "https://10.0.0.1/x".to_owned(),
        "nonsense".to_owned(),
    ] {
        let blob = named.blob(
            &registry.reference("a"),
            request(&bytes, std::slice::from_ref(&url)),
        );
        let error = drain(blob).await.unwrap_err();
        assert!(
            matches!(error, Error::ForeignUrls { tried: 1, .. }),
            "{url}: {error}"
        );
        assert!(error.is_not_found() && !error.is_temporary());
        assert_presentable(&error);
    }
    assert!(plain.requests().is_empty());
}
