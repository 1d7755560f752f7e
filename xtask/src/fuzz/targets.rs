//! The fuzz targets and their folders.

use std::error::Error;
use std::path::PathBuf;

use crate::cargo;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    /// Length of the longest input in bytes.
    pub(super) max_len: u32,
    /// The code under test, relative to the root of the workspace.
    pub(super) sources: &'static [&'static str],
}

/// Every target.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "layer",
        max_len: 32 << 10,
        sources: &["crates/msb-layer/src"],
    },
    Target {
        name: "reader",
        max_len: 64 << 10,
        sources: &["crates/erofs-reader/src"],
    },
    Target {
        name: "merge",
        max_len: 4 << 10,
        sources: &[
            "crates/msb-sidecar/src",
            "crates/msb-stitch/src/layout.rs",
            "crates/msb-stitch/src/merge.rs",
            "crates/msb-stitch/src/verify.rs",
            "crates/fs-tree/src",
        ],
    },
    Target {
        name: "vmdk",
        max_len: 2 << 10,
        sources: &["crates/msb-stitch/src/vmdk.rs"],
    },
    Target {
        name: "manifest",
        max_len: 4 << 10,
        sources: &[
            "crates/msb-oci/src/json",
            "crates/msb-oci/src/manifest.rs",
            "crates/msb-platform/src/index.rs",
            "crates/msb-platform/src/index",
        ],
    },
    Target {
        name: "config",
        max_len: 4 << 10,
        sources: &[
            "crates/msb-oci/src/config.rs",
            "crates/msb-platform/src/offer.rs",
        ],
    },
    Target {
        name: "sidecar",
        max_len: 4 << 10,
        sources: &["crates/msb-sidecar/src"],
    },
    Target {
        name: "record",
        max_len: 4 << 10,
        sources: &[
            "crates/msb-store/src/record.rs",
            "crates/microsandbox-image/src/record.rs",
            "crates/microsandbox-image/src/verify.rs",
        ],
    },
    Target {
        name: "challenge",
        max_len: 1 << 10,
        sources: &["crates/msb-registry/src/auth/challenge.rs"],
    },
];

/// Returns the folder of the committed inputs.
pub(super) fn corpus() -> PathBuf {
    cargo::workspace().join("fuzz/corpus")
}

/// Returns the folder of the findings of a target.
pub(super) fn artifacts(target: Target) -> PathBuf {
    cargo::workspace().join("fuzz/artifacts").join(target.name)
}

/// Returns the folder that receives the new inputs of a target.
pub(super) fn work(target: Target) -> Result<PathBuf, Box<dyn Error>> {
    Ok(cargo::target_folder()?
        .join("fuzz/corpus")
        .join(target.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_under_test_exists() {
        for target in TARGETS {
            for source in target.sources {
                assert!(cargo::workspace().join(source).exists(), "{source}");
            }
        }
    }
}
