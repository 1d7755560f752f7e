//! PAX extended headers: records in, the attributes that matter out.

use super::{Lost, PaxFault, SparseExtent, Timestamp, number, sparse::PaxSparse};

/// What one or more PAX headers say. Names and values lie in one buffer, so that a header costs no allocation once the
/// buffer has grown.
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
    pub(super) lost: Lost,
    /// Sorted by name, each name once: holds after [`read`](Self::read).
    xattrs: Vec<XattrSpan>,
    xattr_bytes: u64,
}

/// A value that a PAX record may set or delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Field<T> {
    /// No record.
    #[default]
    Unset,
    /// A record with an empty value: no earlier record counts.
    Deleted,
    /// A record with a value.
    Set(T),
}

impl<T: Copy> Field<T> {
    pub(super) fn get(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Unset | Self::Deleted => None,
        }
    }

    /// The local record, where there is none the global one.
    pub(super) fn pick(local: Self, global: Self) -> Option<T> {
        match local {
            Self::Unset => global.get(),
            Self::Deleted | Self::Set(_) => local.get(),
        }
    }
}

/// A stretch of a buffer. `start <= end`, both within the buffer that it was made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.end]
    }

    fn len(self) -> usize {
        self.end - self.start
    }
}

/// Name and value of an xattr.
#[derive(Clone, Copy, Debug)]
pub(super) struct XattrSpan {
    pub(super) name: Span,
    pub(super) value: Span,
}

/// A malformed record and where it starts in the body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadRecord {
    pub(super) position: usize,
    pub(super) fault: PaxFault,
}

/// Whether a PAX header is for one entry or for all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Local,
    Global,
}

impl PaxAttributes {
    /// Forgets everything but the buffers.
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
            b"SCHILY.fflags" => self.lost.file_flags = !value.is_empty(),
            b"RHT.security.selinux" => self.lost.selinux = !value.is_empty(),
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
            self.lost.text_acl |= !value.is_empty();
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

    /// Sorts by name; of equal names the last stays.
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
        let bytes: usize = spans
            .map(|xattr| xattr.name.len() + xattr.value.len())
            .sum();
        self.xattr_bytes = bytes as u64;
    }

    /// Adds the global xattrs whose names are not here, and what else is global and not picked field by field.
    pub(super) fn inherit(&mut self, global: &Self) {
        self.lost.text_acl |= global.lost.text_acl;
        self.lost.file_flags |= global.lost.file_flags;
        self.lost.selinux |= global.lost.selinux;
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

    /// Bytes of all xattr names and values.
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

/// Splits off one record, `"<length> <keyword>=<value>\n"`: keyword, value and the record's length.
fn record(body: &[u8]) -> Result<(&[u8], &[u8], usize), PaxFault> {
    // No length that fits a body has more digits than this.
    let head = &body[..body.len().min(20)];
    let space = head
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or(PaxFault::Length)?;
    let len = number::decimal(&body[..space]).ok_or(PaxFault::Length)?;
    let len = usize::try_from(len).map_err(|_| PaxFault::PastEnd)?;
    if len > body.len() {
        return Err(PaxFault::PastEnd);
    }
    let record = body.get(space + 1..len).ok_or(PaxFault::Length)?;
    let record = record.strip_suffix(b"\n").ok_or(PaxFault::LineFeed)?;
    let equals = record
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or(PaxFault::Keyword)?;
    let (keyword, value) = (&record[..equals], &record[equals + 1..]);
    if keyword.is_empty() {
        return Err(PaxFault::Keyword);
    }
    if keyword.contains(&0) {
        return Err(PaxFault::Nul);
    }
    Ok((keyword, value, len))
}

fn parsed<T>(
    value: &[u8],
    parse: impl FnOnce(&[u8]) -> Option<T>,
    fault: PaxFault,
) -> Result<Field<T>, PaxFault> {
    if value.is_empty() {
        return Ok(Field::Deleted);
    }
    parse(value).map(Field::Set).ok_or(fault)
}

fn id(value: &[u8]) -> Option<u32> {
    number::decimal(value).and_then(|id| u32::try_from(id).ok())
}

fn mtime(value: &[u8]) -> Option<Timestamp> {
    number::time(value).map(|(secs, nanos)| Timestamp { secs, nanos })
}

/// `%xx` escapes, as libarchive writes xattr names.
fn url_decode(text: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            let digit = |byte: u8| char::from(byte).to_digit(16);
            into.push(u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?);
            rest = tail;
        } else {
            into.push(*byte);
        }
    }
    Some(())
}

/// Base 64 with or without padding; libarchive writes it without.
fn base64_decode(text: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let (mut bits, mut pending) = (0_u32, 0_u32);
    let digits = &text[..text.len() - padding];
    if digits.len() % 4 == 1 {
        return None;
    }
    for byte in digits {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(digit)) & 0xffff;
        pending += 6;
        if pending >= 8 {
            pending -= 8;
            into.push(u8::try_from(bits >> pending & 0xff).ok()?);
        }
    }
    Some(())
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
    fn malformed_records_are_told_apart() {
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

    #[test]
    fn base64_with_and_without_padding() {
        let decode = |text: &[u8]| {
            let mut out = Vec::new();
            base64_decode(text, &mut out).map(|()| out)
        };
        assert_eq!(decode(b""), Some(vec![]));
        assert_eq!(decode(b"YQ"), Some(b"a".to_vec()));
        assert_eq!(decode(b"YQ=="), Some(b"a".to_vec()));
        assert_eq!(decode(b"/+8"), Some(vec![0xff, 0xef]));
        assert_eq!(decode(b"Y"), None);
        assert_eq!(decode(b"Y!=="), None);
    }
}
