//! The content-addressed cache directory: locks, staging, publishing, leases, pruning.
//!
//! ```text
//! <root>/
//!   layout                             "msb-store layout 3" and its digest; a later number is refused
//!   layers/<alg>/<hex>.vN.erofs        layer image           key: diff_id and the writer's format version
//!   layers/<alg>/<hex>.vN.blobs        digests of the blobs that were verified to unpack to it; optional
//!   layers/<alg>/<hex>.vN.leaves       leaf hashes of the image for dm-verity; optional, not synced, ends with a digest
//!   layers/<alg>/<hex>.vN.layer        sidecar               published last: marks the layer complete
//!   disks/<alg>/<hex>.vN.erofs         metadata image        key: digest of the ordered diff_ids, and the version
//!   disks/<alg>/<hex>.vN.crc32c        its length and checksum; optional, not synced, has a checksum of its own
//!   disks/<alg>/<hex>.vN.tree          hash tree of dm-verity; optional
//!   <alg>-<hex>.vN.verity.vmdk         descriptor with the hash tree as the last file; optional
//!   <alg>-<hex>.vN.vmdk                descriptor            published last; names disks/<alg>/... and layers/<alg>/..., all below it
//!   blobs/<alg>/<hex>                  raw manifests, configs, indexes: exact bytes, hashed whenever they are read
//!   layer-blobs/<alg>/<hex>            a layer's blob as its source has it, kept on request
//!   images/<readable>-<hash>.json      image record, with a checksum; published last of all. Its time is that of the image's last use
//!   pins/<name>.pin                    named hold on an image and its artifacts
//!   parts/<alg>/<hex>.part             partial blob; never synced, hashed again by a resume
//!   locks/*.lock                       exclusive locks by name; a prune removes those that no process holds
//!   locks/.tmp-<pid>-<random>.space    space that a pull is about to use, locked while it works
//!   leases/<alg>/<hex>.vN.lease        shared lock, held by the users of a disk
//!   leases/<alg>/<hex>.vN.layers       the layers and blobs that the lease keeps
//!   .../.tmp-<pid>-<random>.<name>     a file being written, beside its target, locked while its writer lives
//! ```
//!
//! N is the format version. The root can be moved as a whole: no file contains its path. A table in `artifact.rs` lists the files of
//! each kind of artifact.
//!
//! # What this crate is not
//!
//! It parses neither tar nor EROFS, nor its callers' sidecars and records; it opens no sockets. It does not interpret format
//! versions. It has no thread pool and does not know tokio: its calls block on file I/O, and none waits for a [`Lock`].
//!
//! # How a pull uses it
//!
//! ```text
//!  read_image ─▶ (found, with disk_lengths and all layer_lengths) ─▶ done: a warm pull
//!      │
//!      ▼
//!  lease(disk, layers, blobs)   from here on no prune removes them
//!  per layer:  session: lock ─▶ layer_lengths? ─▶ open_partial_blob, stage image, stage sidecar
//!              then sync both ─▶ publish_layer ─▶ discard partial blob
//!  meanwhile:  lock_disk ─▶ disk_lengths? ─▶ stage fsmeta, stage VMDK ─▶ sync both ─▶ publish_all, after the layers
//!  then:       write_blob ─▶ write_image
//! ```
//!
//! # Invariants
//!
//! - A file under its final name is complete and on stable storage: it was synced before it was renamed. Exceptions: partial blobs,
//!   lists of verified blobs, checksums of merged metadata, and the lists of leases (`.layers`).
//! - An image record names only what is durable: before it is published, the directories of everything that it names are synced, even
//!   if another process published there. After a crash at any instant an artifact is absent or complete.
//! - Of the files that belong together, the one that marks them complete is published last and removed first.
//! - Whether a writer or user is alive is decided by a lock, which the kernel releases when its process ends; never by age or pid.
//! - A lock counts only if its file still has its name. No call waits for a lock while it holds another, except `prune.lock`. A prune
//!   holds that one for its whole run; recording and leasing hold it for single steps. Every wait has a timeout, or is reported to its
//!   caller and in the log.
//! - No descriptor of a directory outlives a call, or the [`Session`] that the call is part of.
//! - A cache whose marker exists has a durable name: the directories above its root were synced first.
//! - [`Store::open`] touches nothing. Reading calls create nothing; writing calls create the cache and the directories that they need.
//!
//! # Untrusted inputs
//!
//! Digests and references are parsed types, so no path can leave its directory. A process with write access to the directory may put
//! anything there, at any time. The root may be a symbolic link; below it, no symbolic link is followed: all paths are relative to
//! descriptors of directories that were opened that way. Anything but a regular file counts as absent, and opening a fifo does not block.
//! A file that is opened for writing is a regular file of this user with link count 1; any other is replaced. Reads are bounded and blobs
//! are hashed. Files with names outside the layout are left alone. The store does not detect an artifact that was replaced by one of equal
//! length; its callers' checksums do.
//!
//! # Other caches
//!
//! [`Store::tiers`] are caches that are only read. Their handles refuse to write, and an error there counts as absence.
//!
//! # Permissions
//!
//! By default a cache is private to its owner: directories 0700, locks and partial blobs 0600, published files 0444, whatever the
//! umask. It is shared with a group if the root has mode 2770 (`install -d -m 2770 -g GROUP DIR`, or [`StoreOptions::shared_group`]):
//! then directories are 2770, locks and partial blobs 0660, published files 0440. It is readable for all users if the root has mode 2755
//! ([`StoreOptions::is_public`]): then directories are 2755, locks and partial blobs 0600, published files 0444. A cache that belongs to another user, or that others
//! can write to, results in a warning in the log.
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
//! publish_all([image.sync()?, sidecar.sync()?])?; // the sidecar last: it marks the layer complete
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
mod budget;
mod checksum;
mod contents;
mod copy;
mod crash;
mod dir;
mod error;
mod file_system;
mod gate;
mod immutable;
mod inventory;
mod key;
mod lack;
mod last_line;
mod layer_blob;
mod lease;
mod lock;
mod marker;
mod open_dirs;
#[cfg(test)]
mod order;
mod outdated;
mod partial;
mod paths;
mod permissions;
mod pin;
mod presence;
mod prune;
mod random;
mod record;
mod report;
mod session;
mod space;
mod staged;
mod step;
mod store;
mod sweep;
mod sys;
mod temporary;
mod verified;

pub use budget::UnmetBudget;
pub use checksum::FileChecksum;
pub use contents::{ImageUsage, Usage};
pub use copy::{CopyFault, copy_range, data_ranges};
pub use error::{DecodeError, Error, Result};
pub use key::{DiskKey, FormatVersion, ImageKey, LayerKey};
pub use lack::Lack;
pub use lease::Lease;
pub use lock::{Lock, LockOn};
pub use marker::LAYOUT_VERSION;
pub use partial::{PartialBlob, PartialBlobReader};
pub use pin::{InvalidPinName, Pin, PinName};
pub use presence::{DiskLengths, LayerLengths};
pub use prune::{Kept, PruneOptions, Pruned};
pub use record::{ListedImage, RECORD_LIMIT_BYTES, References, USE_INTERVAL};
pub use session::Session;
pub use space::Reservation;
pub use staged::{Staged, Synced, publish_all};
pub use step::Step;
pub use store::{Store, StoreOptions, Tier};
pub use sweep::Swept;
