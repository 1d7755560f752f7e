use std::borrow::Cow;

use crate::LayerError;
use crate::tar::path::{PathLimits, normalize};
use crate::tar::{Entry, Kind};

/// What an entry of the archive is for the layer (OCI image specification, layer.md).
#[derive(Debug)]
pub(crate) enum LayerEntry<'a> {
    /// An inode, or another name for one.
    Inode { path: Cow<'a, [u8]> },
    /// Hides a path of lower layers.
    Whiteout { path: Vec<u8> },
    /// Hides what a directory holds in lower layers.
    Opaque { path: Vec<u8> },
    /// Part of the bookkeeping of the aufs storage driver.
    Aufs { path: Cow<'a, [u8]> },
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS: &[u8] = b".wh..wh.";

/// Tells by the name what an entry is. The type that a whiteout has in the archive says nothing: some builders make it a
/// hard link or a symbolic link.
pub(crate) fn classify<'a>(
    entry: &Entry<'a>,
    limits: &PathLimits,
) -> Result<LayerEntry<'a>, LayerError> {
    let path = normalized(entry, entry.path, limits)?;
    if !path.starts_with(WHITEOUT) && !path.windows(5).any(|window| window == b"/.wh.") {
        // A whiteout's name is its file's and four bytes more, so that the limit leaves room for it.
        let component_bytes = limits.component_bytes.saturating_sub(WHITEOUT.len());
        if path.len() > component_bytes {
            let limits = PathLimits {
                component_bytes,
                ..*limits
            };
            normalized(entry, entry.path, &limits)?;
        }
        return Ok(LayerEntry::Inode { path });
    }
    let whiteout_error = || LayerError::Whiteout {
        entry: entry.path.to_vec(),
        offset: entry.header_offset,
    };
    let (parent, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&b""[..], &path[..]),
    };
    if name == OPAQUE {
        return if is_plain(parent) {
            Ok(LayerEntry::Opaque {
                path: parent.to_vec(),
            })
        } else {
            Err(whiteout_error())
        };
    }
    if is_aufs(&path) {
        return Ok(LayerEntry::Aufs { path });
    }
    match name.strip_prefix(WHITEOUT) {
        Some(hidden) if !matches!(hidden, b"" | b"." | b"..") && is_plain(parent) => {
            let path = if parent.is_empty() {
                hidden.to_vec()
            } else {
                [parent, b"/", hidden].concat()
            };
            Ok(LayerEntry::Whiteout { path })
        }
        // A bare `.wh.`, or something below a whiteout.
        _ => Err(whiteout_error()),
    }
}

/// Whether the path leads into the bookkeeping of the aufs storage driver.
pub(crate) fn is_aufs(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/')
        .any(|component| component.starts_with(AUFS))
}

/// The normalized target of a hard link. A symbolic link is only seen to have a target: no system can make one to nothing.
pub(crate) fn link_target<'a>(
    entry: &Entry<'a>,
    limits: &PathLimits,
) -> Result<Option<Cow<'a, [u8]>>, LayerError> {
    match entry.kind {
        Kind::HardLink { target } => normalized(entry, target, limits).map(Some),
        Kind::Symlink { target: b"" } => Err(LayerError::NoTarget {
            entry: entry.path.to_vec(),
            offset: entry.header_offset,
        }),
        _ => Ok(None),
    }
}

fn normalized<'a>(
    entry: &Entry<'_>,
    raw: &'a [u8],
    limits: &PathLimits,
) -> Result<Cow<'a, [u8]>, LayerError> {
    normalize(raw, limits).map_err(|source| LayerError::Path {
        entry: entry.path.to_vec(),
        offset: entry.header_offset,
        source,
    })
}

/// Whether no component of the path is a whiteout.
fn is_plain(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/')
        .all(|component| !component.starts_with(WHITEOUT))
}
