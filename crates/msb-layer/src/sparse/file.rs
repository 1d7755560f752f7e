use std::io::{Seek, Write};

use erofs_format::Crc32c;
use erofs_writer::{Error, ImageWriter, OpenExtent};
use fs_tree::Extent;

use crate::tar::SparseExtent;

/// A sparse file that is being written: its [`Segments`](super::Segments) in order, with zeros where the archive has no data for
/// them.
///
/// Invariant: `extents.len()` segments are complete. If the next one is open, `position - segment.offset` bytes of it are
/// written.
#[derive(Debug)]
pub(crate) struct SparseFile {
    segments: Vec<SparseExtent>,
    extents: Vec<Extent>,
    open: Option<OpenExtent>,
    position: u64,
}

impl SparseFile {
    pub(crate) fn new(segments: Vec<SparseExtent>) -> Self {
        Self {
            segments,
            extents: Vec::new(),
            open: None,
            position: 0,
        }
    }

    /// Writes data at `offset` of the file. Offsets ascend, and each piece lies within one segment.
    pub(crate) fn write<W: Write + Seek>(
        &mut self,
        image: &mut ImageWriter<W>,
        crc32c: &mut Crc32c,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        while self
            .segment()
            .is_some_and(|segment| segment.offset + segment.len <= offset)
        {
            self.close(image, crc32c)?;
        }
        let extent = self.fill_to(image, offset)?;
        image.attach(extent)?.write(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes the remaining segments, and returns the extents of all.
    pub(crate) fn finish<W: Write + Seek>(
        mut self,
        image: &mut ImageWriter<W>,
        crc32c: &mut Crc32c,
    ) -> Result<Vec<Extent>, Error> {
        while self.segment().is_some() {
            self.close(image, crc32c)?;
        }
        Ok(self.extents)
    }

    fn segment(&self) -> Option<SparseExtent> {
        self.segments.get(self.extents.len()).copied()
    }

    /// Opens the current segment if necessary, and writes zeros up to `offset`. Returns the segment's extent.
    fn fill_to<W: Write + Seek>(
        &mut self,
        image: &mut ImageWriter<W>,
        offset: u64,
    ) -> Result<OpenExtent, Error> {
        const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        let extent = match self.open {
            Some(extent) => extent,
            None => {
                self.position = self.segment().map_or(offset, |segment| segment.offset);
                *self.open.insert(image.begin()?.detach())
            }
        };
        while self.position < offset {
            let missing = usize::try_from(offset - self.position)
                .unwrap_or(usize::MAX)
                .min(ZEROS.len());
            image.attach(extent)?.write(&ZEROS[..missing])?;
            self.position += missing as u64;
        }
        Ok(extent)
    }

    /// Writes the missing bytes of the current segment, and closes it.
    fn close<W: Write + Seek>(
        &mut self,
        image: &mut ImageWriter<W>,
        crc32c: &mut Crc32c,
    ) -> Result<(), Error> {
        let Some(segment) = self.segment() else {
            return Ok(());
        };
        let extent = self.fill_to(image, segment.offset + segment.len)?;
        let stored = image.attach(extent)?.end()?;
        *crc32c = crc32c.then(stored.crc32c, stored.len);
        self.open = None;
        self.extents.push(Extent {
            logical: segment.offset,
            len: segment.len,
            device: 0,
            offset: stored.offset,
        });
        Ok(())
    }
}
