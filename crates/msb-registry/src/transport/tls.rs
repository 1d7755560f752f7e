//! TLS configurations.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::pinned::PinnedOr;
use super::unverified::Unverified;
use crate::error::Error;
use crate::hosts::ClientCertificate;

/// The client's own side of a handshake, and whether the server's is verified.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) certificates: Vec<ClientCertificate>,
    pub(super) skip_verify: bool,
}

/// Returns a configuration that trusts the system's authorities and `extra`. Reads files.
pub(super) fn with_roots(
    extra: Vec<CertificateDer<'static>>,
    identity: Identity,
) -> Result<ClientConfig, Error> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::TlsSetup {
            source: error.into(),
        })?;
    let verifier: Arc<dyn ServerCertVerifier> = if identity.skip_verify {
        Arc::new(Unverified(Arc::clone(&provider)))
    } else {
        let inner = verifier(&extra, &provider)?;
        Arc::new(PinnedOr::new(inner, extra))
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    if identity.certificates.is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let mut keys = Vec::new();
    for certificate in &identity.certificates {
        let (name, chain, key) = certificate.parts();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|source| {
            Error::ClientCertificateKey {
                name: name.clone(),
                source: source.into(),
            }
        })?;
        keys.push(Arc::new(key));
    }
    Ok(builder.with_client_cert_resolver(Arc::new(ClientKeys(keys))))
}

fn verifier(
    extra: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let platform = Verifier::new_with_extra_roots(extra.iter().cloned(), Arc::clone(provider));
    match platform {
        Ok(verifier) => Ok(Arc::new(verifier)),
        // A machine without certificates of its own still trusts those that were given.
        Err(source) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(extra.iter().cloned());
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            let verifier = verifier.build().map_err(|_| Error::TlsSetup {
                source: source.into(),
            })?;
            Ok(verifier)
        }
    }
}

/// Presents the first certificate whose key can sign as the server asks.
#[derive(Debug)]
struct ClientKeys(Vec<Arc<CertifiedKey>>);

impl ResolvesClientCert for ClientKeys {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        self.0.iter().find(fits).cloned()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Returns a configuration for plain HTTP: it costs nothing to make, and lets no TLS connection through.
pub(super) fn without_roots() -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::TlsSetup {
            source: error.into(),
        })?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
