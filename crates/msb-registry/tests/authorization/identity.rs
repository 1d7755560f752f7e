//! Identity tokens: the OAuth2 flow.

use super::*;

const TOKEN: &str = "refresh/me+1";

fn identity() -> RegistryAuth {
    RegistryAuth::IdentityToken {
        token: TOKEN.into(),
    }
}

async fn service(post_status: u16) -> Server {
    let own = Arc::new(OnceLock::<String>::new());
    let host = Arc::clone(&own);
    let server = Server::start(move |request, _| {
        if request.path.starts_with("/token") {
            return match (request.method.as_str(), request.header("authorization")) {
                ("POST", _) if post_status == 200 => Reply::ok(r#"{"access_token":"good"}"#),
                ("POST", _) => Reply::new(post_status, ""),
                // `<token>:refresh/me+1`
                ("GET", Some("Basic PHRva2VuPjpyZWZyZXNoL21lKzE=")) => Reply::ok(r#"{"token":"good"}"#),
                _ => Reply::new(401, ""),
            };
        }
        match request.header("authorization") {
            Some("Bearer good") => Reply::ok(INDEX),
            _ => {
                let challenge = format!(
                    r#"Bearer realm="http://{}/token",service="the service",scope="repository:a:pull""#,
                    host.get().unwrap()
                );
                Reply::new(401, "").header("WWW-Authenticate", &challenge)
            }
        }
    })
    .await;
    own.set(server.host.clone()).unwrap();
    server
}

#[tokio::test]
async fn an_identity_token_is_exchanged_with_a_post_request() {
    let server = service(200).await;
    let client = server.client().auth(identity()).build().unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    let requests = server.requests();
    let post = &requests[1];
    assert_eq!(
        (post.method.as_str(), post.path.as_str()),
        ("POST", "/token")
    );
    assert_eq!(
        post.body,
        "grant_type=refresh_token&client_id=microsandbox-image&service=the%20service&\
         scope=repository%3Aa%3Apull&refresh_token=refresh%2Fme%2B1"
    );
    assert_eq!(
        post.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(post.header("authorization"), None);
}

#[tokio::test]
async fn a_service_without_that_flow_gets_the_token_as_a_password() {
    for status in [404, 405] {
        let server = service(status).await;
        let client = server.client().auth(identity()).build().unwrap();
        client.manifest(&server.reference("a")).await.unwrap();
        assert_eq!(server.count("/token"), 2);
    }
}

#[tokio::test]
async fn a_refused_identity_token_is_an_error_without_it() {
    let server = service(401).await;
    let client = server.client().auth(identity()).build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert_eq!(error.credential_use(), Some(&CredentialUse::Sent));
    assert!(
        !format!("{error} {error:?}").contains("refresh"),
        "{error:?}"
    );
    assert_eq!(server.count("/token"), 1);
}

#[tokio::test]
async fn the_body_of_a_request_goes_no_further_than_its_origin() {
    let other = Server::start(|_, _| Reply::ok(r#"{"access_token":"good"}"#)).await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("http://{}/token", other.host);
        let own = Arc::new(OnceLock::<String>::new());
        let host = Arc::clone(&own);
        let server = Server::start(move |request, _| {
            if request.path.starts_with("/token") {
                return Reply::new(status, "").header("Location", &to);
            }
            let challenge = format!(r#"Bearer realm="http://{}/token""#, host.get().unwrap());
            Reply::new(401, "").header("WWW-Authenticate", &challenge)
        })
        .await;
        own.set(server.host.clone()).unwrap();
        let client = server
            .client()
            .plain_http(&other.host)
            .auth(identity())
            .build()
            .unwrap();
        let error = client.manifest(&server.reference("a")).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Redirect {
                    problem: RedirectProblem::Body { .. },
                    ..
                }
            ),
            "{status}: {error}"
        );
    }
    assert!(other.requests().is_empty());
}
