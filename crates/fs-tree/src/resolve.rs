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

/// The directory at `path`, symbolic links followed inside the root, as containerd and umoci follow them for the parents
/// of an entry.
///
/// A whiteout on the way counts as missing; a directory that is implied in its place is opaque.
pub(crate) fn resolve_directory(
    tree: &mut Tree,
    path: &[u8],
    missing: Missing,
) -> Result<Option<InodeId>, ApplyError> {
    let mut current = tree.root();
    // What is left to walk; a symbolic link's target is put in front of it.
    let mut rest = path.to_vec();
    let mut at = 0;
    let mut followed = 0;
    while at < rest.len() {
        let end = rest[at..]
            .iter()
            .position(|&byte| byte == b'/')
            .map_or(rest.len(), |len| at + len);
        let name = &rest[at..end];
        let next = end + 1;
        if name.is_empty() || name == b"." {
            at = next;
            continue;
        }
        if name == b".." {
            // `..` of the root is the root, so no target leads outside.
            current = tree.parent(current);
            at = next;
            continue;
        }
        let Some(found) = tree.lookup(current, name) else {
            if missing == Missing::Stop {
                return Ok(None);
            }
            current = imply(tree, path, current, name)?;
            at = next;
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
                let tail = rest.get(next..).unwrap_or_default();
                rest = [target, b"/", tail].concat();
                at = 0;
                continue;
            }
            Node::Whiteout if missing == Missing::Stop => return Ok(None),
            Node::Whiteout => {
                tree.remove(current, name);
                current = imply(tree, path, current, name)?;
                if let Some(directory) = tree.directory_mut(current) {
                    directory.opaque = true;
                }
            }
            _ => {
                return match missing {
                    Missing::Stop => Ok(None),
                    Missing::Imply => Err(ApplyError::ParentNotADirectory {
                        path: path.to_vec(),
                    }),
                };
            }
        }
        at = next;
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

fn imply(
    tree: &mut Tree,
    path: &[u8],
    directory: InodeId,
    name: &[u8],
) -> Result<InodeId, ApplyError> {
    tree.add_implied(directory, name)
        .map_err(|source| ApplyError::Tree {
            path: path.to_vec(),
            source,
        })
}
