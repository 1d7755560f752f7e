//! The test kit of this workspace: recipes that build inputs, and real tools that check outputs.
//!
//! A dev-dependency that is never published. It does not know the other crates of the workspace, so each of them can
//! use it. It implements none of the checked formats itself: the oracle is always an independent tool (the kernel's
//! mount, `fsck.erofs`, umoci, skopeo, docker-registry, QEMU), and [`oracle::require`] panics if one is missing.
//!
//! ```text
//!   text recipe ─▶ tar ─▶ image::Layer ─▶ image::ImageBuilder ─▶ OCI layout ─▶ registry::DockerRegistry (skopeo copy)
//!                                              worlds (big real images, cached)        │ access log
//!                                                                                      ▼
//!                                                                                code under test
//!                                                                                      │
//!          tree::Listing  ◀─ walk ─ mount::KernelMount / erofs_tools / vm::Guest  ◀── artifacts
//!               └─ diff against umoci's tree, another mount, the guest's own listing
//! ```
//!
//! Inputs are trusted, because the tests build them. An error in a recipe panics with its line number.
//!
//! ```
//! use msb_testkit::{image::{ImageBuilder, Layer}, tar};
//!
//! let base = tar::recipe("dir etc mode=0755\nfile etc/motd data=hello\\n\nsymlink etc/welcome target=motd");
//! let upper = tar::recipe("whiteout etc/motd");
//! let dir = tempfile::tempdir()?;
//! let image = ImageBuilder::new()
//!     .layer(Layer::tar(base).gzip())
//!     .layer(Layer::tar(upper).zstd())
//!     .write_layout(dir.path(), "latest")?;
//! assert_eq!(image.diff_ids.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg(unix)]

pub mod clients;
pub mod cloud_hypervisor;
mod command;
pub mod content;
pub mod digest;
mod error;

pub mod erofs_tools;
pub mod fault_registry;
pub mod image;
pub mod link;
#[cfg(target_os = "linux")]
pub mod mount;
pub mod oracle;
pub mod program;
pub mod registry;
pub mod skopeo;
pub mod tar;
pub mod tree;
pub mod umoci;
pub mod vm;
pub mod vmdk;
pub mod worlds;

pub use error::KitError;
