//! PAX extended headers: records in, the attributes that matter out.

mod encoding;
mod field;
mod record;

pub(super) use field::{Field, Span, XattrSpan};
pub(super) use record::BadRecord;

use super::{Lost, PaxFault, SparseExtent, Timestamp, number, sparse::PaxSparse};
use encoding::{base64_decode, url_decode};
use record::{id, mtime, parsed, record};

/// The attributes of one or more PAX headers. Names and values lie in one buffer, so that a header costs no allocation once
/// the buffer has grown.
#[derive(Debug, Default)]
pub(super) struct PaxAttributes {
    bytes: Vec<u8>,
    pub(super) path: Field<Span>,
    pub(super) link_path: Field<Span>,
    pub(super) size: Field<u64>,
    pub(super) uid: Field<u32>,
    pub(super) gid: Field<u32>,
    pub(super) mtime: Field<Timestamp>,
    pub(super) sparse: PaxSparse,
    pub(super) sparse_name: Field<Span>,
    text_acl: bool,
    file_flags: Field<()>,
    selinux: Field<()>,
    /// Sorted by name, each name once; holds after [`read`](Self::read).
    xattrs: Vec<XattrSpan>,
    xattr_bytes: u64,
    xattr_name_bytes: u64,
}

/// Whether a PAX header applies to one entry or to all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Local,
    Global,
}

