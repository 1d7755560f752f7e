//! Registry credentials from the files of Docker, podman and skopeo, and from credential helpers.
//!
//! ```text
//!   $REGISTRY_AUTH_FILE, alone if it is set; else in order
//!     $XDG_RUNTIME_DIR/containers/auth.json                    podman, skopeo, buildah login
//!     ${XDG_CONFIG_HOME:-~/.config}/containers/auth.json
//!     ${DOCKER_CONFIG:-~/.docker}/config.json                  docker login; `store` writes here
//!     ~/.dockercfg
//!
//!   in each file:  credHelpers[registry], else credsStore ──▶ docker-credential-NAME get
//!                  auths: registry/a/b, registry/a, registry, URL of registry
//! ```
//!
//! This crate opens no connection, does not check whether a credential is valid, and keeps nothing between calls.
//!
//! # Invariants
//!
//! - A credential is returned only for the registry that its entry or helper key names.
//! - `Debug`, `Display` and errors contain no user name, password or token. Secrets are wiped when they are dropped.
//! - A helper runs no longer than its timeout, and is never a file of the working directory.
//! - A file is replaced as a whole or not at all, with mode 0600, and only the entries of one registry change.
//!
//! # Untrusted inputs
//!
//! The files and the output of helpers. The size of both is bounded. Anything but a regular file is rejected without blocking on it.
//! Values of the wrong type count as absent.
//!
//! # Example
//!
//! ```
//! use msb_credentials::{Credential, DockerCredentials, RegistryName};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let home = folder.path().to_owned();
//! let credentials = DockerCredentials::from_vars(|name| match name {
//!     "DOCKER_CONFIG" => Some(home.clone().into()),
//!     _ => None,
//! });
//! let registry: RegistryName = "registry.example.com".parse()?;
//! credentials.store(&registry, &Credential::basic("alice", "secret"))?;
//!
//! let found = credentials.get(&registry, Some("team/app"))?.ok_or("nothing found")?;
//! assert_eq!(found.credential, Credential::basic("alice", "secret"));
//! assert!(!format!("{found:?}").contains("alice"));
//! # Ok(())
//! # }
//! ```
//!
//! # Specifications
//!
//! containers-auth.json(5), the `config.json` of the Docker command line, and the protocol of docker-credential-helpers.

mod config;
mod credential;
mod docker;
mod document;
mod entry;
mod error;
mod files;
mod helper;
mod json_text;
mod read;
mod registry;
mod secret;
mod write;

pub use credential::{Credential, Found, Origin};
pub use docker::DockerCredentials;
pub use error::{EntryFault, Error, HelperFault};
pub use registry::RegistryName;
pub use secret::Secret;
