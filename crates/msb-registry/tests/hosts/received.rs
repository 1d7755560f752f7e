//! What a mirror receives, and what it does not.

use std::sync::Arc;

use msb_registry::{CredentialFuture, CredentialProvider, RegistryAuth};

use super::*;

/// Credentials for each host, with the host as the user.
struct Named(Arc<Mutex<Vec<String>>>);

impl CredentialProvider for Named {
    fn credentials<'a>(&'a self, host: &'a RegistryHost) -> CredentialFuture<'a> {
        self.0.lock().unwrap().push(host.to_string());
        let username = host.as_str().replace(':', "-");
        Box::pin(async move {
            Ok(RegistryAuth::Basic {
                username,
                password: "hunter2".into(),
            })
        })
    }
}

fn private(request: &Request) -> Reply {
    match request.header("authorization") {
        Some(_) => serve(request),
        None => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
    }
}

#[tokio::test]
async fn a_mirror_has_credentials_of_its_own() {
    let origin = nowhere();
    let server = Server::start(|request, _| private(request)).await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let client = client([mirror(&server, &origin)])
        .plain_http(&server.host)
        .credentials(Named(Arc::clone(&asked)))
        .build()
        .unwrap();
    client.manifest(&reference(&origin, "a")).await.unwrap();
    assert_eq!(asked.lock().unwrap().join(" "), server.host);
}

#[tokio::test]
async fn credentials_of_the_registry_never_reach_a_mirror() {
    let origin = Server::start(|request, _| private(request)).await;
    let server = Server::start(|request, _| private(request)).await;
    let auth = || RegistryAuth::Basic {
        username: "me".into(),
        password: "hunter2".into(),
    };
    let builder = || {
        client([mirror(&server, &origin.host)])
            .plain_http(&origin.host)
            .plain_http(&server.host)
    };
    for builder in [
        builder().auth(auth()),
        builder().auth_for(&origin.host, auth()),
    ] {
        let client = builder.build().unwrap();
        client.manifest(&origin.reference("a")).await.unwrap();
    }
    let requests = server.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert_eq!(request.header("authorization"), None);
    }
}

#[tokio::test]
async fn a_mirror_over_plain_http_gets_no_credentials_unless_it_is_named() {
    let origin = Server::start(|request, _| serve(request)).await;
    let server = Server::start(|request, _| private(request)).await;
    let client = client([mirror(&server, &origin.host)])
        .plain_http(&origin.host)
        .credentials(Named(Arc::default()))
        .build()
        .unwrap();
    client.manifest(&origin.reference("a")).await.unwrap();
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    assert_eq!(origin.count("/manifests/"), 1);
}

#[tokio::test]
async fn headers_go_to_their_host_alone_and_are_redacted() {
    let origin = Server::start(|request, _| serve(request)).await;
    let elsewhere = Server::start(|request, _| serve(request)).await;
    let target = format!("http://{}/v2/a/manifests/b", elsewhere.host);
    let server = Server::start(move |_, _| Reply::new(307, "").header("Location", &target)).await;
    let routed = mirror(&server, &origin.host)
        .with_header("X-Dragonfly-Registry", "https://origin.example")
        .unwrap()
        .with_header("Authorization", "Bearer s3cret-of-the-file")
        .unwrap()
        .with_header("Accept", "text/html")
        .unwrap();
    let shown = format!("{routed:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let client = client([routed])
        .plain_http(&origin.host)
        .plain_http(&elsewhere.host)
        .build()
        .unwrap();
    client.manifest(&origin.reference("a:b")).await.unwrap();
    let first = &server.requests()[0];
    assert_eq!(
        first.header("x-dragonfly-registry"),
        Some("https://origin.example")
    );
    assert_eq!(
        first.header("authorization"),
        Some("Bearer s3cret-of-the-file")
    );
    assert!(
        first
            .header("accept")
            .unwrap()
            .starts_with("application/vnd.oci")
    );
    let redirected = &elsewhere.requests()[0];
    assert_eq!(redirected.header("x-dragonfly-registry"), None);
    assert_eq!(redirected.header("authorization"), None);
}

#[tokio::test]
async fn the_path_of_a_host_is_the_root_of_its_api() {
    let origin = nowhere();
    let server = Server::start(|request, _| serve(request)).await;
    let url = format!("http://{}/v2/proxy-cache", server.host);
    let client = client([HostConfig::at(&url).unwrap()]).build().unwrap();
    client.manifest(&reference(&origin, "a/b:c")).await.unwrap();
    assert_eq!(server.requests()[0].path, "/v2/proxy-cache/a/b/manifests/c");
    for odd in [
        "",
        "x",
        "ftp://x/",
        "http://u:p@x/",
        "http://x/?a",
        "http:///",
    ] {
        assert!(HostConfig::at(odd).is_err(), "{odd}");
    }
}
