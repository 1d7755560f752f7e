//! One header block, decoded.
//!
//! Uses tokio-tar's layouts but not its accessors:
//!
//! - `as_ustar` requires version `00`, while archives with a NUL version exist and other tools read them;
//! - `path_bytes` supports neither star's shorter prefix nor the prefix that old Go wrote into GNU headers;
//! - `cksum` compares nothing, and its numbers are inexact: see [`number`].

use super::{
    number,
    pax::{Field, PaxAttributes},
    sparse::GnuSparse,
};
use tokio_tar::{EntryType, GnuExtSparseHeader, GnuHeader, OldHeader, UstarHeader};

/// Length of a block in bytes: every header is one, and payloads are padded to whole blocks.
pub(super) const BLOCK: usize = 512;

/// A header block.
pub(super) type Block = [u8; BLOCK];

/// The dialect of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Neither magic: no prefix, no device numbers.
    V7,
    /// POSIX, whatever the version field contains.
    Ustar,
    /// ustar with star's trailer: the prefix is shorter.
    Star,
    /// Old GNU: times and a sparse map where ustar has the prefix.
    Gnu,
}

/// A view of a header block whose checksum matches.
#[derive(Clone, Copy)]
pub(super) struct RawHeader<'a> {
    block: &'a Block,
    old: &'a OldHeader,
    ustar: &'a UstarHeader,
    format: Format,
}

/// A checksum mismatch.
#[derive(Debug)]
pub(super) struct BadChecksum {
    pub(super) expected: u32,
    pub(super) actual: u32,
}

/// The POSIX name of a field that is not a number in range.
#[derive(Debug)]
pub(super) struct BadField(pub(super) &'static str);

/// Returns whether a stream may be a tar archive, by its first 512 bytes, or all of them if it is shorter: it is empty, or its
/// header's checksum matches.
pub(crate) fn may_begin(start: &[u8]) -> bool {
    let first = &start[..start.len().min(BLOCK)];
    if first.iter().all(|byte| *byte == 0) {
        return true;
    }
    let block = first.try_into();
    block.is_ok_and(|block| RawHeader::parse(block).is_ok())
}

impl<'a> RawHeader<'a> {
    /// Verifies the checksum and detects the dialect.
    pub(super) fn parse(block: &'a Block) -> Result<Self, BadChecksum> {
        let old: &OldHeader = zerocopy::transmute_ref!(block);
        let ustar: &UstarHeader = zerocopy::transmute_ref!(block);
        verify_checksum(block, old)?;
        let format = if ustar.magic == *b"ustar\0" {
            if ustar.pad[8..] == *b"tar\0" {
                Format::Star
            } else {
                Format::Ustar
            }
        } else if ustar.magic == *b"ustar " && ustar.version == *b" \0" {
            Format::Gnu
        } else {
            Format::V7
        };
        Ok(Self {
            block,
            old,
            ustar,
            format,
        })
    }

    pub(super) fn type_byte(&self) -> u8 {
        self.old.linkflag[0]
    }

    pub(super) fn entry_type(&self) -> EntryType {
        EntryType::new(self.type_byte())
    }

    /// Returns the name field alone, for messages and where an extension names itself.
    pub(super) fn short_name(&self) -> &'a [u8] {
        until_nul(&self.old.name)
    }

    pub(super) fn link_name(&self) -> &'a [u8] {
        until_nul(&self.old.linkname)
    }

    /// Appends the path of this block, without extensions.
    pub(super) fn path_into(&self, path: &mut Vec<u8>) {
        let prefix = self.prefix();
        if !prefix.is_empty() {
            path.extend_from_slice(prefix);
            path.push(b'/');
        }
        path.extend_from_slice(self.short_name());
    }

    fn prefix(&self) -> &'a [u8] {
        match self.format {
            Format::V7 => &[],
            Format::Ustar => until_nul(&self.ustar.prefix),
            Format::Star => until_nul(&self.ustar.prefix[..131]),
            Format::Gnu => self.misplaced_prefix().unwrap_or(&[]),
        }
    }

    /// Returns the prefix that Go before 1.8 wrote over a GNU header's times. Recognizes it as Go does: the times are not numbers,
    /// and the prefix is ASCII.
    fn misplaced_prefix(&self) -> Option<&'a [u8]> {
        let gnu = self.gnu()?;
        let is_time = |field: &[u8; 12]| field[0] == 0 || number::field(field).is_some();
        let prefix = until_nul(&self.ustar.prefix);
        let misplaced = !(is_time(&gnu.atime) && is_time(&gnu.ctime)) && prefix.is_ascii();
        misplaced.then_some(prefix)
    }

    fn gnu(&self) -> Option<&'a GnuHeader> {
        (self.format == Format::Gnu).then(|| zerocopy::transmute_ref!(self.block))
    }

    /// Returns the size field: the length of the payload, if the type has one.
    pub(super) fn size(&self) -> Result<u64, BadField> {
        let size = number::field(&self.old.size).and_then(|size| u64::try_from(size).ok());
        size.ok_or(BadField("size"))
    }

    /// Returns the permission bits with setuid, setgid and sticky. Masks out file type bits, which some archives set.
    pub(super) fn mode(&self) -> Result<u32, BadField> {
        let mode = number::field(&self.old.mode).map(|mode| mode & 0o7777);
        mode.and_then(|mode| u32::try_from(mode).ok())
            .ok_or(BadField("mode"))
    }

    pub(super) fn uid(&self) -> Result<u32, BadField> {
        id(&self.old.uid, "uid")
    }

    pub(super) fn gid(&self) -> Result<u32, BadField> {
        id(&self.old.gid, "gid")
    }

    pub(super) fn mtime(&self) -> Result<i64, BadField> {
        number::field(&self.old.mtime).ok_or(BadField("mtime"))
    }

    /// Returns the major and minor number; V7 has none.
    pub(super) fn device(&self) -> Result<(u32, u32), BadField> {
        if self.format == Format::V7 {
            return Ok((0, 0));
        }
        Ok((
            id(&self.ustar.dev_major, "devmajor")?,
            id(&self.ustar.dev_minor, "devminor")?,
        ))
    }

    /// Returns the beginning of the sparse map in a header of type `S`; `None` if the header is not a GNU one.
    pub(super) fn gnu_sparse(&self) -> Option<GnuSparse<'a>> {
        self.gnu().map(|gnu| GnuSparse {
            slots: &gnu.sparse,
            is_extended: gnu.isextended[0] != 0,
            real_size: &gnu.realsize,
        })
    }
}

