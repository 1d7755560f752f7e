use std::collections::HashMap;

use crate::limits::{MAX_KEPT_XATTR_BYTES, MAX_XATTRS};
use crate::varint::{Cursor, put, put_bytes};

/// An xattr set as a change has it: names and values.
pub(crate) type Xattrs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// How a record states its xattrs: no set, a set that follows, a set that follows and is kept, or `FIRST` and the number of a kept
/// set. Without this, a global header of a few kilobytes would be repeated in every record.
mod form {
    pub(super) const NONE: u64 = 0;
    pub(super) const ONCE: u64 = 1;
    pub(super) const KEPT: u64 = 2;
    pub(super) const FIRST: u64 = 3;
}

/// The xattr sets that writer and reader remember of the records before, so that a repeated set takes a few bytes.
///
/// Both forget all of them before they would hold more than [`MAX_KEPT_XATTR_BYTES`], at the same record.
///
/// Invariant: set `n` is `bytes[ends[n - 1]..ends[n]]`, or from 0 for the first one.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// The sets as records have them, one behind the other.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Kept {
    /// Returns the number of the set; `None` if it is too long to be kept. The flag is whether all earlier sets were forgotten.
    fn add(&mut self, set: &[u8]) -> Option<(u64, bool)> {
        if set.len() > MAX_KEPT_XATTR_BYTES {
            return None;
        }
        let is_full = self.bytes.len() + set.len() > MAX_KEPT_XATTR_BYTES;
        if is_full {
            self.bytes.clear();
            self.ends.clear();
        }
        self.bytes.extend_from_slice(set);
        self.ends.push(self.bytes.len());
        Some((self.ends.len() as u64 - 1, is_full))
    }

    fn get(&self, number: u64) -> Option<&[u8]> {
        let number = usize::try_from(number).ok()?;
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(start..end)
    }
}

/// Writes xattr sets, each distinct one once.
#[derive(Clone, Debug, Default)]
pub(crate) struct XattrWriter {
    kept: Kept,
    numbers: HashMap<Vec<u8>, u64>,
}

impl XattrWriter {
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, xattrs: &[(&[u8], &[u8])]) {
        if xattrs.is_empty() {
            return put(out, form::NONE);
        }
        let mut set = Vec::new();
        put(&mut set, xattrs.len() as u64);
        for (name, value) in xattrs {
            put_bytes(&mut set, name);
            put_bytes(&mut set, value);
        }
        if let Some(number) = self.numbers.get(&set) {
            return put(out, form::FIRST + number);
        }
        match self.kept.add(&set) {
            Some((number, is_full)) => {
                put(out, form::KEPT);
                out.extend_from_slice(&set);
                if is_full {
                    self.numbers.clear();
                }
                self.numbers.insert(set, number);
            }
            None => {
                put(out, form::ONCE);
                out.extend_from_slice(&set);
            }
        }
    }
}

/// Reads what [`XattrWriter`] wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct XattrReader {
    kept: Kept,
}

impl XattrReader {
    /// Returns the next record's xattrs; `None` if they are malformed.
    pub(crate) fn get<'a>(&'a mut self, cursor: &mut Cursor<'a>) -> Option<Xattrs<'a>> {
        match cursor.number()? {
            form::NONE => Some(Vec::new()),
            form::ONCE => read(cursor),
            form::KEPT => {
                let before = *cursor;
                let xattrs = read(cursor)?;
                self.kept.add(before.until(cursor))?;
                Some(xattrs)
            }
            number => {
                let set = self.kept.get(number - form::FIRST)?;
                read(&mut Cursor::new(set))
            }
        }
    }
}

fn read<'a>(cursor: &mut Cursor<'a>) -> Option<Xattrs<'a>> {
    let count = cursor.number().filter(|&count| count <= MAX_XATTRS)?;
    let mut xattrs = Vec::new();
    for _ in 0..count {
        xattrs.push((cursor.bytes()?, cursor.bytes()?));
    }
    Some(xattrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(sets: &[Vec<(Vec<u8>, Vec<u8>)>]) -> usize {
        let (mut writer, mut reader) = (XattrWriter::default(), XattrReader::default());
        let mut bytes = 0;
        for set in sets {
            let set: Xattrs<'_> = set.iter().map(|(n, v)| (&n[..], &v[..])).collect();
            let mut out = Vec::new();
            writer.put(&mut out, &set);
            bytes += out.len();
            let mut cursor = Cursor::new(&out);
            assert_eq!(reader.get(&mut cursor), Some(set));
            assert!(cursor.is_at_end());
            assert!(reader.kept.bytes.len() <= MAX_KEPT_XATTR_BYTES);
            assert_eq!(writer.numbers.len(), writer.kept.ends.len());
        }
        bytes
    }

    fn set(seed: u8, bytes: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        vec![
            (b"user.a".to_vec(), vec![seed; bytes]),
            (vec![seed], vec![]),
        ]
    }

    #[test]
    fn a_repeated_set_takes_a_byte() {
        let sets: Vec<_> = (0..1000_u16)
            .map(|n| set(u8::from(n % 2 == 0), 10_000))
            .collect();
        assert!(round_trip(&sets) < 2 * 10_100 + 1000);
        assert_eq!(round_trip(&vec![Vec::new(); 10]), 10);
    }

    #[test]
    fn full_tables_are_forgotten_and_longer_sets_are_not_kept() {
        let mebibyte = 1 << 20;
        let mut sets: Vec<_> = (0..200).map(|n| set(n % 11, mebibyte)).collect();
        sets.push(set(1, MAX_KEPT_XATTR_BYTES));
        sets.push(set(1, MAX_KEPT_XATTR_BYTES));
        // After the others fill the table, a set that is repeated is kept again.
        sets.extend((0..1000_u16).map(|_| set(99, mebibyte)));
        let bytes = round_trip(&sets);
        assert!(
            bytes < 202 * (mebibyte + 100) + 2 * MAX_KEPT_XATTR_BYTES + 2000,
            "{bytes}"
        );
    }

    #[test]
    fn a_number_of_no_set_is_malformed() {
        let mut reader = XattrReader::default();
        for number in [form::FIRST, form::FIRST + 1, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(reader.get(&mut Cursor::new(&bytes)), None);
        }
    }
}
