//! The encoding of one change.

use fs_tree::{Change, ChangeKind, Extent, Metadata, NewContent, NewNode, Timestamp};

use crate::limits::{MAX_EXTENTS, MAX_PATH_BYTES};
use crate::varint::{Cursor, put, put_bytes, put_signed};
use crate::xattr_sets::{XattrReader, XattrWriter};

/// The first byte of a record.
mod kind {
    pub(super) const HARD_LINK: u8 = 0;
    pub(super) const DIRECTORY: u8 = 1;
    pub(super) const REGULAR: u8 = 2;
    pub(super) const SYMLINK: u8 = 3;
    pub(super) const CHAR_DEVICE: u8 = 4;
    pub(super) const BLOCK_DEVICE: u8 = 5;
    pub(super) const FIFO: u8 = 6;
}

/// The byte before the place of a file's data.
mod content {
    pub(super) const ABSENT: u8 = 0;
    pub(super) const CONTIGUOUS: u8 = 1;
    pub(super) const MAPPED: u8 = 2;
    pub(super) const INLINE: u8 = 3;
}

/// Encodes a path as the number of bytes that it shares with the path before, and the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathCoder {
    last: Vec<u8>,
}

impl PathCoder {
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, path: &[u8]) {
        let shared = self
            .last
            .iter()
            .zip(path)
            .take_while(|(a, b)| a == b)
            .count();
        put(out, shared as u64);
        put_bytes(out, &path[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&path[shared..]);
    }

    pub(crate) fn get(&mut self, cursor: &mut Cursor<'_>) -> Option<&[u8]> {
        let shared = usize::try_from(cursor.number()?)
            .ok()
            .filter(|&shared| shared <= self.last.len())?;
        let rest = cursor.bytes()?;
        if shared + rest.len() > MAX_PATH_BYTES {
            return None;
        }
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        Some(&self.last)
    }
}

/// What the writer of records remembers of those before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoder {
    paths: PathCoder,
    xattrs: XattrWriter,
}

/// What the reader of records remembers of those before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder {
    paths: PathCoder,
    xattrs: XattrReader,
}

/// Appends a change that is not a whiteout. `inline` has the bytes of an inline file, which end the record.
pub(crate) fn encode(out: &mut Vec<u8>, coder: &mut Encoder, change: &Change<'_>, inline: &[u8]) {
    let paths = &mut coder.paths;
    let (metadata, xattrs, node) = match change.kind {
        ChangeKind::Node {
            metadata,
            xattrs,
            node,
        } => (metadata, xattrs, node),
        ChangeKind::HardLink { target } => {
            out.push(kind::HARD_LINK);
            paths.put(out, change.path);
            put_bytes(out, target);
            return;
        }
        ChangeKind::Whiteout | ChangeKind::Opaque => return,
    };
    out.push(match node {
        NewNode::Directory => kind::DIRECTORY,
        NewNode::Regular { .. } => kind::REGULAR,
        NewNode::Symlink { .. } => kind::SYMLINK,
        NewNode::CharDevice { .. } => kind::CHAR_DEVICE,
        NewNode::BlockDevice { .. } => kind::BLOCK_DEVICE,
        NewNode::Fifo => kind::FIFO,
    });
    paths.put(out, change.path);
    put(out, u64::from(metadata.mode));
    put(out, u64::from(metadata.uid));
    put(out, u64::from(metadata.gid));
    put_signed(out, metadata.mtime.secs);
    put(out, u64::from(metadata.mtime.nanos));
    coder.xattrs.put(out, xattrs);
    match node {
        NewNode::Directory | NewNode::Fifo => {}
        NewNode::Symlink { target } => put_bytes(out, target),
        NewNode::CharDevice { major, minor } | NewNode::BlockDevice { major, minor } => {
            put(out, u64::from(major));
            put(out, u64::from(minor));
        }
        NewNode::Regular {
            size,
            crc32c,
            content,
        } => {
            put(out, size);
            out.extend_from_slice(&crc32c.to_le_bytes());
            match content {
                NewContent::Absent => out.push(content::ABSENT),
                NewContent::Contiguous { offset, .. } => {
                    out.push(content::CONTIGUOUS);
                    put(out, offset);
                }
                NewContent::Mapped(extents) => {
                    out.push(content::MAPPED);
                    put(out, extents.len() as u64);
                    for extent in extents {
                        put(out, extent.logical);
                        put(out, extent.len);
                        put(out, extent.offset);
                    }
                }
                NewContent::Inline { .. } => {
                    out.push(content::INLINE);
                    out.extend_from_slice(inline);
                }
            }
        }
    }
}

