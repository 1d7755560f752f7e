use std::io::{Seek, Write};

use erofs_format::BLOCK_SIZE;
use fs_tree::Extent;

use crate::{Error, ExtentWriter, ImageWriter, OpenExtent};

const ZEROS: [u8; BLOCK_SIZE as usize] = [0; BLOCK_SIZE as usize];

/// The pieces of a sparse file on their way into the image, as extents of whole blocks.
///
/// Invariant: `position` is where in the file the last extent ends so far, or where the next one may begin.
#[derive(Debug)]
pub(super) struct Pieces<'a, W> {
    image: &'a mut ImageWriter<W>,
    path: &'a [u8],
    size: u64,
    position: u64,
    /// Where in the file the open extent begins, and the extent.
    open: Option<(u64, OpenExtent)>,
    extents: Vec<Extent>,
}

impl<'a, W: Write + Seek> Pieces<'a, W> {
    pub(super) fn new(image: &'a mut ImageWriter<W>, path: &'a [u8], size: u64) -> Self {
        Self {
            image,
            path,
            size,
            position: 0,
            open: None,
            extents: Vec::new(),
        }
    }

    /// Begins a piece: in a new extent, unless a block of the last one, or the block behind it, holds it too.
    pub(super) fn begin(&mut self, offset: u64) -> Result<(), Error> {
        if offset < self.position || offset > self.size {
            return Err(self.refused(offset));
        }
        let block = u64::from(BLOCK_SIZE);
        let start = offset / block * block;
        if self.open.is_some() && start > self.position.next_multiple_of(block) {
            self.close()?;
        }
        if self.open.is_none() {
            self.open = Some((start, self.image.begin()?.detach()));
            self.position = start;
        }
        self.zeros_to(offset)
    }

    /// Takes the piece's next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.position.checked_add(bytes.len() as u64);
        let Some(end) = end.filter(|&end| end <= self.size) else {
            return Err(self.refused(self.position));
        };
        self.extent()?.write(bytes)?;
        self.position = end;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<Extent>, Error> {
        self.close()?;
        Ok(self.extents)
    }

    /// Ends the open extent with its block, or with the file.
    fn close(&mut self) -> Result<(), Error> {
        let Some((logical, extent)) = self.open else {
            return Ok(());
        };
        let end = self.position.next_multiple_of(BLOCK_SIZE.into());
        self.zeros_to(end.min(self.size))?;
        let stored = self.image.attach(extent)?.end()?;
        self.open = None;
        if stored.len > 0 {
            self.extents.push(Extent {
                logical,
                len: stored.len,
                device: 0,
                offset: stored.offset,
            });
        }
        Ok(())
    }

    /// Zeros up to a place that is less than two blocks away.
    fn zeros_to(&mut self, end: u64) -> Result<(), Error> {
        while self.position < end {
            let len =
                usize::try_from(end - self.position).map_or(ZEROS.len(), |n| n.min(ZEROS.len()));
            self.extent()?.write(&ZEROS[..len])?;
            self.position += len as u64;
        }
        Ok(())
    }

    /// Returns the writer of the open extent.
    fn extent(&mut self) -> Result<ExtentWriter<'_, W>, Error> {
        match self.open {
            Some((_, extent)) => self.image.attach(extent),
            None => Err(self.refused(self.position)),
        }
    }

    fn refused(&self, offset: u64) -> Error {
        Error::Piece {
            path: self.path.to_vec(),
            offset,
            size: self.size,
        }
    }
}
