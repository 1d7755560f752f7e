//! Redirects, and what does not follow them.

use super::*;

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let plain = Server::start(|_, _| Reply::ok(INDEX)).await;
    let to = format!("http://{}/x?sig=SECRET", plain.host);
    let (server, pem) =
        Server::start_tls(move |_, _| Reply::new(307, "").header("Location", &to)).await;
    let client = plain.client().ca_cert(pem).build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    let Error::Redirect {
        problem: RedirectProblem::PlainHttp { .. },
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(!error.to_string().contains("SECRET"));
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_to_another_plain_host_needs_its_name() {
    let other = Server::start(|_, _| Reply::ok(INDEX)).await;
    let to = format!("http://{}/x", other.host);
    let server = Server::start(move |_, _| Reply::new(302, "").header("Location", &to)).await;
    let error = server.manifest().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Redirect {
                problem: RedirectProblem::PlainHttp { .. },
                ..
            }
        ),
        "{error}"
    );
    let client = server.client().plain_http(&other.host).build().unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
}

#[tokio::test]
async fn authorization_stays_with_its_origin() {
    let blob = b"the blob";
    let other = Server::start(move |_, _| Reply::ok(&blob[..])).await;
    let to = format!("http://user:pw@{}/signed?sig=SECRET", other.host);
    let server = Server::start(move |request, _| match request.header("authorization") {
        None => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
        Some(_) if request.path.contains("/within/") => Reply::new(307, "").header("Location", &to),
        Some(_) => {
            Reply::new(307, "").header("Location", &request.path.replace("/v2/", "/within/"))
        }
    })
    .await;
    let client = server
        .client()
        .plain_http(&other.host)
        .auth(alice())
        .build()
        .unwrap();
    let request = BlobRequest::new(Digest::sha256_of(blob), blob.len() as u64);
    let (bytes, _) = drain(client.blob(&server.reference("a"), request))
        .await
        .unwrap();
    assert_eq!(bytes, blob);
    assert!(
        server.requests()[2].header("authorization").is_some(),
        "kept within the origin"
    );
    assert_eq!(other.requests()[0].header("authorization"), None);
    assert_eq!(other.requests()[0].path, "/signed?sig=SECRET");
}

#[tokio::test]
async fn a_signed_url_never_reaches_an_error() {
    let other = Server::start(|_, _| Reply::new(403, "").header("X", "y")).await;
    let to = format!("http://{}/blob?sig=SECRET", other.host);
    let server = Server::start(move |_, _| Reply::new(307, "").header("Location", &to)).await;
    let client = server.client().plain_http(&other.host).build().unwrap();
    let request = BlobRequest::new(Digest::sha256_of(b"x"), 1);
    let error = drain(client.blob(&server.reference("a"), request))
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&other.host), "{error}");
    assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
}

#[tokio::test]
async fn redirects_are_counted_and_must_lead_somewhere() {
    let server = Server::start(|request, _| {
        Reply::new(308, "").header("Location", &format!("{}x", request.path))
    })
    .await;
    let error = server.manifest().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Redirect {
                problem: RedirectProblem::TooMany { limit: 5 },
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(server.requests().len(), 6);
    for (location, name) in [("file:///etc/passwd", "scheme"), ("http://[", "nowhere")] {
        let server =
            Server::start(move |_, _| Reply::new(301, "").header("Location", location)).await;
        let error = server.manifest().await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{name}: {error}");
    }
}
