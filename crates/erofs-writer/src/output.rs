use std::io::{Seek, SeekFrom, Write};

use erofs_format::{BLOCK_SIZE, Crc32c};

use crate::Error;

/// The number of bytes collected before a write.
const BUFFER_BYTES: usize = 256 << 10;

/// The length from which a write bypasses the buffer.
const DIRECT_BYTES: usize = 64 << 10;

/// The output after the head of the image, written and checksummed from front to back. The head is written last.
///
/// Invariant: `position` counts the bytes written so far, including the head; all but `buffer` have reached `inner`,
/// and all but `buffer[checksummed..]` are in `checksum`.
#[derive(Debug)]
pub(crate) struct Output<W> {
    inner: W,
    buffer: Vec<u8>,
    position: u64,
    checksum: Crc32c,
    checksummed: usize,
}

impl<W: Write + Seek> Output<W> {
    pub(crate) fn new(mut inner: W, head_bytes: u64) -> Result<Self, Error> {
        let position = head_bytes;
        inner
            .seek(SeekFrom::Start(position))
            .map_err(|source| Error::Write { offset: 0, source })?;
        Ok(Self {
            inner,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            position,
            checksum: Crc32c::new(),
            checksummed: 0,
        })
    }

    /// Returns the offset of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the checksum of the bytes written so far, without the head.
    pub(crate) fn checksum(&mut self) -> Crc32c {
        self.checksum = self.checksum.update(&self.buffer[self.checksummed..]);
        self.checksummed = self.buffer.len();
        self.checksum
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() >= DIRECT_BYTES {
            self.flush()?;
            self.write_through(bytes)?;
        } else {
            if self.buffer.len() + bytes.len() > BUFFER_BYTES {
                self.flush()?;
            }
            self.buffer.extend_from_slice(bytes);
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes zeros up to `position`, which is less than a block away or in metadata.
    pub(crate) fn pad_to(&mut self, position: u64) -> Result<(), Error> {
        const ZEROS: [u8; BLOCK_SIZE as usize] = [0; BLOCK_SIZE as usize];
        while self.position < position {
            let missing = usize::try_from(position - self.position).unwrap_or(usize::MAX);
            self.write(&ZEROS[..missing.min(ZEROS.len())])?;
        }
        Ok(())
    }

    /// Writes zeros up to the next block boundary. Returns the number of the block that begins there.
    pub(crate) fn pad_to_block(&mut self) -> Result<u32, Error> {
        let block = self.position.div_ceil(u64::from(BLOCK_SIZE));
        self.pad_to(block * u64::from(BLOCK_SIZE))?;
        u32::try_from(block)
            .ok()
            .filter(|&block| block != u32::MAX)
            .ok_or(Error::ImageTooLarge)
    }

    /// Writes the head. Returns the output and the checksum of the whole image.
    pub(crate) fn finish(mut self, head: &[u8]) -> Result<(W, Crc32c), Error> {
        self.flush()?;
        let failed = |source| Error::Write { offset: 0, source };
        self.inner.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.inner.write_all(head).map_err(failed)?;
        self.inner.flush().map_err(failed)?;
        let rest = self.position.saturating_sub(head.len() as u64);
        Ok((self.inner, Crc32c::of(head).then(self.checksum, rest)))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.checksum();
        let buffer = std::mem::take(&mut self.buffer);
        let offset = self.position - buffer.len() as u64;
        let result = self
            .inner
            .write_all(&buffer)
            .map_err(|source| Error::Write { offset, source });
        self.buffer = buffer;
        self.buffer.clear();
        self.checksummed = 0;
        result
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.checksum = self.checksum.update(bytes);
        self.inner.write_all(bytes).map_err(|source| Error::Write {
            offset: self.position,
            source,
        })
    }
}
