use erofs_format::{BLOCK_SIZE, DeviceSlot, SuperBlock};
use zerocopy::FromBytes;

use crate::{Error, ReadAt, SuperProblem, superblock};

/// One extra device, as described by its slot in the device table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Device {
    /// The slot's tag up to its first NUL.
    pub tag: Vec<u8>,
    /// The length of the device in blocks.
    pub blocks: u32,
    /// The first block of the device on the flat disk; 0 if it has none.
    pub uniaddr: u32,
    /// The length of the device in bytes, see [`Device::measure`].
    bytes: u64,
}

impl Device {
    /// Returns the length in bytes. No extent may end after it.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets the length of a device that has `actual` bytes. Returns `actual` as an error if the slot has more.
    ///
    /// mkfs.erofs 1.5 leaves the slot of a `--blobdev` without length and address. The kernel accepts that, because it
    /// asks the device for its length. Only such a slot may have less than the device.
    pub(crate) fn measure(&mut self, actual: u64) -> Result<(), u64> {
        if self.blocks == 0 && self.uniaddr == 0 {
            self.bytes = actual;
        }
        if actual < self.bytes {
            Err(actual)
        } else {
            Ok(())
        }
    }

    /// Returns the offset on the flat disk, in bytes.
    pub(crate) fn flat_offset(&self) -> u64 {
        u64::from(self.uniaddr) * u64::from(BLOCK_SIZE)
    }
}

/// The location of the extra devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// On the disk of the primary, at `uniaddr` (kernel: `flatdev`).
    Flat,
    /// Opened one by one (kernel: `device=`).
    Separate,
    /// Not opened.
    Absent,
}

/// Reads the device table and checks that the devices do not overlap (kernel: `erofs_scan_devices`).
pub(crate) fn read(
    primary: &impl ReadAt,
    sb: &SuperBlock,
    mode: Mode,
) -> Result<Vec<Device>, Error> {
    let count = superblock::extra_devices(sb);
    let table = superblock::reserved(sb).1;
    let (offset, len) = (table.start, table.end - table.start);
    if count == 0 {
        return Ok(Vec::new());
    }
    if offset + len > superblock::primary_bytes(sb) {
        return Err(Error::Super {
            problem: SuperProblem::DeviceTable { offset, len },
        });
    }
    // OK because the table is at most 8 MiB, and the image is at least as long.
    let mut table = vec![0; usize::from(count) * size_of::<DeviceSlot>()];
    primary
        .read_exact_at(&mut table, offset)
        .map_err(|source| Error::Io {
            device_id: 0,
            offset,
            len: table.len(),
            source,
        })?;
    let mut devices = Vec::with_capacity(count.into());
    for (device_id, bytes) in (1..=count).zip(table.chunks_exact(size_of::<DeviceSlot>())) {
        let slot = DeviceSlot::read_from_bytes(bytes).expect("the chunk has a slot's size");
        if slot.blocks_hi != 0 || slot.uniaddr_hi != 0 {
            return Err(Error::Super {
                problem: SuperProblem::Device48Bit { device_id },
            });
        }
        let tag = slot.tag.split(|byte| *byte == 0).next().unwrap_or_default();
        devices.push(Device {
            tag: tag.to_vec(),
            blocks: slot.blocks.get(),
            uniaddr: slot.uniaddr.get(),
            bytes: u64::from(slot.blocks.get()) * u64::from(BLOCK_SIZE),
        });
    }
    check_overlap(&devices, sb.blocks.get(), mode)?;
    Ok(devices)
}

fn check_overlap(devices: &[Device], primary_blocks: u32, mode: Mode) -> Result<(), Error> {
    let mut by_address: Vec<_> = (1u16..)
        .zip(devices)
        // Without a flat disk a device needs no address; mkfs.erofs --blobdev sets none.
        .filter(|(_, device)| mode == Mode::Flat || device.uniaddr != 0)
        .collect();
    by_address.sort_by_key(|(_, device)| (device.uniaddr, device.blocks));
    let mut end = u64::from(primary_blocks);
    for (device_id, device) in by_address {
        if u64::from(device.uniaddr) < end {
            return Err(Error::Super {
                problem: SuperProblem::DeviceOverlap {
                    device_id,
                    uniaddr: device.uniaddr,
                    end,
                },
            });
        }
        end = u64::from(device.uniaddr) + u64::from(device.blocks);
    }
    Ok(())
}
