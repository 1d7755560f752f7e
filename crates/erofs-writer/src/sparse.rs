use std::io::{Seek, Write};

use erofs_format::{BLOCK_SIZE, Crc32c};
use fs_tree::Extent;

use crate::{Error, ExtentWriter, ImageWriter, OpenExtent};

const ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// Writes the data of a sparse file as extents of whole chunks, filled up with zeros.
///
/// It does not borrow the image, so that it can be kept while data arrives piece by piece.
///
/// Invariant: `position` is the end of the data so far, zeros included. The next piece begins there or later.
#[derive(Debug)]
pub struct SparseFile {
    path: Vec<u8>,
    size: u64,
    chunk_bytes: u64,
    position: u64,
    /// The offset of the open extent in the file, and the extent.
    open: Option<(u64, OpenExtent)>,
    extents: Vec<Extent>,
    crc32c: Crc32c,
}

impl SparseFile {
    /// Creates a file of `size` bytes without data. Extents begin at multiples of `chunk_bytes`, which is at least a block, and end
    /// at such or at the end of the file. Errors name the path.
    #[must_use]
    pub fn new(path: impl Into<Vec<u8>>, size: u64, chunk_bytes: u64) -> Self {
        Self {
            path: path.into(),
            size,
            chunk_bytes: chunk_bytes.max(BLOCK_SIZE.into()),
            position: 0,
            open: None,
            extents: Vec::new(),
            crc32c: Crc32c::new(),
        }
    }

    /// Writes data at an offset of the file. Offsets ascend. Data in the chunk of the data before, or in the next one, continues its
    /// extent.
    ///
    /// # Errors
    /// [`Error::Piece`] for data before the end of earlier data or beyond the end of the file; [`Error::Write`].
    pub fn write<W: Write + Seek>(
        &mut self,
        image: &mut ImageWriter<W>,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(bytes.len() as u64);
        let Some(end) = end.filter(|&end| offset >= self.position && end <= self.size) else {
            return Err(self.refused(offset));
        };
        let start = offset / self.chunk_bytes * self.chunk_bytes;
        if self.open.is_some() && start > self.end_of_chunk() {
            self.close(image)?;
        }
        if self.open.is_none() {
            self.open = Some((start, image.begin()?.detach()));
            self.position = start;
        }
        self.zeros_to(image, offset)?;
        self.extent(image)?.write(bytes)?;
        self.position = end;
        Ok(())
    }

    /// Ends the file. Returns its extents, and the checksum of their bytes one after the other.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish<W: Write + Seek>(
        mut self,
        image: &mut ImageWriter<W>,
    ) -> Result<(Vec<Extent>, Crc32c), Error> {
        self.close(image)?;
        Ok((self.extents, self.crc32c))
    }

    /// Returns the end of the chunk of the last data, or of the file.
    fn end_of_chunk(&self) -> u64 {
        let end = self.position.checked_next_multiple_of(self.chunk_bytes);
        end.unwrap_or(self.size).min(self.size)
    }

    /// Ends the open extent at the end of its last chunk, or of the file.
    fn close<W: Write + Seek>(&mut self, image: &mut ImageWriter<W>) -> Result<(), Error> {
        let Some((logical, extent)) = self.open else {
            return Ok(());
        };
        self.zeros_to(image, self.end_of_chunk())?;
        let stored = image.attach(extent)?.end()?;
        self.open = None;
        if stored.len > 0 {
            self.crc32c = self.crc32c.then(stored.crc32c, stored.len);
            self.extents.push(Extent {
                logical,
                len: stored.len,
                device: 0,
                offset: stored.offset,
            });
        }
        Ok(())
    }

    /// Writes zeros up to `end`.
    fn zeros_to<W: Write + Seek>(
        &mut self,
        image: &mut ImageWriter<W>,
        end: u64,
    ) -> Result<(), Error> {
        while self.position < end {
            let len = end - self.position;
            let len = usize::try_from(len).map_or(ZEROS.len(), |len| len.min(ZEROS.len()));
            self.extent(image)?.write(&ZEROS[..len])?;
            self.position += len as u64;
        }
        Ok(())
    }

    /// Returns the writer of the open extent.
    fn extent<'a, W: Write + Seek>(
        &self,
        image: &'a mut ImageWriter<W>,
    ) -> Result<ExtentWriter<'a, W>, Error> {
        match self.open {
            Some((_, extent)) => image.attach(extent),
            None => Err(self.refused(self.position)),
        }
    }

    fn refused(&self, offset: u64) -> Error {
        Error::Piece {
            path: self.path.clone(),
            offset,
            size: self.size,
        }
    }
}
