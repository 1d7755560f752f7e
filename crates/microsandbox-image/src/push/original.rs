use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use msb_oci::{Digest, Manifest, media_type};
use msb_registry::{BlobUpload, RegistryHost};
use msb_store::Store;

use super::{Push, PushError, Sent};
use crate::cache::lookup;
use crate::published::documents::Written;
use crate::{LayerArtifact, PullResult};

/// The documents of the image as it was pulled.
#[derive(Debug)]
pub(super) struct Original {
    pub(super) manifest: Written,
    pub(super) media_type: String,
    pub(super) config: Bytes,
}

impl Original {
    /// Reads the documents from the cache.
    pub(super) async fn read(store: &Store, image: &PullResult) -> Result<Self, PushError> {
        let (store, reference) = (store.clone(), image.reference.clone());
        let digest = image.manifest_digest;
        let work = move || {
            let read = |digest: Digest| {
                let bytes = lookup::document(&store, &digest)?;
                bytes.map(Bytes::from).ok_or_else(|| PushError::NoDocument {
                    reference: Box::new(reference.clone()),
                    digest,
                })
            };
            let bytes = read(digest)?;
            let parsed = Manifest::parse(&bytes).map_err(|source| PushError::Manifest {
                reference: Box::new(reference.clone()),
                source,
            })?;
            Ok(Self {
                manifest: Written { bytes, digest },
                config: read(parsed.config.digest)?,
                // Docker's manifests always state their type.
                media_type: parsed
                    .media_type
                    .unwrap_or_else(|| media_type::OCI_MANIFEST.to_owned()),
            })
        };
        let read = tokio::task::spawn_blocking(work).await;
        read.map_err(|_| PushError::Worker)?
    }

    /// Puts the image as it was pulled into the destination, without a tag.
    pub(super) async fn push(&self, push: &Push<'_>) -> Result<Sent, PushError> {
        let mut sent = Sent::default();
        let mut seen = BTreeSet::new();
        for layer in &push.image.layers {
            if seen.insert(layer.digest) {
                sent.add(push_layer(push, layer).await?);
            }
        }
        sent.add(push.bytes(&self.config).await?);
        push.document(&self.manifest, &self.media_type).await?;
        Ok(sent)
    }
}

/// Puts the blob of a layer into the destination: nothing if it is there, else from the image's own repository of the same registry, else
/// from the cache.
async fn push_layer(push: &Push<'_>, layer: &LayerArtifact) -> Result<Sent, PushError> {
    let (client, destination) = (push.client, push.destination);
    let present = Sent {
        sent: 0,
        present: layer.size,
    };
    if client.has_blob(destination, &layer.digest).await? {
        return Ok(present);
    }
    let source = &push.image.reference;
    let is_same_registry = RegistryHost::of(source) == RegistryHost::of(destination);
    if is_same_registry
        && source.repository() != destination.repository()
        && client
            .mount_blob(destination, &layer.digest, source.repository())
            .await?
    {
        return Ok(present);
    }
    let (store, digest) = (push.store.clone(), layer.digest);
    let opened = tokio::task::spawn_blocking(move || store.open_layer_blob(&digest)).await;
    let opened = opened.map_err(|_| PushError::Worker)?;
    let file = opened.map_err(|error| PushError::Cache(error.into()))?;
    let Some(file) = file else {
        return Err(PushError::NoOriginalBlob {
            reference: Box::new(source.clone()),
            platform: Box::new(push.image.platform.clone()),
            destination: Box::new(destination.clone()),
            blob: Box::new(layer.digest),
        });
    };
    let upload = BlobUpload::new(layer.digest, layer.size, Arc::new(file));
    push.upload(&upload).await
}
