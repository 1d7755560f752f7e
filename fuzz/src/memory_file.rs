//! Files in memory, for code that needs files and paths.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};

/// Number of names that are kept: more than one run of a target needs.
const NAMES: usize = 256;

thread_local! {
    static NAMED: RefCell<VecDeque<PathBuf>> = const { RefCell::new(VecDeque::new()) };
}

/// Creates an empty file in memory, open for reading and writing.
///
/// # Panics
/// When the system cannot create one.
#[must_use]
pub fn memory_file() -> File {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = open(folder(), flags, Mode::RUSR | Mode::WUSR);
    file.expect("the system makes files in memory").into()
}

/// Returns a path by which the file can be opened until [`NAMES`] other files were named.
///
/// Verification follows no symbolic link, so a path below `/proc` does not work.
///
/// # Panics
/// When the file cannot be named.
#[must_use]
pub fn path_of(file: &File) -> PathBuf {
    NAMED.with_borrow_mut(|named| {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder().join(number.to_string());
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, open, CWD, &path, AtFlags::SYMLINK_FOLLOW).expect("a file can be named");
        if named.len() >= NAMES
            && let Some(oldest) = named.pop_front()
        {
            fs::remove_file(oldest).expect("a name can be removed");
        }
        named.push_back(path.clone());
        path
    })
}

/// Reads all bytes of a file.
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

/// Returns the folder of this process, and removes those of processes that ended.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let parent = PathBuf::from("/dev/shm");
        let parent = if parent.is_dir() {
            parent
        } else {
            std::env::temp_dir()
        };
        for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name
                .to_str()
                .and_then(|name| name.strip_prefix("msb-fuzz-"));
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                // Another process may have removed it.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let folder = parent.join(format!("msb-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for files in memory");
        folder
    })
}
