//! Names: a list of siblings for each directory, and one index over all names.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::Entry as Slot;

use super::{Entry, Tree, TreeError};
use crate::inode::NONE;
use crate::{InodeId, Node};

/// The hash of a name in its directory. Entries store it, so that a growing index need not read the names again. They store
/// 32 bits, which are spread over 64 again because the index uses both ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameHash(u32);

impl NameHash {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the other half of the hash is left out"
    )]
    fn of(hasher: &DefaultHashBuilder, parent: u32, name: &[u8]) -> Self {
        Self(hasher.hash_one((parent, name)) as u32)
    }

    fn spread(self) -> u64 {
        // 2^64 over the golden ratio, as in Fibonacci hashing.
        u64::from(self.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl Tree {
    pub(super) fn reserve_index(&mut self, entries: usize) {
        let hash = |&id: &u32| self.entries[id as usize].hash.spread();
        self.index.reserve(entries, hash);
    }

    pub(super) fn find(&self, directory: InodeId, name: &[u8]) -> Option<u32> {
        let hash = NameHash::of(&self.hasher, directory.0, name).spread();
        let same = |&id: &u32| {
            let entry = &self.entries[id as usize];
            entry.parent == directory.0 && self.names.get(entry.name) == name
        };
        self.index.find(hash, same).copied()
    }

    pub(super) fn siblings(&self, first: u32) -> impl Iterator<Item = u32> {
        std::iter::successors((first != NONE).then_some(first), |&at| {
            let next = self.entries[at as usize].next;
            (next != NONE).then_some(next)
        })
    }

    pub(super) fn add_entry(
        &mut self,
        directory: InodeId,
        name: &[u8],
        inode: InodeId,
    ) -> Result<u32, TreeError> {
        let next = self
            .directory(directory)
            .ok_or(TreeError::NotADirectory)?
            .first;
        let hash = NameHash::of(&self.hasher, directory.0, name);
        let Self {
            index,
            entries,
            names,
            free_entries,
            ..
        } = self;
        let same = |&id: &u32| {
            let entry = &entries[id as usize];
            entry.parent == directory.0 && names.get(entry.name) == name
        };
        let hash_again = |&id: &u32| entries[id as usize].hash.spread();
        let Slot::Vacant(slot) = index.entry(hash.spread(), same, hash_again) else {
            return Err(TreeError::Exists);
        };
        let entry = Entry {
            parent: directory.0,
            hash,
            name: names.push(name)?,
            inode: inode.0,
            next,
            previous: NONE,
        };
        let id = match free_entries.pop() {
            Some(id) => {
                entries[id as usize] = entry;
                id
            }
            None => {
                let id = u32::try_from(entries.len())
                    .ok()
                    .filter(|&id| id != NONE)
                    .ok_or(TreeError::Full)?;
                entries.push(entry);
                id
            }
        };
        slot.insert(id);
        if let Some(next) = entries.get_mut(next as usize) {
            next.previous = id;
        }
        if let Some(directory) = self.directory_mut(directory) {
            directory.first = id;
        }
        Ok(id)
    }

    /// Removes these entries and everything below them. Does not recurse, since a layer decides how deep a tree is.
    pub(super) fn remove_entries(&mut self, mut pending: Vec<u32>) {
        while let Some(id) = pending.pop() {
            let entry = self.entries[id as usize];
            let same = |&other: &u32| other == id;
            if let Ok(found) = self.index.find_entry(entry.hash.spread(), same) {
                found.remove();
            }
            if let Some(next) = self.entries.get_mut(entry.next as usize) {
                next.previous = entry.previous;
            }
            if let Some(previous) = self.entries.get_mut(entry.previous as usize) {
                previous.next = entry.next;
            } else if let Some(parent) = self.directory_mut(InodeId(entry.parent)) {
                parent.first = entry.next;
            }
            self.free_entries.push(id);

            let inode = &mut self.inodes[entry.inode as usize];
            inode.link_count -= 1;
            if inode.link_count == 0 {
                if let Node::Directory(directory) = inode.node {
                    // Its children unlink themselves from it, so its slot must not be used before they are gone. Nothing is added until
                    // the stack is empty.
                    pending.extend(self.siblings(directory.first));
                }
                self.free_inodes.push(entry.inode);
            }
        }
    }
}
