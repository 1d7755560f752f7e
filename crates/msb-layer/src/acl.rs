//! Validates POSIX ACLs in their xattr form, as Linux does (`posix_acl_from_xattr` and `posix_acl_valid`).

use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// `struct posix_acl_xattr_header`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    a_version: U32,
}

/// `struct posix_acl_xattr_entry`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry {
    e_tag: U16,
    e_perm: U16,
    e_id: U32,
}

const _: () = assert!(size_of::<Header>() == 4 && size_of::<Entry>() == 8);

/// `POSIX_ACL_XATTR_VERSION`.
const VERSION: u32 = 2;
/// `ACL_UNDEFINED_ID`.
const UNDEFINED_ID: u32 = u32::MAX;

/// Entry tags, in the order that an ACL requires.
mod tag {
    pub(super) const USER_OBJ: u16 = 0x01;
    pub(super) const USER: u16 = 0x02;
    pub(super) const GROUP_OBJ: u16 = 0x04;
    pub(super) const GROUP: u16 = 0x08;
    pub(super) const MASK: u16 = 0x10;
    pub(super) const OTHER: u16 = 0x20;
}

/// Returns whether the xattr is a POSIX ACL.
pub(crate) fn is_acl(name: &[u8]) -> bool {
    matches!(
        name,
        b"system.posix_acl_access" | b"system.posix_acl_default"
    )
}

/// Returns whether Linux accepts the value as a POSIX ACL: one entry each for the owner, the group and others, any number for
/// named users and groups, and a mask if there are named ones.
pub(crate) fn is_valid(value: &[u8]) -> bool {
    let Ok((header, entries)) = Header::ref_from_prefix(value) else {
        return false;
    };
    let Ok(entries) = <[Entry]>::ref_from_bytes(entries) else {
        return false;
    };
    // The last tag. Only those of named users and groups may repeat.
    let mut last = 0;
    let mut needs_mask = false;
    let in_order = entries.iter().all(|entry| {
        let tag = entry.e_tag.get();
        let follows = match tag {
            tag::USER_OBJ => last == 0,
            tag::USER => matches!(last, tag::USER_OBJ | tag::USER),
            tag::GROUP_OBJ => matches!(last, tag::USER_OBJ | tag::USER),
            tag::GROUP => matches!(last, tag::GROUP_OBJ | tag::GROUP),
            tag::MASK => matches!(last, tag::GROUP_OBJ | tag::GROUP),
            tag::OTHER if needs_mask => last == tag::MASK,
            tag::OTHER => matches!(last, tag::GROUP_OBJ | tag::MASK),
            _ => false,
        };
        let has_id = matches!(tag, tag::USER | tag::GROUP);
        needs_mask |= has_id;
        last = tag;
        follows && entry.e_perm.get() <= 0o7 && !(has_id && entry.e_id.get() == UNDEFINED_ID)
    });
    header.a_version.get() == VERSION && in_order && last == tag::OTHER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(version: u32, entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut value = version.to_le_bytes().to_vec();
        for (tag, perm, id) in entries {
            value.extend_from_slice(&tag.to_le_bytes());
            value.extend_from_slice(&perm.to_le_bytes());
            value.extend_from_slice(&id.to_le_bytes());
        }
        value
    }

    const U: (u16, u16, u32) = (1, 6, UNDEFINED_ID);
    const G: (u16, u16, u32) = (4, 4, UNDEFINED_ID);
    const M: (u16, u16, u32) = (16, 7, UNDEFINED_ID);
    const O: (u16, u16, u32) = (32, 0, UNDEFINED_ID);
    const USER: (u16, u16, u32) = (2, 7, 1000);
    const GROUP: (u16, u16, u32) = (8, 1, 0);

    #[test]
    fn what_linux_takes_is_valid() {
        for entries in [
            &[U, G, O][..],
            &[U, G, M, O],
            &[U, USER, G, M, O],
            &[U, USER, USER, G, GROUP, GROUP, M, O],
            // The ids of the owner, the group, the mask and others are ignored.
            &[(1, 6, 7), (4, 4, 0), (32, 0, 5)],
        ] {
            assert!(is_valid(&acl(2, entries)), "{entries:?}");
        }
    }

    #[test]
    fn what_linux_refuses_is_not() {
        for entries in [
            &[][..],
            &[U],
            &[U, G],
            &[G, O],
            &[U, O],
            &[G, U, O],
            &[U, U, G, O],
            &[U, G, G, O],
            &[U, G, O, O],
            &[U, G, M, M, O],
            &[U, G, O, M],
            &[U, USER, G, O],
            &[U, G, GROUP, O],
            &[U, G, USER, M, O],
            &[U, GROUP, G, M, O],
            &[USER, U, G, M, O],
            &[(1, 8, 0), G, O],
            &[(0, 0, 0), U, G, O],
            &[(3, 0, 0), U, G, O],
            &[U, (2, 7, UNDEFINED_ID), G, M, O],
            &[U, G, (8, 7, UNDEFINED_ID), M, O],
        ] {
            assert!(!is_valid(&acl(2, entries)), "{entries:?}");
        }
        let good = acl(2, &[U, G, O]);
        for version in [0, 1, 3, 0x0200_0000] {
            assert!(!is_valid(&acl(version, &[U, G, O])));
        }
        for len in 0..good.len() {
            assert!(!is_valid(&good[..len]), "{len}");
        }
        assert!(!is_valid(&[&good[..], &[0]].concat()));
    }
}
