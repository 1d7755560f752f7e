use std::io;

use crate::{Error, ReadAt};

/// Several files read as one disk, one after the other: the view that a guest has of the extents of a VMDK.
///
/// ```text
///  0            bytes[0]              bytes[0] + bytes[1]
///  +------------+---------------------+-------- ...
///  | part 0     | part 1              | part 2
///  +------------+---------------------+-------- ...
/// ```
#[derive(Debug)]
pub struct FlatDisk<D> {
    /// Each part with the offset of its first byte, in ascending order.
    parts: Vec<(u64, D)>,
    /// The length of all parts.
    bytes: u64,
}

impl<D: ReadAt> FlatDisk<D> {
    /// Creates a disk from parts, each with the number of bytes to use of it.
    ///
    /// # Errors
    ///
    /// [`Error::PartTooShort`] for a part with fewer bytes, [`Error::DiskTooLong`] if the total is 2^63 or more, [`Error::PartLength`].
    pub fn new(parts: impl IntoIterator<Item = (D, u64)>) -> Result<Self, Error> {
        let mut disk = Self {
            parts: Vec::new(),
            bytes: 0,
        };
        for (part, bytes) in parts {
            let index = disk.parts.len();
            let actual = part
                .size()
                .map_err(|source| Error::PartLength { index, source })?;
            if actual < bytes {
                return Err(Error::PartTooShort {
                    index,
                    expected: bytes,
                    actual,
                });
            }
            disk.parts.push((disk.bytes, part));
            disk.bytes = disk
                .bytes
                .checked_add(bytes)
                .filter(|total| i64::try_from(*total).is_ok())
                .ok_or(Error::DiskTooLong { index })?;
        }
        Ok(disk)
    }
}

impl<D: ReadAt> ReadAt for FlatDisk<D> {
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        if (buf.len() as u64) > self.bytes.saturating_sub(offset) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The last part that begins at or before the offset. If several begin there, all but the last are empty.
        let mut index = self.parts.partition_point(|(start, _)| *start <= offset);
        while !buf.is_empty() {
            let (start, part) = &self.parts[index - 1];
            let end = self.parts.get(index).map_or(self.bytes, |next| next.0);
            let here = usize::try_from(end - offset).map_or(buf.len(), |n| n.min(buf.len()));
            let (head, rest) = buf.split_at_mut(here);
            part.read_exact_at(head, offset - start)?;
            buf = rest;
            offset += here as u64;
            index += 1;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_and_exactly_on_part_boundaries() {
        let disk = FlatDisk::new([
            (b"abcXX".to_vec(), 3),
            (b"".to_vec(), 0),
            (b"defg".to_vec(), 4),
            (b"h".to_vec(), 1),
        ])
        .unwrap();
        let whole = b"abcdefgh";
        assert_eq!(disk.size().unwrap(), 8);
        for start in 0..=8 {
            for end in start..=8 {
                let mut buf = vec![0; end - start];
                disk.read_exact_at(&mut buf, start as u64).unwrap();
                assert_eq!(buf, whole[start..end]);
            }
        }
        assert!(disk.read_exact_at(&mut [0; 2], 7).is_err());
        assert!(disk.read_exact_at(&mut [0; 1], u64::MAX).is_err());
    }

    #[test]
    fn a_part_shorter_than_its_extent_is_refused() {
        let error = FlatDisk::new([(b"ab".to_vec(), 3)]).unwrap_err();
        assert!(matches!(
            error,
            Error::PartTooShort {
                expected: 3,
                actual: 2,
                ..
            }
        ));
    }
}
