use std::collections::BTreeMap;

use fs_tree::{ApplyError, Change, ChangeKind, Tree, merge_layer};

use crate::Error;

/// Hard links to files that have not been added yet: path to target.
#[derive(Debug, Default)]
pub(super) struct PendingLinks {
    targets: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl PendingLinks {
    /// Adds a link now if its file exists, and at the end if not.
    pub(super) fn add(
        &mut self,
        tree: &mut Tree,
        path: Vec<u8>,
        target: Vec<u8>,
    ) -> Result<(), Error> {
        if link(tree, &path, &target)? {
            return Ok(());
        }
        self.targets.insert(path, target);
        Ok(())
    }

    /// Discards a link whose path was replaced.
    pub(super) fn replaced(&mut self, path: &[u8]) {
        if !self.targets.is_empty() {
            self.targets.remove(path);
        }
    }

    /// Discards the links at a path and below it.
    pub(super) fn removed(&mut self, path: &[u8]) {
        self.targets.retain(|link, _| {
            let below = link.strip_prefix(path);
            below.is_none_or(|rest| !path.is_empty() && !rest.is_empty() && rest[0] != b'/')
        });
    }

    /// Adds the remaining links. A link to a link is added after that link.
    pub(super) fn finish(&mut self, tree: &mut Tree) -> Result<(), Error> {
        while let Some((path, target)) = self.targets.pop_first() {
            let mut chain = vec![(path, target)];
            // Each step takes a link out of the map, so a cycle ends where it began.
            while let Some(next) = chain
                .last()
                .and_then(|(_, target)| self.targets.remove_entry(target))
            {
                chain.push(next);
            }
            for (path, target) in chain.into_iter().rev() {
                if !link(tree, &path, &target)? {
                    return Err(ApplyError::LinkTargetMissing { path, target }.into());
                }
            }
        }
        Ok(())
    }
}

/// Adds a link. Returns `false` if its file does not exist.
fn link(tree: &mut Tree, path: &[u8], target: &[u8]) -> Result<bool, ApplyError> {
    let change = Change {
        path,
        kind: ChangeKind::HardLink { target },
    };
    match merge_layer(tree, []).apply(&change) {
        Ok(()) => Ok(true),
        Err(ApplyError::LinkTargetMissing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
