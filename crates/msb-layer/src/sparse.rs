use erofs_writer::MAX_CHUNKS;

use crate::tar::SparseExtent;

/// The smallest piece of a file that EROFS can place.
const BLOCK: u64 = 4096;

/// How many chunk indexes a sparse file should not need more than: 512 KiB of them.
const WANTED_CHUNKS: u64 = MAX_CHUNKS / 16;

/// The stretches of a sparse file that are written: its data, rounded out with zeros to whole chunks. Ascending, apart.
///
/// The chunk is a block unless the file is so long that its index would be out of proportion: one byte in a terabyte of hole
/// costs 16 MiB of zeros, not 2 GiB of index.
pub(crate) fn segments(size: u64, data: &[SparseExtent]) -> Vec<SparseExtent> {
    let chunk = size
        .div_ceil(WANTED_CHUNKS)
        .max(BLOCK)
        .checked_next_power_of_two()
        .unwrap_or(1 << 63);
    let mut segments: Vec<SparseExtent> = Vec::new();
    for extent in data.iter().filter(|extent| extent.len > 0) {
        let start = extent.offset / chunk * chunk;
        let end = extent
            .offset
            .saturating_add(extent.len)
            .checked_next_multiple_of(chunk)
            .unwrap_or(size)
            .min(size);
        match segments.last_mut() {
            Some(last) if start <= last.offset + last.len => {
                last.len = last.len.max(end - last.offset)
            }
            _ => segments.push(SparseExtent {
                offset: start,
                len: end - start,
            }),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, len: u64) -> SparseExtent {
        SparseExtent { offset, len }
    }

    #[test]
    fn holes_smaller_than_a_block_are_filled() {
        assert_eq!(
            segments(20_000, &[extent(100, 1), extent(5000, 4000)]),
            [extent(0, 12_288)]
        );
        assert_eq!(
            segments(20_000, &[extent(0, 1), extent(16_384, 3616)]),
            [extent(0, 4096), extent(16_384, 3616)]
        );
        assert_eq!(segments(20_000, &[extent(20_000, 0)]), []);
    }

    #[test]
    fn one_byte_in_a_terabyte_costs_megabytes() {
        let size = 1 << 40;
        let segments = segments(size, &[extent(size / 2 + 77, 1)]);
        assert_eq!(segments, [extent(size / 2, 16 << 20)]);
    }
}
