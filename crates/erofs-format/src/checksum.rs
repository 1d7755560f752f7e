use crate::{BLOCK_SIZE, SUPER_OFFSET};

/// A CRC-32C checksum in the form of EROFS: the initial value is all ones, and the result is *not* inverted.
///
/// A checksum can be continued with more bytes. [`Crc32c::then`] joins the checksums of two adjacent byte ranges and
/// [`Crc32c::since`] separates them, so that no byte has to be processed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc32c(u32);

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32c {
    /// Returns the checksum of no bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Returns the checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::new().update(bytes)
    }

    /// Continues the checksum with `bytes`.
    #[must_use]
    pub fn update(self, bytes: &[u8]) -> Self {
        // The crate inverts the initial value and the result; the kernel inverts neither.
        Self(!crc32c::crc32c_append(!self.0, bytes))
    }

    /// Continues the checksum with `len` bytes that have the checksum `next`.
    #[must_use]
    pub fn then(self, next: Self, len: u64) -> Self {
        Self(shifted(!self.0, len) ^ next.0)
    }

    /// Returns the checksum of the last `len` bytes, where `before` is the checksum of all bytes before them.
    #[must_use]
    pub fn since(self, before: Self, len: u64) -> Self {
        Self(shifted(!before.0, len) ^ self.0)
    }

    /// Continues the checksum with `len` zero bytes, in time logarithmic in `len`.
    #[must_use]
    pub fn zeros(self, len: u64) -> Self {
        Self(shifted(self.0, len))
    }

    /// Returns the value as it is stored on disk.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Creates a checksum from its stored value.
    #[must_use]
    pub const fn from_value(value: u32) -> Self {
        Self(value)
    }
}

/// The polynomial of CRC-32C without its highest term, in the bit order of the checksums: bit 31 stands for 1, bit 0
/// for x^31.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// x^(8 * 2^n) for each n: the factor by which 2^n zero bytes multiply a checksum.
const ZERO_BYTES: [u32; 64] = {
    let mut powers = [1 << (31 - 8); 64];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = product(powers[n - 1], powers[n - 1]);
        n += 1;
    }
    powers
};

/// Returns the bits of a checksum after `len` zero bytes. A checksum is linear in its bits, so this is the whole
/// contribution of the bytes before a range to the checksum after it.
fn shifted(checksum: u32, len: u64) -> u32 {
    let powers = ZERO_BYTES.iter().enumerate();
    powers
        .filter(|(n, _)| len >> n & 1 == 1)
        .fold(checksum, |checksum, (_, &power)| product(power, checksum))
}

/// Returns the product of two polynomials over GF(2), modulo the polynomial of CRC-32C.
const fn product(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        if a >> bit & 1 == 1 {
            product ^= b;
        }
        let carry = b & 1;
        b >>= 1;
        if carry == 1 {
            b ^= POLYNOMIAL;
        }
    }
    product
}

/// Returns the checksum of the superblock over block 0 of an image: from byte 1024 to the end of the block, with the
/// checksum field taken as zero (kernel: `erofs_superblock_csum_verify`).
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
    fn checksums_are_joined_and_separated_at_any_byte() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| (n * n).to_le_bytes()[1]).collect();
        let whole = Crc32c::of(&bytes);
        for cut in [0, 1, 2, 255, 256, 4095, 4096, 4999, 5000] {
            let (first, second) = bytes.split_at(cut);
            let (before, after) = (Crc32c::of(first), Crc32c::of(second));
            let len = second.len() as u64;
            assert_eq!(before.then(after, len), whole, "{cut}");
            assert_eq!(whole.since(before, len), after, "{cut}");
        }
    }

    #[test]
    fn checksums_of_zeros_need_no_bytes() {
        let start = Crc32c::of(b"abc");
        for len in [0, 1, 2, 3, 4095, 4096, 100_001] {
            let expected = start.update(&vec![0; len]);
            assert_eq!(start.zeros(len as u64), expected, "{len}");
        }
        // This polynomial is the product of x + 1 and one of degree 31, so the powers of x repeat after 2^31 - 1.
        assert_eq!(start.zeros((1 << 31) - 1), start);
        assert_eq!(start.zeros(((1 << 31) - 1) << 32), start);
    }
}
