//! What the holder of a lock reports to those who wait for it.

use std::os::unix::fs::FileExt as _;

use crate::error::{At as _, Error, Result};
use crate::step::Step;
use crate::{Lock, LockOn, Store};

/// The length of a report in its lock file, padded.
const REPORT_BYTES: usize = 64;

impl Lock {
    /// Replaces the report in the lock file: one line of at most 63 bytes, which is cut off there.
    ///
    /// It is a hint for those who wait, never synced, and may outlive its holder.
    pub fn report(&self, line: &str) -> Result<()> {
        let mut bytes = [b' '; REPORT_BYTES];
        for (byte, from) in bytes[..REPORT_BYTES - 1].iter_mut().zip(line.bytes()) {
            *byte = from;
        }
        bytes[REPORT_BYTES - 1] = b'\n';
        self.file()
            .write_all_at(&bytes, 0)
            .at(Step::Write, self.path())
    }

    /// Removes the report of an earlier holder.
    pub fn clear_report(&self) -> Result<()> {
        if self.has_earlier_report {
            self.file().set_len(0).at(Step::Truncate, self.path())?;
        }
        Ok(())
    }
}

impl Store {
    /// Returns the report of the lock's holder, or of an earlier one; `None` if there is none.
    pub fn lock_report(&self, on: LockOn<'_>) -> Result<Option<String>> {
        let limit_bytes = u64::try_from(REPORT_BYTES).unwrap_or(u64::MAX);
        let bytes = match self.read_place(&on.place(), limit_bytes) {
            Ok(bytes) => bytes,
            Err(Error::TooLarge { .. }) => None,
            Err(error) => return Err(error),
        };
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text
            .map(|text| text.trim_end().to_owned())
            .filter(|text| !text.is_empty()))
    }
}
