//! Parses the names and documents of OCI images: references, digests, manifests and configs.
//!
//! ```text
//!   docker.io / library/alpine : 3.22 @ sha256:4b7ce07002c6...
//!   registry    repository       tag    digest
//!   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^  Reference
//!                                       algorithm : hex   Digest
//! ```
//!
//! [`json`] decodes documents and rejects ambiguous ones, such as those that repeat a member.
//!
//! This crate does no I/O, knows no HTTP and no cache, and does not resolve references. Indexes are parsed in
//! `msb-platform`, because they only serve to choose an image.
//!
//! # Invariants
//!
//! - A [`Digest`] is an [`Algorithm`] and a hash of exactly its length. It is `Copy`; its name and its hexadecimal digits are safe as
//!   parts of a path or a URL.
//! - A [`Reference`] always has a registry and a repository, and a tag, a digest or both. The digest takes precedence. Its parts
//!   need no escaping in the path of a URL.
//! - A [`Descriptor`]'s size fits 63 bits, and so does the sum of a [`Manifest`]'s layers.
//! - Decoding a document takes memory in proportion to the members that its type keeps.
//! - Parsing uses no regular expressions: compiling those of `oci-spec` takes longer than a whole warm pull.
//!
//! # Untrusted inputs
//!
//! Every parsed string and document. Errors quote at most an [`Excerpt`] of it.
//!
//! # Example
//!
//! ```
//! use msb_oci::{Algorithm, Digest, Hasher, Reference};
//!
//! let reference: Reference = "alpine".parse()?;
//! assert_eq!(reference.to_string(), "docker.io/library/alpine:latest");
//!
//! let mut hasher = Hasher::new(Algorithm::Sha256);
//! hasher.update(b"hello ");
//! hasher.update(b"world");
//! assert_eq!(hasher.finish(), Digest::sha256_of(b"hello world"));
//! # Ok::<(), msb_oci::Error>(())
//! ```
//!
//! # Specifications
//!
//! OCI image specification (descriptor.md, manifest.md, config.md), OCI distribution specification ("Pulling manifests"), and the
//! defaults of Docker's reference grammar.

mod algorithm;
mod config;
mod descriptor;
mod digest;
mod error;
mod hasher;
mod hex_digits;
pub mod json;
mod manifest;
pub mod media_type;
#[cfg(feature = "oci-spec")]
mod oci_spec_types;
mod reference;

pub use algorithm::Algorithm;
pub use config::{Config, Healthcheck, HistoryEntry, ImageConfig, StatedPlatform};
pub use descriptor::{Descriptor, DescriptorError};
pub use digest::Digest;
pub use error::{Error, ReferencePart};
pub use escape_text::Excerpt;
pub use hasher::Hasher;
pub use hex_digits::HexDigits;
pub use manifest::{DescriptorPlace, Manifest, ManifestError};
pub use reference::Reference;
