//! The choice of the chunk size of a sparse file.

use erofs_writer::MAX_CHUNKS;

use crate::tar::SparseExtent;

/// The smallest piece of a file that EROFS can address.
const BLOCK: u64 = 4096;

/// The bytes of a chunk index in the layer image and in fsmeta together.
const INDEX_BYTES: u64 = 2 * 8;

/// What is stored of a sparse file if its data is rounded out with zeros to whole chunks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segments {
    /// The length of a chunk.
    pub(crate) chunk_bytes: u64,
    /// The number of extents.
    pub(crate) count: usize,
    /// The length of all extents together.
    pub(crate) stored_bytes: u64,
    /// What they cost beyond the data: zeros, and chunk indexes.
    pub(crate) overhead_bytes: u64,
}

impl Segments {
    /// Chooses the chunk size of a file of `size` bytes, with `data` in ascending order.
    ///
    /// Large chunks cost zeros and small ones cost indexes. The result is the size that costs least in all: one byte in a terabyte of
    /// hole takes 7 MiB, not 2 GiB of indexes.
    pub(crate) fn of(size: u64, data: &[SparseExtent]) -> Self {
        let chunks = (BLOCK.ilog2()..63).map(|bits| 1u64 << bits);
        let possible = chunks.skip_while(|chunk| size.div_ceil(*chunk) > MAX_CHUNKS);
        let mut best = Self {
            chunk_bytes: BLOCK,
            count: 0,
            stored_bytes: 0,
            overhead_bytes: u64::MAX,
        };
        for chunk in possible {
            let indexes = size.div_ceil(chunk) * INDEX_BYTES;
            let (mut zeros, mut count, mut stored_bytes): (u64, _, u64) = (0, 0, 0);
            for_each_segment(size, data, chunk, |segment, data_bytes| {
                zeros = zeros.saturating_add(segment.len - data_bytes);
                stored_bytes = stored_bytes.saturating_add(segment.len);
                count += 1;
            });
            let overhead_bytes = zeros.saturating_add(indexes);
            if overhead_bytes < best.overhead_bytes {
                best = Self {
                    chunk_bytes: chunk,
                    count,
                    stored_bytes,
                    overhead_bytes,
                };
            }
            // A larger chunk only adds zeros.
            if zeros >= best.overhead_bytes || chunk >= size {
                break;
            }
        }
        best
    }
}

/// Pads the data to whole chunks, and calls `each` with each segment and its bytes of data.
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
        let segments = |data: &[SparseExtent]| {
            let segments = Segments::of(20_000, data);
            assert_eq!(segments.chunk_bytes, 4096);
            (segments.count, segments.stored_bytes)
        };
        let near = [extent(100, 1), extent(5000, 4000)];
        assert_eq!(segments(&near), (1, 12_288));
        let apart = [extent(0, 1), extent(16_384, 3616)];
        assert_eq!(segments(&apart), (2, 4096 + 3616));
        assert_eq!(Segments::of(20_000, &[extent(20_000, 0)]).count, 0);
    }

    #[test]
    fn the_overhead_is_zeros_and_indexes() {
        let segments = Segments::of(20_000, &[extent(0, 1), extent(16_384, 3616)]);
        assert_eq!(segments.overhead_bytes, 4095 + 5 * INDEX_BYTES);
        let all_hole = Segments::of(1 << 40, &[]);
        assert_eq!((all_hole.count, all_hole.overhead_bytes), (0, INDEX_BYTES));
    }

    #[test]
    fn one_byte_in_a_terabyte_costs_megabytes() {
        let size = 1 << 40;
        let segments = Segments::of(size, &[extent(size / 2 + 77, 1)]);
        assert_eq!((segments.count, segments.stored_bytes), (1, 4 << 20));
        assert_eq!(segments.chunk_bytes, 4 << 20);
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
