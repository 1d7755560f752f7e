use std::collections::HashMap;

use fs_tree::{InodeId, Metadata, Timestamp, Tree};

/// How many different times are counted; an image with more has no common one.
const MAX_TIMES: usize = 1 << 14;

/// The times of an image's inodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The time of all compact inodes.
    pub(crate) epoch: Timestamp,
    /// The time that every inode gets in place of its own.
    fixed: Option<Timestamp>,
}

impl Times {
    pub(crate) fn new(tree: &Tree, order: &[InodeId], fixed: Option<Timestamp>) -> Self {
        let epoch = match fixed {
            // Readers disagree on an epoch before 1970, so such a time goes into every inode.
            Some(time) if time.secs < 0 => Timestamp::default(),
            Some(time) => time,
            None => most_common(tree, order),
        };
        Self { epoch, fixed }
    }

    pub(crate) fn of(&self, metadata: &Metadata) -> Timestamp {
        self.fixed.unwrap_or(metadata.mtime)
    }
}

/// The time that most inodes have, which is the time of all compact inodes; among equals the earliest. Not before 1970.
fn most_common(tree: &Tree, order: &[InodeId]) -> Timestamp {
    let mut counts: HashMap<Timestamp, u32> = HashMap::new();
    for &inode in order {
        let mtime = tree.inode(inode).metadata.mtime;
        if mtime.secs < 0 || counts.len() == MAX_TIMES && !counts.contains_key(&mtime) {
            continue;
        }
        *counts.entry(mtime).or_default() += 1;
    }
    let best = counts
        .into_iter()
        .max_by_key(|&(mtime, count)| (count, std::cmp::Reverse(mtime)));
    best.map(|(mtime, _)| mtime).unwrap_or_default()
}
