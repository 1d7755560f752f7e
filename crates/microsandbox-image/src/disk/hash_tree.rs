//! The hash tree of dm-verity over a disk of the cache.
//!
//! ```text
//!   layer image ──read once──▶ leaf hashes, kept beside the layer ─┐
//!   fsmeta ──────────────────▶ leaf hashes, in memory ─────────────┴─▶ tree ──▶ root hash
//! ```

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use erofs_format::Crc32c;
use msb_oci::Digest;
use msb_sidecar::Sidecar;
use msb_stitch::ExtentContent;
use msb_store::{DiskKey, LayerKey, Staged, Store, publish_all};
use msb_verity::{BLOCK_BYTES, HASH_BYTES, Leaves, Tree, TreeBuilder, open_sealed, seal};

use super::{ImageDisk, ImageLayout};
use crate::cache::CacheError;

/// The number of bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Reports why a hash tree was not built or verified.
#[derive(Debug)]
pub(crate) enum TreeError {
    /// The bytes of this layer image, or of the merged metadata, are not those that were written.
    Damaged(Option<LayerKey>),
    Cache(CacheError),
}

/// Builds and publishes the hash tree of a disk whose files are all in the cache, and the descriptor that names it. Returns the root
/// hash. Blocks on file I/O.
///
/// Every byte that is hashed for the first time is compared with the checksum of its file, so that the tree never covers damage.
pub(crate) fn build(
    disk: &ImageDisk,
    layout: ImageLayout,
    store: &Store,
    fsmeta_bytes: u64,
    fsmeta_crc32c: Option<u32>,
) -> Result<Digest, TreeError> {
    let key = disk.key();
    let damaged = || TreeError::Damaged(None);
    let fsmeta = store.open_fsmeta(key)?.ok_or_else(damaged)?;
    let mut of_fsmeta = Vec::new();
    let path = store.fsmeta_path(key);
    let actual = hash_file(&fsmeta, &mut of_fsmeta).map_err(|e| hash_error(&path, e))?;
    if actual.0 != fsmeta_bytes || fsmeta_crc32c.is_some_and(|crc32c| crc32c != actual.1) {
        return Err(damaged());
    }
    let layers = layers(disk, &layout, fsmeta_bytes).ok_or_else(damaged)?;
    for (layer, bytes) in &layers {
        ensure_leaves(store, layer, *bytes)?;
    }
    let tree_path = store.tree_path(key);
    let leaves = || LeavesOfDisk {
        current: Box::new(&of_fsmeta[..]),
        layers: layers.iter(),
        store,
    };
    let mut feed = Feed::default();
    io::copy(
        &mut BufReader::with_capacity(BUFFER_BYTES, leaves()),
        &mut feed,
    )
    .map_err(|source| hash_error(&tree_path, msb_verity::Error::Read { index: 0, source }))?;
    let tree = feed.finish().map_err(|e| hash_error(&tree_path, e))?;

    let layout = disk.with_hash_tree(layout);
    let text = layout.descriptor(fsmeta_bytes).map_err(|_| damaged())?;
    let staged = store.stage_tree(key)?;
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, staged.file());
    let mut input = BufReader::with_capacity(BUFFER_BYTES, leaves());
    let written = tree.write(&mut input, &mut output);
    let flush = |()| {
        let flushed = output.flush();
        flushed.map_err(|source| msb_verity::Error::Write { source })
    };
    written
        .and_then(flush)
        .map_err(|error| write_error(&staged, error, tree.bytes()))?;
    drop(output);
    let descriptor = store.stage_verity_vmdk(key)?;
    let written = descriptor.file().write_all(text.as_bytes());
    written.map_err(|source| descriptor.write_error(source, Some(text.len() as u64)))?;
    publish_all([staged.sync()?, descriptor.sync()?])?;
    Ok(root_hash(&tree))
}

/// Ensures that the cache has the leaf hashes of a layer image of this length, reading the image once if necessary.
pub(crate) fn ensure_leaves(
    store: &Store,
    layer: &LayerKey,
    image_bytes: u64,
) -> Result<(), TreeError> {
    if open_leaves(store, layer, image_bytes)?.is_some() {
        return Ok(());
    }
    let damaged = || TreeError::Damaged(Some(layer.clone()));
    let path = store.layer_image_path(layer);
    let image = store.open_layer_image(layer)?.ok_or_else(damaged)?;
    let sidecar = store.open_layer_sidecar(layer)?.ok_or_else(damaged)?;
    let expected = match Sidecar::open(sidecar) {
        Ok(sidecar) => sidecar.image(),
        Err(source) if source.is_corrupt() => return Err(damaged()),
        Err(source) => {
            let path = store.layer_sidecar_path(layer);
            return Err(TreeError::Cache(CacheError::Sidecar { path, source }));
        }
    };
    let staged = store.stage_layer_leaves(layer)?;
    let mut leaves = staged.try_clone_file()?;
    let output = BufWriter::with_capacity(BUFFER_BYTES, &leaves);
    let needed = image_bytes / (BLOCK_BYTES / HASH_BYTES) as u64;
    let actual = hash_file(&image, output).map_err(|error| match error {
        error @ msb_verity::Error::Read { .. } => hash_error(&path, error),
        error => write_error(&staged, error, needed),
    })?;
    if actual != (expected.bytes, expected.crc32c) || actual.0 != image_bytes {
        return Err(damaged());
    }
    seal(&mut leaves).map_err(|source| staged.write_error(source, Some(needed)))?;
    staged.publish_unsynced()?;
    Ok(())
}

