use std::fmt;

use fs_tree::{
    ApplyError, Change, ChangeKind, Extent, LayerApplier, Metadata, NewContent, NewNode, Timestamp,
    Tree, Whiteout, merge_layer,
};

use super::{ErrorKind, Xattrs};

/// A [`Change`] that owns its data.
#[derive(Clone)]
pub(crate) struct OwnedChange {
    pub(crate) path: String,
    pub(crate) kind: OwnedKind,
}

#[derive(Clone, Debug)]
pub(crate) enum OwnedKind {
    Node {
        metadata: Metadata,
        xattrs: Xattrs,
        node: OwnedNode,
    },
    HardLink {
        target: String,
    },
    Whiteout,
    Opaque,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnedNode {
    Directory,
    Regular {
        size: u64,
        crc32c: u32,
        content: OwnedContent,
    },
    Symlink {
        target: String,
    },
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnedContent {
    Absent,
    Contiguous { device: u16, offset: u64 },
    Mapped(Vec<Extent>),
    Inline { key: u64 },
}

/// Prints one line, in the form of the builders below.
impl fmt::Debug for OwnedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            OwnedKind::HardLink { target } => write!(f, "hard_link({path:?}, {target:?})"),
            OwnedKind::Whiteout => write!(f, "whiteout({path:?})"),
            OwnedKind::Opaque => write!(f, "opaque({path:?})"),
            OwnedKind::Node {
                metadata,
                xattrs,
                node,
            } => {
                match node {
                    OwnedNode::Directory => write!(f, "dir({path:?}, 0o{:o})", metadata.mode)?,
                    OwnedNode::Regular { size, .. } => write!(f, "file({path:?}, {size})")?,
                    OwnedNode::Symlink { target } => write!(f, "symlink({path:?}, {target:?})")?,
                    other => write!(f, "{other:?} at {path:?}")?,
                }
                if !xattrs.is_empty() {
                    write!(f, " with {xattrs:?}")?;
                }
                Ok(())
            }
        }
    }
}

impl OwnedChange {
    pub(crate) fn is_directory(&self) -> bool {
        let node = OwnedNode::Directory;
        matches!(&self.kind, OwnedKind::Node { node: found, .. } if *found == node)
    }

    pub(crate) fn with<R>(&self, then: impl FnOnce(&Change<'_>) -> R) -> R {
        let mut borrowed_xattrs = Vec::new();
        let kind = match &self.kind {
            OwnedKind::Node {
                metadata,
                xattrs,
                node,
            } => {
                borrowed_xattrs.extend(
                    xattrs
                        .iter()
                        .map(|(name, value)| (name.as_bytes(), &**value)),
                );
                // The order of a tar's xattrs does not matter.
                borrowed_xattrs.reverse();
                ChangeKind::Node {
                    metadata: *metadata,
                    xattrs: &borrowed_xattrs,
                    node: node.borrow(),
                }
            }
            OwnedKind::HardLink { target } => ChangeKind::HardLink {
                target: target.as_bytes(),
            },
            OwnedKind::Whiteout => ChangeKind::Whiteout,
            OwnedKind::Opaque => ChangeKind::Opaque,
        };
        then(&Change {
            path: self.path.as_bytes(),
            kind,
        })
    }
}

impl OwnedNode {
    fn borrow(&self) -> NewNode<'_> {
        match self {
            Self::Directory => NewNode::Directory,
            Self::Regular {
                size,
                crc32c,
                content,
            } => NewNode::Regular {
                size: *size,
                crc32c: *crc32c,
                content: match content {
                    OwnedContent::Absent => NewContent::Absent,
                    OwnedContent::Contiguous { device, offset } => NewContent::Contiguous {
                        device: *device,
                        offset: *offset,
                    },
                    OwnedContent::Mapped(extents) => NewContent::Mapped(extents),
                    OwnedContent::Inline { key } => NewContent::Inline { key: *key },
                },
            },
            Self::Symlink { target } => NewNode::Symlink {
                target: target.as_bytes(),
            },
            Self::CharDevice(major, minor) => NewNode::CharDevice {
                major: *major,
                minor: *minor,
            },
            Self::BlockDevice(major, minor) => NewNode::BlockDevice {
                major: *major,
                minor: *minor,
            },
            Self::Fifo => NewNode::Fifo,
        }
    }
}

