//! Credentials belong to one host.

use std::sync::Mutex;

use super::*;

async fn two() -> (Server, Server) {
    (for_alice().await, for_alice().await)
}

fn knows_nothing(server: &Server) -> bool {
    let requests = server.requests();
    requests
        .iter()
        .all(|request| request.header("authorization").is_none())
}

#[tokio::test]
async fn credentials_without_a_host_belong_to_the_first_registry_that_is_asked() {
    let (first, second) = two().await;
    let client = first
        .client()
        .plain_http(&second.host)
        .auth(alice())
        .build()
        .unwrap();
    client.manifest(&first.reference("a")).await.unwrap();
    let error = client.manifest(&second.reference("a")).await.unwrap_err();
    let Error::Unauthorized {
        credentials: CredentialUse::BoundToOtherHost { bound_to },
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(bound_to.as_str(), first.host);
    assert!(error.to_string().contains(&first.host), "{error}");
    assert!(knows_nothing(&second));
    client.manifest(&first.reference("b")).await.unwrap();
}

#[tokio::test]
async fn credentials_of_a_named_host_go_to_no_other() {
    let (first, second) = two().await;
    let client = first
        .client()
        .plain_http(&second.host)
        .auth_for(&second.host, alice())
        .build()
        .unwrap();
    let error = client.manifest(&first.reference("a")).await.unwrap_err();
    assert_eq!(error.credential_use(), Some(&CredentialUse::NoneGiven));
    assert!(knows_nothing(&first));
    client.manifest(&second.reference("a")).await.unwrap();
    assert!(
        Client::builder()
            .auth_for("https://x/", alice())
            .build()
            .is_err()
    );
}

/// Remembers which hosts it was asked about.
#[derive(Clone, Default)]
struct Keys(Arc<Mutex<Vec<String>>>, String);

impl CredentialProvider for Keys {
    fn credentials<'a>(&'a self, host: &'a RegistryHost) -> CredentialFuture<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.lock().unwrap().push(host.to_string());
            if host.as_str() == "broken.invalid" {
                return Err("the helper failed".into());
            }
            let knows = host.as_str() == self.1;
            Ok(if knows {
                alice()
            } else {
                RegistryAuth::Anonymous
            })
        })
    }
}

#[tokio::test]
async fn a_provider_is_asked_about_each_host_once_and_only_when_needed() {
    let (first, second) = two().await;
    let open = Server::start(|_, _| Reply::ok(INDEX)).await;
    let keys = Keys(Arc::default(), first.host.clone());
    let client = first
        .client()
        .plain_http(&second.host)
        .plain_http(&open.host)
        .credentials(keys.clone())
        .build()
        .unwrap();
    client.manifest(&open.reference("a")).await.unwrap();
    for repository in ["a", "b", "c"] {
        client.manifest(&first.reference(repository)).await.unwrap();
    }
    assert!(client.manifest(&second.reference("a")).await.is_err());
    assert!(knows_nothing(&second));
    assert_eq!(
        *keys.0.lock().unwrap(),
        [first.host.clone(), second.host.clone()]
    );
}

#[tokio::test]
async fn a_named_host_comes_before_the_provider() {
    let server = for_alice().await;
    let keys = Keys::default();
    let client = server
        .client()
        .credentials(keys.clone())
        .auth_for(&server.host, alice())
        .build()
        .unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
    assert!(keys.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_challenge_from_a_redirects_target_gets_no_credentials_of_the_registry() {
    let target = for_alice().await;
    let to = format!("http://{}/elsewhere", target.host);
    let registry = Server::start(move |request, _| match request.header("authorization") {
        None => basic_challenge(),
        Some(_) => Reply::new(307, "").header("Location", &to),
    })
    .await;
    let builder = registry.client().plain_http(&target.host);
    let client = builder.clone().auth(alice()).build().unwrap();
    let error = client.manifest(&registry.reference("a")).await.unwrap_err();
    assert!(
        matches!(
            error.credential_use(),
            Some(CredentialUse::BoundToOtherHost { .. })
        ),
        "{error}"
    );
    assert!(knows_nothing(&target));
    // Those of its own it gets.
    let client = builder
        .auth_for(
            &registry.host,
            RegistryAuth::Basic {
                username: "bob".into(),
                password: "other".into(),
            },
        )
        .auth_for(&target.host, alice())
        .build()
        .unwrap();
    client.manifest(&registry.reference("a")).await.unwrap();
    let sent: Vec<_> = target
        .requests()
        .iter()
        .filter_map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(sent, [ALICE]);
}

#[tokio::test]
async fn a_token_service_of_a_redirects_target_gets_no_credentials_of_the_registry() {
    let realm = Arc::new(OnceLock::<String>::new());
    let own = Arc::clone(&realm);
    let target = Server::start(move |request, _| {
        if request.path.starts_with("/token") {
            return Reply::ok(r#"{"token":"t"}"#);
        }
        match request.header("authorization") {
            Some("Bearer t") => Reply::ok(INDEX),
            _ => {
                let challenge = format!("bEaReR realm=\"http://{}/token\"", own.get().unwrap());
                Reply::new(401, "").header("WWW-Authenticate", &challenge)
            }
        }
    })
    .await;
    realm.set(target.host.clone()).unwrap();
    let to = format!("http://{}/elsewhere", target.host);
    let registry = Server::start(move |request, _| match request.header("authorization") {
        None => basic_challenge(),
        Some(_) => Reply::new(307, "").header("Location", &to),
    })
    .await;
    let client = registry
        .client()
        .plain_http(&target.host)
        .auth(alice())
        .build()
        .unwrap();
    client.manifest(&registry.reference("a")).await.unwrap();
    let secrets = target
        .requests()
        .iter()
        .filter(|request| !matches!(request.header("authorization"), None | Some("Bearer t")))
        .count();
    assert_eq!(secrets, 0);
    let registry_tokens = registry
        .requests()
        .iter()
        .filter(|request| request.header("authorization") == Some("Bearer t"))
        .count();
    assert_eq!(registry_tokens, 0);
}

#[tokio::test]
async fn a_registry_that_hides_from_strangers_is_asked_how_to_sign_in() {
    for hidden in [404, 403] {
        let server = Server::start(move |request, _| {
            match (request.header("authorization"), request.path.as_str()) {
                (Some(ALICE), _) => Reply::ok(INDEX),
                (_, "/v2/") => basic_challenge(),
                _ => Reply::new(hidden, ""),
            }
        })
        .await;
        let client = server.client().auth(alice()).build().unwrap();
        client.manifest(&server.reference("a")).await.unwrap();
        // Without credentials it is not asked, and the message blames none.
        server.log.lock().unwrap().clear();
        let error = server.manifest().await.unwrap_err();
        assert_eq!(error.credential_use(), Some(&CredentialUse::NoneGiven));
        assert!(
            error.to_string().contains("no credentials were sent"),
            "{error}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_says_what_became_of_the_credentials() {
    let gone = Server::start(|request, _| match request.header("authorization") {
        Some(ALICE) => Reply::new(404, ""),
        _ => basic_challenge(),
    })
    .await;
    let client = gone.client().auth(alice()).build().unwrap();
    let error = client.manifest(&gone.reference("a")).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.credential_use(), Some(&CredentialUse::Sent));

    let silent = Server::start(|_, _| Reply::new(401, "")).await;
    let client = silent.client().auth(alice()).build().unwrap();
    let error = client.manifest(&silent.reference("a")).await.unwrap_err();
    assert_eq!(error.credential_use(), Some(&CredentialUse::NotRequested));
}
