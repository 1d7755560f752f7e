use std::io::{Seek, Write};

use erofs_format::Crc32c;
use erofs_writer::{Error, ImageWriter};
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
    is_open: bool,
    position: u64,
}

impl SparseFile {
    pub(crate) fn new(segments: Vec<SparseExtent>) -> Self {
        Self {
            segments,
            extents: Vec::new(),
            is_open: false,
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
        self.fill_to(image, offset)?;
        image.write(bytes)?;
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

    /// Opens the current segment if need be, and writes zeros up to `offset`.
    fn fill_to<W: Write + Seek>(
        &mut self,
        image: &mut ImageWriter<W>,
        offset: u64,
    ) -> Result<(), Error> {
        const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        if !self.is_open {
            image.begin()?;
            self.is_open = true;
            self.position = self.segment().map_or(offset, |segment| segment.offset);
        }
        while self.position < offset {
            let missing = usize::try_from(offset - self.position)
                .unwrap_or(usize::MAX)
                .min(ZEROS.len());
            image.write(&ZEROS[..missing])?;
            self.position += missing as u64;
        }
        Ok(())
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
        self.fill_to(image, segment.offset + segment.len)?;
        let stored = image.end()?;
        *crc32c = crc32c.then(stored.crc32c, stored.len);
        self.is_open = false;
        self.extents.push(Extent {
            logical: segment.offset,
            len: segment.len,
            device: 0,
            offset: stored.offset,
        });
        Ok(())
    }
}
