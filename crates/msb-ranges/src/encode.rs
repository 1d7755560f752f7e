use std::io::{self, Write};
use std::thread;

use msb_oci::{Algorithm, Digest, Hasher};
use read_at::ReadAt;
use zstd::bulk::Compressor;

use crate::format::MAX_FRAME_BYTES;
use crate::table::{Frame, Table};
use crate::{EncodeError, RANGE_BYTES};

/// Chosen by measurement: the next levels save little and cost much. A change of it changes the digests of all blobs.
const LEVEL: i32 = 3;

/// The number of ranges that are compressed at once at most; each takes some 10 MiB of memory.
const MAX_THREADS: usize = 8;

/// What was encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoded {
    /// The digest of the blob.
    pub digest: Digest,
    /// The length of the blob, in bytes.
    pub bytes: u64,
    /// The digest of the file.
    pub content_digest: Digest,
    /// The length of the file, in bytes.
    pub content_bytes: u64,
    /// Where the table lies.
    pub table: TableLocation,
}

/// Where the table of a blob lies. A document that names these three lets a reader verify any range.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableLocation {
    /// The first byte of its skippable frame.
    pub offset: u64,
    /// The length of that frame, in bytes.
    pub bytes: u64,
    /// The digest of that frame.
    pub digest: Digest,
}

/// Compresses a file range by range, on several threads, and writes the blob to `output`. Blocks.
///
/// # Errors
/// See [`EncodeError`].
pub fn encode<S>(source: &S, output: &mut impl Write) -> Result<Encoded, EncodeError>
where
    S: ReadAt + Sync + ?Sized,
{
    let content_bytes = source.size().map_err(|source| EncodeError::Read {
        offset: 0,
        bytes: 0,
        source,
    })?;
    let mut blob = Blob {
        output,
        hasher: Hasher::new(Algorithm::Sha256),
        bytes: 0,
    };
    let mut content = Hasher::new(Algorithm::Sha256);
    let mut frames = Vec::new();
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS));
    let mut offset = 0;
    while offset < content_bytes {
        let mut ranges = Vec::new();
        for _ in 0..threads {
            let bytes = (content_bytes - offset).min(RANGE_BYTES);
            if bytes == 0 {
                break;
            }
            ranges.push((offset, read(source, offset, bytes)?));
            offset += bytes;
        }
        let compressed = thread::scope(|scope| {
            let tasks: Vec<_> = ranges
                .iter()
                .map(|(offset, range)| (*offset, scope.spawn(|| compress(range))))
                .collect();
            for (_, range) in &ranges {
                content.update(range);
            }
            tasks
                .into_iter()
                .map(|(offset, task)| {
                    let joined = task.join().unwrap_or_else(|_| {
                        Err(io::Error::other("a thread that compresses has panicked"))
                    });
                    joined.map_err(|source| EncodeError::Compress { offset, source })
                })
                .collect::<Result<Vec<_>, _>>()
        })?;
        for frame in compressed {
            let digest = Digest::sha256_of(&frame);
            frames.push(Frame {
                offset: blob.bytes,
                bytes: u32::try_from(frame.len()).unwrap_or(MAX_FRAME_BYTES),
                digest: digest.as_bytes().try_into().unwrap_or_default(),
            });
            blob.write(&frame)?;
        }
    }
    let table = Table::new(content_bytes, frames).to_bytes();
    let table = table.ok_or(EncodeError::TooLong {
        bytes: content_bytes,
    })?;
    let location = TableLocation {
        offset: blob.bytes,
        bytes: table.len() as u64,
        digest: Digest::sha256_of(&table),
    };
    blob.write(&table)?;
    Ok(Encoded {
        digest: blob.hasher.finish(),
        bytes: blob.bytes,
        content_digest: content.finish(),
        content_bytes,
        table: location,
    })
}

fn read<S>(source: &S, offset: u64, bytes: u64) -> Result<Vec<u8>, EncodeError>
where
    S: ReadAt + ?Sized,
{
    // OK because a range fits.
    let mut range = vec![0; usize::try_from(bytes).unwrap_or_default()];
    let read = source.read_exact_at(&mut range, offset);
    read.map_err(|source| EncodeError::Read {
        offset,
        bytes,
        source,
    })?;
    Ok(range)
}

fn compress(range: &[u8]) -> io::Result<Vec<u8>> {
    Compressor::new(LEVEL)?.compress(range)
}

/// The blob that is being written.
struct Blob<'a, W> {
    output: &'a mut W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Blob<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let written = self.output.write_all(bytes);
        written.map_err(|source| EncodeError::Write {
            offset: self.bytes,
            source,
        })?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
