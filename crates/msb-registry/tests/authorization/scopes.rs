//! Which access is asked for, and how long a token is kept.

use super::*;

/// A registry whose token service, on the same origin, answers as `token` does.
async fn with_scope(
    challenge: &str,
    token: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
) -> Server {
    let own = Arc::new(OnceLock::<String>::new());
    let host = Arc::clone(&own);
    let challenge = challenge.to_owned();
    let server = Server::start(move |request, before| {
        if request.path.starts_with("/token") {
            return token(request, before);
        }
        match request.header("authorization") {
            Some("Bearer good") => Reply::ok(INDEX),
            _ => {
                let value = format!(
                    r#"Bearer realm="http://{}/token",{challenge}"#,
                    host.get().unwrap()
                );
                Reply::new(401, "").header("WWW-Authenticate", &value)
            }
        }
    })
    .await;
    own.set(server.host.clone()).unwrap();
    server
}

#[tokio::test]
async fn the_scope_of_the_challenge_is_asked_for() {
    let server = with_scope(
        r#"service="s",scope="repository:team/app:pull""#,
        |request, _| {
            let granted = request
                .path
                .contains("scope=repository%3Ateam%2Fapp%3Apull")
                && request.path.matches("scope=").count() == 1;
            Reply::ok(if granted {
                r#"{"token":"good"}"#
            } else {
                r#"{"token":"bad"}"#
            })
        },
    )
    .await;
    let client = server.client().build().unwrap();
    client
        .manifest(&server.reference("virtual/team/app"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_malformed_or_unfit_scope_gives_way_to_our_own() {
    for scope in [
        "repository:team/app:push",
        "nonsense",
        "repository:Team/App:pull",
        "",
    ] {
        let challenge = format!(r#"scope="{scope}""#);
        let server = with_scope(&challenge, |request, _| {
            let own = request
                .path
                .contains("scope=repository%3Avirtual%2Fteam%2Fapp%3Apull");
            Reply::ok(if own {
                r#"{"token":"good"}"#
            } else {
                r#"{"token":"bad"}"#
            })
        })
        .await;
        let client = server.client().build().unwrap();
        client
            .manifest(&server.reference("virtual/team/app"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_challenge_in_any_case_and_of_any_bytes_is_understood() {
    let server = with_scope("", |_, _| Reply::ok(r#"{"token":"good"}"#)).await;
    let realm = format!("http://{}/token", server.host);
    for challenge in [
        format!("BEARER REALM=\"{realm}\""),
        format!("bearer Realm={realm} , Service=x"),
        format!("Negotiate a/b==, Bearer realm=\"{realm}\",service=\"r\u{e9}g\""),
    ] {
        let registry = Server::start(move |request, _| match request.header("authorization") {
            Some("Bearer good") => Reply::ok(INDEX),
            _ => Reply::new(401, "").header("WWW-Authenticate", &challenge),
        })
        .await;
        let client = registry.client().plain_http(&server.host).build().unwrap();
        client.manifest(&registry.reference("a")).await.unwrap();
    }
    let last = server.requests().pop().unwrap();
    assert!(last.path.contains("service=r%C3%A9g"), "{}", last.path);
}

#[tokio::test]
async fn a_token_of_a_second_is_kept_for_the_least_life_of_the_specification() {
    let server = with_scope("", |_, _| Reply::ok(r#"{"token":"good","expires_in":1}"#)).await;
    let client = server.client().build().unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.manifest(&server.reference("a")).await.unwrap();
    assert_eq!(server.count("/token"), 1);
    // One for another repository is another one.
    client.manifest(&server.reference("b")).await.unwrap();
    assert_eq!(server.count("/token"), 2);
}

#[tokio::test]
async fn a_token_service_that_is_not_there_is_no_missing_image() {
    let server = with_scope("", |_, _| Reply::new(404, "")).await;
    let error = server.manifest().await.unwrap_err();
    assert!(
        matches!(error, Error::Status { status: 404, .. }),
        "{error}"
    );
    assert!(!error.is_not_found());
}
