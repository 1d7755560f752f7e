use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use erofs_format::BLOCK_SIZE;
use erofs_reader::{FlatDisk, Image, ReadAt};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{OpenFile, VerifyError};
use crate::pooled::{FilePool, PooledFile};
use crate::vmdk::{Descriptor, MAX_BYTES, SECTOR_SIZE};

/// A file of the disk.
#[derive(Debug)]
pub(super) enum Part {
    /// A file that is not published, open.
    Open(File),
    /// A published file.
    Published(PooledFile),
    /// A file that is not published and not open. Only its length is known.
    Promised { bytes: u64 },
}

impl ReadAt for Part {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Open(file) => ReadAt::read_exact_at(file, buffer, offset),
            Self::Published(file) => file.read_exact_at(buffer, offset),
            Self::Promised { .. } => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Open(file) => file.size(),
            Self::Published(file) => file.size(),
            Self::Promised { bytes } => Ok(*bytes),
        }
    }
}

/// Reads the text of a descriptor.
pub(super) fn read_text(descriptor: &Path, open: &OpenFile) -> Result<String, VerifyError> {
    let mut text = String::new();
    // One byte more than is parsed: a longer text is refused as such.
    open(descriptor)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_string(&mut text))
        .map_err(read_error(descriptor))?;
    Ok(text)
}

/// Opens the disk that the text of the descriptor describes, and returns the number of its files too. With `fsmeta`, that is the
/// first file, and the others need not exist.
pub(super) fn open(
    descriptor: &Path,
    text: &str,
    fsmeta: Option<File>,
    pool: &Arc<FilePool>,
) -> Result<(Image<FlatDisk<Part>>, usize), VerifyError> {
    let files = files(descriptor, text)?;
    let (mut parts, mut starts, mut at) = (Vec::new(), Vec::new(), 0);
    let is_published = fsmeta.is_none();
    let mut fsmeta = fsmeta;
    for (path, bytes) in &files {
        let part = match fsmeta.take() {
            Some(fsmeta) => Part::Open(fsmeta),
            None if is_published => Part::Published(pool.file(path).map_err(read_error(path))?),
            None => Part::Promised { bytes: *bytes },
        };
        check_length(path, *bytes, part.size().map_err(read_error(path))?)?;
        parts.push((part, *bytes));
        starts.push(at);
        // `FlatDisk::new` refuses a disk that is too long in all.
        at = u64::saturating_add(at, bytes / u64::from(BLOCK_SIZE));
    }
    let count = parts.len();
    let image = Image::open(FlatDisk::new(parts)?)?;
    let primary = u64::from(image.superblock().blocks.get());
    let ends = starts.get(1).copied().unwrap_or(at);
    if primary != ends {
        return Err(VerifyError::DeviceTable {
            device_id: 0,
            expected: primary,
            actual: ends,
        });
    }
    // A hash tree may follow the last device.
    let devices = image.devices().len();
    let has_tree = count == devices + 2 && is_hash_tree(starts[count - 1], at);
    if devices + 1 != count && !has_tree {
        let (expected, actual) = (image.devices().len() as u64 + 1, count as u64);
        return Err(VerifyError::DeviceTable {
            device_id: image.devices().len(),
            expected,
            actual,
        });
    }
    for (device, device_id) in image.devices().iter().zip(1..) {
        let end = u64::from(device.uniaddr) + u64::from(device.blocks);
        for (expected, actual) in [
            (u64::from(device.uniaddr), starts[device_id]),
            (end, starts.get(device_id + 1).copied().unwrap_or(at)),
        ] {
            if expected != actual {
                return Err(VerifyError::DeviceTable {
                    device_id,
                    expected,
                    actual,
                });
            }
        }
    }
    Ok((image, count))
}

/// Opens a regular file by its path. Anything else counts as missing, and a fifo is not waited for.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: File = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(Errno::LOOP | Errno::NXIO) => return Err(io::ErrorKind::NotFound.into()),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Checks that the layers of the disk exist, each with the length that the text of the descriptor states.
pub(super) fn check_layers(
    descriptor: &Path,
    text: &str,
    open: &OpenFile,
) -> Result<(), VerifyError> {
    let mut files = files(descriptor, text)?.into_iter();
    let _fsmeta = files.next();
    files.try_for_each(|(path, bytes)| {
        let metadata = open(&path).and_then(|file| file.metadata());
        let metadata = metadata.map_err(read_error(&path))?;
        check_length(&path, bytes, metadata.len())
    })
}

/// Returns the files that the text names, with their lengths.
fn files(descriptor: &Path, text: &str) -> Result<Vec<(PathBuf, u64)>, VerifyError> {
    let parsed = Descriptor::parse(text).map_err(|source| VerifyError::Vmdk {
        path: descriptor.to_path_buf(),
        source,
    })?;
    let directory = descriptor.parent().unwrap_or(Path::new("."));
    let files = parsed.extents.iter().map(|extent| {
        let path = directory.join(&extent.file);
        let actual = extent.sectors.saturating_mul(SECTOR_SIZE);
        if actual.is_multiple_of(u64::from(BLOCK_SIZE)) {
            Ok((path, actual))
        } else {
            Err(VerifyError::Blocks { path, actual })
        }
    });
    files.collect()
}

/// Returns whether blocks from `start` to `end` of the disk are as many as those of a hash tree over the blocks before them.
fn is_hash_tree(start: u64, end: u64) -> bool {
    let bytes = (end - start).saturating_mul(u64::from(BLOCK_SIZE));
    msb_verity::tree_bytes(start) == bytes
}

fn check_length(path: &Path, expected: u64, actual: u64) -> Result<(), VerifyError> {
    if actual == expected {
        Ok(())
    } else {
        Err(VerifyError::Length {
            path: path.to_path_buf(),
            expected,
            actual,
        })
    }
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> VerifyError {
    let path = path.to_path_buf();
    |source| VerifyError::Read { path, source }
}
