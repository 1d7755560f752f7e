//! Which host is tried when.

use std::time::Duration;

use msb_registry::{Capabilities, Error};

use super::*;

#[tokio::test]
async fn a_mirror_serves_while_the_origin_is_down() {
    let origin = nowhere();
    let mirror_server = Server::start(|request, _| serve(request)).await;
    let client = client([mirror(&mirror_server, &origin)]).build().unwrap();
    let reference = reference(&origin, "a:b");
    let manifest = client.manifest(&reference).await.unwrap();
    assert_eq!(manifest.digest, index_digest());
    let size = BLOB.len() as u64;
    let digest = blob_digest();
    let blob = client.blob_bytes(&reference, &digest, size, size).await;
    assert_eq!(&blob.unwrap().bytes[..], BLOB);
    let paths: Vec<String> = mirror_server
        .requests()
        .iter()
        .map(|request| request.path.clone())
        .collect();
    let namespace = origin.replace(':', "%3A");
    assert_eq!(
        paths,
        [
            format!("/v2/a/manifests/b?ns={namespace}"),
            format!("/v2/a/blobs/{}?ns={namespace}", blob_digest()),
        ]
    );
}

#[tokio::test]
async fn the_origin_is_asked_last_and_without_a_namespace() {
    let origin = Server::start(|request, _| serve(request)).await;
    let first = Server::start(|_, _| Reply::new(404, "")).await;
    let second = Server::start(|_, _| Reply::new(404, "")).await;
    let client = client([mirror(&first, &origin.host), mirror(&second, &origin.host)])
        .plain_http(&origin.host)
        .build()
        .unwrap();
    client.manifest(&origin.reference("a:b")).await.unwrap();
    assert_eq!((first.count(""), second.count("")), (1, 1));
    assert_eq!(origin.requests()[0].path, "/v2/a/manifests/b");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_mirror_leads_to_the_next_host() {
    let page = "<!DOCTYPE html><html></html>";
    for (name, reply) in [
        ("401", Reply::new(401, "")),
        ("403", Reply::new(403, "")),
        ("404", Reply::new(404, "")),
        ("408", Reply::new(408, "")),
        ("429", Reply::new(429, "").header("Retry-After", "3600")),
        ("500", Reply::new(500, "")),
        ("502", Reply::new(502, "")),
        ("503", Reply::new(503, "")),
        ("a page", Reply::ok(page)),
        ("no manifest", Reply::ok("{}")),
        ("other bytes", Reply::ok(INDEX.replace('2', "3"))),
        ("a cut", Reply::ok(INDEX).cut_after(3)),
        ("a stall", Reply::ok(INDEX).stall_after(3)),
        ("too much", Reply::ok(vec![b' '; 5 << 20])),
        (
            "a redirect",
            Reply::new(307, "").header("Location", "http://192.0.2.1/"),
        ),
    ] {
        let origin = Server::start(|request, _| serve(request)).await;
        let bad = Server::start(move |_, _| reply.clone()).await;
        let client = client([mirror(&bad, &origin.host)])
            .plain_http(&origin.host)
            .build()
            .unwrap();
        let pinned = origin.reference("a").with_digest(index_digest());
        let manifest = client.manifest(&pinned).await;
        assert_eq!(manifest.unwrap().digest, index_digest(), "{name}");
        assert_eq!(origin.count("/manifests/"), 1, "{name}");
        assert!(bad.count("/manifests/") >= 1, "{name}");
    }
}

#[tokio::test]
async fn a_mirror_resolves_tags_only_where_its_capabilities_allow_it() {
    let origin = Server::start(|request, _| serve(request)).await;
    let untrusted = Server::start(|request, _| serve(request)).await;
    let pull = Capabilities::NONE.with_pull(true);
    let client = client([mirror(&untrusted, &origin.host).with_capabilities(pull)])
        .plain_http(&origin.host)
        .build()
        .unwrap();
    client.manifest(&origin.reference("a:b")).await.unwrap();
    assert_eq!((untrusted.count(""), origin.count("")), (0, 1));
    let pinned = origin.reference("a").with_digest(index_digest());
    client.manifest(&pinned).await.unwrap();
    assert_eq!((untrusted.count(""), origin.count("")), (1, 1));
}

#[tokio::test]
async fn an_error_names_every_host_and_why_it_failed() {
    let origin = nowhere();
    let busy = Server::start(|_, _| Reply::new(503, "")).await;
    let client = client([mirror(&busy, &origin)])
        .timeouts(timeouts().with_retry_time(Duration::from_millis(100)))
        .build()
        .unwrap();
    let error = client.manifest(&reference(&origin, "a")).await;
    let error = error.unwrap_err();
    let text = error.to_string();
    support::assert_presentable(&error);
    for part in [
        "tried 2 hosts",
        &busy.host,
        "503",
        &origin,
        "connection refused",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(error.is_temporary());
    assert!(
        matches!(error.decisive(), Error::Connect { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_the_origin_refuses_is_refused() {
    let origin = Server::start(|_, _| Reply::new(404, "")).await;
    let busy = Server::start(|_, _| Reply::new(503, "")).await;
    let client = client([mirror(&busy, &origin.host)])
        .plain_http(&origin.host)
        .build()
        .unwrap();
    let error = client.manifest(&origin.reference("a")).await.unwrap_err();
    assert!(error.is_not_found() && !error.is_temporary(), "{error}");
    // The busy mirror rests, and a refusal of the origin is not worth asking it again.
    client.manifest(&origin.reference("a")).await.unwrap_err();
    assert_eq!((busy.count(""), origin.count("")), (1, 2));
}

#[tokio::test]
async fn a_server_without_a_capability_is_an_error() {
    let server = Server::start(|request, _| serve(request)).await;
    let nothing = HostConfig::registry().with_capabilities(Capabilities::NONE);
    let client = server.client().hosts(Fixed {
        hosts: vec![nothing],
        asked: Mutex::default(),
    });
    let client = client.build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert!(matches!(error, Error::NoCapableHost { .. }), "{error}");
    assert_eq!(server.count(""), 0);
}
