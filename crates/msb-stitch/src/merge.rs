use std::fmt;
use std::fs::File;
use std::io::{self, Seek, Write};

use erofs_writer::{ImageWriter, Options, PLAN_BYTES_PER_INODE};
use fs_tree::{ApplyError, Change, ChangeKind, LayerMerge, NewContent, NewNode, Tree, merge_layer};
use msb_budget::{Account, BudgetError, ImageBudget, ImageLimit};
use msb_sidecar::Changes;

use crate::inline::{Inline, KEY_BITS};
use crate::progress::{MergeProgress, OnProgress};
use crate::{DeviceId, DiskLayout, StitchError};

/// The number of entries that memory is reserved for because a sidecar announces them. Further ones have to be read first.
const MAX_RESERVED: usize = 100_000;

/// The number of changes between two measurements. They add little, and a measurement has a cost.
const CHANGES_A_MEASURE: u32 = 32;

/// The number of changes between two progress reports.
const CHANGES_A_REPORT: u64 = 4096;

/// Merges layers into one tree, bottom to top.
pub struct Merge {
    tree: Tree,
    inline: Inline,
    /// What the merge holds of the image's budget.
    account: Account,
    /// Path components walked so far.
    steps: u64,
    progress: MergeProgress,
    on_progress: Option<OnProgress>,
}

/// An fsmeta image that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fsmeta {
    /// Its length in bytes.
    pub bytes: u64,
    /// The number of its inodes, which are those of the whole disk.
    pub inodes: u64,
    /// The checksum of all its bytes.
    pub crc32c: u32,
}

impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Default for Merge {
    fn default() -> Self {
        Self::new()
    }
}

