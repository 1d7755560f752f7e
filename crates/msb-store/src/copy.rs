//! Copying the data of a file and none of its holes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::fs::SeekFrom;

use crate::Staged;
use crate::crash;
use crate::error::{At as _, Error, Result};
use crate::step::Step;

/// The number of bytes that are copied at once where the kernel does not copy.
const BUFFER_BYTES: usize = 1 << 20;
/// The number of bytes between two looks at whether a copy is cancelled: tens of milliseconds on a slow disk.
const PIECE_BYTES: u64 = 16 << 20;

/// Reports which of the two files of a copy failed.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a copy has an input and an output")]
pub enum CopyFault {
    /// The input.
    Read(io::Error),
    /// The output, with the offset in it.
    Write(io::Error, u64),
}

impl Staged {
    /// Copies `bytes` bytes of `source`, without its holes. Returns `false` if `is_cancelled` returned `true` meanwhile.
    ///
    /// File systems that share blocks between files (XFS, btrfs, NFS 4.2) do so.
    ///
    /// # Errors
    /// [`Error::Io`] for either file, [`Error::Full`].
    pub fn copy_from(
        &self,
        source: &File,
        bytes: u64,
        is_cancelled: impl Fn() -> bool,
    ) -> Result<bool> {
        let read_error = |error| Error::from_io(Step::Copy, self.target(), error);
        crash::around("write", self.path(), &[], || {
            for range in data_ranges(source, bytes) {
                let mut start = range.start;
                while start < range.end {
                    if is_cancelled() {
                        return Ok(false);
                    }
                    let end = range.end.min(start.saturating_add(PIECE_BYTES));
                    let copied = copy_range(source, start..end, self.file(), 0);
                    copied.map_err(|fault| match fault {
                        CopyFault::Read(error) => read_error(error),
                        CopyFault::Write(error, _) => self.write_error(error, Some(bytes)),
                    })?;
                    start = end;
                }
            }
            // A file that was cut meanwhile looks as if it ended in a hole.
            if source.metadata().map_err(read_error)?.len() < bytes {
                return Err(read_error(io::ErrorKind::UnexpectedEof.into()));
            }
            self.file().set_len(bytes).at(Step::Truncate, self.path())?;
            Ok(true)
        })
    }
}

/// Returns the ranges of a file that are not holes; all of it where the file system does not report holes.
pub fn data_ranges(file: &File, bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes {
            return None;
        }
        let (start, end) = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => {
                let end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(bytes);
                (start, end.min(bytes))
            }
            // Nothing but a hole follows.
            Err(rustix::io::Errno::NXIO) => (bytes, bytes),
            Err(_) => (at, bytes),
        };
        // Another process that changes the file must not keep this from ending.
        at = end.max(at + 1);
        (start < end).then_some(start..end)
    })
}

/// Copies a range of a file to the same range of another one, moved by `start`.
///
/// `copy_file_range` shares blocks on file systems that can, and copies within the kernel on others.
///
/// # Errors
/// [`CopyFault`] with the file that failed.
pub fn copy_range(
    file: &File,
    range: Range<u64>,
    output: &File,
    start: u64,
) -> Result<(), CopyFault> {
    let mut at = range.start;
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;

        // Larger pieces are cut by the kernel.
        const LONGEST: usize = 1 << 30;
        while at < range.end {
            let (mut from, mut to) = (at, start + at);
            let here = length(range.end - at, LONGEST);
            match rustix::fs::copy_file_range(file, Some(&mut from), output, Some(&mut to), here) {
                Ok(copied @ 1..) => at += copied as u64,
                Err(Errno::INTR) => {}
                // The file became shorter, the file systems cannot do this, or one of the two files failed: the loop below copies
                // the rest, or finds out which one.
                Ok(0) | Err(_) => break,
            }
        }
    }
    let mut buffer = Vec::new();
    while at < range.end {
        buffer.resize(length(range.end - at, BUFFER_BYTES), 0);
        file.read_exact_at(&mut buffer, at)
            .map_err(CopyFault::Read)?;
        let written = output.write_all_at(&buffer, start + at);
        written.map_err(|source| CopyFault::Write(source, start + at))?;
        at += buffer.len() as u64;
    }
    Ok(())
}

fn length(bytes: u64, limit: usize) -> usize {
    usize::try_from(bytes).map_or(limit, |bytes| bytes.min(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_ranges_are_those_with_data() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        assert_eq!(data_ranges(&file, 1 << 20).count(), 0);
        file.write_all_at(&[1; 4096], 64 << 10).unwrap();
        file.write_all_at(&[1; 4096], (1 << 20) - 4096).unwrap();
        let ranges: Vec<_> = data_ranges(&file, 1 << 20).collect();
        assert!(ranges.iter().any(|range| range.contains(&(64 << 10))));
        assert_eq!(ranges.last().unwrap().end, 1 << 20);
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        assert!(bytes < 512 << 10, "{ranges:?}");
    }
}
