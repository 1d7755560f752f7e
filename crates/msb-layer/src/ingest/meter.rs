use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use erofs_writer::PLAN_BYTES_PER_INODE;
use fs_tree::Tree;
use msb_budget::{Account, ImageLimit};

use crate::LayerError;

/// Charges a layer's consumption to the budget of its image, while it is read.
#[derive(Debug)]
pub(super) struct Meter {
    account: Account,
    cancelled: Arc<AtomicBool>,
    /// Bytes of the image that take space on disk.
    image_written: Arc<AtomicU64>,
    entries: u64,
    sidecar_bytes: u64,
}

impl Meter {
    pub(super) fn new(
        account: Account,
        cancelled: Arc<AtomicBool>,
        image_written: Arc<AtomicU64>,
    ) -> Self {
        Self {
            account,
            cancelled,
            image_written,
            entries: 0,
            sidecar_bytes: 0,
        }
    }

    /// Counts one more entry.
    pub(super) fn entry(&mut self) -> Result<(), LayerError> {
        self.check()?;
        self.entries += 1;
        self.account.set(ImageLimit::Entries, self.entries)?;
        Ok(())
    }

    /// Checks that the pull is not cancelled.
    pub(super) fn check(&self) -> Result<(), LayerError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(LayerError::Cancelled);
        }
        Ok(())
    }

    /// Charges the tree, the path steps and the files so far.
    pub(super) fn measure(
        &mut self,
        tree: &Tree,
        steps: u64,
        sidecar_bytes: u64,
    ) -> Result<(), LayerError> {
        self.sidecar_bytes = sidecar_bytes;
        self.account
            .set(ImageLimit::MemoryBytes, tree.memory_bytes())?;
        self.account.set(ImageLimit::PathSteps, steps)?;
        self.data()
    }

    /// Charges the files while the data of an entry is written.
    pub(super) fn data(&mut self) -> Result<(), LayerError> {
        self.check()?;
        let written = self.image_written.load(Ordering::Relaxed);
        let level = written.saturating_add(self.sidecar_bytes);
        self.account.set(ImageLimit::DiskBytes, level)?;
        Ok(())
    }

    /// Charges the memory for the plan of the image.
    pub(super) fn plan(&mut self, tree: &Tree) -> Result<(), LayerError> {
        let inodes = tree.inode_count() as u64 * PLAN_BYTES_PER_INODE;
        let plan = inodes.saturating_add(tree.xattr_bytes());
        let level = tree.memory_bytes().saturating_add(plan);
        self.account.set(ImageLimit::MemoryBytes, level)?;
        Ok(())
    }

    /// Charges the metadata of the image, which has `data_bytes` so far and will have `image_bytes`.
    pub(super) fn image(&mut self, image_bytes: u64, data_bytes: u64) -> Result<(), LayerError> {
        let metadata = image_bytes.saturating_sub(data_bytes);
        let written = self.image_written.load(Ordering::Relaxed);
        let files = written
            .saturating_add(metadata)
            .saturating_add(self.sidecar_bytes);
        self.account.set(ImageLimit::DiskBytes, files)?;
        Ok(())
    }

    pub(super) fn into_account(self) -> Account {
        self.account
    }
}
