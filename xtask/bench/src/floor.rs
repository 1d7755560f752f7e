//! The least that any tool must do for a cold pull.
//!
//! ```text
//!  manifest, config ──▶ four layers side by side, each:
//!     [HTTP body ─▶ sha256 (blob) ─▶ inflate] ──queue──▶ [sha256 (diff_id) ─▶ write once] ─▶ fsync
//! ```
//!
//! It parses no archive and writes no file system; it checks every digest, and it syncs as many files as a pull of ours does
//! into a new cache, each followed by its folder: the cache's mark, manifest, config and lease; two files for each layer; merged
//! metadata and descriptor; the record. [`Upto`] stops it earlier, so that what each step costs can be told by subtraction.

mod http;
mod image;
mod inflate;
mod isal;
mod layer;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::Mutex,
};

pub use http::Client;
pub use image::{Layer, Manifest};
pub use inflate::{Codec, Plain, Unpack};
pub use isal::Isal;

use crate::BenchError;

/// How far the floor goes: each step does all that the ones before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upto {
    /// Reads the blobs from the registry.
    Fetch,
    /// Hashes the compressed bytes.
    HashBlob,
    /// Inflates.
    Inflate,
    /// Hashes the plain bytes.
    HashPlain,
    /// Writes the plain bytes.
    Write,
    /// Syncs files and folders: the whole floor.
    Sync,
}

impl Upto {
    /// Every step, in order.
    pub const ALL: [Upto; 6] = [
        Upto::Fetch,
        Upto::HashBlob,
        Upto::Inflate,
        Upto::HashPlain,
        Upto::Write,
        Upto::Sync,
    ];

    /// The step's name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Upto::Fetch => "fetch",
            Upto::HashBlob => "hash-blob",
            Upto::Inflate => "inflate",
            Upto::HashPlain => "hash-plain",
            Upto::Write => "write",
            Upto::Sync => "sync",
        }
    }
}

/// What the floor did.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Done {
    /// Layers of the image.
    pub layers: usize,
    /// Compressed bytes.
    pub blob_bytes: u64,
    /// Plain bytes.
    pub plain_bytes: u64,
}

/// An image on a registry.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Address and port, spoken to over plain HTTP.
    pub host: &'a str,
    /// The repository.
    pub name: &'a str,
    /// The tag.
    pub tag: &'a str,
}

/// Which of its forms the floor takes.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What inflates gzip.
    pub codec: Codec,
    /// Where it stops.
    pub upto: Upto,
    /// Layers that are worked on at the same time: as many as in a pull of ours.
    pub concurrent_layers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            codec: Codec::Isal,
            upto: Upto::Sync,
            concurrent_layers: 4,
        }
    }
}

/// Pulls an image into the new folder `out`.
///
/// # Errors
/// [`BenchError`]: the registry, a digest, the disk.
pub fn pull(source: Source<'_>, out: &Path, options: Options) -> Result<Done, BenchError> {
    let folders = Folders::create(out)?;
    let mut client = Client::connect(source.host)?;
    let manifest = Manifest::fetch(&mut client, source.name, source.tag)?;
    let is_synced = options.upto == Upto::Sync;
    if is_synced {
        small_file(out, "mark", b"1")?;
        small_file(&folders.blobs, "manifest", &manifest.bytes)?;
        small_file(&folders.blobs, "config", &manifest.config)?;
        small_file(&folders.leases, "lease", &manifest.bytes)?;
    }
    let done = layers(source, &folders.layers, options, &manifest, client)?;
    if is_synced {
        small_file(&folders.disks, "fsmeta", &manifest.config)?;
        small_file(&folders.disks, "descriptor", &manifest.config)?;
        small_file(&folders.images, "record", &manifest.config)?;
    }
    Ok(done)
}

/// Fetches all layers, the largest first, as a pull of ours takes them.
fn layers(
    source: Source<'_>,
    folder: &Path,
    options: Options,
    manifest: &Manifest,
    client: Client,
) -> Result<Done, BenchError> {
    let total = Mutex::new(Done {
        layers: manifest.layers.len(),
        ..Done::default()
    });
    let mut waiting: Vec<_> = manifest.layers.iter().collect();
    waiting.sort_by_key(|layer| layer.blob_bytes);
    let waiting = Mutex::new(waiting);
    std::thread::scope(|scope| {
        let mut idle = Some(client);
        let workers: Vec<_> = (0..options.concurrent_layers.min(manifest.layers.len()))
            .map(|_| {
                let first = idle.take();
                let (waiting, total) = (&waiting, &total);
                scope.spawn(move || {
                    let mut client = match first {
                        Some(client) => client,
                        None => Client::connect(source.host)?,
                    };
                    loop {
                        let Some(layer) = lock(waiting).pop() else {
                            return Ok::<_, BenchError>(());
                        };
                        let plain_bytes =
                            layer::fetch(&mut client, source.name, layer, folder, options)?;
                        let mut total = lock(total);
                        total.blob_bytes += layer.blob_bytes;
                        total.plain_bytes += plain_bytes;
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    let done = *lock(&total);
    Ok(done)
}

/// Where things go, as in a cache of ours.
struct Folders {
    blobs: PathBuf,
    leases: PathBuf,
    layers: PathBuf,
    disks: PathBuf,
    images: PathBuf,
}

impl Folders {
    fn create(out: &Path) -> Result<Folders, BenchError> {
        let folder = |name: &str| {
            let path = out.join(name);
            fs::create_dir_all(&path).map_err(BenchError::io("create", &path))?;
            Ok(path)
        };
        Ok(Folders {
            blobs: folder("blobs")?,
            leases: folder("leases")?,
            layers: folder("layers")?,
            disks: folder("disks")?,
            images: folder("images")?,
        })
    }
}

/// Writes a file, syncs it, and syncs its folder.
fn small_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), BenchError> {
    let path = folder.join(name);
    let mut file = File::create(&path).map_err(BenchError::io("create", &path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(BenchError::io("write", &path))?;
    sync_folder(folder)
}

fn sync_folder(path: &Path) -> Result<(), BenchError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(BenchError::io("sync", path))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
