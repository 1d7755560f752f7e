use erofs_format::Crc32c;
use read_at::ReadAt;
use zerocopy::FromBytes;

use crate::limits::MAX_NOTES_BYTES;
use crate::section::{read_section, verify};
use crate::trailer::{MAGIC, Trailer};
use crate::{Changes, Error, ImageSummary, Note, Section, VERSION};

/// Reads a sidecar. Its trailer is verified when it is opened; its sections are verified as they are read.
#[derive(Debug)]
pub struct Sidecar<S> {
    changes: Changes<S>,
    trailer: Trailer,
}

impl<S: ReadAt> Sidecar<S> {
    /// Opens a sidecar and reads its trailer.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(source: S) -> Result<Self, Error> {
        let bytes = source
            .size()
            .map_err(|source| Error::Read { offset: 0, source })?;
        let no_trailer = || Error::NoTrailer { bytes };
        let start = bytes
            .checked_sub(size_of::<Trailer>() as u64)
            .ok_or_else(no_trailer)?;
        let mut buffer = [0; size_of::<Trailer>()];
        source
            .read_exact_at(&mut buffer, start)
            .map_err(|source| Error::Read {
                offset: start,
                source,
            })?;
        let trailer = Trailer::read_from_bytes(&buffer).map_err(|_| no_trailer())?;
        if trailer.magic != MAGIC {
            return Err(no_trailer());
        }
        if trailer.version.get() != VERSION {
            return Err(Error::Version {
                actual: trailer.version.get(),
                expected: VERSION,
            });
        }
        let sections = [trailer.records, trailer.whiteouts, trailer.notes];
        let end = sections
            .iter()
            .try_fold(0_u64, |end, section| end.checked_add(section.bytes.get()));
        if trailer.crc32c.get() != trailer.checksum().get() || end != Some(start) {
            return Err(no_trailer());
        }
        Ok(Self {
            changes: Changes {
                source,
                records: trailer.records,
                whiteouts: trailer.whiteouts,
            },
            trailer,
        })
    }

    /// Returns the length and the checksum of the layer image beside the sidecar.
    pub fn image(&self) -> ImageSummary {
        ImageSummary {
            bytes: self.trailer.image_bytes.get(),
            crc32c: self.trailer.image_crc32c.get(),
        }
    }

    /// Returns the layer's changes.
    pub fn changes(&self) -> &Changes<S> {
        &self.changes
    }

    /// Converts the sidecar into the changes of the layer.
    pub fn into_changes(self) -> Changes<S> {
        self.changes
    }

    /// Verifies the checksums of all sections, in memory that does not depend on their length.
    ///
    /// # Errors
    /// [`Error::Checksum`], [`Error::Read`].
    pub fn verify(&self) -> Result<(), Error> {
        const PIECE_BYTES: usize = 64 << 10;
        let sections = [
            (Section::Records, self.trailer.records),
            (Section::Whiteouts, self.trailer.whiteouts),
            (Section::Notes, self.trailer.notes),
        ];
        let mut buffer = Vec::new();
        let mut offset = 0;
        for (section, span) in sections {
            let mut checksum = Crc32c::new();
            let mut left = span.bytes.get();
            while left > 0 {
                let piece = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
                buffer.resize(piece, 0);
                let read = self.changes.source.read_exact_at(&mut buffer, offset);
                read.map_err(|source| Error::Read { offset, source })?;
                checksum = checksum.update(&buffer);
                // The sections end where the trailer begins, so the sum does not overflow.
                offset += piece as u64;
                left -= piece as u64;
            }
            verify(section, span, checksum)?;
        }
        Ok(())
    }

    /// Reads the fidelity notes.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn notes(&self) -> Result<Vec<Note>, Error> {
        let before = [self.trailer.records, self.trailer.whiteouts];
        let start = before.iter().map(|section| section.bytes.get()).sum();
        let source = &self.changes.source;
        let bytes = read_section(
            source,
            Section::Notes,
            start,
            self.trailer.notes,
            MAX_NOTES_BYTES,
        )?;
        serde_json::from_slice(&bytes).map_err(|_| Error::Malformed {
            section: Section::Notes,
            offset: start,
        })
    }
}
