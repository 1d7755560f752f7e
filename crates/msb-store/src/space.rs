//! Free space on the file system, and the reservations of the pulls that are about to use it.
//!
//! ```text
//!   locks/space.lock                     held while reservations are added up and one more is made
//!   locks/.tmp-<pid>-<random>.space      one reservation: its bytes in decimal, locked while its pull works
//! ```

use std::fs::File;
use std::io::{self, Write as _};
use std::time::Duration;

use fs4::{FileExt, TryLockError};

use crate::Store;
use crate::artifact::{LOCKS, Place};
use crate::dir::Dir;
use crate::error::{At as _, Error, Result};
use crate::lock::{Request, unlock};
use crate::step::Step;
use crate::temporary::{create_locked, temporary_target};

/// What a reservation is a temporary file of.
pub(crate) const RESERVATION: &str = "space";
const TURN: &str = "space.lock";
/// Adding up takes a moment: a process that holds the lock for longer was stopped.
const TIMEOUT: Duration = Duration::from_secs(60);
/// More than a number has.
const LIMIT_BYTES: u64 = 32;
/// How many times its reserved bytes a pull is expected to write: layers are mostly two to four times as long as their blobs.
const GROWTH: u64 = 4;

/// Space that a pull is about to use. It ends when it is dropped, or with the process.
#[derive(Debug)]
#[must_use = "the space is free for others when this is dropped"]
pub struct Reservation {
    store: Store,
    name: String,
    file: File,
    has_others: bool,
}

impl Reservation {
    /// Returns whether others had reserved space when this was made.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.has_others
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let removed = self.store.dir(LOCKS);
        let removed = removed.and_then(|dir| dir.map_or(Ok(false), |d| d.remove_file(&self.name)));
        if let Err(error) = removed {
            tracing::debug!(%error, "a reservation of space remains until the next sweep");
        }
        unlock(&self.file);
    }
}

impl Store {
    /// Checks that the file system has `needed_bytes` left for this user.
    ///
    /// Others write too, so this is only a hint; it fails early, and with numbers, where writing would fail late.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn check_space(&self, needed_bytes: u64) -> Result<()> {
        let (root, _) = self.make_dir("")?;
        let available_bytes = self.available_bytes(&root)?;
        if available_bytes >= needed_bytes {
            return Ok(());
        }
        Err(Error::Full {
            step: Step::Write,
            path: self.root().to_owned(),
            needed_bytes: Some(needed_bytes),
            available_bytes: Some(available_bytes),
            source: None,
        })
    }

    /// Reserves space for a pull that is about to write at least `needed_bytes`.
    ///
    /// Returns `None` if others have reserved space and the file system or the budget may not have enough for all, or if others have reserved any and
    /// `is_alone`: then the pull waits and tries again. It must not hold a reservation or a lock meanwhile.
    ///
    /// # Errors
    /// [`Error::Full`] if the file system has less than `needed_bytes` left, whatever others have reserved.
    pub fn try_reserve(&self, needed_bytes: u64, is_alone: bool) -> Result<Option<Reservation>> {
        self.check_space(needed_bytes)?;
        let session = self.session();
        let mut request = Request::new(self, Place::new(LOCKS, TURN));
        let turn = request.wait_with(FileExt::try_lock, TIMEOUT)?;
        let reserved = session.try_reserve_in_turn(needed_bytes, is_alone);
        unlock(&turn);
        let Some((name, file, has_others)) = reserved? else {
            return Ok(None);
        };
        Ok(Some(Reservation {
            store: self.clone(),
            name,
            file,
            has_others,
        }))
    }

    fn try_reserve_in_turn(
        &self,
        needed_bytes: u64,
        is_alone: bool,
    ) -> Result<Option<(String, File, bool)>> {
        let (dir, modes) = self.make_dir(LOCKS)?;
        let others = reserved(&dir)?;
        if let Some(bytes) = others {
            let together = bytes.saturating_add(needed_bytes).saturating_mul(GROWTH);
            if is_alone
                || together > self.available_bytes(&dir)?
                || together > self.budget_left()?
            {
                return Ok(None);
            }
        }
        let Some((name, mut file)) = create_locked(&dir, RESERVATION, modes.private_file)? else {
            return Ok(None);
        };
        // A file that is not written counts as 0.
        let written = write!(file, "{needed_bytes}");
        if let Err(error) = written {
            tracing::debug!(%error, "the bytes of a reservation are not recorded");
        }
        Ok(Some((name, file, others.is_some())))
    }

    /// Returns how many bytes the budget of the cache has left; `u64::MAX` without one.
    fn budget_left(&self) -> Result<u64> {
        let Some(max_bytes) = self.options().max_bytes else {
            return Ok(u64::MAX);
        };
        Ok(max_bytes.saturating_sub(self.artifact_bytes()?))
    }

    fn available_bytes(&self, dir: &Dir) -> Result<u64> {
        let stat = rustix::fs::fstatvfs(dir)
            .map_err(io::Error::from)
            .at(Step::Stat, self.root())?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Returns the sum of what live pulls have reserved; `None` if none has. Removes the reservations of dead ones.
fn reserved(dir: &Dir) -> Result<Option<u64>> {
    let mut sum: Option<u64> = None;
    for name in dir.list()? {
        if temporary_target(&name) != Some(RESERVATION) {
            continue;
        }
        let Some(file) = dir.open_existing(&name)? else {
            continue;
        };
        match FileExt::try_lock(&file) {
            Ok(()) => {
                dir.remove_file(&name)?;
            }
            Err(TryLockError::WouldBlock) => {
                let text = dir.read_capped(&name, LIMIT_BYTES).ok().flatten();
                let text = text.and_then(|text| String::from_utf8(text).ok());
                let bytes = text.and_then(|text| text.parse::<u64>().ok());
                sum = Some(sum.unwrap_or(0).saturating_add(bytes.unwrap_or(0)));
            }
            Err(TryLockError::Error(e)) => return Err(dir.error(Step::Lock, &name, e)),
        }
    }
    Ok(sum)
}
