use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use erofs_format::Crc32c;
use msb_sidecar::Sidecar;
use msb_store::{FileChecksum, LayerKey, Store};

use super::CacheError;

/// Returns the length and checksum of a file.
pub(crate) fn checksum(file: &File) -> io::Result<FileChecksum> {
    let mut buffer = vec![0; 1 << 20];
    let (mut checksum, mut bytes) = (Crc32c::new(), 0);
    loop {
        match file.read_at(&mut buffer, bytes) {
            Ok(0) => break,
            Ok(read) => {
                checksum = checksum.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(FileChecksum {
        bytes,
        crc32c: checksum.get(),
    })
}

/// Returns whether a sidecar and its layer image have their checksums.
///
/// # Errors
/// [`CacheError::Sidecar`] and [`CacheError::LayerImage`] for a file that cannot be read.
pub(crate) fn is_layer_intact(
    store: &Store,
    key: &LayerKey,
    sidecar: &File,
    image: &File,
) -> Result<bool, CacheError> {
    let Some(expected) = intact_sidecar(store, key, sidecar)? else {
        return Ok(false);
    };
    let actual = checksum(image).map_err(|source| CacheError::LayerImage {
        path: store.layer_image_path(key),
        source,
    })?;
    Ok(actual == expected)
}

/// Returns what a sidecar records of its layer image, if all of its sections have their checksums.
pub(crate) fn intact_sidecar(
    store: &Store,
    key: &LayerKey,
    sidecar: &File,
) -> Result<Option<FileChecksum>, CacheError> {
    let verified = Sidecar::open(sidecar).and_then(|sidecar| {
        sidecar.verify()?;
        Ok(sidecar.image())
    });
    match verified {
        Ok(image) => Ok(Some(FileChecksum {
            bytes: image.bytes,
            crc32c: image.crc32c,
        })),
        Err(error) if error.is_corrupt() => Ok(None),
        Err(source) => Err(CacheError::Sidecar {
            path: store.layer_sidecar_path(key),
            source,
        }),
    }
}
