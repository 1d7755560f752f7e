//! The hexadecimal form of a hash, without an allocation.

use std::fmt;
use std::ops::Deref;

/// Lower-case hexadecimal digits of a [`Digest`](crate::Digest), at most 128; use it as a `&str`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HexDigits {
    /// ASCII digits in the first `len` bytes.
    digits: [u8; 128],
    len: usize,
}

impl HexDigits {
    /// Encodes a hash of at most 64 bytes.
    pub(crate) fn new(hash: &[u8]) -> Self {
        let mut digits = [0; 128];
        let len = hash.len() * 2;
        hex::encode_to_slice(hash, &mut digits[..len])
            .expect("OK because the buffer has two digits for each byte");
        Self { digits, len }
    }
}

impl Deref for HexDigits {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.len])
            .expect("OK because hexadecimal digits are ASCII")
    }
}

impl AsRef<str> for HexDigits {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Display for HexDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for HexDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
