use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};

use erofs_format::Crc32c;
use erofs_writer::{ImageWriter, OpenExtent, SparseFile};
use fs_tree::{
    Applied, Change, ChangeKind, Extent, LayerApplier, Metadata, NewContent, NewNode, Timestamp,
};
use msb_sidecar::{Note, SidecarWriter};

use super::meter::Meter;
use super::notes::{LayerNotes, shown};
use super::{apply_error, image_error, sidecar_error};
use crate::entry::{LayerEntry, classify, is_aufs, link_target};
use crate::sparse::Segments;
use crate::tar::{Entry, Kind, TarSink};
use crate::{LayerError, LayerLimit, LayerLimits};

/// Longest file that is stored inline with its inode, in the layer image and again in fsmeta. A longer file gets its own blocks.
/// Up to half a block, inline data takes less space in total, and no separate read.
const INLINE_BYTES: u64 = 2048;

/// Number of entries between two charges to the budget.
const ENTRIES_A_MEASURE: u64 = 16;

/// Receives the entries of one archive.
pub(super) struct Sink<'t, 'l, W> {
    pub(super) image: ImageWriter<W>,
    pub(super) sidecar: SidecarWriter<BufWriter<File>>,
    pub(super) notes: LayerNotes,
    pub(super) meter: Meter,
    applier: LayerApplier<'t>,
    limits: &'l LayerLimits,
    entries: u64,
    /// Counted against [`LayerLimits::metadata_bytes`].
    metadata_bytes: u64,
    /// Counted against [`LayerLimits::sparse_bytes`].
    sparse_bytes: u64,
    /// Paths whose last entry in this archive was omitted with a note.
    omitted: HashSet<Vec<u8>>,
    pending: Pending,
}

/// The entry whose data follows.
#[derive(Debug, Default)]
struct Pending {
    path: Vec<u8>,
    metadata: Metadata,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    size: u64,
    crc32c: Crc32c,
    data: Data,
}

/// The destination of an entry's data.
#[derive(Debug, Default)]
enum Data {
    /// None: the entry has no data, or is omitted.
    #[default]
    Dropped,
    /// Memory, and from there the sidecar.
    Inline(Vec<u8>),
    /// The image, in one piece.
    Contiguous(OpenExtent),
    /// The image, in several pieces.
    Sparse(SparseFile),
}

