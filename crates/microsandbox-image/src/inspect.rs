//! Reads and verifies a cached image from its disk, without mounting it.

mod error;
mod files;
mod tree;
mod verify;

pub use error::InspectError;
pub(crate) use files::{verify_checksum, verify_file};
pub use tree::ImageTree;
pub use verify::{ArtifactKind, Damage, Verification};