/// What is wrong with the hash tree of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreeFault {
    /// The tree over the files of the disk has another root hash.
    RootHash(Digest),
    /// The file is not the tree over the files of the disk.
    Changed,
}

/// Hashes all files of a disk and compares the tree of the cache with the result. Blocks on file I/O.
pub(crate) fn verify(
    disk: &ImageDisk,
    layout: &ImageLayout,
    store: &Store,
    fsmeta_bytes: u64,
    expected: Digest,
) -> Result<Option<TreeFault>, TreeError> {
    let key = disk.key();
    let damaged = || TreeError::Damaged(None);
    let mut feed = BufWriter::with_capacity(BUFFER_BYTES, Feed::default());
    let fsmeta = store.open_fsmeta(key)?.ok_or_else(damaged)?;
    let path = store.fsmeta_path(key);
    hash_file(&fsmeta, &mut feed).map_err(|e| hash_error(&path, e))?;
    for (layer, _) in layers(disk, layout, fsmeta_bytes).ok_or_else(damaged)? {
        let path = store.layer_image_path(&layer);
        let image = store.open_layer_image(&layer)?;
        let image = image.ok_or_else(|| TreeError::Damaged(Some(layer.clone())))?;
        hash_file(&image, &mut feed).map_err(|e| hash_error(&path, e))?;
    }
    let path = store.tree_path(key);
    let error = |source: io::Error| hash_error(&path, msb_verity::Error::Write { source });
    let feed = feed.into_inner().map_err(|e| error(e.into_error()))?;
    let tree = feed.finish().map_err(|e| hash_error(&path, e))?;
    let actual = root_hash(&tree);
    if actual != expected {
        return Ok(Some(TreeFault::RootHash(actual)));
    }
    compare(&tree, store, key, &path)
}

/// Compares a tree with its file.
fn compare(
    tree: &Tree,
    store: &Store,
    key: &DiskKey,
    path: &Path,
) -> Result<Option<TreeFault>, TreeError> {
    let (Some(whole), Some(mut leaves)) = (store.open_tree(key)?, store.open_tree(key)?) else {
        return Ok(Some(TreeFault::Changed));
    };
    let read_error = |source| hash_error(path, msb_verity::Error::Read { index: 0, source });
    let in_block = (BLOCK_BYTES / HASH_BYTES) as u64;
    let leaf_bytes = match tree.bytes() {
        0 => 0,
        _ => tree.data_blocks().div_ceil(in_block) * BLOCK_BYTES as u64,
    };
    let start = SeekFrom::Start(tree.bytes() - leaf_bytes);
    leaves.seek(start).map_err(read_error)?;
    let mut output = Compare {
        file: BufReader::new(whole),
        differs: false,
    };
    match tree.write(&mut BufReader::new(leaves), &mut output) {
        Ok(()) if output.differs => Ok(Some(TreeFault::Changed)),
        Ok(()) => Ok(None),
        Err(msb_verity::Error::Changed { .. }) => Ok(Some(TreeFault::Changed)),
        Err(msb_verity::Error::Read { source, .. } | msb_verity::Error::Write { source })
            if source.kind() == io::ErrorKind::UnexpectedEof =>
        {
            Ok(Some(TreeFault::Changed))
        }
        Err(error) => Err(hash_error(path, error)),
    }
}

/// Returns the layers of a disk in order, with the lengths of their images; `None` for lengths that no disk has.
fn layers(
    disk: &ImageDisk,
    layout: &ImageLayout,
    fsmeta_bytes: u64,
) -> Option<Vec<(LayerKey, u64)>> {
    let extents = layout.extents(fsmeta_bytes).ok()?;
    let layers = extents.iter().filter_map(|extent| match extent.content {
        ExtentContent::Layer(device) => Some((disk.layers().get(device)?.clone(), extent.bytes)),
        _ => None,
    });
    Some(layers.collect())
}

