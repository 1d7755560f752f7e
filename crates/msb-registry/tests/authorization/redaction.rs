//! Nothing that was sent comes back in an error.

use std::fmt::Write as _;

use super::*;

/// Everything that an error shows, its causes included.
fn shown(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        write!(text, "\n{error}\n{error:?}").unwrap();
        cause = error.source();
    }
    text
}

/// Returns a client that waits for the body of a refusal also on a loaded machine: without it, there is nothing to redact.
fn patient(server: &Server) -> ClientBuilder {
    server
        .client()
        .timeouts(hasty().with_stall(Duration::from_secs(5)))
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn a_server_that_echoes_what_was_sent_is_not_quoted() {
    let server = Server::start(|request, _| {
        let Some(header) = request.header("authorization") else {
            return basic_challenge();
        };
        let pair = header.strip_prefix("Basic ").unwrap();
        let message = format!(
            "{header} {pair} {} hunter2 {} aHVudGVyMg== eGh1bnRlcjI at https://alice:hunter2@x/y https://eve:other@x/z",
            percent(pair),
            percent("hunter2")
        );
        let body = serde_json::json!({"errors": [{"code": format!("E-{pair}"), "message": message}]});
        Reply::new(403, body.to_string())
    })
    .await;
    let client = patient(&server).auth(alice()).build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    let text = shown(&error);
    assert!(
        text.contains("[redacted]") && text.contains("https://x/y"),
        "{text}"
    );
    for secret in [
        "hunter2",
        "YWxpY2U6",
        "aHVudGVyM",
        "h1bnRlc",
        "%68%75",
        "%59%57",
        "other",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn tokens_are_redacted_too_in_messages_and_in_the_urls_of_redirects() {
    let token = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LXBheWxvYWQ.c2lnbmF0dXJl";
    let own = Arc::new(OnceLock::<String>::new());
    let host = Arc::clone(&own);
    let server = Server::start(move |request, _| {
        if request.path.starts_with("/token") {
            return Reply::ok(format!(r#"{{"token":"{token}"}}"#));
        }
        match request.header("authorization") {
            None => {
                let challenge = format!(r#"Bearer realm="http://{}/token""#, host.get().unwrap());
                Reply::new(401, "").header("WWW-Authenticate", &challenge)
            }
            Some(_) if request.path.contains("manifests/message") => Reply::new(
                404,
                format!(
                    r#"{{"errors":[{{"message":"bad token {}..."}}]}}"#,
                    &token[..30]
                ),
            ),
            Some(_) => {
                Reply::new(307, "").header("Location", &format!("https://10.0.0.1/{token}/x"))
            }
        }
    })
    .await;
    own.set(server.host.clone()).unwrap();
    let client = patient(&server).build().unwrap();
    for tag in ["message", "redirect"] {
        let error = client
            .manifest(&server.reference(&format!("a:{tag}")))
            .await
            .unwrap_err();
        let text = shown(&error);
        assert!(text.contains("[redacted]"), "{text}");
        assert!(
            !text.contains("eyJhbGci") && !text.contains("c2VjcmV0"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_realm_with_a_user_or_an_echo_is_shown_without() {
    let server = Server::start(|request, _| match request.header("authorization") {
        None => basic_challenge(),
        Some(_) => {
            let challenge = "Bearer realm=\"ftp://eve:pw@x/hunter2?sig=SECRET\"";
            Reply::new(401, "").header("WWW-Authenticate", challenge)
        }
    })
    .await;
    let realm = Server::start(|_, _| {
        Reply::new(401, "").header(
            "WWW-Authenticate",
            "Bearer realm=\"ftp://eve:pw@x/hunter2?sig=SECRET\"",
        )
    })
    .await;
    for server in [server, realm] {
        let client = patient(&server).auth(alice()).build().unwrap();
        let error = client.manifest(&server.reference("a")).await.unwrap_err();
        let text = shown(&error);
        for secret in ["hunter2", "eve", "pw@", "SECRET"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn a_failed_connection_has_one_cause() {
    let client = Client::builder().timeouts(hasty()).build().unwrap();
    let error = client
        .manifest(&"registry.invalid/a".parse().unwrap())
        .await
        .unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("cannot be resolved"), "{cause}");
    assert!(cause.source().is_none());

    let (server, _) = Server::start_tls(|_, _| Reply::ok(INDEX)).await;
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert!(
        error.is_unknown_authority() && !error.is_temporary(),
        "{error}"
    );
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .source()
            .is_none()
    );
}
