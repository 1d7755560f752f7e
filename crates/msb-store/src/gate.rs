//! The lock between recording and leasing (shared) and pruning (exclusive).

use std::fs::File;
use std::time::Duration;

use fs4::FileExt;

use crate::Store;
use crate::artifact::LOCKS;
use crate::artifact::Place;
use crate::error::Result;
use crate::lock::{Request, unlock};

/// Held around a change that a prune must see whole. Its holders never wait for anything else.
#[derive(Debug)]
pub(crate) struct Gate {
    file: File,
}

const GATE: &str = "prune.lock";
/// Longer than any prune takes: a process that holds the gate for longer was stopped.
const TIMEOUT: Duration = Duration::from_secs(120);

impl Store {
    /// Excludes prunes for a moment, and only them.
    pub(crate) fn hold_off_prune(&self) -> Result<Gate> {
        let mut request = Request::new(self, Place::new(LOCKS, GATE));
        let file = request.wait_with(FileExt::try_lock_shared, TIMEOUT)?;
        Ok(Gate { file })
    }

    /// Excludes recording, leasing and other prunes for as long as a prune takes.
    pub(crate) fn begin_prune(&self) -> Result<Gate> {
        let mut request = Request::new(self, Place::new(LOCKS, GATE));
        let file = request.wait_with(FileExt::try_lock, TIMEOUT)?;
        Ok(Gate { file })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        unlock(&self.file);
    }
}