impl<W: Write + Seek> TarSink for Sink<'_, '_, W> {
    type Error = LayerError;

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LayerError> {
        self.meter.entry()?;
        self.entries += 1;
        check(LayerLimit::Entries, self.limits.entries, self.entries)?;
        self.count_metadata(metadata_bytes(entry))?;
        self.pending.data = Data::Dropped;
        let path = match classify(entry, &self.limits.path)? {
            LayerEntry::Inode { path } => path,
            LayerEntry::Whiteout { path } => {
                return self.mark(&Change {
                    path: &path,
                    kind: ChangeKind::Whiteout,
                });
            }
            LayerEntry::Opaque { path } => {
                return self.mark(&Change {
                    path: &path,
                    kind: ChangeKind::Opaque,
                });
            }
            LayerEntry::Aufs { path } => {
                self.notes.push(Note::AufsFile { path: shown(&path) });
                self.omit(&path);
                return Ok(());
            }
        };
        let metadata = Metadata {
            mode: u16::try_from(entry.mode & 0o7777).unwrap_or(0),
            uid: entry.uid,
            gid: entry.gid,
            mtime: Timestamp {
                secs: entry.mtime.secs,
                nanos: entry.mtime.nanos,
            },
        };
        if let Some(target) = link_target(entry, &self.limits.path)? {
            // An aufs name is omitted in every layer.
            if self.omitted.contains(&*target) || is_aufs(&target) {
                self.notes.push(Note::LinkToLeftOut {
                    path: shown(&path),
                    target: shown(&target),
                });
                self.omit(&path);
                return Ok(());
            }
            self.keep_again(&path);
            return self.mark(&Change {
                path: &path,
                kind: ChangeKind::HardLink { target: &target },
            });
        }
        let node = match entry.kind {
            Kind::Regular => None,
            Kind::Directory => Some(NewNode::Directory),
            Kind::Symlink { target } => Some(NewNode::Symlink { target }),
            Kind::Fifo => Some(NewNode::Fifo),
            Kind::CharDevice { major: 0, minor: 0 } => {
                self.notes.push(Note::WhiteoutDevice { path: shown(&path) });
                self.omit(&path);
                return Ok(());
            }
            Kind::CharDevice { major, minor } => Some(NewNode::CharDevice { major, minor }),
            Kind::BlockDevice { major, minor } => Some(NewNode::BlockDevice { major, minor }),
            Kind::HardLink { .. } => return Ok(()),
            Kind::Other(type_flag) => {
                self.notes.push(Note::UnknownType {
                    path: shown(&path),
                    type_flag,
                });
                self.omit(&path);
                return Ok(());
            }
        };
        self.keep_again(&path);
        self.notes.lost(entry, &path);
        let xattrs = self.notes.kept_xattrs(entry, &path);
        if let Some(node) = node {
            return self.mark(&Change {
                path: &path,
                kind: ChangeKind::Node {
                    metadata,
                    xattrs: &xattrs,
                    node,
                },
            });
        }
        check(LayerLimit::FileBytes, self.limits.file_bytes, entry.size)?;
        let data = self.place(entry)?;
        let pending = &mut self.pending;
        pending.path.clear();
        pending.path.extend_from_slice(&path);
        pending.metadata = metadata;
        pending.xattrs = xattrs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        pending.size = entry.size;
        pending.crc32c = Crc32c::new();
        pending.data = data;
        Ok(())
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), LayerError> {
        self.meter.data()?;
        match &mut self.pending.data {
            Data::Dropped => Ok(()),
            Data::Inline(buffer) => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Data::Contiguous(extent) => self
                .image
                .attach(*extent)
                .and_then(|mut extent| extent.write(bytes))
                .map_err(image_error),
            Data::Sparse(sparse) => sparse
                .write(&mut self.image, offset, bytes)
                .map_err(image_error),
        }
    }

    fn end_entry(&mut self) -> Result<(), LayerError> {
        let pending = &mut self.pending;
        let extents;
        let mut inline = None;
        let content = match std::mem::take(&mut pending.data) {
            Data::Dropped => return Ok(()),
            Data::Inline(bytes) if bytes.is_empty() => NewContent::Absent,
            Data::Inline(bytes) => {
                pending.crc32c = Crc32c::of(&bytes);
                inline = Some(bytes);
                NewContent::Inline { key: 0 }
            }
            Data::Contiguous(extent) => {
                let extent = self.image.attach(extent).map_err(image_error)?;
                let stored = extent.end().map_err(image_error)?;
                pending.crc32c = stored.crc32c;
                NewContent::Contiguous {
                    device: 0,
                    offset: stored.offset,
                }
            }
            Data::Sparse(sparse) => {
                (extents, pending.crc32c) = sparse.finish(&mut self.image).map_err(image_error)?;
                if extents.is_empty() {
                    NewContent::Absent
                } else {
                    NewContent::Mapped(&extents)
                }
            }
        };
        let xattrs: Vec<_> = pending
            .xattrs
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
            .collect();
        let path = std::mem::take(&mut pending.path);
        let node = |content| NewNode::Regular {
            size: pending.size,
            crc32c: pending.crc32c.get(),
            content,
        };
        let kind = |content| ChangeKind::Node {
            metadata: pending.metadata,
            xattrs: &xattrs,
            node: node(content),
        };
        let key = self
            .sidecar
            .change(
                &Change {
                    path: &path,
                    kind: kind(content),
                },
                inline.as_deref(),
            )
            .map_err(sidecar_error)?;
        let content = key.map_or(content, |key| NewContent::Inline { key });
        self.applier
            .apply(&Change {
                path: &path,
                kind: kind(content),
            })
            .map_err(apply_error)?;
        self.pending.path = path;
        self.check_tree()
    }
}