impl Merge {
    /// Creates a merge without layers, with a budget of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::with_budget(&ImageBudget::default())
    }

    /// Creates a merge without layers, which shares the budget with the layers of its image.
    #[must_use]
    pub fn with_budget(budget: &ImageBudget) -> Self {
        Self {
            tree: Tree::new(),
            inline: Inline::default(),
            account: budget.account(),
            steps: 0,
            progress: MergeProgress::default(),
            on_progress: None,
        }
    }

    /// Makes a merge without layers call `open` with a device whenever it reads the inline data of that layer, so that no sidecar
    /// stays open.
    ///
    /// `open` must return a file with the bytes of the sidecar that was added for that device.
    #[must_use]
    pub fn reopening(
        self,
        open: impl FnMut(DeviceId) -> io::Result<File> + Send + 'static,
    ) -> Self {
        Self {
            inline: Inline::reopening(Box::new(open)),
            ..self
        }
    }

    /// Makes the merge report its progress, after each layer and every few thousand changes. `report` must return soon.
    #[must_use]
    pub fn on_progress(self, report: impl FnMut(MergeProgress) + Send + 'static) -> Self {
        Self {
            on_progress: Some(Box::new(report)),
            ..self
        }
    }

    /// Returns the tree of the layers so far.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Replays the next layer on top of the others. Its image will be this device. A layer that comes twice in one image has one
    /// device.
    ///
    /// # Errors
    /// [`StitchError::Sidecar`], [`StitchError::Merge`], [`StitchError::Budget`]. All are final.
    pub fn add(&mut self, device: DeviceId, changes: &Changes<File>) -> Result<(), StitchError> {
        let sidecar_error = |source| StitchError::Sidecar { device, source };
        let records = usize::try_from(changes.records()).unwrap_or(usize::MAX);
        self.tree.reserve(records.min(MAX_RESERVED));
        let (account, before) = (&mut self.account, self.steps);
        let (progress, on_progress) = (&mut self.progress, &mut self.on_progress);
        let mut layer = merge_layer(&mut self.tree, []);
        let mut refused = Ok(());
        changes
            .for_each_whiteout(|whiteout| {
                if refused.is_ok() {
                    layer.hide(whiteout);
                    refused = account.set(ImageLimit::PathSteps, before + layer.steps());
                }
            })
            .map_err(sidecar_error)?;
        refused.map_err(|source| StitchError::Budget { device, source })?;
        let (mut has_inline, mut unmeasured) = (false, 0);
        let applied = changes.for_each_change(device.get(), |change| {
            let rekeyed = with_device(change, device);
            has_inline |= rekeyed.is_some();
            layer
                .apply(rekeyed.as_ref().unwrap_or(change))
                .map_err(Failure::Apply)?;
            progress.changes += 1;
            if progress.changes.is_multiple_of(CHANGES_A_REPORT)
                && let Some(report) = on_progress
            {
                report(*progress);
            }
            unmeasured += 1;
            if unmeasured < CHANGES_A_MEASURE {
                return Ok(());
            }
            unmeasured = 0;
            measure(account, &layer, before).map_err(Failure::Budget)
        });
        let applied =
            applied.and_then(|()| measure(account, &layer, before).map_err(Failure::Budget));
        let steps = layer.steps();
        applied.map_err(|failure| match failure {
            Failure::Sidecar(source) => sidecar_error(source),
            Failure::Apply(source) => StitchError::Merge { device, source },
            Failure::Budget(source) => StitchError::Budget { device, source },
        })?;
        self.steps += steps;
        if has_inline {
            self.inline
                .add(device, changes.source())
                .map_err(|source| sidecar_error(msb_sidecar::Error::Read { offset: 0, source }))?;
        }
        self.progress.layers += 1;
        if let Some(report) = &mut self.on_progress {
            report(self.progress);
        }
        Ok(())
    }

    /// Writes the merged tree as an image without file data, with the device table of `layout`. Returns the output too, not synced.
    ///
    /// # Errors
    /// [`StitchError::Write`], [`StitchError::MetadataBudget`].
    pub fn write_fsmeta<W: Write + Seek, K>(
        mut self,
        output: W,
        layout: &DiskLayout<K>,
        uuid: [u8; 16],
    ) -> Result<(Fsmeta, W), StitchError> {
        let devices = layout.device_table();
        let options = Options::default().with_uuid(uuid).with_devices(devices);
        let write_error = |source| StitchError::Write { source };
        let image = ImageWriter::new(output, options).map_err(write_error)?;
        let mut inline = self.inline;
        let budget_error = |source| StitchError::MetadataBudget { source };
        let plan = self.tree.inode_count() as u64 * PLAN_BYTES_PER_INODE + self.tree.xattr_bytes();
        self.account
            .set(ImageLimit::MemoryBytes, self.tree.memory_bytes() + plan)
            .map_err(budget_error)?;
        let image = image.plan(&self.tree).map_err(write_error)?;
        self.account
            .set(ImageLimit::DiskBytes, image.bytes())
            .map_err(budget_error)?;
        let (written, output) = image.write(&mut inline).map_err(write_error)?;
        self.account.keep();
        let fsmeta = Fsmeta {
            bytes: written.bytes(),
            inodes: written.inodes,
            crc32c: written.crc32c.get(),
        };
        Ok((fsmeta, output))
    }
}

/// Returns the change with the device in its inline key; `None` if it has no inline key.
fn with_device<'a>(change: &Change<'a>, device: DeviceId) -> Option<Change<'a>> {
    let ChangeKind::Node {
        metadata,
        xattrs,
        node,
    } = change.kind
    else {
        return None;
    };
    let NewNode::Regular {
        size,
        crc32c,
        content: NewContent::Inline { key },
    } = node
    else {
        return None;
    };
    let content = NewContent::Inline {
        key: u64::from(device.get()) << KEY_BITS | key,
    };
    let node = NewNode::Regular {
        size,
        crc32c,
        content,
    };
    Some(Change {
        path: change.path,
        kind: ChangeKind::Node {
            metadata,
            xattrs,
            node,
        },
    })
}

/// Measures the merged tree, and the work since the merge began. `before` is the work of the layers below.
fn measure(account: &mut Account, layer: &LayerMerge<'_>, before: u64) -> Result<(), BudgetError> {
    let tree = layer.tree();
    account.set(ImageLimit::TreeEntries, tree.entry_count() as u64)?;
    account.set(ImageLimit::MemoryBytes, tree.memory_bytes())?;
    account.set(ImageLimit::PathSteps, before + layer.steps())
}

/// The error that stops the replay of a sidecar.
enum Failure {
    Sidecar(msb_sidecar::Error),
    Apply(ApplyError),
    Budget(BudgetError),
}

impl From<msb_sidecar::Error> for Failure {
    fn from(error: msb_sidecar::Error) -> Self {
        Self::Sidecar(error)
    }
}
