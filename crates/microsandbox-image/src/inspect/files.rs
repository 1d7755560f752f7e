use std::fs::File;
use std::io::Read;
use std::path::Path;

use msb_oci::{Digest, Hasher};
use msb_sidecar::Sidecar;
use msb_store::FileChecksum;

use super::error::InspectError;
use crate::cache::checksum::checksum;
use crate::cache::open_file::open_file;
use crate::{CacheError, LayerArtifact};

/// Verifies the checksum of a whole layer image, including the parts that the merged disk does not use, such as the layer's own
/// inodes.
pub(crate) fn verify_checksum(image: &Path) -> Result<(), InspectError> {
    let path = image.with_extension("layer");
    let expected = open_file(&path)
        .map_err(|source| msb_sidecar::Error::Read { offset: 0, source })
        .and_then(Sidecar::open)
        .and_then(|sidecar| sidecar.verify().map(|()| sidecar.image()))
        .map_err(|source| InspectError::Cache(CacheError::Sidecar { path, source }))?;
    let expected = FileChecksum {
        bytes: expected.bytes,
        crc32c: expected.crc32c,
    };
    verify_file(image, expected)
}

/// Verifies the length and checksum of a file of the cache.
pub(crate) fn verify_file(path: &Path, expected: FileChecksum) -> Result<(), InspectError> {
    let read_error = |source| InspectError::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = open_file(path).map_err(read_error)?;
    let actual = checksum(&file).map_err(read_error)?;
    if actual == expected {
        return Ok(());
    }
    Err(InspectError::Checksum {
        path: path.to_path_buf(),
        expected: expected.crc32c,
        actual: actual.crc32c,
    })
}

/// Verifies the length of a layer's kept blob and, with `contents`, its digest.
pub(super) fn verify_blob(
    mut file: File,
    path: &Path,
    layer: &LayerArtifact,
    contents: bool,
) -> Result<(), InspectError> {
    let read_error = |source| InspectError::ReadBlob {
        path: path.to_path_buf(),
        source,
    };
    let actual = file.metadata().map_err(read_error)?.len();
    if actual != layer.size {
        return Err(InspectError::ArtifactLength {
            path: path.to_path_buf(),
            expected: layer.size,
            actual,
        });
    }
    if !contents {
        return Ok(());
    }
    let digest = digest(&mut file, layer.digest).map_err(read_error)?;
    if digest == layer.digest {
        return Ok(());
    }
    Err(InspectError::Digest {
        path: path.to_path_buf(),
        expected: layer.digest,
    })
}

/// Returns the digest of a file by the algorithm of `expected`.
fn digest(file: &mut File, expected: Digest) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new(expected.algorithm());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
