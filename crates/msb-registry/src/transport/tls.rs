//! TLS configurations.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::pinned::PinnedOr;
use crate::error::Error;

/// Returns a configuration that trusts the system's authorities and `extra`. Reads files.
pub(super) fn with_roots(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, Error> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::TlsSetup { source })?;
    let platform = Verifier::new_with_extra_roots(extra.iter().cloned(), Arc::clone(&provider));
    let verifier: Arc<dyn ServerCertVerifier> = match platform {
        Ok(verifier) => Arc::new(verifier),
        // A machine without certificates of its own still trusts those that were given.
        Err(source) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(extra.iter().cloned());
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|_| Error::TlsSetup { source })?
        }
    };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedOr::new(verifier, extra)))
        .with_no_client_auth())
}

/// Returns a configuration for plain HTTP: it costs nothing to make, and lets no TLS connection through.
pub(super) fn without_roots() -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::TlsSetup { source })?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
