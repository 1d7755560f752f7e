use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Le16, Le32};

/// The alignment of xattr entries, in bytes.
pub const XATTR_ENTRY_ALIGN: usize = 4;

/// The bit of `e_name_index` that marks the other bits as the number of a long prefix (`EROFS_XATTR_LONG_PREFIX`).
pub const XATTR_LONG_PREFIX: u8 = 0x80;

/// The largest number of long prefixes of an image.
pub const XATTR_LONG_PREFIXES_MAX: usize = 0x80;

/// `struct erofs_xattr_ibody_header`: follows an inode that has xattrs. After it come `h_shared_count` 4-byte ids of
/// shared entries, then the inode's own entries.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct XattrIbodyHeader {
    /// A Bloom filter over the names, if the image has that feature; zero here.
    pub h_name_filter: Le32,
    /// The number of ids of shared entries.
    pub h_shared_count: u8,
    /// Zero.
    pub h_reserved: [u8; 7],
}

const _: () = assert!(size_of::<XattrIbodyHeader>() == 12);

/// `struct erofs_xattr_entry`: followed by the name without its prefix, the value, and zeros up to
/// [`XATTR_ENTRY_ALIGN`].
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct XattrEntry {
    /// The length of the name in bytes.
    pub e_name_len: u8,
    /// The prefix of the name: an [`XattrNamespace`], or the number of a long prefix with the top bit set.
    pub e_name_index: u8,
    /// The length of the value in bytes.
    pub e_value_size: Le16,
}

const _: () = assert!(size_of::<XattrEntry>() == 4);

/// The name prefixes that have a number in EROFS (`EROFS_XATTR_INDEX_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum XattrNamespace {
    /// `user.`
    User = 1,
    /// `system.posix_acl_access`, the whole name.
    PosixAclAccess = 2,
    /// `system.posix_acl_default`, the whole name.
    PosixAclDefault = 3,
    /// `trusted.`
    Trusted = 4,
    /// `security.`
    Security = 6,
}

impl XattrNamespace {
    /// Every namespace.
    pub const ALL: [Self; 5] = [
        Self::User,
        Self::PosixAclAccess,
        Self::PosixAclDefault,
        Self::Trusted,
        Self::Security,
    ];

    /// Returns the prefix with which full names begin.
    #[must_use]
    pub const fn prefix(self) -> &'static [u8] {
        match self {
            Self::User => b"user.",
            Self::PosixAclAccess => b"system.posix_acl_access",
            Self::PosixAclDefault => b"system.posix_acl_default",
            Self::Trusted => b"trusted.",
            Self::Security => b"security.",
        }
    }

    /// Splits a full name into its namespace and the rest. Returns `None` for a name that EROFS cannot hold.
    ///
    /// The rest is empty for the two ACL names, which are whole names, and never empty for the other namespaces.
    #[must_use]
    pub fn split(name: &[u8]) -> Option<(Self, &[u8])> {
        Self::ALL.into_iter().find_map(|namespace| {
            let suffix = name.strip_prefix(namespace.prefix())?;
            let whole = matches!(namespace, Self::PosixAclAccess | Self::PosixAclDefault);
            (suffix.is_empty() == whole).then_some((namespace, suffix))
        })
    }

    /// Returns the namespace with the number `e_name_index`.
    #[must_use]
    pub fn from_index(e_name_index: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|namespace| *namespace as u8 == e_name_index)
    }
}

/// Returns `i_xattr_icount` for an xattr body of `body_size` bytes, which is a multiple of 4; 0 for no body. Returns
/// `None` if the body is too long.
#[must_use]
pub fn xattr_icount(body_size: usize) -> Option<u16> {
    if body_size == 0 {
        return Some(0);
    }
    u16::try_from((body_size - size_of::<XattrIbodyHeader>().min(body_size)) / 4 + 1).ok()
}

/// Returns the length of the xattr body for an `i_xattr_icount`, in bytes.
#[must_use]
pub const fn xattr_ibody_size(i_xattr_icount: u16) -> usize {
    if i_xattr_icount == 0 {
        0
    } else {
        size_of::<XattrIbodyHeader>() + (i_xattr_icount as usize - 1) * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_size_and_icount_are_inverse() {
        for size in [0, 16, 20, 12 + 4 * 65_534] {
            assert_eq!(xattr_ibody_size(xattr_icount(size).unwrap()), size);
        }
        assert_eq!(xattr_icount(12 + 4 * 65_535), None);
    }

    #[test]
    fn acl_names_have_their_own_index_and_no_suffix() {
        assert_eq!(
            XattrNamespace::split(b"user.a"),
            Some((XattrNamespace::User, b"a".as_slice()))
        );
        assert_eq!(
            XattrNamespace::split(b"system.posix_acl_access"),
            Some((XattrNamespace::PosixAclAccess, b"".as_slice()))
        );
        for name in [
            b"system.posix_acl_accessx".as_slice(),
            b"user.",
            b"system.other",
            b"plain",
        ] {
            assert_eq!(XattrNamespace::split(name), None);
        }
    }
}
