use crate::{BLOCK_SIZE, SUPER_OFFSET};

/// CRC32-C as EROFS wants it: seeded with all ones and *not* inverted at the end.
///
/// The same value, carried on, checks any other stretch of bytes; two stretches that were summed apart can be joined
/// with [`Crc32c::then`], so that bytes written out of order are still read only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc32c(u32);

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32c {
    /// The sum of no bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(!0)
    }

    /// The sum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::new().update(bytes)
    }

    /// The sum of the bytes so far and `bytes` after them.
    #[must_use]
    pub fn update(self, bytes: &[u8]) -> Self {
        // The crate inverts on the way in and out; the kernel does neither.
        Self(!crc32c::crc32c_append(!self.0, bytes))
    }

    /// The sum of the bytes so far and, after them, `len` bytes whose own sum is `next`.
    #[must_use]
    pub fn then(self, next: Self, len: usize) -> Self {
        Self(!crc32c::crc32c_combine(!self.0, !next.0, len))
    }

    /// The value as it is stored on disk.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The sum whose stored value is `value`.
    #[must_use]
    pub const fn from_value(value: u32) -> Self {
        Self(value)
    }
}

/// The superblock's checksum over block 0 of an image: from byte 1024 to the end of the block, the checksum field taken
/// as zero (kernel, `erofs_superblock_csum_verify`).
#[must_use]
pub fn superblock_checksum(block0: &[u8; BLOCK_SIZE as usize]) -> Crc32c {
    const FIELD: usize = SUPER_OFFSET as usize + 4;
    Crc32c::of(&block0[SUPER_OFFSET as usize..FIELD])
        .update(&[0; 4])
        .update(&block0[FIELD + 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_is_the_standard_one_without_the_final_inversion() {
        assert_eq!(Crc32c::of(b"123456789").get(), !0xE306_9283);
    }

    #[test]
    fn joined_sums_equal_one_sum() {
        let (a, b) = (b"hello, ".as_slice(), b"world".as_slice());
        assert_eq!(
            Crc32c::of(a).then(Crc32c::of(b), b.len()),
            Crc32c::of(b"hello, world")
        );
        assert_eq!(Crc32c::new().then(Crc32c::of(b), b.len()), Crc32c::of(b));
    }
}
