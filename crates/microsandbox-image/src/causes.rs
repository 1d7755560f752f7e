//! The types in the fields and causes of this crate's errors, from the crates below it.
//!
//! Most callers match on [`PullError`](crate::PullError), [`CacheError`](crate::CacheError) and the like, or on their predicates. This
//! module has what is needed to match deeper, and to write the type of a cause.

pub use erofs_writer::{Error as WriterError, HostOperation, InodeProblem as WriterInodeProblem};
pub use fs_tree::{ApplyError, TreeError};
pub use msb_credentials::EntryFault;
pub use msb_layer::decode::{Compression, Corruption, DecodeError};
pub use msb_layer::tar::path::PathError;
pub use msb_layer::tar::{
    EntryName, Limit as TarLimit, Part as TarPart, PaxFault, SparseFault, TarError,
};
pub use msb_layer::{LayerLimit, PartialBlobStep, UnpackError, UnsupportedFormat};
pub use msb_oci::StatedPlatform;
pub use msb_platform::{Available, Offer};
pub use msb_ranges::EncodeError;
pub use msb_registry::{
    ManifestProblem as RegistryManifestProblem, RedactedUrl, RequestContext, ServerMessage,
    Step as RequestStep, TransportFault, Wait,
};
pub use msb_sidecar::{Error as SidecarError, Section};
pub use msb_stitch::StitchError;
pub use msb_stitch::vmdk::VmdkError;
pub use msb_store::{
    DecodeError as RecordError, Error as StoreError, ImageKey, Lack as FileSystemLack,
    Step as StoreStep,
};
pub use msb_verity::Error as HashTreeError;
