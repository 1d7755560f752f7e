//! The hosts that serve a registry: its mirrors, and itself.

mod certificate;
mod config;
mod provider;

pub use self::certificate::{ClientCertificate, InvalidCertificate};
pub use self::config::{Capabilities, HostConfig, InvalidHeader, InvalidHostUrl};
pub use self::provider::{HostProvider, HostsFuture};
