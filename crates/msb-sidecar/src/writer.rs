use std::io::Write;

use erofs_format::Crc32c;
use fs_tree::{Change, ChangeKind};
use read_at::ReadAt;
use zerocopy::IntoBytes;

use crate::limits::{MAX_NOTES_BYTES, MAX_RECORD_BYTES};
use crate::record::{self, Encoder, PathCoder};
use crate::trailer::{MAGIC, SectionSpan, Trailer};
use crate::varint::put;
use crate::{Changes, Error, ImageSummary, Note, Section, VERSION};

/// Writes one sidecar, front to back.
#[derive(Debug)]
pub struct SidecarWriter<W> {
    output: Checksummed<W>,
    encoder: Encoder,
    records: u64,
    record: Vec<u8>,
    whiteouts: Vec<u8>,
    whiteout_paths: PathCoder,
    whiteout_count: u64,
}

impl<W: Write> SidecarWriter<W> {
    /// Creates a writer at the start of `output`, which should be buffered.
    pub fn new(output: W) -> Self {
        Self {
            output: Checksummed {
                inner: output,
                position: 0,
                start: 0,
                checksum: Crc32c::new(),
            },
            encoder: Encoder::default(),
            records: 0,
            record: Vec::new(),
            whiteouts: Vec::new(),
            whiteout_paths: PathCoder::default(),
            whiteout_count: 0,
        }
    }

    /// Writes the next change of the layer, with the bytes of an inline file. Returns their offset in the sidecar, which is their key.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Limit`].
    pub fn change(
        &mut self,
        change: &Change<'_>,
        inline: Option<&[u8]>,
    ) -> Result<Option<u64>, Error> {
        if matches!(change.kind, ChangeKind::Whiteout | ChangeKind::Opaque) {
            self.whiteouts
                .push(u8::from(matches!(change.kind, ChangeKind::Opaque)));
            self.whiteout_paths.put(&mut self.whiteouts, change.path);
            self.whiteout_count += 1;
            return Ok(None);
        }
        self.record.clear();
        record::encode(
            &mut self.record,
            &mut self.encoder,
            change,
            inline.unwrap_or_default(),
        );
        check(Section::Records, self.record.len(), MAX_RECORD_BYTES)?;
        let mut length = Vec::with_capacity(10);
        put(&mut length, self.record.len() as u64);
        self.output.write(&length)?;
        self.output.write(&self.record)?;
        self.records += 1;
        Ok(inline.map(|inline| self.output.position - inline.len() as u64))
    }

    /// Returns the length of the file so far, in bytes. It includes the whiteouts, which are written in the end.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.output.position + self.whiteouts.len() as u64
    }

    /// Ends the changes, so that they can be replayed although the layer image is not complete yet.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn end_changes(mut self) -> Result<SidecarEnd<W>, Error> {
        let records = self.output.end_section(self.records);
        self.output.write(&self.whiteouts)?;
        let whiteouts = self.output.end_section(self.whiteout_count);
        self.output.flush()?;
        Ok(SidecarEnd {
            output: self.output,
            records,
            whiteouts,
        })
    }

    /// Ends the changes, writes the rest and returns the output; see [`SidecarEnd::finish`].
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Notes`], [`Error::Limit`].
    pub fn finish(self, image: ImageSummary, notes: &[Note]) -> Result<W, Error> {
        self.end_changes()?.finish(image, notes)
    }
}

/// A sidecar whose changes are complete.
#[derive(Debug)]
pub struct SidecarEnd<W> {
    output: Checksummed<W>,
    records: SectionSpan,
    whiteouts: SectionSpan,
}

impl<W: Write> SidecarEnd<W> {
    /// Returns the changes, read through another handle on the file.
    pub fn changes<S: ReadAt>(&self, source: S) -> Changes<S> {
        Changes {
            source,
            records: self.records,
            whiteouts: self.whiteouts,
        }
    }

    /// Writes the rest and returns the output, flushed and not synced.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Notes`], [`Error::Limit`].
    pub fn finish(mut self, image: ImageSummary, notes: &[Note]) -> Result<W, Error> {
        let json = serde_json::to_vec(notes).map_err(|source| Error::Notes { source })?;
        check(Section::Notes, json.len(), MAX_NOTES_BYTES)?;
        self.output.write(&json)?;
        let mut trailer = Trailer {
            records: self.records,
            whiteouts: self.whiteouts,
            notes: self.output.end_section(notes.len() as u64),
            image_bytes: image.bytes.into(),
            image_crc32c: image.crc32c.into(),
            reserved: [0; 16],
            crc32c: 0.into(),
            version: VERSION.into(),
            magic: MAGIC,
        };
        trailer.crc32c = trailer.checksum().get().into();
        self.output.write(trailer.as_bytes())?;
        self.output.flush()?;
        Ok(self.output.inner)
    }
}

/// Checks that readers accept an item of `len` bytes.
fn check(section: Section, len: usize, limit: u64) -> Result<(), Error> {
    match len as u64 {
        actual if actual > limit => Err(Error::Limit {
            section,
            actual,
            limit,
        }),
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct Checksummed<W> {
    inner: W,
    position: u64,
    /// The start of the current section.
    start: u64,
    checksum: Crc32c,
}

impl<W: Write> Checksummed<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.inner.write_all(bytes).map_err(|source| Error::Write {
            offset: self.position,
            source,
        })?;
        self.checksum = self.checksum.update(bytes);
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let offset = self.position;
        self.inner
            .flush()
            .map_err(|source| Error::Write { offset, source })
    }

    /// Ends the section and starts the next one.
    fn end_section(&mut self, items: u64) -> SectionSpan {
        let start = std::mem::replace(&mut self.start, self.position);
        SectionSpan {
            bytes: (self.position - start).into(),
            items: items.into(),
            crc32c: std::mem::take(&mut self.checksum).get().into(),
        }
    }
}
