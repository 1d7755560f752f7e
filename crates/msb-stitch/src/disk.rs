use erofs_format::{BLOCK_SIZE, Crc32c};

use crate::vmdk::{self, Descriptor, Extent, SECTOR_SIZE};
use crate::{Slot, StitchError};

/// The flat disk: fsmeta, then the layer images in the order of the device table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    extents: Vec<DiskExtent>,
}

/// One file of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskExtent {
    /// The file, as seen from the descriptor's directory.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
}

impl DiskExtent {
    /// Returns how many bytes this file takes in the text of a descriptor.
    #[must_use]
    pub fn descriptor_bytes(&self) -> usize {
        vmdk::line(self.bytes / SECTOR_SIZE, &self.file).len()
    }
}

impl Disk {
    /// The bytes of a descriptor without extents.
    #[must_use]
    pub fn descriptor_head_bytes() -> usize {
        vmdk::head(0).len()
    }

    /// Joins the files: the first is fsmeta of this length, the others are the images of `slots`.
    ///
    /// # Errors
    /// [`StitchError::ExtentMismatch`] where order or length are not what fsmeta's device table says: a disk that is off by
    /// a block mounts, and every later file in it is wrong.
    pub fn new(
        fsmeta_bytes: u64,
        slots: &[Slot],
        extents: Vec<DiskExtent>,
    ) -> Result<Self, StitchError> {
        let expected: Vec<u64> = std::iter::once(fsmeta_bytes)
            .chain(slots.iter().map(|slot| slot.image_bytes))
            .collect();
        for index in 0..expected.len().max(extents.len()) {
            let expected = expected.get(index).copied().unwrap_or(0);
            let actual = extents.get(index).map_or(0, |extent| extent.bytes);
            if expected != actual || actual == 0 || actual % u64::from(BLOCK_SIZE) != 0 {
                return Err(StitchError::ExtentMismatch {
                    index,
                    expected,
                    actual,
                });
            }
        }
        Ok(Self { extents })
    }

    /// The files, in the order of the disk.
    #[must_use]
    pub fn extents(&self) -> &[DiskExtent] {
        &self.extents
    }

    /// The text of the VMDK descriptor.
    ///
    /// # Errors
    /// [`StitchError::Vmdk`] for a file name that a descriptor cannot hold.
    pub fn descriptor(&self) -> Result<String, StitchError> {
        let extents = self.extents.iter().map(|extent| Extent {
            sectors: extent.bytes / SECTOR_SIZE,
            file: extent.file.clone(),
        });
        let extents: Vec<Extent> = extents.collect();
        // Equal disks have equal ids; all ones would say "no parent".
        let names = extents.iter().fold(Crc32c::new(), |sum, extent| {
            sum.update(extent.file.as_bytes())
        });
        let descriptor = Descriptor {
            cid: names.get() & 0xffff_fffe,
            extents,
        };
        descriptor
            .render()
            .map_err(|source| StitchError::Vmdk { source })
    }
}
