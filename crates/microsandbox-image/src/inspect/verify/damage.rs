use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use msb_oci::Digest;
use rustix::io::Errno;

use super::Verification;
use crate::inspect::error::InspectError;

/// A damaged file of the cache.
#[derive(Debug)]
#[non_exhaustive]
pub struct Damage {
    /// What the file is.
    pub artifact: ArtifactKind,
    /// The file.
    pub path: PathBuf,
    /// The diff_id of the layer that the file belongs to.
    pub layer: Option<Digest>,
    /// The paths in the image whose bytes are damaged, as `fs_tree::show_path` shows them; at most 100.
    pub files: Vec<String>,
    /// What is wrong.
    pub error: InspectError,
}

/// The kind of a file of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArtifactKind {
    /// A layer image.
    LayerImage,
    /// The sidecar of a layer image, which has the layer's changes.
    Sidecar,
    /// The merged metadata.
    Fsmeta,
    /// The disk descriptor.
    Descriptor,
    /// The hash tree of dm-verity.
    HashTree,
    /// The manifest.
    Manifest,
    /// The config.
    Config,
    /// The image record, which names all other files.
    Record,
    /// The blob of a layer that was kept.
    LayerBlob,
}

impl Verification {
    pub(super) fn is_damaged(&self, path: &Path) -> bool {
        self.damage.iter().any(|damage| damage.path == path)
    }

    /// Records damage, once for each file: the first error counts.
    pub(super) fn add(
        &mut self,
        artifact: ArtifactKind,
        path: &Path,
        layer: Option<&Digest>,
        error: InspectError,
    ) -> Result<(), InspectError> {
        if is_of_machine(&error) {
            return Err(error);
        }
        if self.is_damaged(path) {
            return Ok(());
        }
        self.damage.push(Damage {
            artifact,
            path: path.to_path_buf(),
            layer: layer.cloned(),
            files: Vec::new(),
            error,
        });
        Ok(())
    }
}

/// Returns whether a file could not be read for a reason that is no evidence of damage.
fn is_of_machine(error: &InspectError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let is_limit = matches!(
                error.raw_os_error().map(Errno::from_raw_os_error),
                Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
            );
            return is_limit || error.kind() == io::ErrorKind::PermissionDenied;
        }
        cause = error.source();
    }
    false
}

impl Damage {
    /// Returns whether the layers can still be merged.
    pub(super) fn keeps_sidecars(&self) -> bool {
        self.artifact != ArtifactKind::Sidecar
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LayerImage => "layer image",
            Self::Sidecar => "layer sidecar",
            Self::Fsmeta => "merged metadata",
            Self::Descriptor => "disk descriptor",
            Self::HashTree => "hash tree",
            Self::LayerBlob => "blob of a layer",
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Record => "image record",
        })
    }
}
