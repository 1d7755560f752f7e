//! Layers that are published as EROFS images: nothing is converted, but everything is verified.
//!
//! ```text
//!   sidecar blob ─▶ sha256 ─▶ zstd ─▶ sidecar: checksums, version ──┐ length and CRC-32C of the image
//!   image blob ───▶ sha256 ─▶ zstd ─▶ image, zeros as holes ────────┴─▶ compared; every inode and extent verified
//! ```
//!
//! Digests bind both blobs to the index that the user named. That the image is what the layer's archive unpacks to is the publisher's claim,
//! which only a conversion of the archive could verify. So a pull uses such layers only if its options allow that, and they replace no
//! layer that is cached.

mod error;
mod receive;

use std::fs::File;
use std::io::{self, BufReader, Read};

use erofs_reader::{CheckOptions, Image, check};
use msb_sidecar::Sidecar;
use msb_store::{Staged, Store, publish_all};

pub use self::error::PublishedLayerError;
use self::receive::{Target, receive};
use super::Pull;
use super::blocking::blocking;
use super::layer::{Claim, LayerSource, ReadyLayer};
use crate::cache::keys::layer_key;
use crate::published::parse::PublishedLayer;
use crate::{PullError, PullProgress};

/// The longest sidecar, in bytes.
const MAX_SIDECAR_BYTES: u64 = 4 << 30;

/// The files of a layer that is received.
#[derive(Debug)]
pub(super) struct PublishedFiles {
    /// `None` if the layer is cached, and only has to be compared.
    image: Option<Staged>,
    sidecar: Staged,
}

impl PublishedFiles {
    /// Creates the files of a layer. Blocks on file I/O.
    pub(super) fn open(
        store: &Store,
        layer: &LayerSource,
        published: &PublishedLayer,
        is_cached: bool,
    ) -> Result<Self, PullError> {
        let key = layer_key(&layer.diff_id);
        let image_bytes = if is_cached { 0 } else { published.image.bytes };
        store.check_space(image_bytes.saturating_add(published.sidecar.bytes))?;
        Ok(Self {
            image: if is_cached {
                None
            } else {
                Some(store.stage_layer_image(&key)?)
            },
            sidecar: store.stage_layer_sidecar(&key)?,
        })
    }
}

/// Receives, verifies and publishes a layer. If `cached` is there, compares its sidecar with the published one instead.
pub(super) async fn fetch(
    pull: Pull<'_>,
    index: usize,
    layer: &LayerSource,
    published: &PublishedLayer,
    (files, cached): (PublishedFiles, Option<ReadyLayer>),
    mut claim: Claim<'_>,
) -> Result<ReadyLayer, PullError> {
    let failed = |source: PublishedLayerError| PullError::Published {
        digest: published.image.digest,
        reference: Box::new(pull.reference.clone()),
        source: Box::new(source),
    };
    let target = Target {
        pull,
        index,
        layer,
        lock: claim.lock.clone(),
    };
    let unpacked = receive(
        &target,
        &published.sidecar,
        &files.sidecar,
        MAX_SIDECAR_BYTES,
    );
    let sidecar_bytes = unpacked.await?.map_err(failed)?.bytes;
    let sidecar = files.sidecar.try_clone_file()?;
    let read = move || {
        let read = || {
            let sidecar = Sidecar::open(sidecar)?;
            sidecar.verify()?;
            Ok((sidecar.image(), sidecar.notes()?))
        };
        Ok(read().map_err(PublishedLayerError::Sidecar))
    };
    let (summary, notes) = blocking(read).await?.map_err(failed)?;
    let store = pull.engine.cache.store().clone();
    let key = layer_key(&layer.diff_id);
    let (Some(image), None) = (files.image, &cached) else {
        let received = files.sidecar.try_clone_file()?;
        let is_equal = move || match store.open_layer_sidecar(&key)? {
            Some(file) => Ok(are_equal(&received, &file).map_err(PublishedLayerError::Compare)),
            None => Ok(Ok(false)),
        };
        return match (blocking(is_equal).await?.map_err(failed)?, cached) {
            (true, Some(ready)) => Ok(ReadyLayer {
                is_claimed: true,
                ..ready
            }),
            _ => Err(failed(PublishedLayerError::OtherLayer {
                diff_id: layer.diff_id,
            })),
        };
    };
    let unpacked = receive(&target, &published.image, &image, summary.bytes).await?;
    let unpacked = unpacked.map_err(failed)?;
    if (unpacked.bytes, unpacked.crc32c) != (summary.bytes, summary.crc32c) {
        return Err(failed(PublishedLayerError::OtherImage {
            expected_bytes: summary.bytes,
            actual_bytes: unpacked.bytes,
        }));
    }
    let file = image.try_clone_file()?;
    let verified = move || Ok(verify_image(file));
    blocking(verified).await?.map_err(failed)?;
    // While this layer waits for the disk, another one can use the processors.
    claim.pipeline = None;
    let sidecar = files.sidecar;
    blocking(move || {
        let files = [image.sync()?, sidecar.sync()?];
        // The sidecar's name comes last: its presence is the layer's.
        Ok(publish_all(files)?)
    })
    .await?;
    pull.progress.send(PullProgress::LayerMaterialized {
        layer: index,
        diff_id: layer.diff_id,
        bytes: summary.bytes,
    });
    Ok(ReadyLayer {
        image_bytes: summary.bytes,
        sidecar_bytes,
        notes,
        was_cached: false,
        is_claimed: true,
    })
}

/// Verifies every inode and extent of a layer image, which has no devices.
fn verify_image(file: File) -> Result<(), PublishedLayerError> {
    let image = Image::open(file).map_err(PublishedLayerError::Image)?;
    if !image.devices().is_empty() {
        return Err(PublishedLayerError::Devices {
            count: image.devices().len(),
        });
    }
    check(&image, &CheckOptions::default()).map_err(PublishedLayerError::Image)?;
    Ok(())
}

/// Returns whether two files have the same bytes.
fn are_equal(one: &File, other: &File) -> io::Result<bool> {
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let mut one = BufReader::with_capacity(64 << 10, Positioned { file: one, at: 0 });
    let mut other = BufReader::with_capacity(64 << 10, Positioned { file: other, at: 0 });
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = one.read(&mut left)?;
        other.read_exact(&mut right[..read])?;
        if left[..read] != right[..read] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// Reads a file from its start without its cursor, which other handles share.
struct Positioned<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
