//! Tokens, credentials and where they never go; schemes and redirects.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod support;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use msb_oci::Digest;
use msb_registry::{
    BlobRequest, Client, CredentialsSeen, Error, RedirectProblem, RegistryAuth, TokenProblem,
};
use support::{Reply, Request, Server, assert_presentable, drain, hasty};

const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

fn alice() -> RegistryAuth {
    RegistryAuth::Basic {
        username: "alice".into(),
        password: "hunter2".into(),
    }
}

/// A registry that wants a token of its own service at `/token`, which answers as `token` says.
async fn with_tokens(
    token: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    accept: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Server {
    let realm = Arc::new(OnceLock::<String>::new());
    let own = Arc::clone(&realm);
    let server = Server::start(move |request, before| {
        if request.path.starts_with("/token") {
            return token(request, before);
        }
        match request.header("authorization") {
            Some(value) if accept(value) => Reply::ok(INDEX),
            _ => challenge(own.get().unwrap()),
        }
    })
    .await;
    realm
        .set(format!("http://{}/token?x=SECRET", server.host))
        .unwrap();
    server
}

fn challenge(realm: &str) -> Reply {
    let header = format!(r#"Bearer realm="{realm}",service="reg",scope="repository:other:push""#);
    Reply::new(401, "").header("WWW-Authenticate", &header)
}

fn hand_out(token: &str) -> Reply {
    Reply::ok(format!(r#"{{"token":"{token}"}}"#))
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_once_and_kept() {
    let server = with_tokens(|_, _| hand_out("t"), |value| value == "Bearer t").await;
    let client = server.client().build().unwrap();
    for _ in 0..3 {
        client.manifest(&server.reference("a/b")).await.unwrap();
    }
    assert_eq!(server.count("/token"), 1);
    let requests = server.requests();
    let asked = requests
        .iter()
        .find(|request| request.path.starts_with("/token"))
        .unwrap();
    assert_eq!(asked.header("authorization"), None);
    assert!(asked.path.contains("service=reg"), "{}", asked.path);
    // Never what the challenge asks for.
    assert!(
        asked.path.contains("scope=repository%3Aa%2Fb%3Apull"),
        "{}",
        asked.path
    );
    assert!(!asked.path.contains("push"));
}

#[tokio::test]
async fn all_who_wait_share_one_token() {
    let slow = |_: &Request, _| hand_out("t").slowly(usize::MAX, Duration::from_millis(50));
    let server = with_tokens(slow, |value| value == "Bearer t").await;
    let client = server.client().build().unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (client, reference) = (client.clone(), server.reference("a"));
            tokio::spawn(async move { client.manifest(&reference).await.map(|_| ()) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(server.count("/token"), 1);
}

#[tokio::test]
async fn a_401_renews_the_token_once() {
    // The first token has been revoked before its time.
    let server = with_tokens(
        |_, before| hand_out(&format!("t{before}")),
        |value| value != "Bearer t1",
    )
    .await;
    let client = server.client().build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unauthorized {
                credentials: CredentialsSeen::None,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);
    client.manifest(&server.reference("a")).await.unwrap();
    assert_eq!(server.count("/token"), 2);
}

#[tokio::test]
async fn a_token_with_a_line_break_goes_nowhere() {
    let server = with_tokens(|_, _| hand_out(r"a\r\nX-Evil: 1"), |_| true).await;
    let error = server
        .client()
        .build()
        .unwrap()
        .manifest(&server.reference("a"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::TokenService {
                problem: TokenProblem::Characters,
                ..
            }
        ),
        "{error}"
    );
    assert_presentable(&error);
    assert!(!error.to_string().contains("SECRET"), "{error}");
    assert_eq!(server.count("/v2/"), 1);
}

#[tokio::test]
async fn a_token_answer_has_a_cap_and_a_shape() {
    let server = with_tokens(|_, _| hand_out(&"t".repeat(1 << 20)), |_| true).await;
    let error = server
        .client()
        .build()
        .unwrap()
        .manifest(&server.reference("a"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OverLimit { .. }), "{error}");
    let server = with_tokens(|_, _| Reply::ok("<html>"), |_| true).await;
    let error = server
        .client()
        .build()
        .unwrap()
        .manifest(&server.reference("a"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::TokenService {
                problem: TokenProblem::Answer,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_service_over_plain_http_elsewhere_is_refused() {
    let other = Server::start(|_, _| hand_out("t")).await;
    let realm = format!("http://{}/token", other.host);
    let server = Server::start(move |_, _| challenge(&realm)).await;
    let client = server.client().auth(alice()).build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::TokenService {
                problem: TokenProblem::PlainHttp,
                ..
            }
        ),
        "{error}"
    );
    assert!(other.requests().is_empty());
}

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
                credentials: CredentialsSeen::Sent,
                ..
            }
        ),
        "{error}"
    );
    assert!(!error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn credentials_are_withheld_from_plain_http_that_nobody_asked_for() {
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
                    credentials: CredentialsSeen::Withheld,
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
    let error = server
        .client()
        .build()
        .unwrap()
        .manifest(&server.reference("a"))
        .await
        .unwrap_err();
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
    let error = server
        .client()
        .build()
        .unwrap()
        .manifest(&server.reference("a"))
        .await
        .unwrap_err();
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
        let error = server
            .client()
            .build()
            .unwrap()
            .manifest(&server.reference("a"))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{name}: {error}");
    }
}
