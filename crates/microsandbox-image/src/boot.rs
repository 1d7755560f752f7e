//! What a guest needs to boot an image's disk: [`BootFacts`], the lines for each hypervisor, the user to run
//! as, and disks for writable roots.

mod descriptor;
mod facts;
mod lines;
mod upper_disk;
mod user;
mod verity;

pub use facts::BootFacts;
pub use lines::{BootLines, UnknownHypervisor};
pub use upper_disk::{UpperDisk, UpperDiskError};
pub use user::{ImageUser, UserError};
pub use verity::Verity;

use crate::PullResult;

impl PullResult {
    /// Returns what a guest and its hypervisor need to boot the disk.
    #[must_use]
    pub fn boot_facts(&self) -> &BootFacts {
        &self.boot
    }
}
