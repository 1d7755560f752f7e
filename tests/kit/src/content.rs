//! Reproducible file contents, defined by a seed and a length.

use std::io::{self, Read};

/// The unit in which [`Fill::Mixed`] alternates, in bytes.
const MIXED_REGION_BYTES: u64 = 64 * 1024;
const WORDS: [&[u8; 8]; 16] = [
    b"erofs   ",
    b"layer   ",
    b"the tree",
    b"of files",
    b"manifest",
    b"whiteout",
    b"inode is",
    b"at block",
    b"\n       ",
    b"opaque  ",
    b"    }\n  ",
    b"return 0",
    b"if (len)",
    b"==      ",
    b"package ",
    b"import *",
];

/// The kind of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Incompressible.
    Random,
    /// Words, which compress to about a quarter.
    Text,
    /// Alternating regions of 64 KiB of either kind.
    Mixed,
    /// Written zeros, not a hole.
    Zero,
}

/// A reader of the endless stream for `seed` and `fill`, from byte `offset` on.
#[derive(Debug, Clone)]
pub struct Content {
    seed: u64,
    fill: Fill,
    offset: u64,
}

impl Content {
    /// Creates a reader of the stream from byte `offset` on.
    #[must_use]
    pub fn new(seed: u64, fill: Fill, offset: u64) -> Self {
        Content { seed, fill, offset }
    }

    fn word(&self, index: u64) -> [u8; 8] {
        let random = mix(self
            .seed
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(index));
        let text = match self.fill {
            Fill::Zero => return [0; 8],
            Fill::Random => false,
            Fill::Text => true,
            Fill::Mixed => (index / (MIXED_REGION_BYTES / 8)).is_multiple_of(2),
        };
        if text {
            *WORDS[(random >> 60) as usize]
        } else {
            random.to_le_bytes()
        }
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            let word = self.word(self.offset / 8);
            let skip = (self.offset % 8) as usize;
            let take = (8 - skip).min(buffer.len() - done);
            buffer[done..done + take].copy_from_slice(&word[skip..skip + take]);
            done += take;
            self.offset += take as u64;
        }
        Ok(done)
    }
}

/// Returns the first `size` bytes of the random stream of `seed`: the contents of `file x size=.. seed=..` in a recipe.
#[must_use]
pub fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut all = vec![0; size];
    Content::new(seed, Fill::Random, 0)
        .read_exact(&mut all)
        .expect("the stream never ends and never fails");
    all
}

/// Returns a random word for an index (the finalizer of SplitMix64), so that a stream can start anywhere.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_wherever_it_is_entered() {
        for fill in [Fill::Random, Fill::Text, Fill::Mixed, Fill::Zero] {
            let mut whole = vec![0; 200_000];
            Content::new(7, fill, 0).read_exact(&mut whole).unwrap();
            let mut part = vec![0; 1000];
            Content::new(7, fill, 65_531).read_exact(&mut part).unwrap();
            assert_eq!(part, whole[65_531..66_531]);
        }
    }
}
