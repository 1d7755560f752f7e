use std::io::{Seek, Write};

use erofs_format::Crc32c;
use erofs_writer::{Error, ImageWriter, OpenExtent};
use fs_tree::Extent;

use crate::tar::SparseExtent;

/// A sparse file that is being written: its [`Segments`](super::Segments) one after the other, with zeros where the archive
/// has no data for them.
///
/// Invariant: as many segments are whole as there are `extents`; of the next one, `position - segment.offset` bytes are
/// written, if it is open.
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

    /// Takes the data at `offset` of the file. Offsets rise, and each piece lies within one segment.
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

    /// Writes what is left, and says where everything lies.
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

    /// Opens the current segment if need be, and writes zeros up to `offset`. Returns the segment's extent.
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

    /// Writes what the current segment lacks, and ends it.
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
