//! Pulls an OCI image into a disk that a microVM boots from, and keeps it in a local cache.
//!
//! ```text
//!  source ─▶ resolve ─▶ manifest, config ─┬─▶ layers, concurrently ──────────────────────┬─▶ disk published ─▶ record
//!  registry, layout,                       │                                              │
//!  archive                                 └─▶ merged as they are read ─▶ fsmeta, descriptor, verified
//!
//!   pull/     one pull, from any source: PullError
//!   source/   registry, OCI layout, archive of docker save: ArchiveError
//!   cache/    what is cached: lookup, list, remove, prune: CacheError
//!   inspect/  the files of a cached image, verification: InspectError
//!   export/   raw disk, tar archive or one EROFS image outside of the cache: ExportError
//!   save/     OCI layout or archive of `docker save`, from kept blobs: SaveError
//!   push/     a cached image as EROFS layers in a registry: PushError
//!   mount/    kernel mounts of a disk: MountError
//!   blocking  a runtime for callers without one: BlockingError
//!   boot/     what a guest needs to boot a disk, the user to run as, writable disks: UserError, UpperDiskError
//! ```
//!
//! The code is best read from `pull.rs` on: one pull, top to bottom, where each stage is a call into a crate below. This crate prints
//! nothing.
//!
//! ```no_run
//! use std::path::Path;
//! use microsandbox_image::{GlobalCache, Platform, PullOptions, Registry};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = GlobalCache::new(Path::new("/path/to/cache"))?;
//! let platform = Platform::host_linux();
//! let registry = Registry::new(platform, cache)?;
//! let reference = "docker.io/library/alpine".parse()?;
//! let result = registry.pull(&reference, &PullOptions::default()).await?;
//! for diff_id in &result.layer_diff_ids { println!("{diff_id}"); }   // bottom to top
//! println!("entrypoint: {:?}", result.config.entrypoint);
//! println!("env: {:?}", result.config.env);
//! # Ok(())
//! # }
//! ```
//!
//! With credentials, a policy, and progress:
//!
//! ```no_run
//! use microsandbox_image::{
//!     GlobalCache, Platform, PullOptions, PullPolicy, PullProgress, Reference, Registry, RegistryAuth,
//! };
//!
//! # async fn example(cache: GlobalCache, reference: Reference) -> Result<(), Box<dyn std::error::Error>> {
//! # let platform = Platform::host_linux();
//! let auth = RegistryAuth::Basic { username: "user".into(), password: "token".into() };
//! let registry = Registry::builder(platform, cache).auth(auth).build()?;
//!
//! let opts = PullOptions { pull_policy: PullPolicy::IfMissing, ..Default::default() };  // also Always, Never
//! # let _ = opts;
//!
//! let (mut progress, task) = registry.pull_with_progress(&reference, &PullOptions::default());
//! tokio::spawn(async move {
//!     while let Some(event) = progress.recv().await {
//!         match event {
//!             PullProgress::Resolved { layer_count, .. } => {}
//!             PullProgress::LayerDownloadProgress { downloaded_bytes, total_bytes, .. } => {}
//!             PullProgress::Complete { .. } => {}
//!             _ => {}
//!         }
//!     }
//! });
//! let result = task.await??;
//! # let _ = result;
//!
//! Platform::host_linux(); Platform::new("linux", "arm64"); Platform::with_variant("linux", "arm", "v7");
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//! - Only verified data is published: blobs are verified against the manifest, layers against the config, and the manifest or index
//!   against the digest in the reference, if it has one.
//! - Dropping a pull's future or its [`PullTask`] stops the work and leaves the cache intact.
//! - CPU-bound work runs on its own threads, never on the caller's executor.
//! - A warm pull under [`PullPolicy::IfMissing`] or [`PullPolicy::Never`] makes no request.

pub mod blocking;
mod boot;
mod cache;
pub mod causes;
mod disk;
mod document;
mod engine;
mod error;
mod export;
mod info;
mod inspect;
mod limits;
mod loader;
#[cfg(target_os = "linux")]
mod mount;
mod open_files;
mod options;
mod progress;
mod published;
mod pull;
mod pull_task;
mod push;
mod registry;
mod remote;
mod result;
mod save;
mod source;
mod stats;

pub use boot::{
    BootFacts, BootLines, ImageUser, UnknownHypervisor, UpperDisk, UpperDiskError, UserError,
    Verity,
};
pub use cache::{
    CacheError, CacheUsage, CachedImage, GlobalCache, ImageName, ImagePin, ImageUsage, Pruned,
    PrunedImage,
};
pub use engine::DEFAULT_CONCURRENT_LAYERS;
pub use erofs_format::KernelVersion;
pub use erofs_reader;
pub use erofs_reader::Inode;
pub use error::{AnnouncedProblem, ManifestProblem, PullError};
pub use escape_text::{Escaped, escape, escape_path};
pub use export::{ExportError, ExportFormat, ExportOptions, NewFileError};
pub use fs_tree::show_path;
pub use info::ImageInfo;
pub use inspect::{ArtifactKind, Damage, ImageTree, InspectError, Verification};
pub use limits::{NamedLimit, UnknownLimit, parse_bytes};
pub use loader::{LoadOptions, Loader, LoaderBuilder};
#[cfg(target_os = "linux")]
pub use mount::{MountError, MountOptions};
pub use msb_budget::{BudgetError, ImageLimit, ImageLimits};
pub use msb_credentials::{Error as CredentialError, HelperFault};
pub use msb_layer::decode::Limits as DecodeLimits;
pub use msb_layer::tar::Limits as TarLimits;
pub use msb_layer::tar::path::PathLimits;
pub use msb_layer::{LayerError, LayerLimits};
pub use msb_oci::{
    Algorithm, DescriptorError, DescriptorPlace, Digest, Error as NameError, Excerpt, Healthcheck,
    HexDigits, HistoryEntry, ImageConfig, ManifestError, Reference, ReferencePart,
};
pub use msb_platform::{Error as PlatformError, Platform};
pub use msb_registry::{
    Capabilities, ClientCertificate, CredentialFuture, CredentialProvider, CredentialUse,
    Error as RegistryError, HostConfig, HostHealth, HostProvider, HostsFuture, InvalidCertificate,
    InvalidHeader, InvalidHost, InvalidHostUrl, Limits as RegistryLimits, RedirectProblem,
    RegistryAuth, RegistryHost, Timeouts, TokenProblem,
};
pub use msb_sidecar::Note;
pub use msb_stitch::vmdk::VmdkError;
pub use msb_stitch::{DeviceId, PooledFile, VerifiedDisk, VerifyError};
pub use msb_store::{
    DiskKey, FormatVersion, InvalidPinName, Kept, Lease, PinName, PruneOptions,
    StoreOptions as CacheOptions, UnmetBudget,
};
pub use options::{PullOptions, PullPolicy, SourceForm, UnknownPolicy};
pub use progress::{ProgressReceiver, PullProgress};
pub use published::parse::PublishedProblem;
pub use pull::{PublishedLayerError, Repair, RepairError};
pub use pull_task::PullTask;
pub use push::{PushError, PushFormat, PushOptions, PushResult};
pub use registry::{DockerCredentials, Registry, RegistryBuilder};
pub use remote::{RemoteImage, RemoteLayer, RemotePlatform};
pub use result::{DiskExtent, LayerArtifact, PullResult};
pub use save::{SaveError, SaveFormat, SaveOptions};
pub use source::{ArchiveError, ArchiveImage, ArchiveOptions, ImageArchive};
pub use stats::PullStats;
