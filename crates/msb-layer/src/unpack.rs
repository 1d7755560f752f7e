//! Unpacks a compressed file, such as a layer image that was published, with its holes.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use erofs_format::Crc32c;
use msb_oci::{Digest, Hasher};

use crate::decode::{DecodeError, Decoder, Limits, Pool, PushError, WindowBudget};
use crate::writeback::Writeback;

/// The number of uncompressed bytes that are written at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Decompresses a blob into a file, and verifies it, while it is pushed in pieces. Blocks of zeros become holes.
#[derive(Debug)]
pub struct FileUnpacker {
    expected: Digest,
    hasher: Hasher,
    decoder: Decoder,
    output: Output,
}

/// What a blob was unpacked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackedFile {
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// The CRC-32C of the file.
    pub crc32c: u32,
}

/// Reports why a blob was not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The blob is malformed or exceeds a limit.
    #[error("decompressing it")]
    Decode(#[source] DecodeError),
    /// The blob has another digest.
    #[error("digest mismatch: expected {expected}, found {actual}")]
    Digest {
        /// The digest that was expected.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// The file is longer than it may be.
    #[error("it decompresses to more than {limit} bytes")]
    TooLong {
        /// The largest number of bytes.
        limit: u64,
    },
    /// The file cannot be written.
    #[error("writing it after {offset} bytes")]
    Write {
        /// The bytes before the failure.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
}

impl UnpackError {
    /// Returns the error of a write to the file.
    #[must_use]
    pub fn write_error(&self) -> Option<&io::Error> {
        match self {
            Self::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Output {
    file: Writeback,
    checksum: Crc32c,
    bytes: u64,
    limit: u64,
}

impl Output {
    fn write(&mut self, chunk: &[u8]) -> Result<(), UnpackError> {
        let bytes = self.bytes.saturating_add(chunk.len() as u64);
        if bytes > self.limit {
            return Err(UnpackError::TooLong { limit: self.limit });
        }
        self.checksum = self.checksum.update(chunk);
        self.file
            .write_all(chunk)
            .map_err(|source| UnpackError::Write {
                offset: self.bytes,
                source,
            })?;
        self.bytes = bytes;
        Ok(())
    }
}

impl FileUnpacker {
    /// Creates an unpacker of the blob with the digest `blob` into `file`, which is empty and gets at most `limit` bytes.
    #[must_use]
    pub fn new(blob: Digest, file: File, limit: u64, windows: WindowBudget) -> Self {
        let cancelled = Arc::<AtomicBool>::default();
        Self {
            expected: blob,
            hasher: Hasher::new(blob.algorithm()),
            decoder: Decoder::new(Pool::new(CHUNK_BYTES, 2), Limits::default())
                .with_windows(windows, Arc::clone(&cancelled)),
            output: Output {
                file: Writeback::new(file, cancelled),
                checksum: Crc32c::new(),
                bytes: 0,
                limit,
            },
        }
    }

    /// Unpacks the next bytes of the blob.
    ///
    /// # Errors
    /// See [`UnpackError`]; all are final.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        self.hasher.update(bytes);
        let output = &mut self.output;
        let pushed = self.decoder.push(bytes, &mut |chunk| output.write(&chunk));
        pushed.map_err(flatten)
    }

    /// Ends the blob, and verifies its digest. The file is not synced.
    ///
    /// # Errors
    /// See [`UnpackError`].
    pub fn finish(mut self) -> Result<UnpackedFile, UnpackError> {
        let output = &mut self.output;
        let ended = self.decoder.finish(&mut |chunk| output.write(&chunk));
        ended.map_err(flatten)?;
        let actual = self.hasher.finish();
        if actual != self.expected {
            return Err(UnpackError::Digest {
                expected: self.expected,
                actual,
            });
        }
        let (bytes, crc32c) = (self.output.bytes, self.output.checksum.get());
        let finished = self.output.file.finish();
        finished.map_err(|source| UnpackError::Write {
            offset: bytes,
            source,
        })?;
        Ok(UnpackedFile { bytes, crc32c })
    }
}

fn flatten(error: PushError<UnpackError>) -> UnpackError {
    match error {
        PushError::Output(error) => error,
        PushError::Decode(source) => UnpackError::Decode(source),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn unpack(
        blob: &[u8],
        digest: Digest,
        limit: u64,
    ) -> Result<(File, UnpackedFile), UnpackError> {
        let file = tempfile::tempfile().unwrap();
        let windows = WindowBudget::new(128 << 20);
        let mut unpacker = FileUnpacker::new(digest, file.try_clone().unwrap(), limit, windows);
        for piece in blob.chunks(1000) {
            unpacker.push(piece)?;
        }
        Ok((file, unpacker.finish()?))
    }

    #[test]
    fn a_file_is_unpacked_with_holes_and_every_fault_is_found() {
        let mut content = vec![0; 8 << 20];
        content[5 << 20..][..3].copy_from_slice(b"abc");
        let blob = zstd::bulk::compress(&content, 3).unwrap();
        let digest = Digest::sha256_of(&blob);
        let (file, unpacked) = unpack(&blob, digest, 8 << 20).unwrap();
        assert_eq!(unpacked.bytes, 8 << 20);
        assert_eq!(unpacked.crc32c, Crc32c::new().update(&content).get());
        assert!(file.metadata().unwrap().blocks() * 512 < 1 << 20);
        use std::os::fd::AsRawFd as _;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        assert_eq!(fs::read(path).unwrap(), content);

        let limited = unpack(&blob, digest, (8 << 20) - 1);
        assert!(matches!(limited, Err(UnpackError::TooLong { .. })));
        let other = unpack(&blob, Digest::sha256_of(b""), 8 << 20);
        assert!(matches!(other, Err(UnpackError::Digest { .. })));
        let cut = unpack(&blob[..blob.len() - 1], digest, 8 << 20);
        assert!(matches!(cut, Err(UnpackError::Decode(_))));
    }
}
