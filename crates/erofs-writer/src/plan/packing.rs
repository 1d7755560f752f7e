use erofs_format::SLOT_SIZE;

use super::InodePlan;

/// The largest number of gaps that are kept. It bounds the search, and keeps inodes near their neighbours in the tree.
const MAX_GAPS: usize = 32;

/// Places one inode after the other: into a gap if one is large enough, else after all others.
///
/// ```text
///    block                            block
///   |inode tail|inode tail| gap      |inode tail           |inode ...
///                          ^          ^                     ^ end
///                          |          its tail would have crossed the block
///                          the next inodes that are short enough
/// ```
///
/// If gaps were not filled, inodes with long tails would waste a quarter of each block and more.
#[derive(Debug)]
pub(super) struct Packing {
    /// The end of the last inode. All places after it are free.
    end: u64,
    /// Free places before it: not empty, aligned to slots, disjoint; the newest is last.
    gaps: Vec<Gap>,
}

/// A range of bytes in the metadata area.
#[derive(Clone, Copy, Debug)]
struct Gap {
    start: u64,
    end: u64,
}

impl Gap {
    fn bytes(self) -> u64 {
        self.end - self.start
    }
}

impl Packing {
    /// Creates a packing without inodes. Slot 0 stays free.
    pub(super) fn new() -> Self {
        Self {
            end: u64::from(SLOT_SIZE),
            gaps: Vec::with_capacity(MAX_GAPS),
        }
    }

    /// Returns the end of the last inode, in bytes from the start of the metadata.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Places the next inode: into the smallest gap that can hold it, or after all inodes.
    pub(super) fn place(&mut self, inode: &InodePlan) -> u64 {
        let least = inode.end(0);
        let fitting = self
            .gaps
            .iter()
            .enumerate()
            .filter(|(_, gap)| gap.bytes() >= least)
            .filter(|(_, gap)| inode.end(inode.place(gap.start)) <= gap.end)
            .min_by_key(|(_, gap)| gap.bytes())
            .map(|(index, _)| index);
        let slot = u64::from(SLOT_SIZE);
        if let Some(index) = fitting {
            let gap = self.gaps.remove(index);
            let at = inode.place(gap.start);
            self.free(gap.start, at);
            self.free(inode.end(at).next_multiple_of(slot), gap.end);
            at
        } else {
            let start = self.end.next_multiple_of(slot);
            let at = inode.place(start);
            self.free(start, at);
            self.end = inode.end(at);
            at
        }
    }

    /// Adds a gap. If there are too many, drops the smallest one, which can hold the fewest inodes.
    fn free(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let gap = Gap { start, end };
        if self.gaps.len() == MAX_GAPS {
            let smallest = (0..MAX_GAPS).min_by_key(|&index| self.gaps[index].bytes());
            match smallest {
                Some(index) if self.gaps[index].bytes() <= gap.bytes() => self.gaps.remove(index),
                _ => return,
            };
        }
        self.gaps.push(gap);
    }
}

#[cfg(test)]
mod tests {
    use erofs_format::{BLOCK_SIZE, FileType};
    use fs_tree::Timestamp;

    use super::super::Body;
    use super::*;

    const BLOCK: u64 = BLOCK_SIZE as u64;

    fn inode(extended: bool, xattr_bytes: usize, body: Body) -> InodePlan {
        InodePlan {
            extended,
            file_type: FileType::Regular,
            size: 0,
            nlink: 1,
            mtime: Timestamp::default(),
            body,
            xattr_bytes,
        }
    }

    fn tail(tail: u64) -> InodePlan {
        inode(false, 0, Body::Stored { blocks: 0, tail })
    }

    fn chunks(count: u32) -> InodePlan {
        inode(false, 0, Body::Chunks { blkbits: 0, count })
    }

    fn empty() -> InodePlan {
        inode(true, 0, Body::None)
    }

    /// Places inodes, checking the invariants. Returns the places and the end of the last inode.
    fn place(inodes: &[InodePlan]) -> (Vec<u64>, u64) {
        let mut packing = Packing::new();
        let mut taken = Vec::new();
        for inode in inodes {
            let at = packing.place(inode);
            taken.push((at, inode.end(at)));
            assert!(at > 0 && at.is_multiple_of(u64::from(SLOT_SIZE)), "{at}");
            if let Body::Stored {
                tail: tail @ 1.., ..
            } = inode.body
            {
                let last = inode.end(at) - 1;
                assert_eq!((last + 1 - tail) / BLOCK, last / BLOCK, "{at}");
            }
            assert!(packing.gaps.len() <= MAX_GAPS);
            assert!(packing.gaps.iter().all(|gap| gap.bytes() >= 32));
        }
        let places = taken.iter().map(|&(at, _)| at).collect();
        taken.sort_unstable();
        assert!(taken.is_sorted_by(|before, after| before.1 <= after.0));
        assert_eq!(taken.last().unwrap().1, packing.end());
        (places, packing.end())
    }

    /// Returns the bytes of whole slots that inodes need at any place.
    fn needed(inodes: &[InodePlan]) -> u64 {
        let slot = u64::from(SLOT_SIZE);
        let bytes = |inode: &InodePlan| inode.end(0).next_multiple_of(slot);
        inodes.iter().map(bytes).sum()
    }

