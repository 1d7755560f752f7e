//! Files that are being written: their names, and the lock by which a sweep knows that the writer lives.

use std::fs::File;
use std::io;

use fs4::{FileExt, TryLockError};
use rustix::fs::Mode;

use crate::dir::Dir;
use crate::error::Result;
use crate::random;
use crate::step::Step;

/// Creates a temporary file for `target` and locks it; `None` if the directory was removed.
pub(crate) fn create_locked(dir: &Dir, target: &str, mode: Mode) -> Result<Option<(String, File)>> {
    loop {
        let name = temporary_name(target);
        let file = match dir.create_new(&name, mode) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(dir.error(Step::Create, &name, e)),
            Ok(file) => file,
        };
        let locked = match FileExt::try_lock(&file) {
            // A sweep can get in between creating and locking; then the name is gone, and another is tried.
            Ok(()) => dir.set_exact_mode(&name, &file, mode),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(dir.error(Step::Lock, &name, e)),
        };
        match locked {
            Ok(true) => return Ok(Some((name, file))),
            Ok(false) => {}
            Err(error) => {
                let _ = dir.remove_file(&name);
                return Err(error);
            }
        }
    }
}

const PREFIX: &str = ".tmp-";

/// `.tmp-<pid>-<random>.<name>`: the pid is for people, the lock is what counts.
fn temporary_name(target: &str) -> String {
    let (pid, random) = (std::process::id(), random::number());
    format!("{PREFIX}{pid}-{random:016x}.{target}")
}

/// Returns whether a file name is one that [`temporary_name`] makes.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX)
}
