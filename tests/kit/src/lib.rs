//! What the tests of this workspace are judged by: recipes that make inputs, and real tools that judge outputs.
//!
//! It is a dev-dependency, never shipped, and knows nothing of the workspace's other crates, so that each of them can use it.
//! It is not a second implementation of anything it judges: a verdict always comes from a tool of somebody else's (the kernel's
//! own mount, `fsck.erofs`, umoci, skopeo, docker-registry, QEMU), and [`oracle::require`] panics where one is missing.
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
//! Inputs are trusted: they are the tests' own. A mistake in a recipe panics with the number of its line.
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

mod command;
pub mod content;
pub mod digest;
mod error;

pub mod erofs_tools;
pub mod fault_registry;
pub mod image;
#[cfg(target_os = "linux")]
pub mod mount;
pub mod oracle;
pub mod registry;
pub mod tar;
pub mod tree;
pub mod umoci;
pub mod vm;
pub mod vmdk;
pub mod worlds;

pub use error::KitError;
