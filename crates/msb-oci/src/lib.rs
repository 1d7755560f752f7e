//! The names of OCI things, parsed once: digests and image references.
//!
//! ```text
//!   docker.io / library/alpine : 3.22 @ sha256:4b7ce07002c6...
//!   registry    repository       tag    digest
//!   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^  Reference
//!                                       algorithm : hex   Digest
//! ```
//!
//! What this crate is not: it does no input or output, knows no HTTP and no cache, and does not say what a reference
//! points at.
//!
//! # Invariants
//!
//! - A [`Digest`] is one of [`Algorithm`]'s names, a colon, and lower-case hexadecimal of exactly that algorithm's
//!   length. Its two halves are therefore safe as parts of a path or a URL.
//! - A [`Reference`] always has a registry and a repository, and a tag or a digest or both. Where it has both, the digest
//!   decides. Its parts need no escaping in a URL's path.
//! - Parsing uses no regular expressions: a whole warm pull takes less time than compiling those of `oci-spec`.
//!
//! # Untrusted inputs
//!
//! Every string that is parsed. Errors show no more than an [`Excerpt`] of it.
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
//! OCI image specification (descriptor.md, "Digests"), OCI distribution specification ("Pulling manifests"), and the
//! defaults of Docker's reference grammar.

mod digest;
mod error;
mod hasher;
pub mod media_type;
mod reference;

pub use digest::{Algorithm, Digest};
pub use error::{Error, ReferencePart};
pub use escape_text::Excerpt;
pub use hasher::Hasher;
pub use reference::Reference;
