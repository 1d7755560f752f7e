use msb_oci::Digest;
use read_at::ReadAt;
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::format::{
    ENTRY_BYTES, Entry, FOOTER_BYTES, FRAME_HEADER_BYTES, Footer, HEADER_BYTES, Header, MAGIC,
    MAX_FRAME_BYTES, MAX_TABLE_BYTES, SKIPPABLE_MAGIC, VERSION,
};
use crate::{DecodeError, RANGE_BYTES};

/// The frames of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    content_bytes: u64,
    /// Their offsets increase.
    frames: Vec<Frame>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) offset: u64,
    /// At most [`MAX_FRAME_BYTES`].
    pub(crate) bytes: u32,
    /// SHA-256.
    pub(crate) digest: [u8; 32],
}

impl Table {
    /// Reads the table at the end of a blob.
    ///
    /// # Errors
    /// [`DecodeError::Read`]; [`DecodeError::Table`] unless the table describes exactly this blob.
    pub fn read(blob: &impl ReadAt) -> Result<Self, DecodeError> {
        let failed = |offset, bytes| {
            move |source| DecodeError::Read {
                offset,
                bytes,
                source,
            }
        };
        let blob_bytes = blob.size().map_err(failed(0, 0))?;
        let start = blob_bytes.checked_sub(FOOTER_BYTES as u64);
        let start = start.ok_or_else(|| malformed("the blob is shorter than a footer"))?;
        let mut footer = [0; FOOTER_BYTES];
        let read = blob.read_exact_at(&mut footer, start);
        read.map_err(failed(start, FOOTER_BYTES as u64))?;
        let footer = Footer::read_from_bytes(&footer).map_err(|_| malformed("its footer"))?;
        let table_bytes = u64::from(footer.table_bytes.get());
        if footer.magic != MAGIC {
            return Err(malformed("the blob does not end with one"));
        }
        if table_bytes > MAX_TABLE_BYTES {
            return Err(malformed("it is longer than the limit"));
        }
        let offset = blob_bytes.checked_sub(table_bytes);
        let offset = offset.ok_or_else(|| malformed("it is longer than the blob"))?;
        let mut bytes = vec![0; usize::try_from(table_bytes).unwrap_or_default()];
        let read = blob.read_exact_at(&mut bytes, offset);
        read.map_err(failed(offset, table_bytes))?;
        Self::parse(&bytes, offset)
    }

