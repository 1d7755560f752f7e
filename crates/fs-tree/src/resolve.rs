use crate::{ApplyError, InodeId, Node, Tree};

/// Largest number of symbolic links that one path may pass through, as in the kernel's path walk (`MAXSYMLINKS` is 40).
const MAX_SYMLINKS: u32 = 40;

/// Bytes of a path that are copied for the cost of one component.
const COPIED_BYTES_A_STEP: u64 = 64;

/// What happens where the path names no directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The result is `None`.
    Stop,
    /// A missing directory is implied. A file in its place is an error.
    Imply,
    /// A missing directory is implied. A file in its place is replaced.
    Replace,
}

/// Returns the directory at `parent`. Symbolic links are followed inside the root, as containerd and umoci follow them for the
/// parents of an entry. `path` is the path of the entry, for errors.
///
/// A missing directory is created only after the whole path has been walked, so that a `..` behind it leads back and
/// implies nothing. A whiteout counts as missing; a directory that is implied in its place is opaque.
///
/// Adds the number of path components walked to `steps`.
pub(crate) fn resolve_directory(
    tree: &mut Tree,
    steps: &mut u64,
    path: &[u8],
    parent: &[u8],
    missing: Missing,
) -> Result<Option<InodeId>, ApplyError> {
    let mut current = tree.root();
    // Names below `current` that are no directories, or not yet; a file may only be the first of them.
    let mut pending: Vec<Vec<u8>> = Vec::new();
    // The remaining path; the target of a symbolic link is put in front of it.
    let mut rest = parent.to_vec();
    let mut at = 0;
    let mut followed = 0;
    while at < rest.len() {
        *steps += 1;
        let end = rest[at..]
            .iter()
            .position(|&byte| byte == b'/')
            .map_or(rest.len(), |len| at + len);
        let name = &rest[at..end];
        at = end + 1;
        if name.is_empty() || name == b"." {
            continue;
        }
        if name == b".." {
            if pending.pop().is_none() {
                // `..` of the root is the root, so no target leads outside.
                current = tree.parent(current);
            }
            continue;
        }
        if !pending.is_empty() {
            pending.push(name.to_vec());
            continue;
        }
        let Some(found) = tree.lookup(current, name) else {
            pending.push(name.to_vec());
            continue;
        };
        match tree.inode(found).node {
            Node::Directory(_) => current = found,
            Node::Symlink(target) => {
                followed += 1;
                if followed > MAX_SYMLINKS {
                    return Err(ApplyError::SymlinkLoop {
                        path: path.to_vec(),
                    });
                }
                let target = tree.symlink_target(target);
                if target.starts_with(b"/") {
                    current = tree.root();
                }
                let tail = rest.get(at..).unwrap_or_default();
                rest = [target, b"/", tail].concat();
                *steps += rest.len() as u64 / COPIED_BYTES_A_STEP;
                at = 0;
            }
            _ => pending.push(name.to_vec()),
        }
    }
    if missing == Missing::Stop && !pending.is_empty() {
        return Ok(None);
    }
    for name in pending {
        current = imply(tree, path, current, &name, missing)?;
    }
    Ok(Some(current))
}

/// Returns the directory at `path` without following symbolic links; `None` where something is missing or not a directory.
///
/// Whiteouts are resolved in this way: they name a path, not what a symbolic link makes of it. Adds the number of path
/// components walked to `steps`.
pub(crate) fn find_directory(tree: &Tree, steps: &mut u64, path: &[u8]) -> Option<InodeId> {
    let mut current = tree.root();
    for name in path
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
    {
        *steps += 1;
        current = tree.lookup(current, name)?;
        tree.directory(current)?;
    }
    Some(current)
}

/// Creates a directory in place of nothing, of a whiteout, or of any other file if `missing` is [`Missing::Replace`].
fn imply(
    tree: &mut Tree,
    path: &[u8],
    directory: InodeId,
    name: &[u8],
    missing: Missing,
) -> Result<InodeId, ApplyError> {
    let mut hides = false;
    match tree.lookup(directory, name) {
        None => {}
        Some(found) if matches!(tree.inode(found).node, Node::Whiteout) => {
            hides = tree.remove(directory, name);
        }
        Some(_) if missing == Missing::Replace => {
            tree.remove(directory, name);
        }
        Some(_) => {
            return Err(ApplyError::ParentNotADirectory {
                path: path.to_vec(),
            });
        }
    }
    let implied = tree
        .add_implied(directory, name)
        .map_err(|source| ApplyError::Tree {
            path: path.to_vec(),
            source,
        })?;
    if hides && let Some(directory) = tree.directory_mut(implied) {
        directory.opaque = true;
    }
    Ok(implied)
}