/// Opens the leaf hashes of a layer image; `None` if there are none, or they have changed.
fn open_leaves(
    store: &Store,
    layer: &LayerKey,
    image_bytes: u64,
) -> Result<Option<io::Take<File>>, TreeError> {
    let Some(file) = store.open_layer_leaves(layer)? else {
        return Ok(None);
    };
    let path = store.layer_leaves_path(layer);
    open_sealed(file, image_bytes / BLOCK_BYTES as u64)
        .map_err(|source| hash_error(&path, msb_verity::Error::Read { index: 0, source }))
}

/// Writes the leaf hashes of a file, and returns its length and checksum.
fn hash_file(mut file: &File, output: impl Write) -> Result<(u64, u32), msb_verity::Error> {
    let mut leaves = Leaves::new(output);
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut bytes, mut checksum) = (0_u64, Crc32c::new());
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                let index = bytes / BLOCK_BYTES as u64;
                return Err(msb_verity::Error::Read { index, source });
            }
        };
        checksum = checksum.update(&buffer[..read]);
        leaves.update(&buffer[..read])?;
        bytes += read as u64;
    }
    let mut output = leaves.finish()?;
    output
        .flush()
        .map_err(|source| msb_verity::Error::Write { source })?;
    Ok((bytes, checksum.get()))
}

/// Returns the root hash of a tree, as a digest.
fn root_hash(tree: &Tree) -> Digest {
    Digest::from_sha256(tree.root_hash())
}

/// The leaf hashes of all files of a disk, in order; those of the layers are in the cache.
struct LeavesOfDisk<'a> {
    current: Box<dyn Read + 'a>,
    layers: std::slice::Iter<'a, (LayerKey, u64)>,
    store: &'a Store,
}

impl Read for LeavesOfDisk<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.current.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some((layer, bytes)) = self.layers.next() else {
                return Ok(0);
            };
            let file = self.store.open_layer_leaves(layer);
            let file = file.map_err(io::Error::other)?;
            let file = file.ok_or(io::ErrorKind::NotFound)?;
            let leaves = open_sealed(file, bytes / BLOCK_BYTES as u64)?;
            self.current = Box::new(leaves.ok_or(io::ErrorKind::InvalidData)?);
        }
    }
}

/// Passes leaf hashes, which may arrive in pieces of any length, to a builder.
#[derive(Default)]
struct Feed {
    builder: TreeBuilder,
    /// The beginning of a hash; shorter than one.
    partial: Vec<u8>,
}

impl Feed {
    fn finish(self) -> Result<Tree, msb_verity::Error> {
        match self.partial.len() {
            0 => self.builder.finish(),
            bytes => Err(msb_verity::Error::PartialHash { bytes }),
        }
    }
}

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.partial.is_empty() && bytes.len() >= HASH_BYTES {
            let whole = bytes.len() - bytes.len() % HASH_BYTES;
            let added = self.builder.extend(&bytes[..whole]);
            return added.map(|()| whole).map_err(io::Error::other);
        }
        let taken = bytes.len().min(HASH_BYTES - self.partial.len());
        self.partial.extend(&bytes[..taken]);
        if self.partial.len() == HASH_BYTES {
            self.builder
                .extend(&self.partial)
                .map_err(io::Error::other)?;
            self.partial.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares what is written with a file.
struct Compare {
    file: BufReader<File>,
    differs: bool,
}

impl Write for Compare {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut expected = vec![0; bytes.len()];
        self.file.read_exact(&mut expected)?;
        self.differs |= expected != bytes;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hash_error(path: &Path, source: msb_verity::Error) -> TreeError {
    TreeError::Cache(CacheError::HashTree {
        path: path.to_path_buf(),
        source,
    })
}

/// Converts the error of a write to a staged file of this length.
fn write_error(staged: &Staged, error: msb_verity::Error, needed_bytes: u64) -> TreeError {
    match error {
        msb_verity::Error::Write { source } => {
            staged.write_error(source, Some(needed_bytes)).into()
        }
        error => hash_error(staged.target(), error),
    }
}

impl TreeError {
    /// Returns the error for callers that rebuild nothing.
    pub(crate) fn into_cache(self, store: &Store, disk: &DiskKey) -> CacheError {
        let changed = |path: PathBuf| CacheError::Changed { path };
        match self {
            Self::Damaged(Some(layer)) => changed(store.layer_image_path(&layer)),
            Self::Damaged(None) => changed(store.fsmeta_path(disk)),
            Self::Cache(error) => error,
        }
    }
}

impl From<msb_store::Error> for TreeError {
    fn from(error: msb_store::Error) -> Self {
        Self::Cache(error.into())
    }
}
