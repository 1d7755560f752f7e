use std::io::Write;
use std::sync::OnceLock;

use crate::{BLOCK_BYTES, Error, HASH_BYTES, hash};

/// Computes the leaf hashes of data that arrives in pieces of any length, and writes them to `W`, 32 bytes for each block.
///
/// Memory: one block.
#[derive(Debug)]
#[must_use = "`finish` checks that the data ends with a block"]
pub struct Leaves<W> {
    output: W,
    /// The beginning of a block; shorter than one.
    partial: Vec<u8>,
}

impl<W: Write> Leaves<W> {
    /// Creates a hasher that writes to `output`, which should be buffered.
    pub fn new(output: W) -> Self {
        Self {
            output,
            partial: Vec::with_capacity(BLOCK_BYTES),
        }
    }

    /// Hashes more data.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn update(&mut self, mut data: &[u8]) -> Result<(), Error> {
        if !self.partial.is_empty() {
            let missing = BLOCK_BYTES - self.partial.len();
            let (head, rest) = data.split_at(missing.min(data.len()));
            self.partial.extend(head);
            data = rest;
            if self.partial.len() < BLOCK_BYTES {
                return Ok(());
            }
            write(&mut self.output, &self.partial)?;
            self.partial.clear();
        }
        let blocks = data.chunks_exact(BLOCK_BYTES);
        self.partial.extend(blocks.remainder());
        for block in blocks {
            write(&mut self.output, block)?;
        }
        Ok(())
    }

    /// Ends the data and returns the output.
    ///
    /// # Errors
    /// [`Error::PartialBlock`] if the data does not end with a block.
    pub fn finish(self) -> Result<W, Error> {
        match self.partial.len() {
            0 => Ok(self.output),
            bytes => Err(Error::PartialBlock { bytes }),
        }
    }
}

fn write(output: &mut impl Write, block: &[u8]) -> Result<(), Error> {
    // Comparing costs little, and files with holes consist of zeros.
    static OF_ZEROS: OnceLock<[u8; HASH_BYTES]> = OnceLock::new();
    const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    let written = if *block == ZEROS {
        output.write_all(OF_ZEROS.get_or_init(|| hash(block)))
    } else {
        output.write_all(&hash(block))
    };
    written.map_err(|source| Error::Write { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_do_not_depend_on_the_pieces() {
        let mut data: Vec<u8> = (0..=250).cycle().take(5 * BLOCK_BYTES).collect();
        data[2 * BLOCK_BYTES..4 * BLOCK_BYTES].fill(0);
        let hashes = |piece: usize| {
            let mut leaves = Leaves::new(Vec::new());
            for piece in data.chunks(piece) {
                leaves.update(piece).unwrap();
            }
            leaves.finish().unwrap()
        };
        let expected = hashes(data.len());
        let of_blocks: Vec<u8> = data.chunks(BLOCK_BYTES).flat_map(hash).collect();
        assert_eq!(expected, of_blocks);
        for piece in [1, 4095, 4096, 4097, 10_000] {
            assert_eq!(hashes(piece), expected, "{piece}");
        }
    }

    #[test]
    fn data_that_ends_within_a_block_is_an_error() {
        let mut leaves = Leaves::new(Vec::new());
        leaves.update(&[0; 5000]).unwrap();
        let error = leaves.finish().unwrap_err();
        assert!(
            matches!(error, Error::PartialBlock { bytes: 904 }),
            "{error}"
        );
    }
}
