use erofs_format::Crc32c;
use fs_tree::{Change, Whiteout};
use read_at::ReadAt;

use crate::limits::{MAX_PATH_BYTES, MAX_RECORD_BYTES};
use crate::record::{self, Decoder, PathCoder, Place};
use crate::section::verify;
use crate::trailer::SectionSpan;
use crate::varint::Cursor;
use crate::{Error, Section};

/// The length of a read in bytes.
const READ_BYTES: usize = 128 << 10;

/// Replays the changes of a layer, from a complete sidecar or from one that is still being written.
#[derive(Debug)]
pub struct Changes<S> {
    pub(crate) source: S,
    /// This section begins at the start of the source.
    pub(crate) records: SectionSpan,
    /// This section follows the records.
    pub(crate) whiteouts: SectionSpan,
}

impl<S: ReadAt> Changes<S> {
    /// Returns the number of changes without whiteouts.
    pub fn records(&self) -> u64 {
        self.records.items.get()
    }

    /// Returns the source. The bytes of an inline file are at its key.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Passes each whiteout and opaque marker of the layer to `apply`, in the order of the layer. Only one path is in memory at a time,
    /// because a few bytes of the file may stand for a long path. The checksum is verified after the last one; after an error, the
    /// result of what was applied must be discarded.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn for_each_whiteout(&self, mut apply: impl FnMut(Whiteout<'_>)) -> Result<(), Error> {
        let mut window = Window::new(&self.source, self.records.bytes.get(), self.whiteouts);
        let mut paths = PathCoder::default();
        while window.left() > 0 {
            let offset = window.position();
            let bytes = window.peek(MAX_WHITEOUT_BYTES)?;
            let mut cursor = Cursor::new(bytes);
            let mut next = || -> Option<()> {
                let opaque = match cursor.byte()? {
                    0 => false,
                    1 => true,
                    _ => return None,
                };
                let path = paths.get(&mut cursor)?;
                // The root can be opaque, but it cannot be hidden.
                if path.is_empty() && !opaque {
                    return None;
                }
                apply(Whiteout { path, opaque });
                Some(())
            };
            next().ok_or(Error::Malformed {
                section: Section::Whiteouts,
                offset,
            })?;
            let taken = cursor.position();
            window.advance(taken);
        }
        verify(Section::Whiteouts, self.whiteouts, window.checksum)
    }

    /// Passes each change to `apply` in the order of the layer, with `device` as the place of its data. Only one record is in memory
    /// at a time. The checksum is verified after the last one; after an error, the result of what was applied must be discarded.
    ///
    /// # Errors
    /// See [`Error`], or the error of `apply`.
    pub fn for_each_change<E: From<Error>>(
        &self,
        device: u16,
        mut apply: impl FnMut(&Change<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut window = Window::new(&self.source, 0, self.records);
        let mut decoder = Decoder::default();
        while window.left() > 0 {
            let malformed = Error::Malformed {
                section: Section::Records,
                offset: window.position(),
            };
            let mut cursor = Cursor::new(window.peek(MAX_VARINT)?);
            let len = cursor.number().filter(|&len| len <= MAX_RECORD_BYTES);
            let head = cursor.position();
            let total = len.map(|len| len + head as u64);
            let Some(total) = total.filter(|&total| total <= window.left()) else {
                return Err(malformed.into());
            };
            let place = Place {
                device,
                record_at: window.position() + head as u64,
            };
            // OK because it is no more than the limit on a record and its head.
            let bytes = window.peek(usize::try_from(total).unwrap_or(usize::MAX))?;
            let taken = bytes.len();
            match record::decode(&bytes[head..], &mut decoder, place, &mut apply) {
                Some(result) => result?,
                None => return Err(malformed.into()),
            }
            window.advance(taken);
        }
        verify(Section::Records, self.records, window.checksum)?;
        Ok(())
    }
}

/// The longest LEB128 of 64 bits.
const MAX_VARINT: usize = 10;

/// The longest whiteout: its kind, two numbers and a path.
const MAX_WHITEOUT_BYTES: usize = 1 + 2 * MAX_VARINT + MAX_PATH_BYTES;

/// The part of a section that is in memory.
///
/// Invariants: `buffer[0]` is the source's byte `start`; `start + at <= end`; `checksum` is that of the section up to
/// `start + at`.
struct Window<'a, S> {
    source: &'a S,
    end: u64,
    start: u64,
    at: usize,
    buffer: Vec<u8>,
    checksum: Crc32c,
}

impl<'a, S: ReadAt> Window<'a, S> {
    /// Opens a section that begins at `start`. The caller has checked that its end does not overflow.
    fn new(source: &'a S, start: u64, span: SectionSpan) -> Self {
        Self {
            source,
            end: start.saturating_add(span.bytes.get()),
            start,
            at: 0,
            buffer: Vec::new(),
            checksum: Crc32c::new(),
        }
    }

    fn position(&self) -> u64 {
        self.start + self.at as u64
    }

    fn left(&self) -> u64 {
        self.end - self.position()
    }

    /// Returns the next `len` bytes, or the rest of the section if that is less.
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

    /// Skips the next `len` bytes, which were peeked at.
    fn advance(&mut self, len: usize) {
        self.checksum = self.checksum.update(&self.buffer[self.at..][..len]);
        self.at += len;
    }
}
