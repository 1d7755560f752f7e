use erofs_format::Crc32c;
use read_at::ReadAt;

use crate::trailer::SectionSpan;
use crate::{Error, Section};

/// Reads a whole section of at most `limit` bytes that begins at `start`, and verifies its checksum.
pub(crate) fn read_section(
    source: &impl ReadAt,
    section: Section,
    start: u64,
    span: SectionSpan,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let too_long = Error::Malformed {
        section,
        offset: start,
    };
    let len = Some(span.bytes.get()).filter(|&len| len <= limit);
    let len = len.and_then(|len| usize::try_from(len).ok());
    let mut bytes = vec![0; len.ok_or(too_long)?];
    source
        .read_exact_at(&mut bytes, start)
        .map_err(|source| Error::Read {
            offset: start,
            source,
        })?;
    verify(section, span, Crc32c::of(&bytes))?;
    Ok(bytes)
}

/// Compares the checksum of what was read with the section's.
pub(crate) fn verify(section: Section, span: SectionSpan, actual: Crc32c) -> Result<(), Error> {
    let (expected, actual) = (span.crc32c.get(), actual.get());
    if expected == actual {
        Ok(())
    } else {
        Err(Error::Checksum {
            section,
            expected,
            actual,
        })
    }
}