/// Views a block as a continuation of an old GNU sparse map.
pub(super) fn extended_sparse(block: &Block) -> &GnuExtSparseHeader {
    zerocopy::transmute_ref!(block)
}

/// Owner, group and time of an entry: from a PAX record if there is one, else from the block's field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolved {
    pub(super) size: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: super::Timestamp,
}

impl Resolved {
    pub(super) fn new(
        header: &RawHeader<'_>,
        local: &PaxAttributes,
        global: &PaxAttributes,
    ) -> Result<Self, BadField> {
        Ok(Self {
            size: Field::pick(local.size, global.size).map_or_else(|| header.size(), Ok)?,
            uid: Field::pick(local.uid, global.uid).map_or_else(|| header.uid(), Ok)?,
            gid: Field::pick(local.gid, global.gid).map_or_else(|| header.gid(), Ok)?,
            mtime: match Field::pick(local.mtime, global.mtime) {
                Some(mtime) => mtime,
                None => super::Timestamp {
                    secs: header.mtime()?,
                    nanos: 0,
                },
            },
        })
    }
}

fn id(field: &[u8], name: &'static str) -> Result<u32, BadField> {
    let id = number::field(field).and_then(|id| u32::try_from(id).ok());
    id.ok_or(BadField(name))
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// Verifies the sum of the block, with its checksum field read as spaces. Some old tars summed signed bytes, so both sums match.
fn verify_checksum(block: &Block, header: &OldHeader) -> Result<(), BadChecksum> {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let actual = sum(block) - sum(&header.cksum) + 8 * u32::from(b' ');
    let expected = number::field(&header.cksum).and_then(|sum| u32::try_from(sum).ok());
    if expected == Some(actual) {
        return Ok(());
    }
    // Each byte with its top bit set counts 256 less.
    let high = |bytes: &[u8]| bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let signed = usize::try_from(actual)
        .ok()
        .and_then(|sum| sum.checked_sub(256 * (high(block) - high(&header.cksum))));
    let claimed = expected.and_then(|sum| usize::try_from(sum).ok());
    if signed.is_some() && signed == claimed {
        return Ok(());
    }
    Err(BadChecksum {
        expected: expected.unwrap_or(0),
        actual,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summed(fill: impl FnOnce(&mut Block), signed: bool) -> Block {
        let mut block = [0; BLOCK];
        fill(&mut block);
        block[148..156].fill(b' ');
        let sum: i64 = block
            .iter()
            .map(|byte| {
                if signed && *byte >= 0x80 {
                    i64::from(*byte) - 256
                } else {
                    i64::from(*byte)
                }
            })
            .sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    #[test]
    fn signed_and_unsigned_checksums_match() {
        for signed in [false, true] {
            let block = summed(|block| block[..3].copy_from_slice(b"\xff\xe4a"), signed);
            let header = RawHeader::parse(&block).map(|header| header.short_name().to_vec());
            assert_eq!(header.expect("the checksum matches"), b"\xff\xe4a");
        }
        let mut block = summed(|block| block[0] = b'a', false);
        block[0] = b'b';
        assert!(RawHeader::parse(&block).is_err());
    }

    #[test]
    fn a_checksum_in_base_256_counts_as_spaces_too() {
        for signed in [false, true] {
            let mut block = summed(|block| block[..3].copy_from_slice(b"\xff\xe4a"), signed);
            let sum = number::field(&block[148..156]).expect("the checksum is octal");
            block[148..156].copy_from_slice(&sum.to_be_bytes());
            block[148] |= 0x80;
            assert!(RawHeader::parse(&block).is_ok(), "{signed}");
            block[155] ^= 1;
            assert!(RawHeader::parse(&block).is_err(), "{signed}");
        }
    }

    #[test]
    fn star_prefix_is_131_bytes() {
        let block = summed(
            |block| {
                block[0] = b'n';
                block[257..265].copy_from_slice(b"ustar\x0000");
                block[345..476].fill(b'p');
                block[476..488].copy_from_slice(b"00000000001\0");
                block[508..].copy_from_slice(b"tar\0");
            },
            false,
        );
        let mut path = Vec::new();
        RawHeader::parse(&block)
            .expect("the checksum matches")
            .path_into(&mut path);
        assert_eq!(path, [&[b'p'; 131][..], b"/n"].concat());
    }

    #[test]
    fn old_go_prefix_in_a_gnu_header() {
        let gnu = |at: &[u8]| {
            let block = summed(
                |block| {
                    block[0] = b'n';
                    block[257..265].copy_from_slice(b"ustar  \0");
                    block[345..345 + at.len()].copy_from_slice(at);
                },
                false,
            );
            let mut path = Vec::new();
            RawHeader::parse(&block)
                .expect("the checksum matches")
                .path_into(&mut path);
            path
        };
        assert_eq!(gnu(b"usr/share/doc"), b"usr/share/doc/n");
        assert_eq!(gnu(b"14000000000\x0014000000000\0"), b"n");
    }
}
