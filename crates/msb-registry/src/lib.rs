//! A client for the OCI distribution specification.
//!
//! ```text
//!                      ┌── Client::manifest ──▶ Document   bytes, digest (verified), media type (from the bytes)
//!   Reference ─────────┼── Client::config ────▶ Document   size and digest verified
//!                      ├── Client::tags, Client::referrers
//!                      └── Client::blob ──────▶ BlobStream Data, Data, [Restarted, Data, ...] up to the declared size
//!
//!   ReadAt ────────────┬── Client::push_blob ───────▶ Existing, Mounted or Uploaded; chunks, resumed after a fault
//!   bytes ─────────────┼── Client::push_manifest ───▶ under a tag or a digest
//!                      └── Client::push_referrer ───▶ under its digest; in the fallback tag where there is no referrers API
//!
//!   client     tries the hosts of a registry in turn; URLs, verification, retries, ranges; HTTPS or loopback HTTP
//!   auth       401 -> challenge -> credentials -> token; fetched once for all waiting requests, kept until it expires
//!   exchange   one request of any method: redirects, limits, timeouts
//!   transport  connections, TLS and proxies, set up when first needed
//! ```
//!
//! Each of these modules calls only those below it.
//!
//! This crate touches no cache directory, parses of a manifest only what decides its media type, and does not verify the
//! digest of a streamed blob: the reader of the stream does.
//!
//! # Invariants
//!
//! - A mirror is sent its own credentials and headers, and none of the registry's. It resolves tags only with the `resolve` capability
//!   ([`HostConfig`]).
//! - Only the registry itself is pushed to, never a mirror. A token for a push is requested only by a push.
//! - Credentials belong to one host. They are sent to that host and to the token service that it names, over TLS, or over plain HTTP if
//!   [`ClientBuilder::plain_http`] names the host. A redirect to another host carries no credentials.
//! - Plain HTTP is used for hosts named by [`ClientBuilder::plain_http`], for a [`HostConfig`] whose URL has that scheme, and for a
//!   loopback registry that the reference itself names and that does not speak TLS; never after a redirect from HTTPS.
//! - Redirects, token services and URLs of layers lead to a loopback, link-local or private address only if it is the registry's own
//!   host, or one that was named ([`ClientBuilder::private_host`]).
//! - Bytes that are fetched ahead of the reader of a blob are bounded for all blobs of a client ([`Limits::ranges`]).
//! - Every response has a size limit and every wait a timeout ([`Limits`], [`Timeouts`]).
//! - A [`Client`] that makes no request sets up no TLS. The system's certificates are read on a blocking thread.
//!
//! # Untrusted inputs
//!
//! Everything that a server sends: status, headers, redirects, challenges, tokens, bodies. It reaches errors and logs only
//! through [`RedactedUrl`], [`ServerMessage`] and [`msb_oci::Excerpt`]. The client's secrets are redacted from it, also in base64,
//! percent-encoded, or in part.
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
//!         BlobEvent::Restarted => println!("discard all bytes so far"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/explore.rs` lists tags and referrers, resolves a tag and streams a verified blob in under 40 lines.
//!
//! # Specifications
//!
//! OCI distribution specification 1.1; the distribution project's token authentication; RFC 9110 (ranges, `Retry-After`,
//! challenges).

mod auth;
mod client;
mod context;
mod document;
mod error;
mod exchange;
mod host;
mod hosts;
mod limits;
mod notice;
mod redact;
mod secrets;
mod transport;

pub use auth::{Challenge, CredentialFuture, CredentialProvider, RegistryAuth};
pub use client::{
    BlobEvent, BlobRequest, BlobStream, BlobUpload, Client, ClientBuilder, HostHealth, Pushed,
    PushedManifest, Referrer, ReferrerEntry, Referrers,
};
pub use context::{RequestContext, Step};
pub use document::Document;
pub use error::{CredentialUse, Error, ManifestProblem, RedirectProblem, TokenProblem, Wait};
pub use host::{InvalidHost, RegistryHost};
pub use hosts::{
    Capabilities, ClientCertificate, HostConfig, HostProvider, HostsFuture, InvalidCertificate,
    InvalidHeader, InvalidHostUrl,
};
pub use limits::{Limits, Timeouts};
pub use notice::Notice;
pub use redact::{RedactedUrl, ServerMessage};
pub use transport::fault::TransportFault;