/// Merges a stack, lowest layer first, with the code under test. Also applies each layer alone, as its conversion does.
pub(crate) fn merge(stack: &[Vec<OwnedChange>]) -> Result<Tree, ApplyError> {
    let mut tree = Tree::new();
    for layer in stack {
        let whiteouts = layer.iter().filter_map(|change| {
            let opaque = match change.kind {
                OwnedKind::Whiteout => false,
                OwnedKind::Opaque => true,
                OwnedKind::Node { .. } | OwnedKind::HardLink { .. } => return None,
            };
            Some(Whiteout {
                path: change.path.as_bytes(),
                opaque,
            })
        });
        let mut merge = merge_layer(&mut tree, whiteouts);
        let mut own = Tree::new();
        let mut alone = LayerApplier::new(&mut own);
        for change in layer {
            change.with(|change| {
                if let Err(error @ ApplyError::ParentNotADirectory { .. }) = alone.apply(change) {
                    return Err(error);
                }
                merge.apply(change)
            })?;
        }
    }
    Ok(tree)
}

pub(crate) fn error_kind(error: &ApplyError) -> ErrorKind {
    match error {
        ApplyError::ParentNotADirectory { .. } => ErrorKind::ParentNotADirectory,
        ApplyError::SymlinkLoop { .. } => ErrorKind::SymlinkLoop,
        ApplyError::RootNotADirectory => ErrorKind::RootNotADirectory,
        ApplyError::LinkTargetMissing { .. } => ErrorKind::LinkTargetMissing,
        ApplyError::LinkToDirectory { .. } => ErrorKind::LinkToDirectory,
        _ => ErrorKind::Other,
    }
}

/// Returns metadata that is distinct for each `n`.
pub(crate) fn metadata(mode: u16, n: u32) -> Metadata {
    Metadata {
        mode,
        uid: n,
        gid: n + 70_000,
        mtime: Timestamp {
            secs: i64::from(n) - 5,
            nanos: n,
        },
    }
}

fn node(path: &str, metadata: Metadata, node: OwnedNode) -> OwnedChange {
    OwnedChange {
        path: path.into(),
        kind: OwnedKind::Node {
            metadata,
            xattrs: Xattrs::new(),
            node,
        },
    }
}

/// Returns a directory with a mode.
pub(crate) fn dir(path: &str, mode: u16) -> OwnedChange {
    node(path, metadata(mode, 0), OwnedNode::Directory)
}

/// Returns a file, which its size identifies.
pub(crate) fn file(path: &str, size: u64) -> OwnedChange {
    let content = OwnedContent::Inline { key: size };
    node(
        path,
        metadata(0o644, 0),
        OwnedNode::Regular {
            size,
            crc32c: 0,
            content,
        },
    )
}

pub(crate) fn symlink(path: &str, target: &str) -> OwnedChange {
    let target = target.into();
    node(path, metadata(0o777, 0), OwnedNode::Symlink { target })
}

pub(crate) fn char_device(path: &str, major: u32, minor: u32) -> OwnedChange {
    node(
        path,
        metadata(0o600, 0),
        OwnedNode::CharDevice(major, minor),
    )
}

pub(crate) fn block_device(path: &str, major: u32, minor: u32) -> OwnedChange {
    node(
        path,
        metadata(0o600, 0),
        OwnedNode::BlockDevice(major, minor),
    )
}

pub(crate) fn fifo(path: &str) -> OwnedChange {
    node(path, metadata(0o600, 0), OwnedNode::Fifo)
}

pub(crate) fn hard_link(path: &str, target: &str) -> OwnedChange {
    OwnedChange {
        path: path.into(),
        kind: OwnedKind::HardLink {
            target: target.into(),
        },
    }
}

pub(crate) fn whiteout(path: &str) -> OwnedChange {
    OwnedChange {
        path: path.into(),
        kind: OwnedKind::Whiteout,
    }
}

pub(crate) fn opaque(path: &str) -> OwnedChange {
    OwnedChange {
        path: path.into(),
        kind: OwnedKind::Opaque,
    }
}

/// Returns the same entry with one more xattr.
pub(crate) fn with_xattr(mut change: OwnedChange, name: &str, value: &[u8]) -> OwnedChange {
    if let OwnedKind::Node { xattrs, .. } = &mut change.kind {
        xattrs.insert(name.into(), value.into());
    }
    change
}
