//! Private addresses that a registry must not lead to. The registry of these tests is one itself, but under another address.

use super::*;

/// Spellings of addresses that are not this registry's.
const PRIVATE: &[&str] = &[
    "10.0.0.1",
    "0xa9fea9fe",
    "169.254.169.254",
    "2852039166",
    "192.168.1.1:8443",
    "[fe80::1]",
    "[fd00::1]",
    "[::ffff:10.0.0.1]",
    "0.0.0.0",
];

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    for host in PRIVATE {
        let to = format!("https://{host}/secret");
        let server = Server::start(move |_, _| Reply::new(307, "").header("Location", &to)).await;
        let error = server.manifest().await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Redirect {
                    problem: RedirectProblem::PrivateAddress { .. },
                    ..
                }
            ),
            "{host}: {error}"
        );
        assert!(!error.is_temporary());
        assert_presentable(&error);
    }
}

#[tokio::test]
async fn a_token_service_at_a_private_address_is_refused() {
    for host in PRIVATE {
        let challenge = format!("Bearer realm=\"https://{host}/token\"");
        let server =
            Server::start(move |_, _| Reply::new(401, "").header("WWW-Authenticate", &challenge))
                .await;
        let client = server.client().auth(alice()).build().unwrap();
        let error = client.manifest(&server.reference("a")).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::TokenService {
                    problem: TokenProblem::PrivateAddress,
                    ..
                }
            ),
            "{host}: {error}"
        );
    }
}

#[tokio::test]
async fn a_private_address_that_is_named_is_followed() {
    // Nothing answers there; that it is tried is what counts.
    let server =
        Server::start(|_, _| Reply::new(307, "").header("Location", "https://0.0.0.0:1/x")).await;
    let builders = [
        server.client().private_host("0.0.0.0"),
        server.client().private_host("0.0.0.0:1"),
        server.client().auth_for("0.0.0.0:1", alice()),
    ];
    for builder in builders {
        let limits = msb_registry::Limits::default().with_retries(0);
        let client = builder.limits(limits).build().unwrap();
        let error = client.manifest(&server.reference("a")).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
    }
    let client = server.client().private_host("0.0.0.0:2").build().unwrap();
    let error = client.manifest(&server.reference("a")).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
}

#[tokio::test]
async fn the_registrys_own_host_is_followed_under_another_port() {
    let (other, pem) = Server::start_tls(|_, _| Reply::ok(INDEX)).await;
    let to = format!("https://{}/x", other.host.replace("127.0.0.1", "localhost"));
    let server = Server::start(move |_, _| Reply::new(307, "").header("Location", &to)).await;
    let client = server.client().ca_cert(pem).build().unwrap();
    client.manifest(&server.reference("a")).await.unwrap();
}