impl<'t, 'l, W: Write + Seek> Sink<'t, 'l, W> {
    pub(super) fn new(
        image: ImageWriter<W>,
        sidecar: SidecarWriter<BufWriter<File>>,
        applier: LayerApplier<'t>,
        limits: &'l LayerLimits,
        meter: Meter,
    ) -> Self {
        Self {
            image,
            sidecar,
            notes: LayerNotes::default(),
            meter,
            applier,
            limits,
            entries: 0,
            metadata_bytes: 0,
            sparse_bytes: 0,
            omitted: HashSet::new(),
            pending: Pending::default(),
        }
    }

    /// Records a change that has no data.
    fn mark(&mut self, change: &Change<'_>) -> Result<(), LayerError> {
        self.sidecar.change(change, None).map_err(sidecar_error)?;
        if self.applier.apply(change).map_err(apply_error)? == Applied::LinksBelow {
            self.notes.link_below(change.path);
        }
        self.check_tree()
    }

    /// Records that the path was omitted, so that hard links to it are omitted too.
    fn omit(&mut self, path: &[u8]) {
        self.omitted.insert(path.to_vec());
    }

    /// Removes the path from the omitted ones, because a later entry of it is kept.
    fn keep_again(&mut self, path: &[u8]) {
        // Most archives omit nothing, and removing from an empty set would still hash the path.
        if !self.omitted.is_empty() {
            self.omitted.remove(path);
        }
    }

    fn place(&mut self, entry: &Entry<'_>) -> Result<Data, LayerError> {
        if let Some(data) = entry.sparse {
            let segments = Segments::of(entry.size, data);
            self.check_image(segments.stored_bytes)?;
            self.sparse_bytes = self.sparse_bytes.saturating_add(segments.overhead_bytes);
            check(
                LayerLimit::SparseBytes,
                self.limits.sparse_bytes,
                self.sparse_bytes,
            )?;
            self.count_metadata(segments.count * size_of::<Extent>())?;
            let file = SparseFile::new(entry.path, entry.size, segments.chunk_bytes);
            return Ok(Data::Sparse(file));
        }
        if entry.size <= INLINE_BYTES {
            return Ok(Data::Inline(Vec::with_capacity(
                usize::try_from(entry.size).unwrap_or(0),
            )));
        }
        self.check_image(entry.size)?;
        let extent = self.image.begin().map_err(image_error)?;
        Ok(Data::Contiguous(extent.detach()))
    }

    fn count_metadata(&mut self, more: usize) -> Result<(), LayerError> {
        self.metadata_bytes = self.metadata_bytes.saturating_add(more as u64);
        let limits = self.limits;
        check(
            LayerLimit::MetadataBytes,
            limits.metadata_bytes,
            self.metadata_bytes,
        )
    }

    /// Checks the number of names in the tree, which exceeds the number of entries if paths imply directories, and the path
    /// steps of the entries.
    fn check_tree(&mut self) -> Result<(), LayerError> {
        let tree = self.applier.tree();
        let names = tree.entry_count() as u64;
        check(LayerLimit::Entries, self.limits.entries, names)?;
        let steps = self.applier.steps();
        check(LayerLimit::PathSteps, self.limits.path_steps, steps)?;
        if self.entries.is_multiple_of(ENTRIES_A_MEASURE) {
            self.meter.measure(tree, steps, self.sidecar.position())?;
        }
        Ok(())
    }

    /// Returns the number of path components walked so far.
    pub(super) fn steps(&self) -> u64 {
        self.applier.steps()
    }

    fn check_image(&self, more: u64) -> Result<(), LayerError> {
        check(
            LayerLimit::ImageBytes,
            self.limits.image_bytes,
            self.image.position().saturating_add(more),
        )
    }
}

/// Returns the bytes of names and values that an entry may add to the tree.
fn metadata_bytes(entry: &Entry<'_>) -> usize {
    let target = match entry.kind {
        Kind::HardLink { target } | Kind::Symlink { target } => target.len(),
        _ => 0,
    };
    let xattrs = entry.xattrs.iter();
    let xattrs: usize = xattrs.map(|(name, value)| name.len() + value.len()).sum();
    entry.path.len() + target + xattrs
}

/// Checks a value against a limit of the layer.
fn check(limit: LayerLimit, allowed: u64, actual: u64) -> Result<(), LayerError> {
    if actual <= allowed {
        Ok(())
    } else {
        Err(LayerError::Limit {
            limit,
            allowed,
            actual,
        })
    }
}
