use fs_tree::ApplyError;
use msb_budget::BudgetError;

use crate::vmdk::VmdkError;

/// Reports why layers cannot be joined. The layer is named by its device: 1 is the lowest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StitchError {
    /// A sidecar cannot be read.
    #[error("layer {device}: reading its sidecar")]
    Sidecar {
        /// The layer's device.
        device: u16,
        /// Why.
        source: msb_sidecar::Error,
    },
    /// A layer does not fit on those below it.
    #[error("layer {device}: merging it with the layers below")]
    Merge {
        /// The layer's device.
        device: u16,
        /// Why.
        source: ApplyError,
    },
    /// The layers of the image together exceed a limit, or the pull was cancelled.
    #[error("layer {device}: merging it with the layers below")]
    Budget {
        /// The device of the layer.
        device: u16,
        /// Which limit.
        source: BudgetError,
    },
    /// The merged metadata exceeds a limit of the image, or the pull was cancelled.
    #[error("writing the merged metadata")]
    MetadataBudget {
        /// Which limit.
        source: BudgetError,
    },
    /// More layers than a device table can hold.
    #[error("{count} layers; a disk can have {limit}")]
    TooManyLayers {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A layer image is empty, not whole blocks, or larger than EROFS can address.
    #[error(
        "layer {device}: its image has {bytes} bytes, not a whole number of 4096-byte blocks below 2^32"
    )]
    ImageLength {
        /// The layer's device.
        device: usize,
        /// The length in bytes.
        bytes: u64,
    },
    /// The merged metadata cannot be written.
    #[error("writing the merged metadata")]
    Write {
        /// Why.
        source: erofs_writer::Error,
    },
    /// The extents of the disk are not what the device table says.
    #[error("extent {index} of the disk has {actual} bytes; the device table says {expected}")]
    ExtentMismatch {
        /// Which, from 0.
        index: usize,
        /// What the device table says.
        expected: u64,
        /// What the file has.
        actual: u64,
    },
    /// The descriptor cannot be written.
    #[error("writing the disk descriptor")]
    Vmdk {
        /// Why.
        source: VmdkError,
    },
}

impl StitchError {
    /// Returns the device of the layer that cannot be replayed; 1 is the lowest.
    #[must_use]
    pub fn device(&self) -> Option<u16> {
        match self {
            Self::Sidecar { device, .. } | Self::Merge { device, .. } => Some(*device),
            _ => None,
        }
    }

    /// Returns the device of the layer whose cached sidecar is damaged, so that the layer has to be rebuilt.
    #[must_use]
    pub fn corrupt_layer(&self) -> Option<u16> {
        match self {
            Self::Sidecar { device, source } if source.is_corrupt() => Some(*device),
            _ => None,
        }
    }

    /// Returns the system's error if writing failed, to recognize a full disk.
    #[must_use]
    pub fn write_error(&self) -> Option<&std::io::Error> {
        match self {
            Self::Write {
                source: erofs_writer::Error::Write { source, .. },
            } => Some(source),
            _ => None,
        }
    }
}
