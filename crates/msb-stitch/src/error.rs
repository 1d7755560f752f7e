use fs_tree::ApplyError;
use msb_budget::BudgetError;

use crate::DeviceId;
use crate::vmdk::VmdkError;

/// Reports why layers cannot be joined. A layer is named by its device; 1 is the lowest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StitchError {
    /// A sidecar cannot be read.
    #[error("layer {device}: reading its sidecar")]
    Sidecar {
        /// The device of the layer.
        device: DeviceId,
        /// The cause.
        source: msb_sidecar::Error,
    },
    /// A layer does not fit on those below it.
    #[error("layer {device}: merging it with the layers below")]
    Merge {
        /// The device of the layer.
        device: DeviceId,
        /// The cause.
        source: ApplyError,
    },
    /// The layers of the image together exceed a limit, or the pull was cancelled.
    #[error("layer {device}: merging it with the layers below")]
    Budget {
        /// The device of the layer.
        device: DeviceId,
        /// The limit.
        source: BudgetError,
    },
    /// The merged metadata exceeds a limit of the image, or the pull was cancelled.
    #[error("writing the merged metadata")]
    MetadataBudget {
        /// The limit.
        source: BudgetError,
    },
    /// More layers than a device table or a disk descriptor can hold.
    #[error("{count} layers; a disk can have {limit}")]
    TooManyLayers {
        /// The number of distinct layers.
        count: usize,
        /// The largest possible number.
        limit: usize,
    },
    /// A layer image is empty, not whole blocks, or larger than EROFS can address.
    #[error(
        "layer {device}: its image has {bytes} bytes, not a whole number of 4096-byte blocks below 2^32"
    )]
    ImageLength {
        /// The device of the layer.
        device: DeviceId,
        /// The length in bytes.
        bytes: u64,
    },
    /// The merged metadata cannot be written.
    #[error("writing the merged metadata")]
    Write {
        /// The cause.
        source: erofs_writer::Error,
    },
    /// The merged metadata is empty, not whole blocks, or larger than EROFS can address.
    #[error(
        "the merged metadata has {bytes} bytes, not a whole number of 4096-byte blocks below 2^32"
    )]
    FsmetaLength {
        /// The length in bytes.
        bytes: u64,
    },
    /// The descriptor cannot be written.
    #[error("writing the disk descriptor")]
    Vmdk {
        /// The cause.
        source: VmdkError,
    },
}

impl StitchError {
    /// Returns the device of the layer that cannot be replayed.
    #[must_use]
    pub fn device(&self) -> Option<DeviceId> {
        match self {
            Self::Sidecar { device, .. } | Self::Merge { device, .. } => Some(*device),
            _ => None,
        }
    }

    /// Returns the device of the layer whose cached sidecar is damaged, so that the layer has to be rebuilt.
    #[must_use]
    pub fn corrupt_layer(&self) -> Option<DeviceId> {
        match self {
            Self::Sidecar { device, source } if source.is_corrupt() => Some(*device),
            _ => None,
        }
    }

    /// Returns the error of the system if writing failed, so that a caller can recognize a full disk.
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
