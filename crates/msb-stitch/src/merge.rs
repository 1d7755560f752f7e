use std::fs::File;
use std::io::{self, Seek, Write};

use erofs_format::{BLOCK_SIZE, MAX_EXTRA_DEVICES};
use erofs_writer::{Device, ImageWriter, Options};
use fs_tree::{ApplyError, Change, ChangeKind, NewContent, NewNode, Tree, merge_layer};
use msb_sidecar::Changes;

use crate::StitchError;
use crate::inline::{Inline, KEY_BITS};

/// Entries that a sidecar's word is enough to make room for; more of them have to come first.
const MAX_RESERVED: usize = 100_000;

/// Layers on their way into one tree.
#[derive(Debug, Default)]
pub struct Merge {
    tree: Tree,
    inline: Inline,
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

impl Merge {
    /// No layers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a merge that keeps no sidecar open: it calls `open` with a device to read that layer's inline data.
    ///
    /// `open` must return a file with the bytes of the sidecar that was added for that device.
    #[must_use]
    pub fn reopening(open: impl FnMut(u16) -> io::Result<File> + Send + 'static) -> Self {
        Self {
            tree: Tree::default(),
            inline: Inline::reopening(Box::new(open)),
        }
    }

    /// The tree of the layers so far.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Puts the next layer on top; its image will be device `device`, from 1. A layer that comes twice in one image has one
    /// device.
    ///
    /// # Errors
    /// [`StitchError::Sidecar`], [`StitchError::Merge`]. The merge cannot go on after one.
    pub fn add(&mut self, device: u16, changes: &Changes<File>) -> Result<(), StitchError> {
        let sidecar_error = |source| StitchError::Sidecar { device, source };
        let tree = &mut self.tree;
        let records = usize::try_from(changes.records()).unwrap_or(usize::MAX);
        tree.reserve(records.min(MAX_RESERVED));
        changes
            .for_each_whiteout(|whiteout| {
                merge_layer(tree, [whiteout]);
            })
            .map_err(sidecar_error)?;
        let mut layer = merge_layer(&mut self.tree, []);
        let mut has_inline = false;
        let applied = changes.for_each_change(device, |change| {
            let rekeyed = with_device(change, device);
            has_inline |= rekeyed.is_some();
            layer
                .apply(rekeyed.as_ref().unwrap_or(change))
                .map_err(Failure::Apply)
        });
        applied.map_err(|failure| match failure {
            Failure::Sidecar(source) => sidecar_error(source),
            Failure::Apply(source) => StitchError::Merge { device, source },
        })?;
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
        self,
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
        let (written, output) = image.finish(&self.tree, &mut inline).map_err(write_error)?;
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

/// What stops the play-back of a sidecar.
enum Failure {
    Sidecar(msb_sidecar::Error),
    Apply(ApplyError),
}

impl From<msb_sidecar::Error> for Failure {
    fn from(error: msb_sidecar::Error) -> Self {
        Self::Sidecar(error)
    }
}
