use msb_oci::Digest;
use oci_spec::image::{Descriptor, ImageManifest};

use crate::{ManifestProblem, PullError};

/// A manifest as far as a pull needs it.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) config: Blob,
    /// Bottom to top.
    pub(crate) layers: Vec<Blob>,
}

/// What a descriptor names.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    pub(crate) media_type: String,
    /// Where else it may be had; for layers that a registry may not distribute.
    pub(crate) urls: Vec<String>,
}

/// Reads an OCI manifest or a docker schema 2 manifest, which are one in all that matters here.
pub(crate) fn parse(digest: &Digest, bytes: &[u8]) -> Result<Manifest, PullError> {
    let manifest: ImageManifest =
        serde_json::from_slice(bytes).map_err(|source| PullError::ManifestJson {
            digest: digest.clone(),
            source,
        })?;
    Ok(Manifest {
        config: blob(digest, manifest.config())?,
        layers: manifest
            .layers()
            .iter()
            .map(|layer| blob(digest, layer))
            .collect::<Result<_, _>>()?,
    })
}

fn blob(manifest: &Digest, descriptor: &Descriptor) -> Result<Blob, PullError> {
    let digest = Digest::try_from(descriptor.digest()).map_err(|source| PullError::Manifest {
        digest: manifest.clone(),
        problem: ManifestProblem::Digest { source },
    })?;
    Ok(Blob {
        digest,
        bytes: descriptor.size(),
        media_type: descriptor.media_type().to_string(),
        urls: descriptor.urls().clone().unwrap_or_default(),
    })
}
