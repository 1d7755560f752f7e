//! The length and checksum of a disk's merged metadata, in a file beside it.
//!
//! ```text
//! <length> <CRC-32C, 8 hex digits> <CRC-32C of the text before it, 8 hex digits>
//! ```
//!
//! An image record has the same values on stable storage. This file serves the pull that finds the disk in the cache and has no record
//! yet. It is not synced: after a crash it may be missing or damaged, and then the disk is rebuilt from the sidecars of its layers.

use crate::artifact::{DISK, DISK_CHECKSUM};
use crate::error::Result;
use crate::{DiskKey, Store};

/// The length of a file and the checksum of all its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileChecksum {
    /// The length in bytes.
    pub bytes: u64,
    /// The CRC-32C, as the writer of the file computes it.
    pub crc32c: u32,
}

/// More than a line has.
const LIMIT_BYTES: u64 = 64;

impl Store {
    /// Records the length and checksum of the metadata image of the disk `key`, before the image is published.
    pub fn record_fsmeta_checksum(&self, key: &DiskKey, checksum: FileChecksum) -> Result<()> {
        let text = to_line(checksum);
        self.publish_hint(DISK.place(key, DISK_CHECKSUM), text.as_bytes())
    }

    /// Removes the record of [`Self::record_fsmeta_checksum`], before a metadata image is published that other pulls are not to use.
    pub fn forget_fsmeta_checksum(&self, key: &DiskKey) -> Result<()> {
        let place = DISK.place(key, DISK_CHECKSUM);
        if let Some(dir) = self.dir(&place.dir)? {
            dir.remove_file(&place.name)?;
        }
        Ok(())
    }

    /// Returns what [`Self::record_fsmeta_checksum`] recorded; `None` if the file is missing or damaged.
    pub fn fsmeta_checksum(&self, key: &DiskKey) -> Result<Option<FileChecksum>> {
        let bytes = match self.read_place(&DISK.place(key, DISK_CHECKSUM), LIMIT_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_corrupt() => None,
            Err(error) => return Err(error),
        };
        Ok(bytes.and_then(|bytes| parse(&bytes)))
    }
}

fn to_line(checksum: FileChecksum) -> String {
    let text = format!("{} {:08x} ", checksum.bytes, checksum.crc32c);
    let own = crc32c::crc32c(text.as_bytes());
    format!("{text}{own:08x}\n")
}

/// Parses the one form that [`to_line`] writes.
fn parse(bytes: &[u8]) -> Option<FileChecksum> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut words = text.split_ascii_whitespace();
    let checksum = FileChecksum {
        bytes: words.next()?.parse().ok()?,
        crc32c: u32::from_str_radix(words.next()?, 16).ok()?,
    };
    (to_line(checksum) == text).then_some(checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_any_flipped_bit_or_cut_off_counts_as_none() {
        let checksum = FileChecksum {
            bytes: 40960,
            crc32c: 0x0123_4567,
        };
        let line = to_line(checksum);
        assert_eq!(parse(line.as_bytes()), Some(checksum));
        for at in 0..line.len() {
            assert_eq!(parse(&line.as_bytes()[..at]), None, "{at}");
            for bit in 0..8 {
                let mut damaged = line.clone().into_bytes();
                damaged[at] ^= 1 << bit;
                assert_eq!(parse(&damaged), None, "byte {at}, bit {bit}");
            }
        }
    }
}
