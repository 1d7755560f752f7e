use erofs_format::Crc32c;
use fs_tree::{Change, Whiteout};

use crate::record::{self, PathCoder, Place};
use crate::section::{read_section, verify};
use crate::trailer::SectionSpan;
use crate::varint::Cursor;
use crate::{Error, Section, Source};

/// Bytes read at a time.
const READ_BYTES: usize = 128 << 10;

/// A layer's changes, to be played back: those of a whole sidecar, or of one that is still being written.
#[derive(Debug)]
pub struct Changes<S> {
    pub(crate) source: S,
    /// From the start of the source.
    pub(crate) records: SectionSpan,
    /// Behind the records.
    pub(crate) whiteouts: SectionSpan,
}

impl<S: Source> Changes<S> {
    /// How many there are, whiteouts apart.
    pub fn records(&self) -> u64 {
        self.records.items.get()
    }

    /// The file itself: an inline file's bytes lie at its key.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Gives `apply` what the layer hides of the layers below it, in the layer's order, one path in memory at a time: a few
    /// bytes in the file may stand for a long path. On an error, what was given has to be thrown away.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn for_each_whiteout(&self, mut apply: impl FnMut(Whiteout<'_>)) -> Result<(), Error> {
        let start = self.records.bytes.get();
        let bytes = read_section(&self.source, Section::Whiteouts, start, self.whiteouts)?;
        let mut paths = PathCoder::default();
        let mut cursor = Cursor::new(&bytes);
        while !cursor.is_at_end() {
            let offset = start + cursor.position() as u64;
            let mut next = || -> Option<()> {
                let opaque = match cursor.byte()? {
                    0 => false,
                    1 => true,
                    _ => return None,
                };
                let path = paths.get(&mut cursor)?;
                apply(Whiteout { path, opaque });
                Some(())
            };
            next().ok_or(Error::Malformed {
                section: Section::Whiteouts,
                offset,
            })?;
        }
        Ok(())
    }

    /// Plays the changes back in their order, with `device` as the place of their data, one record in memory at a time.
    /// When all were given, their sum is checked: on an error, what was applied has to be thrown away.
    ///
    /// # Errors
    /// See [`Error`], or what `apply` gives.
    pub fn for_each_change<E: From<Error>>(
        &self,
        device: u16,
        mut apply: impl FnMut(&Change<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let span = self.records;
        let mut window = Window {
            source: &self.source,
            end: span.bytes.get(),
            at: 0,
            buffer: Vec::new(),
            start: 0,
        };
        let mut paths = PathCoder::default();
        let mut checksum = Crc32c::new();
        while window.position() < window.end {
            let malformed = Error::Malformed {
                section: Section::Records,
                offset: window.position(),
            };
            let mut cursor = Cursor::new(window.peek(MAX_VARINT)?);
            let Some(len) = cursor.number() else {
                return Err(malformed.into());
            };
            let head = cursor.position();
            let Some(total) = len
                .checked_add(head as u64)
                .filter(|&total| total <= window.left())
            else {
                return Err(malformed.into());
            };
            let place = Place {
                device,
                record_at: window.position() + head as u64,
            };
            // OK because the record lies within the file; its bytes have to be there to be read.
            let bytes = window.peek(usize::try_from(total).unwrap_or(usize::MAX))?;
            let taken = bytes.len();
            checksum = checksum.update(bytes);
            match record::decode(&bytes[head..], &mut paths, place, &mut apply) {
                Some(result) => result?,
                None => return Err(malformed.into()),
            }
            window.advance(taken);
        }
        verify(Section::Records, span, checksum)?;
        Ok(())
    }
}

/// The longest LEB128 of 64 bits.
const MAX_VARINT: usize = 10;

/// The part of a section that is in memory.
///
/// Invariants: `buffer[0]` is the section's byte `start`; `start + at <= end`.
struct Window<'a, S> {
    source: &'a S,
    end: u64,
    start: u64,
    at: usize,
    buffer: Vec<u8>,
}

impl<S: Source> Window<'_, S> {
    fn position(&self) -> u64 {
        self.start + self.at as u64
    }

    fn left(&self) -> u64 {
        self.end - self.position()
    }

    /// The next `len` bytes, or what is left if that is less.
    fn peek(&mut self, len: usize) -> Result<&[u8], Error> {
        let len = usize::try_from(self.left()).map_or(len, |left| left.min(len));
        if self.buffer.len() - self.at < len {
            self.buffer.drain(..self.at);
            self.start += self.at as u64;
            self.at = 0;
            let have = self.buffer.len();
            let offset = self.start + have as u64;
            let more =
                usize::try_from(self.end - offset).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            self.buffer.resize(len.max(have + more), 0);
            self.source
                .read_exact_at(&mut self.buffer[have..], offset)
                .map_err(|source| Error::Read { offset, source })?;
        }
        Ok(&self.buffer[self.at..][..len])
    }

    fn advance(&mut self, len: usize) {
        self.at += len;
    }
}
