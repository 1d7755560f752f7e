use std::io::{Seek, Write};

use erofs_format::Crc32c;

use crate::Error;
use crate::output::Output;

/// Appends file data to an extent of an image; see [`ImageWriter::begin`](crate::ImageWriter::begin).
///
/// Dropping the writer abandons the extent: its bytes stay in the image, unused.
#[derive(Debug)]
#[must_use = "an extent is stored by `end`"]
pub struct ExtentWriter<'a, W> {
    output: &'a mut Output<W>,
    /// The image's record of the extent that is open.
    open: &'a mut Option<u64>,
    extent: OpenExtent,
}

/// An extent whose writer was released with [`ExtentWriter::detach`].
///
/// For callers that receive data piece by piece and cannot keep the image borrowed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the extent is still open"]
pub struct OpenExtent {
    offset: u64,
    /// The checksum of all bytes before it, without the head of the image.
    before: Crc32c,
}

/// An extent that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Where it begins, in bytes from the start of the image; a multiple of the block size.
    pub offset: u64,
    /// Its length in bytes, without the padding of its last block.
    pub len: u64,
    /// The checksum of its bytes.
    pub crc32c: Crc32c,
}

impl<'a, W: Write + Seek> ExtentWriter<'a, W> {
    pub(crate) fn begin(
        output: &'a mut Output<W>,
        open: &'a mut Option<u64>,
    ) -> Result<Self, Error> {
        output.pad_to_block()?;
        let extent = OpenExtent {
            offset: output.position(),
            before: output.checksum(),
        };
        *open = Some(extent.offset);
        Ok(Self {
            output,
            open,
            extent,
        })
    }

    pub(crate) fn attach(
        output: &'a mut Output<W>,
        open: &'a mut Option<u64>,
        extent: OpenExtent,
    ) -> Result<Self, Error> {
        if *open != Some(extent.offset) {
            return Err(Error::ExtentNotOpen {
                offset: extent.offset,
            });
        }
        Ok(Self {
            output,
            open,
            extent,
        })
    }

    /// Returns where the extent begins, in bytes from the start of the image; a multiple of the block size.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.extent.offset
    }

    /// Appends bytes to the extent.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.output.write(bytes)
    }

    /// Ends the extent, padding its last block with zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], [`Error::ImageTooLarge`].
    pub fn end(self) -> Result<Stored, Error> {
        let OpenExtent { offset, before } = self.extent;
        *self.open = None;
        let len = self.output.position() - offset;
        let crc32c = self.output.checksum().since(before, len);
        self.output.pad_to_block()?;
        Ok(Stored {
            offset,
            len,
            crc32c,
        })
    }

    /// Releases the image and keeps the extent open for [`ImageWriter::attach`](crate::ImageWriter::attach).
    pub fn detach(self) -> OpenExtent {
        self.extent
    }
}

impl OpenExtent {
    /// Returns where the extent begins, in bytes from the start of the image; a multiple of the block size.
    #[must_use]
    pub fn offset(self) -> u64 {
        self.offset
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::{Error, ImageWriter, Options};

    fn image() -> ImageWriter<Cursor<Vec<u8>>> {
        ImageWriter::new(Cursor::new(Vec::new()), Options::default()).unwrap()
    }

    #[test]
    fn a_detached_extent_is_continued() {
        let mut whole = image();
        let mut extent = whole.begin().unwrap();
        extent.write(b"first, second").unwrap();
        let expected = extent.end().unwrap();

        let mut pieces = image();
        let extent = pieces.begin().unwrap().detach();
        pieces.attach(extent).unwrap().write(b"first, ").unwrap();
        pieces.attach(extent).unwrap().write(b"second").unwrap();
        assert_eq!(pieces.attach(extent).unwrap().end().unwrap(), expected);
    }

    #[test]
    fn an_extent_that_is_not_open_is_refused() {
        let mut image = image();
        let first = image.begin().unwrap().detach();
        image.attach(first).unwrap().write(b"first").unwrap();
        let second = image.begin().unwrap().detach();
        assert!(matches!(
            image.attach(first),
            Err(Error::ExtentNotOpen { offset: 4096 })
        ));
        image.attach(second).unwrap().end().unwrap();
        assert!(matches!(
            image.attach(second),
            Err(Error::ExtentNotOpen { offset: 8192 })
        ));
    }
}
