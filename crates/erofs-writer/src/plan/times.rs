use std::collections::HashMap;

use fs_tree::{InodeId, Metadata, Timestamp, Tree};

/// The largest number of distinct times that are counted. An image with more has no common time.
const MAX_TIMES: usize = 1 << 14;

/// The times of the inodes of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The time of all compact inodes.
    pub(crate) epoch: Timestamp,
    /// The time of every inode, replacing its own.
    fixed: Option<Timestamp>,
}

impl Times {
    pub(crate) fn new(tree: &Tree, order: &[InodeId], fixed: Option<Timestamp>) -> Self {
        let epoch = match fixed {
            // Readers disagree on an epoch before 1970, so such a time is stored in every inode.
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

/// Returns the most common time, which becomes the time of all compact inodes; the earliest of several, and not before
/// 1970.
fn most_common(tree: &Tree, order: &[InodeId]) -> Timestamp {
    let mut counts: HashMap<Timestamp, u32> = HashMap::new();
    let mut times = order.iter().map(|&inode| tree.inode(inode).metadata.mtime);
    let mut next = times.next();
    // Neighbours usually have the same time.
    while let Some(mtime) = next {
        let mut count = 1;
        next = loop {
            match times.next() {
                Some(same) if same == mtime => count += 1,
                other => break other,
            }
        };
        if mtime.secs < 0 || counts.len() == MAX_TIMES && !counts.contains_key(&mtime) {
            continue;
        }
        *counts.entry(mtime).or_default() += count;
    }
    let best = counts
        .into_iter()
        .max_by_key(|&(mtime, count)| (count, std::cmp::Reverse(mtime)));
    best.map(|(mtime, _)| mtime).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use fs_tree::NewNode;

    use super::*;

    fn at(secs: i64, nanos: u32) -> Timestamp {
        Timestamp { secs, nanos }
    }

    /// Returns the epoch of a tree of files with these times.
    fn epoch(times: impl IntoIterator<Item = Timestamp>, fixed: Option<Timestamp>) -> Timestamp {
        let mut tree = Tree::new();
        let mut order = Vec::new();
        for (index, mtime) in times.into_iter().enumerate() {
            let metadata = Metadata {
                mtime,
                ..Metadata::default()
            };
            let (root, name) = (tree.root(), format!("f{index}"));
            let file = tree.add(root, name.as_bytes(), metadata, &[], NewNode::Fifo);
            order.push(file.unwrap());
        }
        Times::new(&tree, &order, fixed).epoch
    }

    #[test]
    fn the_epoch_is_the_most_common_time_and_the_earliest_of_several() {
        assert_eq!(epoch([], None), Timestamp::default());
        assert_eq!(epoch([at(9, 1), at(5, 0), at(9, 1)], None), at(9, 1));
        let equals = [at(9, 1), at(5, 2), at(9, 1), at(5, 1), at(5, 2), at(5, 1)];
        assert_eq!(epoch(equals, None), at(5, 1));
        // The first second of 1970 counts; times before it do not.
        assert_eq!(epoch([at(0, 7)], None), at(0, 7));
        assert_eq!(epoch([at(-1, 7), at(-1, 7), at(3, 0)], None), at(3, 0));
    }

    #[test]
    fn a_fixed_time_is_the_epoch_but_not_before_1970() {
        let times = [at(5, 0), at(5, 0)];
        for (fixed, expected) in [
            (at(8, 3), at(8, 3)),
            (at(0, 3), at(0, 3)),
            (at(-1, 3), Timestamp::default()),
        ] {
            assert_eq!(epoch(times, Some(fixed)), expected);
        }
    }

    #[test]
    fn only_the_first_of_too_many_distinct_times_are_counted() {
        let times = (1..=i64::try_from(MAX_TIMES).unwrap()).map(|secs| at(secs, 0));
        let (known, late) = (at(7, 0), at(0, 1));
        let more = [late, late, late, known];
        assert_eq!(epoch(times.clone().chain(more), None), known);
        // With one time less, the last one is counted too.
        assert_eq!(epoch(times.skip(1).chain(more), None), late);
    }
}
