//! What a registry can be asked for.

mod blob;
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

pub use self::blob::{BlobEvent, BlobRequest, BlobStream};
pub use self::builder::ClientBuilder;
pub use self::client::Client;
