use std::borrow::Cow;

use crate::LayerError;
use crate::tar::path::{PathLimits, normalize};
use crate::tar::{Entry, Kind};

/// The meaning of an archive entry for the layer (OCI image specification, layer.md).
#[derive(Debug)]
pub(crate) enum LayerEntry<'a> {
    /// An inode or a hard link.
    Inode { path: Cow<'a, [u8]> },
    /// Hides a path of lower layers.
    Whiteout { path: Vec<u8> },
    /// Hides the contents of a directory in lower layers.
    Opaque { path: Vec<u8> },
    /// Part of the bookkeeping of the aufs storage driver.
    Aufs { path: Cow<'a, [u8]> },
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS: &[u8] = b".wh..wh.";

/// Determines the meaning of an entry by its name. The type of a whiteout is ignored: some builders write it as a hard link or
/// a symbolic link.
pub(crate) fn classify<'a>(
    entry: &Entry<'a>,
    limits: &PathLimits,
) -> Result<LayerEntry<'a>, LayerError> {
    let path = normalized(entry, entry.path, limits)?;
    if !path.starts_with(WHITEOUT) && !path.windows(5).any(|window| window == b"/.wh.") {
        // A whiteout's name is four bytes longer than the name that it hides, so file names must leave room for them.
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
        return if has_no_whiteout(parent) {
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
        Some(hidden) if !matches!(hidden, b"" | b"." | b"..") && has_no_whiteout(parent) => {
            let path = if parent.is_empty() {
                hidden.to_vec()
            } else {
                [parent, b"/", hidden].concat()
            };
            Ok(LayerEntry::Whiteout { path })
        }
        // A bare `.wh.`, or a path below a whiteout.
        _ => Err(whiteout_error()),
    }
}

/// Returns whether the path belongs to the bookkeeping of the aufs storage driver.
pub(crate) fn is_aufs(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/')
        .any(|component| component.starts_with(AUFS))
}

/// Returns the normalized target of a hard link. For a symbolic link, only checks that the target is not empty, as Linux does.
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

/// Returns whether no component of the path is a whiteout.
fn has_no_whiteout(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/')
        .all(|component| !component.starts_with(WHITEOUT))
}
