//! Token services.

use super::*;

/// A registry that requires a token of its own service at `/token`, whose responses `token` makes.
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
                credentials: CredentialUse::NoneGiven,
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
    let error = server.manifest().await.unwrap_err();
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
    let error = server.manifest().await.unwrap_err();
    assert!(matches!(error, Error::OverLimit { .. }), "{error}");
    let server = with_tokens(|_, _| Reply::ok("<html>"), |_| true).await;
    let error = server.manifest().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::TokenService {
                problem: TokenProblem::Response,
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
