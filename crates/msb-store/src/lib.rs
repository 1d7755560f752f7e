//! The content-addressed cache directory: locks, staging, publishing, leases, pruning.
//!
//! ```text
//! <root>/
//!   layout                             one line, "msb-store layout 1"; a later number is refused
//!   layers/<alg>/<hex>.v1.erofs        layer image           key: diff_id and the writer's format version
//!   layers/<alg>/<hex>.v1.layer        sidecar               published last: its presence is the layer's
//!   disks/<alg>/<hex>.v1/fsmeta.erofs  metadata image        key: digest of the ordered diff_ids, and the version
//!   disks/<alg>/<hex>.v1/rootfs.vmdk   descriptor            published last; names ../../../layers/<alg>/<hex>.v1.erofs
//!   blobs/<alg>/<hex>                  raw manifests, configs, indexes: exact bytes, hashed whenever they are read
//!   images/<readable>-<hash>.json      image record          published last of all
//!   parts/<alg>/<hex>.part             compressed blob so far; a hint, never synced, always hashed again
//!   locks/*.lock                       exclusive locks by name; never deleted
//!   leases/<alg>/<hex>.v1.lease        shared lock, held by the users of a disk
//!   leases/<alg>/<hex>.v1.layers       which layers that lease keeps
//!   .../.tmp-<pid>-<random>.<name>     a file being written, beside its target, locked while its writer lives
//! ```
//!
//! The root can be moved as a whole: nothing in it names it.
//!
//! # What this crate is not
//!
//! It parses neither tar nor EROFS, nor its callers' sidecars and records; it opens no sockets. It does not say what a
//! format version or a chain digest is. It has no thread pool: its calls block, except waiting for a [`Lock`], which
//! is asynchronous so that it can be cancelled.
//!
//! # How a pull uses it
//!
//! ```text
//!  read_image ─▶ (there, and has_disk, and has_layer for each) ─▶ done: a warm pull
//!      │
//!      ▼
//!  lease(disk, layers)          from here on nothing of it is pruned
//!  per layer:  lock_layer ─▶ has_layer? ─▶ open_partial_blob, stage image, stage sidecar ─▶ sync both ─▶ publish_all ─▶ discard part
//!  beside:     lock_disk  ─▶ has_disk?  ─▶ stage fsmeta, stage VMDK ─▶ sync both ─▶ publish_all, after the layers
//!  then:       write_blob ─▶ write_image
//! ```
//!
//! # Invariants
//!
//! - A file under its final name has all of its bytes, on stable storage: it was synced before it was renamed.
//! - An image record names only what is durable: before it is published, the directories of all that it names are
//!   synced, whoever published there. A crash at any instant leaves nothing or a whole artifact.
//! - Of two files that belong together, the one whose presence counts is published last and removed first.
//! - Whether a writer or a user lives is told by a lock that the kernel releases when a process dies, never by age or pid.
//! - A lock counts only if its file still has its name. No call waits for a lock while it holds another, except
//!   `prune.lock`, which is held around single steps by those who record and lease, and by a prune as long as it runs.
//! - Opening a store that exists reads one small file; every directory is made when something is first put into it.
//!
//! # Untrusted inputs
//!
//! Digests and references are parsed types, so no path can leave its directory. What lies in the directory may be
//! truncated, damaged or another version's: reads are capped, do not follow a link in the last place, do not block on a
//! fifo, and blobs are hashed. Names that are not of the layout are left alone. Whoever can write to the directory can
//! replace an artifact by another of equal length; the callers' checksums are for that.
//!
//! # Example
//!
//! ```
//! use std::io::Write as _;
//!
//! use msb_oci::Digest;
//! use msb_store::{FormatVersion, ImageKey, LayerKey, References, Store, publish_all};
//!
//! # let temp = tempfile::tempdir()?;
//! # let root = temp.path().join("cache");
//! let store = Store::open(&root)?;
//! let layer = LayerKey::new(Digest::sha256_of(b"a tar"), FormatVersion(1));
//!
//! let image = store.stage_layer_image(&layer)?;
//! let sidecar = store.stage_layer_sidecar(&layer)?;
//! image.file().write_all(&[0; 4096]).map_err(|e| image.write_error(e, Some(4096)))?;
//! sidecar.file().write_all(b"tree").map_err(|e| sidecar.write_error(e, Some(4)))?;
//! publish_all([image.sync()?, sidecar.sync()?])?; // the sidecar last: its presence is the layer's
//! assert!(store.layer_lengths(&layer)?.is_some_and(|lengths| lengths.image_bytes == 4096));
//!
//! let key = ImageKey::new(&"alpine".parse()?, "linux/amd64");
//! let mut references = References::default();
//! references.layers.insert(layer);
//! store.write_image(&key, &"anything that serde knows", &references)?;
//! assert_eq!(store.read_image::<String>(&key)?.as_deref(), Some("anything that serde knows"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artifact;
mod blob;
mod dir;
mod error;
mod gate;
mod immutable;
mod inventory;
mod key;
mod lease;
mod lock;
mod marker;
#[cfg(test)]
mod order;
mod partial;
mod permissions;
mod presence;
mod prune;
mod random;
mod record;
mod report;
mod staged;
mod step;
mod store;
mod sweep;
mod sys;
mod verified;

pub use error::{DecodeError, Error, Result};
pub use key::{DiskKey, FormatVersion, ImageKey, LayerKey};
pub use lease::Lease;
pub use lock::{Lock, LockOn};
pub use partial::{PartialBlob, PartialBlobReader};
pub use presence::{DiskLengths, LayerLengths};
pub use prune::{Kept, PruneOptions, Pruned};
pub use record::{ListedImage, RECORD_LIMIT_BYTES, References};
pub use staged::{Staged, Synced, publish_all};
pub use step::Step;
pub use store::{LAYOUT_VERSION, Store, StoreOptions};
pub use sweep::Swept;
