//! Reading a credential file whose name may belong to anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::Error;

/// Largest file that is read. Real ones have a few kilobytes for each registry.
const LIMIT_BYTES: u64 = 4 << 20;

/// Reads a regular file whole; `None` if there is none, or if a link leads to none.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A socket cannot be opened.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(not_a_file(path, "socket or device"));
        }
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        let found = match () {
            () if kind.is_dir() => "directory",
            () if kind.is_fifo() => "named pipe",
            () => "device",
        };
        return Err(not_a_file(path, found));
    }
    let too_large = || Error::TooLarge {
        path: path.to_owned(),
        limit_bytes: LIMIT_BYTES,
    };
    if metadata.len() > LIMIT_BYTES {
        return Err(too_large());
    }
    // The whole buffer at once: one that grows leaves copies of secrets behind.
    let capacity = usize::try_from(metadata.len() + 1).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    let mut limited = file.take(LIMIT_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(failed)?;
    if limited.limit() == 0 {
        return Err(too_large());
    }
    Ok(Some(bytes))
}

/// Opens without waiting for the writer of a named pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn not_a_file(path: &Path, found: &'static str) -> Error {
    Error::NotAFile {
        path: path.to_owned(),
        found,
    }
}
