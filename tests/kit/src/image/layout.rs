//! Writing an OCI layout directory.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{Layer, blob_path, layer::Blob, parse};
use crate::{KitError, digest};

pub(super) struct Layout<'a> {
    folder: &'a Path,
}

impl<'a> Layout<'a> {
    pub(super) fn open(folder: &'a Path) -> Result<Self, KitError> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(KitError::io("create", &blobs))?;
        let marker = folder.join("oci-layout");
        fs::write(&marker, r#"{"imageLayoutVersion":"1.0.0"}"#)
            .map_err(KitError::io("write", &marker))?;
        Ok(Layout { folder })
    }

    pub(super) fn blob(&self, bytes: &[u8]) -> Result<String, KitError> {
        let digest = digest::sha256(bytes);
        let path = blob_path(self.folder, &digest);
        fs::write(&path, bytes).map_err(KitError::io("write", &path))?;
        Ok(digest)
    }

    pub(super) fn layer(&self, layer: &Layer) -> Result<(), KitError> {
        let path = blob_path(self.folder, layer.digest());
        match layer.blob() {
            Blob::Bytes(bytes) => fs::write(&path, bytes).map_err(KitError::io("write", &path)),
            Blob::Absent => Ok(()),
            // A large layer is linked where it can be, not copied.
            Blob::File(file) if path.exists() || fs::hard_link(file, &path).is_ok() => Ok(()),
            Blob::File(file) => fs::copy(file, &path)
                .map(drop)
                .map_err(KitError::io("copy to", &path)),
        }
    }

    pub(super) fn tag(&self, mut descriptor: Value, tag: &str) -> Result<(), KitError> {
        const NAME: &str = "org.opencontainers.image.ref.name";
        let path = self.folder.join("index.json");
        let mut index = match fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes)?,
            Err(_) => json!({ "schemaVersion": 2, "mediaType": super::OCI_INDEX, "manifests": [] }),
        };
        descriptor["annotations"] = json!({ NAME: tag });
        if let Some(manifests) = index["manifests"].as_array_mut() {
            manifests.retain(|other| other["annotations"][NAME] != tag);
            manifests.push(descriptor);
        }
        fs::write(&path, index.to_string()).map_err(KitError::io("write", &path))
    }
}
