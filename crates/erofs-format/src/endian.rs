use std::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The kernel's `__le16`: a number in little-endian order, without alignment.
#[derive(
    Clone, Copy, Default, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq, Eq, Unaligned,
)]
#[repr(transparent)]
pub struct Le16([u8; 2]);

/// The kernel's `__le32`: a number in little-endian order, without alignment.
#[derive(
    Clone, Copy, Default, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq, Eq, Unaligned,
)]
#[repr(transparent)]
pub struct Le32([u8; 4]);

/// The kernel's `__le64`: a number in little-endian order, without alignment.
#[derive(
    Clone, Copy, Default, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq, Eq, Unaligned,
)]
#[repr(transparent)]
pub struct Le64([u8; 8]);

/// Defines the conversions between an on-disk number and a native one.
macro_rules! conversions {
    ($name:ident, $native:ty) => {
        impl $name {
            /// Creates the on-disk form of a number.
            #[inline]
            #[must_use]
            pub const fn new(value: $native) -> Self {
                Self(value.to_le_bytes())
            }

            /// Returns the number.
            #[inline]
            #[must_use]
            pub const fn get(self) -> $native {
                <$native>::from_le_bytes(self.0)
            }
        }

        impl From<$native> for $name {
            #[inline]
            fn from(value: $native) -> Self {
                Self::new(value)
            }
        }

        impl PartialEq<$native> for $name {
            #[inline]
            fn eq(&self, other: &$native) -> bool {
                self.get() == *other
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.get().fmt(f)
            }
        }
    };
}

conversions!(Le16, u16);
conversions!(Le32, u32);
conversions!(Le64, u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_byte_is_first() {
        assert_eq!(Le16::new(0x0102).as_bytes(), [2, 1]);
        assert_eq!(Le32::new(0x0102_0304).as_bytes(), [4, 3, 2, 1]);
        assert_eq!(Le64::from(1).as_bytes(), [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Le64::new(u64::MAX - 1).get(), u64::MAX - 1);
        assert_eq!(format!("{:?}", Le16::new(7)), "7");
    }
}
