//! Basic credentials, plain HTTP and TLS.

use super::*;

#[tokio::test]
async fn basic_credentials_answer_a_basic_challenge_only() {
    let server = Server::start(|request, _| match request.header("authorization") {
        Some("Basic YWxpY2U6aHVudGVyMg==") => Reply::ok(INDEX),
        _ => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
    })
    .await;
    let client = server.client().auth(alice()).build().unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), None);
    assert_eq!(server.requests().len(), 3);
    let bob = RegistryAuth::Basic {
        username: "bob".into(),
        password: "hunter2".into(),
    };
    let error = server
        .client()
        .auth(bob)
        .build()
        .unwrap()
        .manifest(&server.reference("a"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unauthorized {
                credentials: CredentialUse::Sent,
                ..
            }
        ),
        "{error}"
    );
    assert!(!error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn credentials_are_withheld_from_plain_http_unless_the_host_is_named() {
    let server =
        Server::start(|_, _| Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""))
            .await;
    for auth in [
        alice(),
        RegistryAuth::Bearer {
            token: "hunter2".into(),
        },
    ] {
        let client = Client::builder()
            .auth(auth)
            .timeouts(hasty())
            .build()
            .unwrap();
        let error = client.manifest(&server.reference("a")).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Unauthorized {
                    credentials: CredentialUse::WithheldFromPlainHttp { .. },
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_loopback_registry_without_tls_needs_no_flag() {
    let server = Server::start(|_, _| Reply::ok(INDEX)).await;
    let client = Client::builder().timeouts(hasty()).build().unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_loopback_registry_with_an_untrusted_certificate_is_not_asked_over_http() {
    let (server, pem) = Server::start_tls(|_, _| Reply::ok(INDEX)).await;
    let client = Client::builder()
        .ca_cert(pem)
        .timeouts(hasty())
        .build()
        .unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    let client = Client::builder().timeouts(hasty()).build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert!(
        matches!(error, Error::Connect { .. }) && !error.is_temporary(),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_self_signed_ca_is_trusted_as_a_server_when_given_and_only_for_its_name() {
    let start = |name| Server::start_tls_as(name, true, |_, _| Reply::ok(INDEX));
    let (server, pem) = start("localhost").await;
    let (other, _) = start("localhost").await;
    let (misnamed, misnamed_pem) = start("elsewhere.example").await;
    let builder = Client::builder().ca_cert(pem).ca_cert(misnamed_pem);
    let client = builder.timeouts(hasty()).build().unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    for refused in [other, misnamed] {
        let error = client.manifest(&refused.reference("a")).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        assert!(refused.requests().is_empty());
    }
}

#[tokio::test]
async fn with_a_ca_certificate_loopback_is_tls_only() {
    let (_tls, pem) = Server::start_tls(|_, _| Reply::ok(INDEX)).await;
    let plain = Server::start(|_, _| Reply::ok(INDEX)).await;
    let client = Client::builder()
        .ca_cert(pem)
        .timeouts(hasty())
        .build()
        .unwrap();
    assert!(client.manifest(&plain.reference("a")).await.is_err());
    assert!(plain.requests().is_empty());
}
