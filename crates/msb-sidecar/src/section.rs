use erofs_format::Crc32c;

use crate::trailer::SectionSpan;
use crate::{Error, Section, Source};

/// A whole section that begins at `start`, its sum checked.
pub(crate) fn read_section(
    source: &impl Source,
    section: Section,
    start: u64,
    span: SectionSpan,
) -> Result<Vec<u8>, Error> {
    // OK because the sections were seen to fill the file.
    let mut bytes = vec![0; usize::try_from(span.bytes.get()).unwrap_or(usize::MAX)];
    source
        .read_exact_at(&mut bytes, start)
        .map_err(|source| Error::Read {
            offset: start,
            source,
        })?;
    verify(section, span, Crc32c::of(&bytes))?;
    Ok(bytes)
}

/// Holds the sum of what was read against the section's.
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
