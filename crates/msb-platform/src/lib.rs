//! Chooses the manifest for a target platform from an OCI index or a Docker manifest list.
//!
//! ```text
//!   bytes of an index ──Index::parse──▶ children; malformed ones are skipped and reported, not fatal
//!                                            │
//!   Platform ───────────candidates───────────▼
//!          1. manifests whose platform fits, best variant first
//!          2. indexes that may hold one          (the caller descends, to a depth of its choice)
//!          3. manifests that state no platform
//!                                            │
//!   the candidate's config ──Offer::of_config──▶ the image's actual platform, which decides
//! ```
//!
//! This crate fetches nothing, and does not parse image manifests or configs; `msb-oci` does.
//!
//! # Invariants
//!
//! - A [`Platform`] is normalized: `aarch64` and `arm64/v8` are `arm64`, `x86_64` is `amd64`. Platforms with the same meaning
//!   are equal.
//! - A candidate's digest is well-formed and its size fits 63 bits. Attestations (`unknown/unknown`) and images that need
//!   features of the operating system are never candidates.
//! - An index takes memory in proportion to its usable children, about as much as their JSON.
//!
//! # Untrusted inputs
//!
//! The index. The caller limits its size; every value in it may have the wrong type.
//!
//! # Example
//!
//! ```
//! use msb_platform::{Index, Platform};
//!
//! let index = Index::parse(br#"{"schemaVersion": 2, "manifests": [
//!     {"digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "size": 7,
//!      "mediaType": "application/vnd.oci.image.manifest.v1+json",
//!      "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
//!     "nonsense"]}"#)?;
//! assert_eq!(index.odd().len(), 1);
//! let candidates = index.candidates(&Platform::new("linux", "aarch64"))?;
//! assert_eq!(candidates[0].size(), 7);
//!
//! let error = index.candidates(&Platform::new("linux", "s390x")).unwrap_err();
//! assert_eq!(error.to_string(), "no image for linux/s390x; there is linux/arm64; child 1 is not an object");
//! # Ok::<(), msb_platform::Error>(())
//! ```
//!
//! # Specifications
//!
//! OCI image specification, image-index.md and config.md; the normalization and the order of variants are containerd's.

mod available;
mod error;
mod index;
mod normalize;
mod odd_child;
mod offer;
mod parse;
mod platform;

pub use available::Available;
pub use error::Error;
pub use index::{Child, ChildKind, Index};
pub use odd_child::{OddChild, OddReason};
pub use offer::Offer;
pub use platform::Platform;
