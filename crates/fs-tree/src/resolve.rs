use crate::{ApplyError, InodeId, Node, Tree};

/// How many symbolic links one path may pass through, as in the kernel's own walk (`MAXSYMLINKS` is 40).
const MAX_SYMLINKS: u32 = 40;

/// What to do where a directory on the way is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Give up: the answer is `None`.
    Stop,
    /// Imply it.
    Imply,
}

/// The directory at `parent`, symbolic links followed inside the root, as containerd and umoci follow them for the parents
/// of an entry. `path` is the entry's, for errors.
///
/// What is missing on the way is taken at its word until the whole path is known, so that `..` behind it leads back and
/// implies nothing. A whiteout counts as missing; a directory that is implied in its place is opaque.
pub(crate) fn resolve_directory(
    tree: &mut Tree,
    path: &[u8],
    parent: &[u8],
    missing: Missing,
) -> Result<Option<InodeId>, ApplyError> {
    let mut current = tree.root();
    // Names below `current` that are no directories, or not yet; a file may only be the first of them.
    let mut pending: Vec<Vec<u8>> = Vec::new();
    // What is left to walk; a symbolic link's target is put in front of it.
    let mut rest = parent.to_vec();
    let mut at = 0;
    let mut followed = 0;
    while at < rest.len() {
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
                at = 0;
            }
            _ => pending.push(name.to_vec()),
        }
    }
    if missing == Missing::Stop && !pending.is_empty() {
        return Ok(None);
    }
    for name in pending {
        current = imply(tree, path, current, &name)?;
    }
    Ok(Some(current))
}

/// The directory at `path` with nothing followed; `None` where something is missing or not a directory.
///
/// This is how whiteouts look: they name a path, not what a symbolic link makes of it.
pub(crate) fn find_directory(tree: &Tree, path: &[u8]) -> Option<InodeId> {
    let mut current = tree.root();
    for name in path
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
    {
        current = tree.lookup(current, name)?;
        tree.directory(current)?;
    }
    Some(current)
}

/// Makes a directory where there is nothing, or a whiteout.
fn imply(
    tree: &mut Tree,
    path: &[u8],
    directory: InodeId,
    name: &[u8],
) -> Result<InodeId, ApplyError> {
    let hidden = match tree.lookup(directory, name) {
        None => false,
        Some(found) if matches!(tree.inode(found).node, Node::Whiteout) => {
            tree.remove(directory, name)
        }
        Some(_) => {
            return Err(ApplyError::ParentNotADirectory {
                path: path.to_vec(),
            });
        }
    };
    let implied = tree
        .add_implied(directory, name)
        .map_err(|source| ApplyError::Tree {
            path: path.to_vec(),
            source,
        })?;
    if hidden && let Some(directory) = tree.directory_mut(implied) {
        directory.opaque = true;
    }
    Ok(implied)
}
