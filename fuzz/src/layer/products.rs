//! Makes seeds of the other targets from honest archives.

use msb_stitch::Merge;

use super::making::{Layer, ingest};
use crate::disk::{devices, layout};
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
    for (device, layer) in devices().zip(&layers) {
        let sidecar = layer.open();
        merge
            .add(device, sidecar.changes())
            .expect("the seeds' layers fit");
    }
    let images: Vec<_> = layers
        .iter()
        .map(|layer| (&layer.image, layer.open().image().bytes))
        .collect();
    let output = memory_file();
    let layout = layout(&output, &images);
    let (_, output) = merge
        .write_fsmeta(output, &layout, [7; 16])
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
