//! TLS settings of single hosts.

use msb_registry::ClientCertificate;

use super::*;

async fn is_served(host: HostConfig) -> bool {
    let hosts = Fixed {
        hosts: vec![host],
        asked: Mutex::default(),
    };
    let client = Client::builder().timeouts(timeouts()).hosts(hosts);
    let client = client.build().unwrap();
    client.manifest(&reference(&nowhere(), "a")).await.is_ok()
}

#[tokio::test]
async fn an_authority_is_trusted_for_the_host_that_names_it() {
    let (server, pem) = Server::start_tls(|request, _| serve(request)).await;
    let host = || HostConfig::at(&format!("https://{}/v2", server.host)).unwrap();
    assert!(!is_served(host()).await);
    assert!(is_served(host().with_ca_cert("ca.pem", pem)).await);
}

#[tokio::test]
async fn verification_is_skipped_for_the_host_that_asks_for_it() {
    let (server, _) =
        Server::start_tls_as("other.example", false, |request, _| serve(request)).await;
    let host = || HostConfig::at(&format!("https://{}/v2", server.host)).unwrap();
    assert!(!is_served(host()).await);
    assert!(is_served(host().with_skip_verify(true)).await);
}

#[tokio::test]
async fn a_client_certificate_is_presented_to_its_host() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["a client".to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap();
    let (server, _) =
        Server::start_mutual_tls(cert.der().clone(), |request, _| serve(request)).await;
    let host = || {
        HostConfig::at(&format!("https://{}/v2", server.host))
            .unwrap()
            .with_skip_verify(true)
    };
    assert!(!is_served(host()).await);
    let (cert, key) = (cert.pem(), key.serialize_pem());
    let certificate =
        ClientCertificate::from_pem("client.pem", cert.as_bytes(), key.as_bytes()).unwrap();
    assert!(!format!("{certificate:?}").contains(key.lines().nth(1).unwrap()));
    assert!(is_served(host().with_client_certificate(certificate)).await);
    for (cert, key, missing) in [
        ("", key.as_str(), "certificate"),
        (&cert, "", "private key"),
    ] {
        let error = ClientCertificate::from_pem("x", cert.as_bytes(), key.as_bytes());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_of_the_client_is_for_one_registry() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["a client".to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap();
    let der = cert.der().clone();
    let (server, pem) = Server::start_mutual_tls(der, |request, _| serve(request)).await;
    let certificate = ClientCertificate::from_pem(
        "client.pem",
        cert.pem().as_bytes(),
        key.serialize_pem().as_bytes(),
    )
    .unwrap();
    for (host, is_accepted) in [(server.host.as_str(), true), ("other.example", false)] {
        let client = Client::builder()
            .timeouts(timeouts())
            .ca_cert(pem.clone())
            .client_certificate(host, certificate.clone())
            .build()
            .unwrap();
        let manifest = client.manifest(&server.reference("a")).await;
        assert_eq!(manifest.is_ok(), is_accepted, "{host}");
    }
}
