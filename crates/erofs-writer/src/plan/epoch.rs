use std::collections::HashMap;

use fs_tree::{InodeId, Timestamp, Tree};

/// How many different times are counted; an image with more has no common one.
const MAX_TIMES: usize = 1 << 14;

/// The time that most inodes have, which is the time of all compact inodes; among equals the earliest. Not before 1970.
pub(crate) fn most_common(tree: &Tree, order: &[InodeId]) -> Timestamp {
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
