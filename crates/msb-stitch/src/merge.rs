use std::fs::File;
use std::io::{self, Seek, Write};

use erofs_format::{BLOCK_SIZE, MAX_EXTRA_DEVICES};
use erofs_writer::{Device, ImageWriter, Options, PLAN_BYTES_PER_INODE};
use fs_tree::{ApplyError, Change, ChangeKind, LayerMerge, NewContent, NewNode, Tree, merge_layer};
use msb_budget::{Account, BudgetError, ImageBudget, ImageLimit};
use msb_sidecar::Changes;

use crate::StitchError;
use crate::inline::{Inline, KEY_BITS};

/// Entries that a sidecar's word is enough to make room for; more of them have to come first.
const MAX_RESERVED: usize = 100_000;

/// Changes that are applied between two measurements: what they add is little, and measuring is not free.
const CHANGES_A_MEASURE: u32 = 32;

/// Layers that are being merged into one tree.
#[derive(Debug)]
pub struct Merge {
    tree: Tree,
    inline: Inline,
    /// What the merge holds of the image's budget.
    account: Account,
    /// Path components walked so far.
    steps: u64,
}

/// A layer image behind fsmeta.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The device's tag, up to 64 bytes of it.
    pub tag: String,
    /// The layer image's length in bytes.
    pub image_bytes: u64,
}

/// An fsmeta image that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fsmeta {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its inodes: those of the whole disk.
    pub inodes: u64,
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
        }
    }

    /// Keeps no sidecar open: the merge calls `open` with a device to read that layer's inline data. For a merge without layers.
    ///
    /// `open` must return a file with the bytes of the sidecar that was added for that device.
    #[must_use]
    pub fn reopening(self, open: impl FnMut(u16) -> io::Result<File> + Send + 'static) -> Self {
        Self {
            inline: Inline::reopening(Box::new(open)),
            ..self
        }
    }

    /// Returns the tree of the layers so far.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Puts the next layer on top. Its image will be device `device`, from 1. A layer that comes twice in one image has one
    /// device.
    ///
    /// # Errors
    /// [`StitchError::Sidecar`], [`StitchError::Merge`], [`StitchError::Budget`]. All are final.
    pub fn add(&mut self, device: u16, changes: &Changes<File>) -> Result<(), StitchError> {
        let sidecar_error = |source| StitchError::Sidecar { device, source };
        let records = usize::try_from(changes.records()).unwrap_or(usize::MAX);
        self.tree.reserve(records.min(MAX_RESERVED));
        let (account, before) = (&mut self.account, self.steps);
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
        let applied = changes.for_each_change(device, |change| {
            let rekeyed = with_device(change, device);
            has_inline |= rekeyed.is_some();
            layer
                .apply(rekeyed.as_ref().unwrap_or(change))
                .map_err(Failure::Apply)?;
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
        Ok(())
    }

    /// Writes the merged tree as an image without file data, over the devices `slots`. Gives the output back, not synced.
    ///
    /// # Errors
    /// See [`StitchError`].
    pub fn write_fsmeta<W: Write + Seek>(
        mut self,
        output: W,
        slots: &[Slot],
        uuid: [u8; 16],
    ) -> Result<(Fsmeta, W), StitchError> {
        if slots.len() > MAX_EXTRA_DEVICES {
            return Err(StitchError::TooManyLayers {
                count: slots.len(),
                limit: MAX_EXTRA_DEVICES,
            });
        }
        let devices = slots.iter().zip(1..).map(|(slot, device)| {
            let blocks = Some(slot.image_bytes / u64::from(BLOCK_SIZE))
                .filter(|_| {
                    slot.image_bytes > 0 && slot.image_bytes.is_multiple_of(u64::from(BLOCK_SIZE))
                })
                .and_then(|blocks| u32::try_from(blocks).ok())
                .ok_or(StitchError::ImageLength {
                    device,
                    bytes: slot.image_bytes,
                })?;
            Ok(Device::new(
                slot.tag.bytes().take(64).collect::<Vec<_>>(),
                blocks,
            ))
        });
        let devices: Vec<_> = devices.collect::<Result<_, _>>()?;
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
        };
        Ok((fsmeta, output))
    }
}

/// The change with the device in its inline key; `None` if it has no inline key.
fn with_device<'a>(change: &Change<'a>, device: u16) -> Option<Change<'a>> {
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
        key: u64::from(device) << KEY_BITS | key,
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

/// Measures the merged tree, and the work since the merge began, of which `before` are the layers below.
fn measure(account: &mut Account, layer: &LayerMerge<'_>, before: u64) -> Result<(), BudgetError> {
    let tree = layer.tree();
    account.set(ImageLimit::TreeEntries, tree.entry_count() as u64)?;
    account.set(ImageLimit::MemoryBytes, tree.memory_bytes())?;
    account.set(ImageLimit::PathSteps, before + layer.steps())
}

/// What stops the replay of a sidecar.
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
