//! Publishes a cached image in a registry as EROFS layers with their merged metadata, beside the original image.
//!
//! ```text
//!   original blobs ──present, mounted or kept──▶ original manifest ─┐
//!   layer images, sidecars ──zstd ranges──▶ blobs ─▶ EROFS manifest ┼─▶ index, under the tag
//!   merged metadata ─────────zstd ranges──▶ blob ──▶ referrer ──────┘
//! ```
//!
//! The tag moves last: a push that fails leaves it as it was. The documents are described in [`crate::published`].

mod encode;
mod error;
mod original;

pub use error::PushError;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use msb_oci::{Digest, Reference, media_type};
use msb_registry::{BlobUpload, Client, Pushed, ReferrerEntry};
use serde::{Serialize, Serializer};

use crate::cache::keys::FORMAT;
use crate::published::METADATA_TYPE;
use crate::published::documents::{self, EMPTY, EncodedLayer, Pair, Written};
use crate::{PullResult, Registry};
use encode::{Source, encode};
use original::Original;

/// The number of layers that are compressed and sent at once. One compresses while another one is sent.
const LAYERS: usize = 2;

/// The form in which an image is pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushFormat {
    /// An index of the original image and of one whose layers are EROFS images.
    #[default]
    Erofs,
}

/// Options of [`Registry::push`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushOptions {
    /// The form of the image.
    pub format: PushFormat,
}

impl PushOptions {
    /// Sets [`format`](Self::format).
    #[must_use]
    pub fn with_format(mut self, format: PushFormat) -> Self {
        self.format = format;
        self
    }
}

/// A published image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PushResult {
    /// Where it was pushed to.
    #[serde(serialize_with = "as_text")]
    pub reference: Reference,
    /// The digest of the index, which the tag names.
    pub digest: Digest,
    /// The digest of the original manifest.
    pub manifest_digest: Digest,
    /// The digest of the EROFS manifest.
    pub erofs_digest: Digest,
    /// The digest of the manifest of merged metadata and sidecars, a referrer of the EROFS manifest.
    pub metadata_digest: Digest,
    /// The bytes of the blobs that were sent.
    pub sent_bytes: u64,
    /// The bytes of the blobs that the repository had, or that the registry mounted.
    pub present_bytes: u64,
    /// The bytes of the compressed layer images.
    pub erofs_bytes: u64,
    /// The bytes of the original layers.
    pub original_bytes: u64,
}

fn as_text<S: Serializer>(reference: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reference)
}

impl Registry {
    /// Pushes a cached image to `destination`, a repository with a tag, so that other hosts need not convert it.
    ///
    /// The tag gets an index of the original manifest and of one with EROFS layers. Entries for other platforms that the tag has already
    /// stay. Clients that do not know EROFS layers pull the original image. Blobs that the registry has are not sent. Equal images result in
    /// equal digests.
    ///
    /// The original blobs must be in the repository of `destination`, in that of the image in the same registry, or kept in the cache
    /// ([`PullOptions::keep_blobs`](crate::PullOptions::keep_blobs)).
    ///
    /// # Errors
    /// See [`PushError`].
    pub async fn push(
        &self,
        image: &PullResult,
        destination: &Reference,
        options: &PushOptions,
    ) -> Result<PushResult, PushError> {
        let PushFormat::Erofs = options.format;
        let push = Push {
            client: self.client(),
            store: self.cache().existing()?.clone(),
            image,
            destination,
        };
        push.run().await
    }
}

/// One push.
#[derive(Debug)]
struct Push<'a> {
    client: &'a Client,
    store: msb_store::Store,
    image: &'a PullResult,
    destination: &'a Reference,
}

/// The bytes of blobs that were sent and that were not.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    sent: u64,
    present: u64,
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.present = self.present.saturating_add(other.present);
    }
}

