use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::SeekFrom;

use super::ExportError;
use super::sink::Sink;
use crate::{DiskExtent, InspectError};

/// The number of bytes that are copied at once where the kernel does not copy.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes the files of a disk end to end to an empty file, and returns its length in bytes.
///
/// Only ranges with data are copied. `copy_file_range` shares their blocks on file systems that can (XFS, btrfs), and copies within
/// the kernel on others.
pub(super) fn to_file(
    extents: &[DiskExtent],
    output: &File,
    path: &Path,
) -> Result<u64, ExportError> {
    let mut start = 0_u64;
    for extent in extents {
        let file = extent.open().map_err(ExportError::Inspect)?;
        for range in data_ranges(&file, extent.bytes) {
            copy(&file, range, output, start).map_err(|fault| fault.error(extent, path))?;
        }
        start = start.saturating_add(extent.bytes);
    }
    // The disk may end in a hole.
    output
        .set_len(start)
        .map_err(|source| Fault::Write(source, start).error_at(path))?;
    Ok(start)
}

/// Writes the files of a disk end to end.
pub(super) fn to_sink(extents: &[DiskExtent], sink: &mut Sink<'_>) -> Result<(), ExportError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    for extent in extents {
        let file = extent.open().map_err(ExportError::Inspect)?;
        let mut at = 0;
        for range in data_ranges(&file, extent.bytes) {
            sink.skip(range.start - at)?;
            at = range.start;
            while at < range.end {
                let here = length(range.end - at, buffer.len());
                file.read_exact_at(&mut buffer[..here], at)
                    .map_err(|source| read_error(extent, source))?;
                sink.write(&buffer[..here])?;
                at += here as u64;
            }
        }
        sink.skip(extent.bytes - at)?;
    }
    Ok(())
}

/// Returns the ranges of a file that are not holes; all of it where the file system does not report holes.
fn data_ranges(file: &File, bytes: u64) -> impl Iterator<Item = Range<u64>> {
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

/// Why a range was not copied.
enum Fault {
    Read(io::Error),
    /// With the offset in the output.
    Write(io::Error, u64),
}

impl Fault {
    fn error(self, extent: &DiskExtent, path: &Path) -> ExportError {
        match self {
            Self::Read(source) => read_error(extent, source),
            fault => fault.error_at(path),
        }
    }

    fn error_at(self, path: &Path) -> ExportError {
        let (source, offset) = match self {
            Self::Write(source, offset) => (source, offset),
            Self::Read(source) => (source, 0),
        };
        ExportError::Write {
            path: path.to_path_buf(),
            offset,
            source,
        }
    }
}

/// Copies a range of a file of the disk that begins at `start` of the output.
fn copy(file: &File, range: Range<u64>, output: &File, start: u64) -> Result<(), Fault> {
    let mut at = range.start;
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;

        // Larger pieces are cut by the kernel.
        const PIECE_BYTES: usize = 1 << 30;
        while at < range.end {
            let (mut from, mut to) = (at, start + at);
            let here = length(range.end - at, PIECE_BYTES);
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
        file.read_exact_at(&mut buffer, at).map_err(Fault::Read)?;
        let written = output.write_all_at(&buffer, start + at);
        written.map_err(|source| Fault::Write(source, start + at))?;
        at += buffer.len() as u64;
    }
    Ok(())
}

fn length(bytes: u64, limit: usize) -> usize {
    usize::try_from(bytes).map_or(limit, |bytes| bytes.min(limit))
}

fn read_error(extent: &DiskExtent, source: io::Error) -> ExportError {
    ExportError::Inspect(InspectError::Read {
        path: extent.path.clone(),
        source,
    })
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
