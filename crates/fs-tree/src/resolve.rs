use crate::{ApplyError, InodeId, Node, Tree};

/// Largest number of symbolic links that one path may pass through, as in the kernel's path walk (`MAXSYMLINKS` is 40).
const MAX_SYMLINKS: u32 = 40;

/// Copying this many bytes of a path counts as one step.
const COPIED_BYTES_A_STEP: u64 = 64;

/// How to handle a path that leads to no directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Return `None`.
    Stop,
    /// Create a missing directory as implied. A file in its place is an error.
    Imply,
    /// Create a missing directory as implied. Replace a file in its place.
    Replace,
}

/// Returns the directory at `parent`. Follows symbolic links inside the root, as containerd and umoci do for the parents of an
/// entry. `path` is the path of the entry, for errors.
///
/// Creates missing directories only after the whole path has been walked, because a later `..` may leave them again. A whiteout
/// counts as missing; a directory that is implied in its place is opaque.
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
    // Names below `current` that do not exist yet; the first of them may also be a file.
    let mut pending: Vec<Vec<u8>> = Vec::new();
    // The remaining path. The target of a symbolic link is inserted at its front.
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
                // The parent of the root is the root, so no target leads outside.
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

/// Returns the directory at `path` without following symbolic links, or `None` if a component is missing or not a directory.
///
/// Whiteouts are resolved in this way: they name a path, not the target of a symbolic link. Adds the number of path components
/// walked to `steps`.
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

/// Creates an implied directory in place of nothing, of a whiteout, or of any file if `missing` is [`Missing::Replace`].
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
