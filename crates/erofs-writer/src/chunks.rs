use erofs_format::{BLOCK_BITS, BLOCK_SIZE, ChunkFormat, ChunkIndex, Feature, HOLE, KernelVersion};
use fs_tree::{Content, Extent, Tree};

use crate::{Device, InodeProblem, MAX_CHUNKS};

/// How a regular file's content is addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// Consecutive blocks of the primary device; [`HOLE`] for an empty file.
    Flat { startblk: u32 },
    /// One index for each `2^blkbits` blocks.
    Chunks { blkbits: u8, count: u32 },
    /// With the metadata, from the caller's store.
    Inline { key: u64 },
}

/// Chooses the mapping of a file, after checking that each of its pieces lies on whole blocks of a known device.
pub(crate) fn map(
    tree: &Tree,
    size: u64,
    content: Content,
    limits: Bounds<'_>,
) -> Result<Mapping, InodeProblem> {
    match content {
        Content::Inline { key } => Ok(Mapping::Inline { key }),
        _ if size == 0 => Ok(Mapping::Flat { startblk: HOLE }),
        Content::Contiguous { device, offset } => {
            let extent = Extent {
                logical: 0,
                len: size,
                device,
                offset,
            };
            let startblk = limits.check(&extent, size)?;
            if device == 0 {
                return Ok(Mapping::Flat { startblk });
            }
            limits.chunked(size, largest_chunk(size))
        }
        Content::Absent => limits.chunked(size, largest_chunk(size)),
        Content::Mapped { .. } => {
            let extents = tree.extents(content);
            let mut end = 0;
            for extent in extents {
                if extent.logical < end {
                    return Err(bad(extent));
                }
                limits.check(extent, size)?;
                end = extent.logical + extent.len;
            }
            limits.chunked(size, chunk_for(extents, size))
        }
    }
}

/// The indexes of a file that [`map`] found to need `count` of them.
pub(crate) fn indexes(
    tree: &Tree,
    size: u64,
    content: Content,
    blkbits: u8,
    count: u32,
) -> impl Iterator<Item = ChunkIndex> {
    let whole = match content {
        Content::Contiguous { device, offset } => Some(Extent {
            logical: 0,
            len: size,
            device,
            offset,
        }),
        _ => None,
    };
    let extents = whole
        .as_ref()
        .map_or_else(|| tree.extents(content), std::slice::from_ref)
        .to_vec();
    let mut at = 0;
    (0..u64::from(count)).map(move |chunk| {
        let logical = chunk << (blkbits + BLOCK_BITS);
        while extents
            .get(at)
            .is_some_and(|extent| extent.logical + extent.len <= logical)
        {
            at += 1;
        }
        match extents.get(at) {
            Some(extent) if extent.logical <= logical => {
                let block = (extent.offset + (logical - extent.logical)) >> BLOCK_BITS;
                // OK because `Bounds::check` saw that the extent ends below 2^32 - 1 blocks.
                let startblk_lo = u32::try_from(block).unwrap_or(HOLE).into();
                ChunkIndex {
                    startblk_hi: 0.into(),
                    device_id: extent.device.into(),
                    startblk_lo,
                }
            }
            _ => ChunkIndex {
                startblk_hi: 0.into(),
                device_id: 0.into(),
                startblk_lo: HOLE.into(),
            },
        }
    })
}

/// What a file's pieces may point at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    /// Blocks of the primary device that were written.
    pub(crate) data_end: u32,
    pub(crate) devices: &'a [Device],
    /// The oldest kernel that has to read the image.
    pub(crate) minimum_kernel: KernelVersion,
}

impl Bounds<'_> {
    /// The block at which the extent begins on its device.
    fn check(&self, extent: &Extent, size: u64) -> Result<u32, InodeProblem> {
        let block = u64::from(BLOCK_SIZE);
        let device_blocks = match extent.device {
            0 => self.data_end,
            n => {
                self.devices
                    .get(usize::from(n) - 1)
                    .ok_or_else(|| bad(extent))?
                    .blocks
            }
        };
        let ends = extent
            .logical
            .checked_add(extent.len)
            .zip(extent.offset.checked_add(extent.len));
        let (logical_end, device_end) = ends.ok_or_else(|| bad(extent))?;
        let aligned = extent.logical.is_multiple_of(block)
            && extent.offset.is_multiple_of(block)
            && (extent.len.is_multiple_of(block) || logical_end == size);
        let inside = logical_end <= size && device_end.div_ceil(block) <= u64::from(device_blocks);
        if extent.len == 0 || !aligned || !inside {
            return Err(bad(extent));
        }
        u32::try_from(extent.offset / block)
            .ok()
            .filter(|&at| at != HOLE)
            .ok_or_else(|| bad(extent))
    }

    /// A mapping by chunks of `2^blkbits` blocks.
    fn chunked(&self, size: u64, blkbits: u8) -> Result<Mapping, InodeProblem> {
        let feature = Feature::ChunkedFile;
        if feature.minimum_kernel() > self.minimum_kernel {
            return Err(InodeProblem::Kernel {
                feature,
                needed: feature.minimum_kernel(),
                declared: self.minimum_kernel,
            });
        }
        let chunks = size.div_ceil(1 << (blkbits + BLOCK_BITS));
        match u32::try_from(chunks) {
            Ok(count) if chunks <= MAX_CHUNKS => Ok(Mapping::Chunks { blkbits, count }),
            _ => Err(InodeProblem::TooManyChunks {
                size,
                chunks,
                limit: MAX_CHUNKS,
            }),
        }
    }
}

