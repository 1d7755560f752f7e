//! Sparse files: chooses the segments to write, and writes them.

mod file;

pub(crate) use file::SparseFile;

use erofs_writer::MAX_CHUNKS;

use crate::tar::SparseExtent;

/// The smallest piece of a file that EROFS can address.
const BLOCK: u64 = 4096;

/// Bytes of a chunk index, once in the layer image and once in fsmeta.
const INDEX_BYTES: u64 = 2 * 8;

/// The segments of a sparse file to write: its data, padded with zeros to whole chunks. Ascending and disjoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segments {
    pub(crate) segments: Vec<SparseExtent>,
    /// Bytes that they take beyond the data: zeros and chunk indexes.
    pub(crate) overhead_bytes: u64,
}

impl Segments {
    /// Chooses the segments for a file of `size` bytes with `data` in ascending order.
    ///
    /// Large chunks cost zeros and small ones cost indexes; the chunk size with the lowest total is chosen. One byte in a
    /// terabyte of hole takes 7 MiB, not 2 GiB of indexes.
    pub(crate) fn of(size: u64, data: &[SparseExtent]) -> Self {
        let chunks = (BLOCK.ilog2()..63).map(|bits| 1u64 << bits);
        let possible = chunks.skip_while(|chunk| size.div_ceil(*chunk) > MAX_CHUNKS);
        let mut best = Self {
            segments: Vec::new(),
            overhead_bytes: u64::MAX,
        };
        for chunk in possible {
            let indexes = size.div_ceil(chunk) * INDEX_BYTES;
            let mut zeros: u64 = 0;
            for_each_segment(size, data, chunk, |segment, data_bytes| {
                zeros = zeros.saturating_add(segment.len - data_bytes);
            });
            let overhead_bytes = zeros.saturating_add(indexes);
            if overhead_bytes < best.overhead_bytes {
                best.overhead_bytes = overhead_bytes;
                best.segments.clear();
                for_each_segment(size, data, chunk, |segment, _| best.segments.push(segment));
            }
            // A larger chunk only adds zeros.
            if zeros >= best.overhead_bytes || chunk >= size {
                break;
            }
        }
        best
    }
}

/// Pads the data to whole chunks, and calls a function with each segment and its bytes of data.
fn for_each_segment(
    size: u64,
    data: &[SparseExtent],
    chunk: u64,
    mut each: impl FnMut(SparseExtent, u64),
) {
    let mut current: Option<(SparseExtent, u64)> = None;
    for extent in data.iter().filter(|extent| extent.len > 0) {
        let start = extent.offset / chunk * chunk;
        let end = extent
            .offset
            .saturating_add(extent.len)
            .checked_next_multiple_of(chunk)
            .unwrap_or(size)
            .min(size);
        match &mut current {
            Some((last, data_bytes)) if start <= last.offset + last.len => {
                last.len = last.len.max(end - last.offset);
                *data_bytes += extent.len;
            }
            _ => {
                let next = SparseExtent {
                    offset: start,
                    len: end - start,
                };
                if let Some((last, data_bytes)) = current.replace((next, extent.len)) {
                    each(last, data_bytes);
                }
            }
        }
    }
    if let Some((last, data_bytes)) = current {
        each(last, data_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, len: u64) -> SparseExtent {
        SparseExtent { offset, len }
    }

    #[test]
    fn holes_smaller_than_a_block_are_filled() {
        let segments = |data: &[SparseExtent]| Segments::of(20_000, data).segments;
        assert_eq!(
            segments(&[extent(100, 1), extent(5000, 4000)]),
            [extent(0, 12_288)]
        );
        assert_eq!(
            segments(&[extent(0, 1), extent(16_384, 3616)]),
            [extent(0, 4096), extent(16_384, 3616)]
        );
        assert_eq!(segments(&[extent(20_000, 0)]), []);
    }

    #[test]
    fn the_overhead_is_zeros_and_indexes() {
        let segments = Segments::of(20_000, &[extent(0, 1), extent(16_384, 3616)]);
        assert_eq!(segments.overhead_bytes, 4095 + 5 * INDEX_BYTES);
        let all_hole = Segments::of(1 << 40, &[]);
        assert_eq!(
            (all_hole.segments, all_hole.overhead_bytes),
            (vec![], INDEX_BYTES)
        );
    }

    #[test]
    fn one_byte_in_a_terabyte_costs_megabytes() {
        let size = 1 << 40;
        let segments = Segments::of(size, &[extent(size / 2 + 77, 1)]);
        assert_eq!(segments.segments, [extent(size / 2, 4 << 20)]);
        assert_eq!(segments.overhead_bytes, (4 << 20) - 1 + (4 << 20));
    }

    #[test]
    fn no_size_and_no_offset_overflows() {
        for size in [0, 1, u64::MAX] {
            let data = [extent(0, size.min(1)), extent(size, 0)];
            let segments = Segments::of(size, &data);
            assert!(segments.overhead_bytes < 1 << 45, "{size}: {segments:?}");
        }
    }
}
