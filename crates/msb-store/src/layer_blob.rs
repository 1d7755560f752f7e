//! The blobs of layers, kept on request: whole files of exact bytes.

use std::fs::File;

use msb_oci::Digest;

use crate::artifact::LAYER_BLOB;
use crate::error::Result;
use crate::{Staged, Store};

impl Store {
    /// Returns the length of a layer's kept blob in bytes; `None` unless it is there.
    pub fn layer_blob_bytes(&self, digest: &Digest) -> Result<Option<u64>> {
        let place = LAYER_BLOB.place(digest, 0);
        match self.dir(&place.dir)? {
            Some(dir) => dir.file_bytes(&place.name),
            None => Ok(None),
        }
    }

    /// Opens a layer's kept blob for reading; `None` for anything but a regular file, and for nothing. Its bytes are not verified.
    pub fn open_layer_blob(&self, digest: &Digest) -> Result<Option<File>> {
        self.open_place(&LAYER_BLOB.place(digest, 0))
    }

    /// Creates a temporary file that becomes the blob of a layer when it is published. The caller verifies its bytes.
    pub fn stage_layer_blob(&self, digest: &Digest) -> Result<Staged> {
        Staged::create(self, LAYER_BLOB.place(digest, 0))
    }
}
