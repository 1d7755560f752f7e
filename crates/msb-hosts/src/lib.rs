//! Reads from containerd's `hosts.toml` which hosts to try for a registry.
//!
//! ```text
//!   DIR/registry.example.com_5000_/hosts.toml          the first that exists, in each DIR in turn
//!   DIR/registry.example.com:5000/hosts.toml
//!   DIR/_default/hosts.toml
//!          │
//!          ▼
//!   [host."https://mirror-1"] ─▶ HostConfig 0          in the order of the file
//!   [host."https://mirror-2"] ─▶ HostConfig 1
//!   server = "https://..."    ─▶ HostConfig 2          last; without it, the registry itself
//! ```
//!
//! A directory without `hosts.toml` is read as by Docker: `*.crt` are certificate authorities, `NAME.cert` and `NAME.key` are a client
//! certificate and its key.
//!
//! This crate opens no connection, reads no certificate, and does not decide when to try the next host.
//!
//! # Invariants
//!
//! - The list is never empty, and its last host is the server.
//! - The path of a [`HostUrl`] is the root of the registry API: a manifest is at `{url}/{repository}/manifests/{tag}`.
//! - A [`Header`] can be sent: its name is a token, its value has no line break. `Debug` does not print values.
//!
//! # Untrusted inputs
//!
//! The files. Their size and the number of hosts are bounded. Unknown keys are warnings; any other
//! invalid content is an error with file, line and column.
//!
//! # Example
//!
//! ```
//! use msb_hosts::{HostRole, HostsDirs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path();
//! std::fs::create_dir(dir.join("docker.io"))?;
//! std::fs::write(
//!     dir.join("docker.io/hosts.toml"),
//!     "[host.\"https://mirror.example.com\"]\ncapabilities = [\"pull\"]\n",
//! )?;
//! let hosts = HostsDirs::new([dir]).hosts("docker.io")?;
//! assert_eq!(hosts.hosts[0].url.as_str(), "https://mirror.example.com/v2");
//! assert!(!hosts.hosts[0].capabilities.resolve);
//! assert_eq!(hosts.hosts[0].namespace("docker.io"), Some("docker.io"));
//! assert_eq!(hosts.hosts[1].url.as_str(), "https://registry-1.docker.io/v2");
//! assert_eq!(hosts.hosts[1].role, HostRole::Registry);
//! # Ok(())
//! # }
//! ```
//!
//! # Specification
//!
//! containerd's `docs/hosts.md`.

mod certificates;
mod config;
mod dirs;
mod duration;
mod error;
mod header;
mod host_url;
mod hosts_file;
mod position;
mod read;
mod section;
mod warning;

pub use config::{Capabilities, ClientCertificate, HostConfig, HostRole, Hosts};
pub use dirs::HostsDirs;
pub use error::{Error, ValueFault};
pub use header::Header;
pub use host_url::HostUrl;
pub use warning::{Warning, WarningKind};
