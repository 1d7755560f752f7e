//! The names of artifacts, and where each lies below the root.

use std::fmt;

use escape_text::escape;
use msb_oci::{Digest, Reference};

/// The version of a writer's format; a part of every artifact's name, so that two versions never meet in one file.
///
/// It has no meaning for the store: the writers of layers and disks pass their own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct FormatVersion(pub u32);

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl FormatVersion {
    /// Reads the `v1` of a file name, in the one form that `Display` writes.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let version = Self(name.strip_prefix('v')?.parse().ok()?);
        (version.to_string() == name).then_some(version)
    }
}

/// A layer: the digest of its uncompressed tar (`diff_id`), and the version of the writer.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct LayerKey {
    /// The digest of the layer's uncompressed tar.
    pub diff_id: Digest,
    /// The version of the layer writer's format.
    pub version: FormatVersion,
}

impl LayerKey {
    /// Creates the key of the layer with this `diff_id`, in the format of this version.
    #[must_use]
    pub fn new(diff_id: Digest, version: FormatVersion) -> Self {
        Self { diff_id, version }
    }
}

impl fmt::Display for LayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layer {} ({})", self.diff_id, self.version)
    }
}

/// A disk: the digest of its ordered list of `diff_id`s (the chain), and the version of the writer.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct DiskKey {
    /// The digest of the ordered list of `diff_id`s; the caller computes it.
    pub chain: Digest,
    /// The version of the disk writer's format.
    pub version: FormatVersion,
}

impl DiskKey {
    /// Creates the key of the disk of this chain, in the format of this version.
    #[must_use]
    pub fn new(chain: Digest, version: FormatVersion) -> Self {
        Self { chain, version }
    }
}

impl fmt::Display for DiskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disk {} ({})", self.chain, self.version)
    }
}

/// An image record's name: a canonical reference, and a platform such as `linux/amd64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    reference: String,
    platform: String,
}

impl ImageKey {
    /// Creates the key of the record of a reference on a platform. Equal references must have equal canonical forms.
    #[must_use]
    pub fn new(reference: &Reference, platform: &str) -> Self {
        Self {
            reference: reference.to_string(),
            platform: platform.to_owned(),
        }
    }

    /// Returns the key in a record's text; it counts only where the record's file name agrees.
    pub(crate) fn from_record(reference: String, platform: String) -> Self {
        Self {
            reference,
            platform,
        }
    }

    /// Returns the canonical reference.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Returns the platform, as the caller wrote it.
    #[must_use]
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// Returns `<readable>-<32 hex digits>`: the beginning of the reference, for listings, and a hash that makes it unique.
    ///
    /// The name is at most 133 bytes of `[A-Za-z0-9._-]` and starts with neither `.` nor `-`, so it cannot leave its
    /// directory. The hash covers the exact strings, so names differ on a file system that ignores case as well.
    pub(crate) fn stem(&self) -> String {
        let mut readable: String = format!("{} {}", self.reference, self.platform)
            .chars()
            .take(READABLE_CHARS)
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        if readable.starts_with(['.', '-']) {
            readable.replace_range(..1, "_");
        }
        // NUL is in neither string of a parsed reference, so the two cannot run into one another.
        let hash = Digest::sha256_of(format!("{}\0{}", self.reference, self.platform).as_bytes());
        let short: String = hash.hex().chars().take(32).collect();
        format!("{readable}-{short}")
    }

    /// Returns the name of the record's file in `images/`.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.json", self.stem())
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both come from a record on disk.
        write!(
            f,
            "{} on {}",
            escape(&self.reference),
            escape(&self.platform)
        )
    }
}

/// Longest readable half of an image record's name.
const READABLE_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_name() {
        assert_eq!(FormatVersion::from_name("v12"), Some(FormatVersion(12)));
        for strange in ["v", "12", "v012", "v+1", "v-1", "V1", "v4294967296", "v1 "] {
            assert_eq!(FormatVersion::from_name(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_records_name_cannot_leave_its_directory_or_grow_too_long() {
        let long = "x".repeat(10_000);
        for (reference, platform) in [
            ("", ""),
            ("..", "/"),
            ("../../etc/passwd", "a\0b"),
            ("-rf", "\n"),
            ("\u{202e}é", "%2e"),
            (&long, &long),
        ] {
            let stem = ImageKey::from_record(reference.to_owned(), platform.to_owned()).stem();
            assert!(stem.len() <= 133, "{stem}");
            assert!(
                stem.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)),
                "{stem}"
            );
            assert!(!stem.starts_with(['.', '-']), "{stem}");
        }
    }

    #[test]
    fn reference_and_platform_do_not_run_into_one_another() {
        let key = |reference: &str, platform: &str| {
            ImageKey::from_record(reference.to_owned(), platform.to_owned())
        };
        assert_ne!(key("a b", "c").stem(), key("a", "b c").stem());
        assert_ne!(
            key("r/A", "c").stem().to_lowercase(),
            key("r/a", "c").stem().to_lowercase()
        );
    }
}
