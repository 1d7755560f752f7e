//! Files without a disk, for code that wants files.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// An empty file in memory, open for reading and writing.
///
/// # Panics
/// When the system has none.
#[must_use]
pub fn memory_file() -> File {
    let file = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC);
    file.expect("the system makes files in memory").into()
}

/// A name by which the file can be opened again while it is open.
#[must_use]
pub fn path_of(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// All of a file's bytes.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn contents(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut bytes))
        .expect("a file in memory can be read");
    bytes
}
