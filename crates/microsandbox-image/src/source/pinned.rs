use bytes::Bytes;
use msb_oci::{Descriptor, Digest};

use super::{BlobData, Document, ImageSource, SourceFuture};
use crate::document::Blob;

/// A source whose image is the one with a given manifest, whatever its reference names now.
#[derive(Debug)]
pub(crate) struct PinnedSource<'a> {
    source: &'a dyn ImageSource,
    manifest_digest: Digest,
    /// The manifest, if it is known already.
    manifest: Option<Document>,
}

impl<'a> PinnedSource<'a> {
    pub(crate) fn new(
        source: &'a dyn ImageSource,
        manifest_digest: Digest,
        manifest: Option<Document>,
    ) -> Self {
        Self {
            source,
            manifest_digest,
            manifest,
        }
    }
}

impl ImageSource for PinnedSource<'_> {
    fn root(&self) -> SourceFuture<'_, Document> {
        match &self.manifest {
            Some(manifest) => {
                let manifest = manifest.clone();
                Box::pin(async move { Ok(manifest) })
            }
            None => self.source.manifest(self.manifest_digest),
        }
    }

    fn manifest(&self, digest: Digest) -> SourceFuture<'_, Document> {
        self.source.manifest(digest)
    }

    fn config<'a>(&'a self, config: &'a Descriptor) -> SourceFuture<'a, Bytes> {
        self.source.config(config)
    }

    fn blob(&self, index: usize, blob: &Blob, offset: u64) -> BlobData {
        self.source.blob(index, blob, offset)
    }

    fn reject(&self, blob: &Blob) -> bool {
        self.source.reject(blob)
    }

    fn is_interruptible(&self) -> bool {
        self.source.is_interruptible()
    }

    fn origin(&self) -> &str {
        self.source.origin()
    }
}
