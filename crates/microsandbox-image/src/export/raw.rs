use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use msb_store::{CopyFault, copy_range, data_ranges};

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
            copy_range(&file, range, output, start)
                .map_err(|fault| copy_error(fault, extent, path))?;
        }
        start = start.saturating_add(extent.bytes);
    }
    // The disk may end in a hole.
    output
        .set_len(start)
        .map_err(|source| write_error(source, start, path))?;
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

/// Returns the error of a copy, with the file that failed.
fn copy_error(fault: CopyFault, extent: &DiskExtent, path: &Path) -> ExportError {
    match fault {
        CopyFault::Read(source) => read_error(extent, source),
        CopyFault::Write(source, offset) => write_error(source, offset, path),
    }
}

fn write_error(source: io::Error, offset: u64, path: &Path) -> ExportError {
    ExportError::Write {
        path: path.to_path_buf(),
        offset,
        source,
    }
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
