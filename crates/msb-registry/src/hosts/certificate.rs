//! Client certificates for TLS.

use std::fmt;

use msb_oci::Excerpt;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::transport::certificates::parse_bundle;

/// A PEM text that holds no client certificate, or no private key for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("client certificate {name}: no PEM {missing} that can be used")]
pub struct InvalidCertificate {
    name: Excerpt,
    missing: &'static str,
}

/// A client certificate with its chain and its private key. `Debug` does not show the key.
pub struct ClientCertificate {
    name: Excerpt,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    /// Parses a certificate chain, own certificate first, and its private key (PKCS #1, PKCS #8 or SEC1), both PEM.
    ///
    /// `key_pem` may be the same text as `cert_pem`. `name` is for errors, such as the name of the file.
    ///
    /// # Errors
    ///
    /// [`InvalidCertificate`] if there is no certificate, or no private key.
    pub fn from_pem(
        name: &str,
        cert_pem: &[u8],
        key_pem: &[u8],
    ) -> Result<Self, InvalidCertificate> {
        let name = Excerpt::new(name);
        let (chain, _) = parse_bundle(cert_pem);
        if chain.is_empty() {
            return Err(InvalidCertificate {
                name,
                missing: "certificate",
            });
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| InvalidCertificate {
            name: name.clone(),
            missing: "private key",
        })?;
        Ok(Self { name, chain, key })
    }

    pub(crate) fn parts(
        &self,
    ) -> (
        &Excerpt,
        Vec<CertificateDer<'static>>,
        PrivateKeyDer<'static>,
    ) {
        (&self.name, self.chain.clone(), self.key.clone_key())
    }
}

impl Clone for ClientCertificate {
    fn clone(&self) -> Self {
        let (name, chain, key) = self.parts();
        Self {
            name: name.clone(),
            chain,
            key,
        }
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
