use bytes::Bytes;
use futures_util::stream;
use msb_oci::{Descriptor, Digest, Reference};
use msb_registry::{BlobRequest, Client};

use super::{BlobData, Document, ImageSource, SourceFuture};
use crate::document::Blob;
use crate::progress::Progress;

/// An image of a registry. Delays of its requests are events of the pull.
#[derive(Debug)]
pub(crate) struct RegistrySource<'a> {
    client: &'a Client,
    /// For documents.
    observed: Client,
    reference: &'a Reference,
    progress: &'a Progress,
}

impl<'a> RegistrySource<'a> {
    pub(crate) fn new(
        client: &'a Client,
        reference: &'a Reference,
        progress: &'a Progress,
    ) -> Self {
        Self {
            client,
            observed: client.with_observer(progress.observer(None)),
            reference,
            progress,
        }
    }
}

impl ImageSource for RegistrySource<'_> {
    fn root(&self) -> SourceFuture<'_, Document> {
        Box::pin(async { Ok(self.observed.manifest(self.reference).await?) })
    }

    fn manifest(&self, digest: Digest) -> SourceFuture<'_, Document> {
        Box::pin(async move {
            let reference = self.reference.with_digest(digest);
            Ok(self.observed.manifest(&reference).await?)
        })
    }

    fn config<'a>(&'a self, config: &'a Descriptor) -> SourceFuture<'a, Bytes> {
        Box::pin(async {
            let fetched = self
                .observed
                .config(self.reference, &config.digest, config.size);
            Ok(fetched.await?.bytes)
        })
    }

    fn blob(&self, index: usize, blob: &Blob, offset: u64) -> BlobData {
        let request = BlobRequest::new(blob.digest, blob.bytes)
            .from_offset(offset)
            .with_urls(blob.urls.clone());
        let observer = self.progress.observer(Some(index));
        let client = self.client.with_observer(observer);
        // On the heap once, so that the stream moves a pointer with each piece.
        let blob = Box::new(client.blob(self.reference, request));
        Box::pin(stream::unfold(blob, |mut blob| async move {
            match blob.next_event().await {
                Ok(event) => event.map(|event| (Ok(event), blob)),
                Err(error) => Some((Err(error.into()), blob)),
            }
        }))
    }

    fn reject(&self, blob: &Blob) -> bool {
        self.client.reject_blob(&blob.digest)
    }

    fn is_interruptible(&self) -> bool {
        true
    }

    fn origin(&self) -> &str {
        self.reference.registry()
    }
}
