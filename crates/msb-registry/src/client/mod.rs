//! What a registry can be asked for.

mod blob;
mod blob_request;
mod builder;
#[allow(
    clippy::module_inception,
    reason = "the type that gives the layer its name"
)]
mod client;
mod content_range;
mod endpoint;
mod manifest;
mod rate;
mod retry;
mod sender;
mod source;

pub use self::blob::BlobStream;
pub use self::blob_request::{BlobEvent, BlobRequest};
pub use self::builder::ClientBuilder;
pub use self::client::Client;
