use std::io::Read;
use std::path::Path;

use erofs_format::Crc32c;
use msb_sidecar::Sidecar;
use msb_store::FileChecksum;

use super::error::InspectError;
use crate::CacheError;
use crate::cache::open_file::open_file;

/// Verifies the checksum of a whole layer image, including the parts that the merged disk does not use, such as the layer's own
/// inodes.
pub(super) fn verify_checksum(image: &Path) -> Result<(), InspectError> {
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
pub(super) fn verify_file(path: &Path, expected: FileChecksum) -> Result<(), InspectError> {
    let read_error = |source| InspectError::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut file = open_file(path).map_err(read_error)?;
    let mut buffer = vec![0; 1 << 20];
    let (mut checksum, mut bytes) = (Crc32c::new(), 0);
    loop {
        match file.read(&mut buffer).map_err(read_error)? {
            0 => break,
            read => {
                checksum = checksum.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    if (bytes, checksum.get()) == (expected.bytes, expected.crc32c) {
        Ok(())
    } else {
        Err(InspectError::Checksum {
            path: path.to_path_buf(),
            expected: expected.crc32c,
            actual: checksum.get(),
        })
    }
}