impl PaxAttributes {
    /// Clears everything, but keeps the buffers allocated.
    pub(super) fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut xattrs = std::mem::take(&mut self.xattrs);
        bytes.clear();
        xattrs.clear();
        *self = Self {
            bytes,
            xattrs,
            ..Self::default()
        };
    }

    /// Adds the records of one header's body. A later record of a keyword replaces an earlier one.
    pub(super) fn read(&mut self, body: &[u8], scope: Scope) -> Result<(), BadRecord> {
        let mut position = 0;
        while position < body.len() {
            let at = |fault| BadRecord { position, fault };
            let (keyword, value, len) = record(&body[position..]).map_err(at)?;
            self.apply(keyword, value, scope).map_err(at)?;
            position += len;
        }
        self.sparse
            .finish()
            .map_err(|fault| BadRecord { position, fault })?;
        self.sort_xattrs();
        Ok(())
    }

    fn apply(&mut self, keyword: &[u8], value: &[u8], scope: Scope) -> Result<(), PaxFault> {
        match keyword {
            b"path" => self.path = self.name(value)?,
            b"linkpath" => self.link_path = self.name(value)?,
            b"size" => self.size = parsed(value, number::decimal, PaxFault::Number)?,
            b"uid" => self.uid = parsed(value, id, PaxFault::Number)?,
            b"gid" => self.gid = parsed(value, id, PaxFault::Number)?,
            b"mtime" => self.mtime = parsed(value, mtime, PaxFault::Time)?,
            b"SCHILY.fflags" => self.file_flags = Field::of(value),
            b"RHT.security.selinux" => self.selinux = Field::of(value),
            _ => return self.apply_family(keyword, value, scope),
        }
        Ok(())
    }

    fn apply_family(&mut self, keyword: &[u8], value: &[u8], scope: Scope) -> Result<(), PaxFault> {
        if let Some(name) = keyword.strip_prefix(b"SCHILY.xattr.") {
            let name = self.store(name);
            let value = self.store(value);
            self.push_xattr(name, value);
        } else if let Some(name) = keyword.strip_prefix(b"LIBARCHIVE.xattr.") {
            let name = self.store_decoded(|bytes| url_decode(name, bytes))?;
            let value = self.store_decoded(|bytes| base64_decode(value, bytes))?;
            if name.of(&self.bytes).contains(&0) {
                return Err(PaxFault::Nul);
            }
            self.push_xattr(name, value);
        } else if let Some(keyword) = keyword.strip_prefix(b"GNU.sparse.") {
            if scope == Scope::Global {
                return Err(PaxFault::Sparse);
            }
            if keyword == b"name" {
                self.sparse_name = self.name(value)?;
            } else {
                self.sparse.apply(keyword, value)?;
            }
        } else if keyword.starts_with(b"SCHILY.acl.") {
            self.text_acl |= !value.is_empty();
        }
        Ok(())
    }

    fn name(&mut self, value: &[u8]) -> Result<Field<Span>, PaxFault> {
        if value.contains(&0) {
            return Err(PaxFault::Nul);
        }
        Ok(if value.is_empty() {
            Field::Deleted
        } else {
            Field::Set(self.store(value))
        })
    }

    fn store(&mut self, value: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        Span {
            start,
            end: self.bytes.len(),
        }
    }

    fn store_decoded(
        &mut self,
        decode: impl FnOnce(&mut Vec<u8>) -> Option<()>,
    ) -> Result<Span, PaxFault> {
        let start = self.bytes.len();
        decode(&mut self.bytes).ok_or(PaxFault::Encoding)?;
        Ok(Span {
            start,
            end: self.bytes.len(),
        })
    }

    fn push_xattr(&mut self, name: Span, value: Span) {
        self.xattrs.push(XattrSpan { name, value });
    }

    /// Sorts by name; of equal names the last is kept.
    fn sort_xattrs(&mut self) {
        let bytes = &self.bytes;
        // Stable, so that equal names stay in the order of the records.
        self.xattrs
            .sort_by(|a, b| a.name.of(bytes).cmp(b.name.of(bytes)));
        self.xattrs.dedup_by(|later, kept| {
            let equal = later.name.of(bytes) == kept.name.of(bytes);
            if equal {
                *kept = *later;
            }
            equal
        });
        let spans = self.xattrs.iter();
        let names: usize = spans.clone().map(|xattr| xattr.name.len()).sum();
        let values: usize = spans.map(|xattr| xattr.value.len()).sum();
        self.xattr_bytes = (names + values) as u64;
        self.xattr_name_bytes = (names + self.xattrs.len()) as u64;
    }

    /// Returns which attributes have a form that is not decoded.
    pub(super) fn lost(&self) -> Lost {
        Lost {
            text_acl: self.text_acl,
            file_flags: self.file_flags.get().is_some(),
            selinux: self.selinux.get().is_some(),
        }
    }

    /// Adds the global xattrs whose names are not set here, and the other global attributes that are not picked field by field.
    pub(super) fn inherit(&mut self, global: &Self) {
        self.text_acl |= global.text_acl;
        self.file_flags = self.file_flags.or(global.file_flags);
        self.selinux = self.selinux.or(global.selinux);
        if global.xattrs.is_empty() {
            return;
        }
        let own = self.xattrs.len();
        for xattr in &global.xattrs {
            let name = xattr.name.of(&global.bytes);
            let bytes = &self.bytes;
            let found = self.xattrs[..own].binary_search_by(|own| own.name.of(bytes).cmp(name));
            if found.is_err() {
                let name = self.store(name);
                let value = self.store(xattr.value.of(&global.bytes));
                self.push_xattr(name, value);
            }
        }
        self.sort_xattrs();
    }

    /// Returns the bytes of all xattr names in Linux's list, each with a NUL.
    pub(super) fn xattr_name_bytes(&self) -> u64 {
        self.xattr_name_bytes
    }

    /// Returns the bytes of all xattr names and values.
    pub(super) fn xattr_bytes(&self) -> u64 {
        self.xattr_bytes
    }

    pub(super) fn xattrs(&self) -> super::Xattrs<'_> {
        super::Xattrs {
            bytes: &self.bytes,
            spans: &self.xattrs,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn take_extents(&mut self, into: &mut Vec<SparseExtent>) {
        into.clear();
        into.append(&mut self.sparse.extents);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &[u8]) -> PaxFault {
        let mut pax = PaxAttributes::default();
        pax.read(body, Scope::Local)
            .expect_err("the record is malformed")
            .fault
    }

    #[test]
    fn malformed_records_are_different_errors() {
        assert_eq!(fault(b"x path=a\n"), PaxFault::Length);
        assert_eq!(fault(b"9999999999999999999999 path=a\n"), PaxFault::Length);
        assert_eq!(fault(b"99 path=a\n"), PaxFault::PastEnd);
        assert_eq!(fault(b"0 path=a\n"), PaxFault::Length);
        assert_eq!(fault(b"2 path=a\n"), PaxFault::LineFeed);
        assert_eq!(fault(b"8 path=a\n"), PaxFault::LineFeed);
        assert_eq!(fault(b"8 patha\n"), PaxFault::Keyword);
        assert_eq!(fault(b"5 =a\n"), PaxFault::Keyword);
        assert_eq!(fault(b"11 path=a\0\n"), PaxFault::Nul);
        assert_eq!(fault(b"10 uid=1x\n"), PaxFault::Number);
        assert_eq!(fault(b"18 uid=4294967296\n"), PaxFault::Number);
        assert_eq!(fault(b"11 mtime=x\n"), PaxFault::Time);
        assert_eq!(fault(b"10 size=-\n"), PaxFault::Number);
        let mut pax = PaxAttributes::default();
        let bad = pax.read(b"10 path=a\n3 x", Scope::Local);
        assert_eq!(bad.expect_err("the second is malformed").position, 10);
    }

    #[test]
    fn a_cleared_header_keeps_its_buffers() {
        let mut pax = PaxAttributes::default();
        pax.read(b"24 SCHILY.xattr.user.a=\n", Scope::Local)
            .expect("the record is well formed");
        let buffers = (pax.bytes.capacity(), pax.xattrs.capacity());
        pax.clear();
        assert_eq!((pax.bytes.len(), pax.xattrs.len()), (0, 0));
        assert_eq!((pax.bytes.capacity(), pax.xattrs.capacity()), buffers);
    }

    #[test]
    fn xattrs_are_sorted_and_the_last_of_a_name_stays() {
        let mut pax = PaxAttributes::default();
        let body = b"26 SCHILY.xattr.user.b=old\n\
            24 SCHILY.xattr.user.a=\n\
            29 LIBARCHIVE.xattr.user.%62=bmV3\n";
        let body: Vec<u8> = body
            .split_inclusive(|byte| *byte == b'\n')
            .flat_map(|line| {
                let text = &line[3..];
                let len = text.len() + 3;
                [format!("{len} ").into_bytes(), text.to_vec()].concat()
            })
            .collect();
        pax.read(&body, Scope::Local)
            .expect("the records are well formed");
        let xattrs: Vec<_> = pax.xattrs().iter().collect();
        assert_eq!(xattrs, [(&b"user.a"[..], &b""[..]), (b"user.b", b"new")]);
    }
}
