//! What a registry can be asked for.

mod ask;
mod blob;
mod blob_request;
mod builder;
mod candidates;
#[allow(
    clippy::module_inception,
    reason = "the type that gives the layer its name"
)]
mod client;
mod content_range;
mod endpoint;
mod guard;
mod health;
mod listing;
mod manifest;
mod rate;
mod retry;
mod sender;
mod sign_in;
mod source;
mod upstream;
mod upstreams;

pub use self::blob::BlobStream;
pub use self::blob_request::{BlobEvent, BlobRequest};
pub use self::builder::ClientBuilder;
pub use self::client::Client;
pub use self::listing::{Referrer, Referrers};