impl Push<'_> {
    async fn run(&self) -> Result<PushResult, PushError> {
        if self.destination.digest().is_some() {
            return Err(PushError::Digest {
                destination: Box::new(self.destination.clone()),
            });
        }
        let mut sent = Sent::default();
        let original = Original::read(&self.store, self.image).await?;
        // First, because a missing blob is the likeliest fault, and nothing was compressed yet.
        sent.add(original.push(self).await?);

        let (layers, bytes) = self.layers().await?;
        sent.add(bytes);
        let (fsmeta, bytes) = self.file(Source::Fsmeta).await?;
        sent.add(bytes);
        let config = documents::config(&original.config, &layers);
        let config = config.ok_or_else(|| PushError::Config {
            reference: Box::new(self.image.reference.clone()),
        })?;
        sent.add(self.bytes(&config.bytes).await?);
        let manifest = original.manifest.digest;
        let erofs = documents::manifest(manifest, FORMAT.0, &config, &layers);
        self.document(&erofs, media_type::OCI_MANIFEST).await?;
        sent.add(self.bytes(&Bytes::from_static(EMPTY)).await?);
        let metadata = documents::metadata(&erofs, &fsmeta, &layers);
        let entry = ReferrerEntry::new(erofs.digest, METADATA_TYPE);
        self.client
            .push_referrer(self.destination, &entry, &metadata.bytes)
            .await?;
        let pair = Pair {
            original: &original.manifest,
            original_type: &original.media_type,
            erofs: &erofs,
            platform: &self.image.platform,
        };
        let index = self.publish(&pair).await?;
        Ok(PushResult {
            reference: self.destination.clone(),
            digest: index.digest,
            manifest_digest: manifest,
            erofs_digest: erofs.digest,
            metadata_digest: metadata.digest,
            sent_bytes: sent.sent,
            present_bytes: sent.present,
            erofs_bytes: layers.iter().map(|layer| layer.image.bytes).sum(),
            original_bytes: self.image.layers.iter().map(|layer| layer.size).sum(),
        })
    }

    /// Compresses and pushes the layers, each once, and returns them bottom to top.
    async fn layers(&self) -> Result<(Vec<EncodedLayer>, Sent), PushError> {
        let mut distinct: Vec<Digest> = Vec::new();
        for diff_id in &self.image.layer_diff_ids {
            if !distinct.contains(diff_id) {
                distinct.push(*diff_id);
            }
        }
        let one = |diff_id: Digest| async move {
            let (image, mut sent) = self.file(Source::Image(diff_id)).await?;
            let (sidecar, bytes) = self.file(Source::Sidecar(diff_id)).await?;
            sent.add(bytes);
            let layer = EncodedLayer {
                diff_id,
                image,
                sidecar,
            };
            Ok::<_, PushError>((layer, sent))
        };
        let encoded: Vec<(EncodedLayer, Sent)> = stream::iter(distinct.into_iter().map(one))
            .buffered(LAYERS)
            .try_collect()
            .await?;
        let mut sent = Sent::default();
        for (_, bytes) in &encoded {
            sent.add(*bytes);
        }
        let of = |diff_id: &Digest| {
            let found = encoded.iter().find(|(layer, _)| layer.diff_id == *diff_id);
            // OK because every diff_id was encoded.
            found
                .map(|(layer, _)| layer.clone())
                .ok_or(PushError::Worker)
        };
        let layers = self.image.layer_diff_ids.iter().map(of);
        Ok((layers.collect::<Result<_, _>>()?, sent))
    }

    /// Compresses and pushes a file of the cache.
    async fn file(&self, source: Source) -> Result<(msb_ranges::Encoded, Sent), PushError> {
        let (encoded, file) = encode(&self.store, self.image, source).await?;
        let upload = BlobUpload::new(encoded.digest, encoded.bytes, Arc::new(file));
        let sent = self.upload(&upload).await?;
        Ok((encoded, sent))
    }

    async fn bytes(&self, bytes: &Bytes) -> Result<Sent, PushError> {
        let source = Arc::new(bytes.to_vec());
        let digest = Digest::sha256_of(bytes);
        let upload = BlobUpload::new(digest, bytes.len() as u64, source);
        self.upload(&upload).await
    }

    async fn upload(&self, upload: &BlobUpload) -> Result<Sent, PushError> {
        let pushed = self.client.push_blob(self.destination, upload).await?;
        Ok(match pushed {
            Pushed::Uploaded => Sent {
                sent: upload.size,
                present: 0,
            },
            _ => Sent {
                sent: 0,
                present: upload.size,
            },
        })
    }

    /// Pushes a manifest under its digest.
    async fn document(&self, document: &Written, media_type: &str) -> Result<(), PushError> {
        let reference = self.destination.with_digest(document.digest);
        self.client
            .push_manifest(&reference, media_type, &document.bytes)
            .await?;
        Ok(())
    }

    /// Pushes the index under the tag.
    async fn publish(&self, pair: &Pair<'_>) -> Result<Written, PushError> {
        let existing = match self.client.manifest(self.destination).await {
            Ok(document) if document.is_index() => Some(document.bytes),
            Ok(_) => None,
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let index = documents::index(pair, existing.as_deref());
        self.client
            .push_manifest(self.destination, media_type::OCI_INDEX, &index.bytes)
            .await?;
        Ok(index)
    }
}
