use msb_oci::{Digest, Reference};
use msb_platform::{ChildKind, Index};

use super::resolve::resolve_root;
use crate::PullError;
use crate::engine::Engine;
use crate::remote::{RemoteImage, RemoteLayer, RemotePlatform};
use crate::source::{Document, ImageSource};

/// Describes the image of a reference. Reads documents alone, those that are named by digest from the cache if it has them, and writes
/// nothing.
pub(crate) async fn describe(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
) -> Result<RemoteImage, PullError> {
    let root = source.root().await?;
    let digest: Digest = root.digest;
    let platforms = platforms(reference, &root)?;
    let resolved = resolve_root(engine, source, reference, root).await?;
    let own = || {
        vec![RemotePlatform {
            platform: resolved.platform.clone(),
            manifest_digest: resolved.manifest_digest,
        }]
    };
    Ok(RemoteImage {
        reference: reference.clone(),
        digest,
        platforms: platforms.unwrap_or_else(own),
        manifest_digest: resolved.manifest_digest,
        platform: resolved.platform,
        total_bytes: resolved.total_bytes,
        layers: resolved
            .layers
            .into_iter()
            .map(|layer| RemoteLayer {
                diff_id: layer.diff_id,
                digest: layer.blob.digest,
                media_type: layer.blob.media_type,
                size: layer.blob.bytes,
            })
            .collect(),
        config: resolved.config,
    })
}

/// Returns the platforms that an index states for images; `None` for another document.
fn platforms(
    reference: &Reference,
    root: &Document,
) -> Result<Option<Vec<RemotePlatform>>, PullError> {
    if !root.is_index() {
        return Ok(None);
    }
    let index = Index::parse(&root.bytes).map_err(|source| PullError::Platform {
        reference: Box::new(reference.clone()),
        source,
    })?;
    let images = index.children().iter().filter(|child| {
        let is_manifest = child.kind() == ChildKind::Manifest;
        is_manifest && !child.is_attestation()
    });
    let platforms = images.filter_map(|child| {
        Some(RemotePlatform {
            platform: child.platform()?.clone(),
            manifest_digest: *child.digest(),
        })
    });
    Ok(Some(platforms.collect()))
}