    /// Parses a table: the whole skippable frame, which begins at byte `offset` of its blob.
    ///
    /// # Errors
    /// [`DecodeError::Table`].
    pub fn parse(bytes: &[u8], offset: u64) -> Result<Self, DecodeError> {
        if bytes.len() as u64 > MAX_TABLE_BYTES {
            return Err(malformed("it is longer than the limit"));
        }
        let (header, rest) =
            Header::read_from_prefix(bytes).map_err(|_| malformed("it has no header"))?;
        let payload_bytes = (bytes.len() as u64).checked_sub(FRAME_HEADER_BYTES);
        if header.skippable_magic.get() != SKIPPABLE_MAGIC
            || header.magic != MAGIC
            || payload_bytes != Some(u64::from(header.payload_bytes.get()))
        {
            return Err(malformed("its header"));
        }
        if header.version.get() != VERSION {
            return Err(malformed("its version is not supported"));
        }
        if u64::from(header.range_bytes.get()) != RANGE_BYTES {
            return Err(malformed("the length of its ranges is not supported"));
        }
        let content_bytes = header.content_bytes.get();
        let count = u64::from(header.count.get());
        if content_bytes.div_ceil(RANGE_BYTES) != count {
            return Err(malformed("the number of its ranges"));
        }
        // Neither overflows: the count has 32 bits.
        if rest.len() as u64 != count * ENTRY_BYTES as u64 + FOOTER_BYTES as u64 {
            return Err(malformed("its length"));
        }
        let (entries, footer) = rest.split_at(rest.len() - FOOTER_BYTES);
        let footer = Footer::read_from_bytes(footer).map_err(|_| malformed("its footer"))?;
        if footer.magic != MAGIC || u64::from(footer.table_bytes.get()) != bytes.len() as u64 {
            return Err(malformed("its footer"));
        }
        let mut end = 0_u64;
        let mut frames = Vec::with_capacity(entries.len() / ENTRY_BYTES);
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            let entry = Entry::read_from_bytes(entry).map_err(|_| malformed("an entry"))?;
            let bytes = entry.bytes.get();
            if bytes == 0 || bytes > MAX_FRAME_BYTES {
                return Err(malformed("the length of a frame"));
            }
            frames.push(Frame {
                offset: end,
                bytes,
                digest: entry.sha256,
            });
            // Does not overflow: 2^32 frames of 2^23 bytes.
            end += u64::from(bytes);
        }
        if end != offset {
            return Err(malformed("its frames do not fill the blob"));
        }
        Ok(Self {
            content_bytes,
            frames,
        })
    }

    pub(crate) fn new(content_bytes: u64, frames: Vec<Frame>) -> Self {
        Self {
            content_bytes,
            frames,
        }
    }

    /// Returns the skippable frame. `None` if it would be too long.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let count = u32::try_from(self.frames.len()).ok()?;
        let fixed_bytes = (HEADER_BYTES + FOOTER_BYTES) as u64;
        let table_bytes = fixed_bytes + u64::from(count) * ENTRY_BYTES as u64;
        if table_bytes > MAX_TABLE_BYTES {
            return None;
        }
        let header = Header {
            skippable_magic: SKIPPABLE_MAGIC.into(),
            payload_bytes: u32::try_from(table_bytes - FRAME_HEADER_BYTES).ok()?.into(),
            magic: MAGIC,
            version: VERSION.into(),
            content_bytes: self.content_bytes.into(),
            range_bytes: u32::try_from(RANGE_BYTES).ok()?.into(),
            count: count.into(),
        };
        let footer = Footer {
            table_bytes: u32::try_from(table_bytes).ok()?.into(),
            magic: MAGIC,
        };
        let mut bytes = header.as_bytes().to_vec();
        for frame in &self.frames {
            let entry = Entry {
                bytes: frame.bytes.into(),
                sha256: frame.digest,
            };
            bytes.extend_from_slice(entry.as_bytes());
        }
        bytes.extend_from_slice(footer.as_bytes());
        Some(bytes)
    }

    /// Returns the length of the file, in bytes.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Returns the number of ranges.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Returns whether the file is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns where the frame of a range lies in the blob: its offset and its length in bytes.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<(u64, u64)> {
        let frame = self.frames.get(index)?;
        Some((frame.offset, u64::from(frame.bytes)))
    }

    /// Reads one range of the file from the blob, and verifies it.
    ///
    /// # Errors
    /// [`DecodeError::Read`], and those of [`decode`](Self::decode).
    pub fn range(&self, index: usize, blob: &impl ReadAt) -> Result<Vec<u8>, DecodeError> {
        let (offset, bytes) = self.frame(index).ok_or(self.no_range(index))?;
        let mut frame = vec![0; usize::try_from(bytes).unwrap_or_default()];
        blob.read_exact_at(&mut frame, offset)
            .map_err(|source| DecodeError::Read {
                offset,
                bytes,
                source,
            })?;
        self.decode(index, &frame)
    }

    /// Verifies the frame of a range, and decompresses it.
    ///
    /// # Errors
    /// [`DecodeError::NoRange`], [`DecodeError::Digest`], [`DecodeError::Frame`].
    pub fn decode(&self, index: usize, frame: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let stated = self.frames.get(index).ok_or(self.no_range(index))?;
        let actual = Digest::sha256_of(frame);
        if actual.as_bytes() != stated.digest {
            return Err(DecodeError::Digest {
                index,
                expected: sha256(&stated.digest),
                actual,
            });
        }
        // OK because the index is below the number of ranges.
        let start = index as u64 * RANGE_BYTES;
        let expected = (self.content_bytes - start).min(RANGE_BYTES);
        let capacity = usize::try_from(expected).unwrap_or_default();
        let content = zstd::bulk::decompress(frame, capacity);
        match content {
            Ok(content) if content.len() as u64 == expected => Ok(content),
            _ => Err(DecodeError::Frame { index, expected }),
        }
    }

    fn no_range(&self, index: usize) -> DecodeError {
        DecodeError::NoRange {
            index,
            count: self.frames.len(),
        }
    }
}

fn malformed(reason: &'static str) -> DecodeError {
    DecodeError::Table { reason }
}

/// Returns the digest with these bytes.
fn sha256(bytes: &[u8; 32]) -> Digest {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // OK because it has 64 hexadecimal digits.
    let parsed = format!("sha256:{hex}").parse();
    parsed.unwrap_or_else(|_| Digest::sha256_of(bytes))
}