/// The place of a decoded record, and of the data of its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) device: u16,
    /// Byte offset of the record in the sidecar. The key of an inline file is the offset of its bytes.
    pub(crate) record_at: u64,
}

/// Returns whether a symbolic link can have this target: 1 to 4095 bytes without a NUL, as on Linux.
fn can_be_linked_to(target: &[u8]) -> bool {
    (1..=4095).contains(&target.len()) && !target.contains(&0)
}

/// Decodes one record and passes its change to `apply`. Returns `None` if the record is malformed.
pub(crate) fn decode<'a, T>(
    record: &'a [u8],
    decoder: &'a mut Decoder,
    place: Place,
    apply: impl FnOnce(&Change<'_>) -> T,
) -> Option<T> {
    let mut cursor = Cursor::new(record);
    let kind = cursor.byte()?;
    let path = decoder.paths.get(&mut cursor)?;
    if kind == kind::HARD_LINK {
        let target = cursor.bytes()?;
        return cursor.is_at_end().then(|| {
            apply(&Change {
                path,
                kind: ChangeKind::HardLink { target },
            })
        });
    }
    let metadata = Metadata {
        mode: u16::try_from(cursor.number()?)
            .ok()
            .filter(|mode| mode & !0o7777 == 0)?,
        uid: cursor.number32()?,
        gid: cursor.number32()?,
        mtime: Timestamp {
            secs: cursor.signed()?,
            nanos: cursor.number32().filter(|&nanos| nanos < 1_000_000_000)?,
        },
    };
    let xattrs = decoder.xattrs.get(&mut cursor)?;
    let mut extents = Vec::new();
    let node = match kind {
        kind::DIRECTORY => NewNode::Directory,
        kind::FIFO => NewNode::Fifo,
        kind::SYMLINK => NewNode::Symlink {
            target: cursor.bytes().filter(|target| can_be_linked_to(target))?,
        },
        kind::CHAR_DEVICE => NewNode::CharDevice {
            major: cursor.number32()?,
            minor: cursor.number32()?,
        },
        kind::BLOCK_DEVICE => NewNode::BlockDevice {
            major: cursor.number32()?,
            minor: cursor.number32()?,
        },
        kind::REGULAR => {
            let size = cursor.number()?;
            let crc32c = u32::from_le_bytes(cursor.take(4)?.try_into().ok()?);
            let content = match cursor.byte()? {
                content::ABSENT => NewContent::Absent,
                content::CONTIGUOUS => NewContent::Contiguous {
                    device: place.device,
                    offset: cursor.number()?,
                },
                content::MAPPED => {
                    for _ in 0..cursor.number().filter(|&count| count <= MAX_EXTENTS)? {
                        let (logical, len, offset) =
                            (cursor.number()?, cursor.number()?, cursor.number()?);
                        extents.push(Extent {
                            logical,
                            len,
                            device: place.device,
                            offset,
                        });
                    }
                    NewContent::Mapped(&extents)
                }
                content::INLINE => {
                    let key = place.record_at + cursor.position() as u64;
                    cursor.take(size)?;
                    NewContent::Inline { key }
                }
                _ => return None,
            };
            NewNode::Regular {
                size,
                crc32c,
                content,
            }
        }
        _ => return None,
    };
    let change = Change {
        path,
        kind: ChangeKind::Node {
            metadata,
            xattrs: &xattrs,
            node,
        },
    };
    cursor.is_at_end().then(|| apply(&change))
}