    #[test]
    fn short_inodes_fill_the_gaps_of_long_tails() {
        // A block holds two long inodes and, in the remaining quarter, 12 others.
        let long = vec![tail(1500); 300];
        let short = [chunks(5), empty()].repeat(1200);
        let mixed: Vec<_> = long
            .iter()
            .zip(short.chunks(8))
            .flat_map(|(&long, short)| [&[long], short].concat())
            .collect();
        let (needed, (_, end)) = (needed(&mixed), place(&mixed));
        assert!(end < needed + needed / 50, "{needed} bytes in {end}");

        // One kind after the other: placed inodes are not moved, and the gaps that were kept are used.
        let after = place(&[&long[..], &short].concat()).1;
        let before = place(&[&short[..], &long].concat()).1;
        assert!(after + (MAX_GAPS as u64 - 1) * 900 < before);
    }

    #[test]
    fn tails_of_1900_bytes_are_dense_in_any_order() {
        let long = vec![tail(1900); 300];
        let short = [vec![chunks(1); 300], vec![empty(); 300]].concat();
        for inodes in [[&long[..], &short].concat(), [&short[..], &long].concat()] {
            let (needed, (_, end)) = (needed(&inodes), place(&inodes));
            assert!(end < needed + needed / 20, "{needed} bytes in {end}");
        }
    }

    #[test]
    fn a_gap_is_filled_to_its_last_byte() {
        // Slot 0 is free, so a block holds 4064 bytes more at first. Gaps: 1056 bytes of one block, 96 of the next.
        let first = [tail(1968), tail(2000 - 1056 - 32), tail(2048)];
        let (places, end) = place(&first);
        assert_eq!((places[1], places[2], end), (2048, 4064, 4096 + 2048));
        let gap = [3008, 4064];

        let fitting = |bytes| {
            inode(
                false,
                0,
                Body::Stored {
                    blocks: 0,
                    tail: bytes - 32,
                },
            )
        };
        let with = |inode| *place(&[&first[..], &[inode]].concat()).0.last().unwrap();
        assert_eq!(with(fitting(gap[1] - gap[0])), gap[0]);
        assert_eq!(with(fitting(gap[1] - gap[0] + 1)), 6144);
        // Chunk indexes are aligned to 8 before the gap is compared.
        let odd = |xattr_bytes| {
            inode(
                false,
                xattr_bytes,
                Body::Chunks {
                    blkbits: 0,
                    count: 1,
                },
            )
        };
        assert_eq!((with(odd(1016)), with(odd(1017))), (gap[0], 6144));
    }

    #[test]
    fn the_smallest_fitting_gap_is_used_and_its_rest_stays_a_gap() {
        let mut packing = Packing::new();
        packing.end = 100 * BLOCK;
        packing.free(BLOCK, BLOCK + 256);
        packing.free(5 * BLOCK, 5 * BLOCK + 128);
        let places = [(); 3].map(|()| packing.place(&empty()));
        assert_eq!(places, [5 * BLOCK, 5 * BLOCK + 64, BLOCK]);

        // After a long head, a gap may extend into the next block. The space before the tail is a gap again.
        packing.free(8 * BLOCK - 256, 8 * BLOCK + 1024);
        let places = [tail(1000), tail(192)].map(|inode| packing.place(&inode));
        assert_eq!(places, [8 * BLOCK - 32, 8 * BLOCK - 256]);
    }

    #[test]
    fn an_inode_ends_after_its_tail_or_its_last_chunk_index() {
        assert_eq!(tail(100).end(64), 64 + 32 + 100);
        assert_eq!(chunks(5).end(64), 64 + 32 + 5 * 8);
        assert_eq!(empty().end(64), 64 + 64);
    }

    #[test]
    fn the_smallest_of_too_many_gaps_is_dropped() {
        let mut packing = Packing::new();
        for gap in 0..100_u64 {
            packing.free(gap * BLOCK, gap * BLOCK + 64 + gap % 50 * 32);
        }
        let smallest = packing.gaps.iter().map(|gap| gap.bytes()).min();
        assert_eq!(
            (packing.gaps.len(), smallest),
            (MAX_GAPS, Some(64 + 34 * 32))
        );
        packing.free(0, 0);
        assert_eq!(packing.gaps.len(), MAX_GAPS);
        // A gap smaller than all others does not replace one of them.
        packing.free(0, 64);
        let smallest = packing.gaps.iter().map(|gap| gap.bytes()).min();
        assert_eq!(smallest, Some(64 + 34 * 32));
    }

    #[test]
    fn inodes_never_overlap_and_tails_never_cross_a_block() {
        let mut state = 1_u64;
        let mut below = |limit: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % limit
        };
        for _ in 0..40 {
            let (most_tail, most_xattr) = (below(2048) + 1, [1, 40, 10_000][to_usize(below(3))]);
            let inodes: Vec<_> = (0..400)
                .map(|_| {
                    let body = match below(4) {
                        0 => Body::None,
                        1 => Body::Chunks {
                            blkbits: 0,
                            count: u32::try_from(below(20) * below(100)).unwrap(),
                        },
                        _ => Body::Stored {
                            blocks: below(2),
                            tail: below(most_tail + 1),
                        },
                    };
                    inode(below(2) == 0, to_usize(below(most_xattr)), body)
                })
                .collect();
            place(&inodes);
        }
    }

    fn to_usize(number: u64) -> usize {
        usize::try_from(number).unwrap()
    }
}
