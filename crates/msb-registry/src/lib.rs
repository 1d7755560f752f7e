//! A client for the OCI distribution specification.
//!
//! ```text
//!                      ┌── Client::manifest ──▶ Document   bytes, digest (checked), media type (from the bytes)
//!   Reference ─────────┼── Client::config ────▶ Document   size and digest checked
//!                      └── Client::blob ──────▶ BlobStream Data, Data, [Restarted, Data, ...] up to the declared size
//!
//!   client     what is asked: URLs, verification, HTTPS or loopback HTTP
//!   token      401 -> challenge -> token, one fetch for all who wait, kept until it expires
//!   exchange   one request: redirects by our rules, caps and waits
//!   transport  HTTP clients, made when first needed
//! ```
//!
//! What this crate is not: it pushes nothing, touches no cache directory, parses no manifest beyond telling what it is,
//! and does not check the digest of a streamed blob, which its reader hashes anyway.
//!
//! # Invariants
//!
//! - Credentials go to the registry that the reference names and to the token service that it points at, over TLS;
//!   over plain HTTP only to hosts that [`ClientBuilder::plain_http`] names. No redirect takes them elsewhere.
//! - HTTP is used where the host is named for it, or for a loopback registry that the reference itself names and that does not
//!   speak TLS; never after a redirect from HTTPS.
//! - Every answer has a cap and every wait a limit ([`Limits`], [`Timeouts`]).
//! - A [`Client`] that is never asked anything sets up no TLS.
//!
//! # Untrusted inputs
//!
//! Everything a server sends: status, headers, redirects, challenges, tokens, bodies. None of it reaches an error or a
//! log but through [`ShownUrl`], [`Said`] and [`msb_oci::Excerpt`].
//!
//! # Example
//!
//! ```no_run
//! use msb_registry::{BlobEvent, BlobRequest, Client};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder().build()?;
//! let reference = "docker.io/library/alpine:3.22".parse()?;
//! let manifest = client.manifest(&reference).await?;
//! println!("{} is a {}", manifest.digest, manifest.media_type);
//!
//! let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".parse()?;
//! let mut blob = client.blob(&reference, BlobRequest::new(digest, 1 << 20));
//! while let Some(event) = blob.next_event().await? {
//!     match event {
//!         BlobEvent::Data(bytes) => println!("{} bytes up to {}", bytes.len(), blob.position()),
//!         BlobEvent::Restarted => println!("forget all bytes so far"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Specifications
//!
//! OCI distribution specification 1.1; the distribution project's token authentication; RFC 9110 (ranges, `Retry-After`,
//! challenges).

mod auth;
mod blob;
mod builder;
mod challenge;
mod client;
mod document;
mod error;
mod exchange;
mod limits;
mod origin;
mod pinned;
mod retry;
mod shown;
mod token;
mod transport;

pub use auth::RegistryAuth;
pub use blob::{BlobEvent, BlobRequest, BlobStream};
pub use builder::ClientBuilder;
pub use challenge::Challenge;
pub use client::Client;
pub use document::Document;
pub use error::{CredentialsSeen, Error, ManifestProblem, RedirectProblem, TokenProblem, Wait};
pub use limits::{Limits, Timeouts};
pub use shown::{At, Said, ShownUrl, Step};
