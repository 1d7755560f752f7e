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

/// Returns `.tmp-<pid>-<random>.<name>`. The pid is for people; only the lock shows whether the file is in use.
fn temporary_name(target: &str) -> String {
    let (pid, random) = (std::process::id(), random::number());
    format!("{PREFIX}{pid}-{random:016x}.{target}")
}

/// Returns the target's name in a name that [`temporary_name`] makes; `None` for any other name.
pub(crate) fn temporary_target(name: &str) -> Option<&str> {
    let (pid, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (random, target) = rest.split_once('.')?;
    let is_pid = (1..=10).contains(&pid.len()) && pid.bytes().all(|b| b.is_ascii_digit());
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_random = random.len() == 16 && random.bytes().all(is_hex);
    (is_pid && is_random && !target.is_empty()).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_the_store_makes_are_temporary() {
        let name = temporary_name("layout");
        assert_eq!(temporary_target(&name), Some("layout"));
        let random = "0123456789abcdef";
        for target in ["x", "a.b.c", ".tmp-x"] {
            let name = format!(".tmp-1-{random}.{target}");
            assert_eq!(temporary_target(&name), Some(target));
        }
        for strange in [
            "",
            ".tmp-",
            ".tmp-x",
            ".tmp-1-2.x",
            ".tmp-1-0123456789abcdef",
            ".tmp-1-0123456789abcdef.",
            ".tmp-1-0123456789ABCDEF.x",
            ".tmp--0123456789abcdef.x",
            ".tmp-12345678901-0123456789abcdef.x",
            ".tmp-+1-0123456789abcdef.x",
            "tmp-1-0123456789abcdef.x",
        ] {
            assert_eq!(temporary_target(strange), None, "{strange}");
        }
    }
}