fn bad(extent: &Extent) -> InodeProblem {
    InodeProblem::Extent {
        logical: extent.logical,
        end: extent.logical.saturating_add(extent.len),
        device: extent.device,
        offset: extent.offset,
    }
}

/// The smallest chunk that holds a whole file.
fn largest_chunk(size: u64) -> u8 {
    let blocks = size.div_ceil(u64::from(BLOCK_SIZE));
    let bits = blocks.next_power_of_two().trailing_zeros();
    u8::try_from(bits)
        .unwrap_or(u8::MAX)
        .min(ChunkFormat::MAX_BLKBITS)
}

/// The largest chunk that begins wherever a piece or a hole begins.
fn chunk_for(extents: &[Extent], size: u64) -> u8 {
    let mut boundaries = 0;
    for extent in extents {
        boundaries |= extent.logical;
        if extent.logical + extent.len < size {
            boundaries |= extent.logical + extent.len;
        }
    }
    let bits = (boundaries >> BLOCK_BITS).trailing_zeros();
    u8::try_from(bits)
        .unwrap_or(u8::MAX)
        .min(largest_chunk(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = BLOCK_SIZE as u64;

    #[test]
    fn one_chunk_for_a_contiguous_file() {
        let tree = Tree::new();
        let devices = [Device::new("a", 1 << 20)];
        let bounds = Bounds {
            data_end: 10,
            devices: &devices,
            minimum_kernel: KernelVersion::new(6, 12),
        };
        for size in [1, BLOCK, BLOCK + 1, 3 * BLOCK, 1 << 30] {
            let content = Content::Contiguous {
                device: 1,
                offset: 2 * BLOCK,
            };
            let Mapping::Chunks { blkbits, count } = map(&tree, size, content, bounds).unwrap()
            else {
                panic!("not chunk-based")
            };
            assert_eq!(count, 1, "{size}");
            let index: Vec<_> = indexes(&tree, size, content, blkbits, count).collect();
            assert_eq!(
                (index[0].device_id.get(), index[0].startblk_lo.get()),
                (1, 2)
            );
        }
    }

    #[test]
    fn the_chunk_is_as_large_as_the_holes_allow() {
        let piece = |logical, len| Extent {
            logical,
            len,
            device: 0,
            offset: BLOCK,
        };
        assert_eq!(chunk_for(&[piece(0, 4 * BLOCK)], 64 * BLOCK), 2);
        assert_eq!(chunk_for(&[piece(8 * BLOCK, 8 * BLOCK)], 1024 * BLOCK), 3);
        assert_eq!(chunk_for(&[piece(16 * BLOCK, 5)], 16 * BLOCK + 5), 4);
        assert_eq!(chunk_for(&[piece(BLOCK, BLOCK)], 1024 * BLOCK), 0);
        // No chunk begins at the end of the file.
        assert_eq!(chunk_for(&[piece(0, 5 * BLOCK)], 5 * BLOCK), 3);
        assert_eq!(chunk_for(&[piece(8 * BLOCK, 3 * BLOCK)], 11 * BLOCK), 3);
    }

    #[test]
    fn a_piece_outside_its_device_is_refused() {
        let tree = Tree::new();
        let bounds = Bounds {
            data_end: 4,
            devices: &[],
            minimum_kernel: KernelVersion::new(6, 12),
        };
        for (device, offset, size) in [
            (1, BLOCK, 1),
            (0, BLOCK + 1, 1),
            (0, 3 * BLOCK, BLOCK + 1),
            (0, !0 - 4095, BLOCK),
        ] {
            let content = Content::Contiguous { device, offset };
            assert!(
                matches!(
                    map(&tree, size, content, bounds),
                    Err(InodeProblem::Extent { .. })
                ),
                "{device} {offset}"
            );
        }
    }

    #[test]
    fn a_byte_in_a_terabyte_of_hole_must_not_cost_gigabytes() {
        let bounds = Bounds {
            data_end: 1,
            devices: &[],
            minimum_kernel: KernelVersion::new(5, 15),
        };
        assert!(matches!(
            bounds.chunked(1 << 40, 0),
            Err(InodeProblem::TooManyChunks { .. })
        ));
        assert!(bounds.chunked(1 << 40, largest_chunk(1 << 40)).is_ok());
    }
}
