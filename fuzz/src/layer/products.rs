//! Makes seeds of the other targets from honest archives.

use msb_stitch::{Merge, Slot};

use super::making::{Layer, ingest};
use crate::memory_file::{contents, memory_file};

/// Returns the image of an archive.
///
/// # Panics
/// When the archive is refused.
#[must_use]
pub fn image_of(archive: &[u8]) -> Vec<u8> {
    contents(&made_of(archive).image)
}

/// Returns the sidecar of an archive.
///
/// # Panics
/// When the archive is refused.
#[must_use]
pub fn sidecar_of(archive: &[u8]) -> Vec<u8> {
    contents(&made_of(archive).sidecar)
}

/// Returns the whole disk of some layers: fsmeta followed by the images.
///
/// # Panics
/// When the archives are refused.
#[must_use]
pub fn disk_of(archives: &[Vec<u8>]) -> Vec<u8> {
    let layers: Vec<Layer> = archives.iter().map(|archive| made_of(archive)).collect();
    let mut merge = Merge::new();
    let mut slots = Vec::new();
    for (device, layer) in (1..).zip(&layers) {
        let sidecar = layer.open();
        merge
            .add(device, sidecar.changes())
            .expect("the seeds' layers fit");
        slots.push(Slot {
            tag: format!("sha256:{device}"),
            image_bytes: sidecar.image().bytes,
        });
    }
    let (_, output) = merge
        .write_fsmeta(memory_file(), &slots, [7; 16])
        .expect("the tree is written");
    let mut disk = contents(&output);
    layers
        .iter()
        .for_each(|layer| disk.extend_from_slice(&contents(&layer.image)));
    disk
}

fn made_of(archive: &[u8]) -> Layer {
    ingest(archive, archive, [archive])
        .unwrap_or_else(|error| panic!("a seed's archive is refused: {error}"))
}
