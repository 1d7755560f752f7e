//! Mutates EROFS images: small changes near used bytes, with a valid checksum of the superblock.
//!
//! Images are whole blocks and mostly zeros; a change that moves bytes breaks every address. Therefore numbers are changed in place,
//! and one mutation in sixteen is libFuzzer's own.

use erofs_format::{BLOCK_SIZE, superblock_checksum};

use crate::Mutate;

const SUPER: usize = 1024;

/// Numbers at the limits of fields.
const NUMBERS: &[u64] = &[
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    11,
    12,
    13,
    16,
    31,
    32,
    36,
    64,
    127,
    128,
    255,
    256,
    4095,
    4096,
    4097,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    u64::MAX,
];

/// Mutates the first `size` bytes of `data` and returns their new length.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    other: Mutate<'_>,
) -> usize {
    let mut state = u64::from(seed) << 20 | 0x5bd1;
    let mut random = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 17) as usize % bound.max(1)
    };
    if size <= SUPER + 128 || random(16) == 0 {
        let size = other(data, size, max_size);
        repair(&mut data[..size]);
        return size;
    }
    for _ in 0..=random(3) {
        let at = place(&data[..size], &mut random);
        match random(8) {
            // An aligned number of 1, 2, 4 or 8 bytes.
            0..3 => {
                let width = 1 << random(4);
                let at = at / width * width;
                let number = NUMBERS[random(NUMBERS.len())].to_le_bytes();
                if at + width <= size {
                    data[at..at + width].copy_from_slice(&number[..width]);
                }
            }
            // A small difference.
            3 | 4 => {
                let delta = 1 + random(4) as u8;
                data[at] = if random(2) == 0 {
                    data[at].wrapping_add(delta)
                } else {
                    data[at].wrapping_sub(delta)
                };
            }
            // A copy of other bytes: an inode over an inode, an entry over an entry.
            5 => {
                let len = [4, 8, 12, 32, 64, 128][random(6)];
                let from = place(&data[..size], &mut random) / 4 * 4;
                let to = at / 4 * 4;
                if from.max(to) + len <= size {
                    data.copy_within(from..from + len, to);
                }
            }
            _ => {
                let len = [1, 2, 4, 8, 16, 32][random(6)].min(size - at);
                other(&mut data[at..at + len], len, len);
            }
        }
    }
    if random(16) != 0 {
        repair(&mut data[..size]);
    }
    size
}

/// Chooses an offset near a byte that is not zero, often in the superblock.
fn place(data: &[u8], random: &mut impl FnMut(usize) -> usize) -> usize {
    if random(5) == 0 {
        return SUPER + random(128);
    }
    let start = random(data.len());
    let near = data[start..]
        .iter()
        .position(|byte| *byte != 0)
        .map_or(start, |found| start + found);
    near.saturating_sub(random(8)).min(data.len() - 1)
}

/// Writes the checksum of the superblock.
pub fn repair(image: &mut [u8]) {
    if let Some((block, _)) = image.split_first_chunk_mut::<{ BLOCK_SIZE as usize }>() {
        let sum = superblock_checksum(block).get();
        block[SUPER + 4..SUPER + 8].copy_from_slice(&sum.to_le_bytes());
    }
}
