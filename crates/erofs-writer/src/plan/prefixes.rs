use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::ops::Range;

use erofs_format::{
    BLOCK_SIZE, XATTR_ENTRY_ALIGN, XATTR_LONG_PREFIX, XATTR_LONG_PREFIXES_MAX, XattrNamespace,
};

#[cfg(test)]
mod tests;

/// A smaller saving is not worth another table to read at mount time.
const MIN_SAVED_BYTES: u64 = BLOCK_SIZE as u64;

/// The limit on the names examined, because hostile names can be prefixes of each other at 255 levels.
const MAX_WORK: u64 = 1 << 25;

/// Prefixes of xattr names that are stored once and referred to by number.
#[derive(Debug, Default)]
pub(crate) struct Prefixes<'t> {
    chosen: Vec<(XattrNamespace, &'t [u8])>,
    /// The prefix of each full name.
    of_name: HashMap<&'t [u8], u8>,
}

impl<'t> Prefixes<'t> {
    /// Chooses prefixes that reduce the size of the entries, greedily. Chooses none if they save less than a block.
    pub(crate) fn choose(stored: &StoredNames<'t>) -> Self {
        let names: Vec<Name<'t>> = stored.names.values().copied().collect();
        let whole = |name: &Name<'_>| name.saved(name.suffix.len());
        if names.iter().map(whole).sum::<u64>() < MIN_SAVED_BYTES {
            return Self::default();
        }
        let (picked, saved) = pick(&names, &candidates(&names), MAX_WORK);
        if saved < MIN_SAVED_BYTES {
            return Self::default();
        }
        let mut this = Self::default();
        // The longest prefix of a name is used, so try the longest first. A prefix that no name needs is dropped.
        let mut longest_first: Vec<&Candidate> = picked.iter().collect();
        longest_first.sort_by_key(|candidate| (Reverse(candidate.len), candidate.names.start));
        for candidate in longest_first {
            let Ok(index) = u8::try_from(this.chosen.len()) else {
                break;
            };
            let mut is_used = false;
            for name in &names[candidate.names.clone()] {
                this.of_name.entry(name.full).or_insert_with(|| {
                    is_used = true;
                    index
                });
            }
            if is_used {
                let first = &names[candidate.names.start];
                this.chosen
                    .push((first.namespace, &first.suffix[..candidate.len]));
            }
        }
        this
    }

    /// Returns `e_name_index` of a name, and the part of the name that is stored in the entry.
    pub(crate) fn split(
        &self,
        namespace: XattrNamespace,
        name: &[u8],
        suffix: &'t [u8],
    ) -> (u8, &'t [u8]) {
        match self.of_name.get(name) {
            Some(&index) => {
                let prefix = self.chosen[usize::from(index)].1;
                (XATTR_LONG_PREFIX | index, &suffix[prefix.len()..])
            }
            None => (namespace as u8, suffix),
        }
    }

    pub(crate) fn count(&self) -> u8 {
        // OK because at most 128 are chosen.
        u8::try_from(self.chosen.len()).unwrap_or(u8::MAX)
    }

    /// Returns the table as it is on disk: each prefix is a `struct erofs_xattr_long_prefix` after a 16-bit length,
    /// aligned to 4.
    pub(crate) fn table(&self) -> Vec<u8> {
        let mut table = Vec::new();
        for (namespace, infix) in &self.chosen {
            // OK because an infix is part of a name of at most 255 bytes.
            let len = u16::try_from(infix.len() + 1).unwrap_or(u16::MAX);
            table.extend_from_slice(&len.to_le_bytes());
            table.push(*namespace as u8);
            table.extend_from_slice(infix);
            table.resize(table.len().next_multiple_of(XATTR_ENTRY_ALIGN), 0);
        }
        table
    }
}

/// The names of all stored entries, with the number of their occurrences.
#[derive(Debug, Default)]
pub(crate) struct StoredNames<'t> {
    /// By full name, so that names with a common prefix are neighbours.
    names: BTreeMap<&'t [u8], Name<'t>>,
}

impl<'t> StoredNames<'t> {
    /// Counts an entry of `entry_bytes` without its padding.
    pub(crate) fn add(&mut self, full: &'t [u8], entry_bytes: usize, times: u64) {
        let Some((namespace, suffix)) = XattrNamespace::split(full) else {
            return;
        };
        let name = self.names.entry(full).or_insert(Name {
            full,
            namespace,
            suffix,
            counts: [0; XATTR_ENTRY_ALIGN],
        });
        name.counts[entry_bytes % XATTR_ENTRY_ALIGN] += times;
    }
}

#[derive(Clone, Copy, Debug)]
struct Name<'t> {
    full: &'t [u8],
    namespace: XattrNamespace,
    suffix: &'t [u8],
    /// The number of entries by their length modulo 4, which determines how much a prefix saves.
    counts: [u64; XATTR_ENTRY_ALIGN],
}

impl Name<'_> {
    /// Returns the bytes saved in these entries if `len` bytes of the name are not stored.
    fn saved(&self, len: usize) -> u64 {
        let padding = |bytes: usize| bytes.wrapping_neg() % XATTR_ENTRY_ALIGN;
        let by_length = self.counts.iter().enumerate().map(|(rest, &count)| {
            let saved = len + padding(rest) - padding(rest.wrapping_sub(len));
            count * saved as u64
        });
        by_length.sum()
    }
}

/// A prefix candidate: `len` bytes after the namespace of the names in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    names: Range<usize>,
    len: usize,
}

impl Candidate {
    fn table_bytes(&self) -> u64 {
        (3 + self.len).next_multiple_of(XATTR_ENTRY_ALIGN) as u64
    }
}

/// Returns the common prefixes of neighbours and every whole name. No other prefix can save more.
fn candidates(names: &[Name<'_>]) -> Vec<Candidate> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let common = names.get(at + 1).map_or(0, |next| {
            let pairs = name.suffix.iter().zip(next.suffix);
            let same = pairs.take_while(|(a, b)| a == b).count();
            if next.namespace == name.namespace {
                same
            } else {
                0
            }
        });
        for len in [common, name.suffix.len()] {
            let prefix = &name.full[..name.full.len() - name.suffix.len() + len];
            if len > 0 && seen.insert(prefix) {
                // All names before the first one with the prefix are less than the prefix.
                let start = names.partition_point(|other| other.full < prefix);
                let count = names[start..].partition_point(|other| other.full.starts_with(prefix));
                found.push(Candidate {
                    names: start..start + count,
                    len,
                });
            }
        }
    }
    found
}

/// Picks the prefix with the largest saving, repeatedly. Returns the picked prefixes and their total saving. The saving
/// of a candidate never grows when others are picked, so the best of the old values is the best of all once it has been
/// recomputed.
///
/// Examines at most `max_work` names, and stops there with the prefixes picked so far.
fn pick(names: &[Name<'_>], candidates: &[Candidate], max_work: u64) -> (Vec<Candidate>, u64) {
    let mut taken_len = vec![0; names.len()];
    let mut work = 0;
    let mut gain = |candidate: &Candidate, taken_len: &[usize]| {
        work += candidate.names.len() as u64;
        if work > max_work {
            return 0;
        }
        // Names with a longer picked prefix save nothing: a longer prefix never saves less.
        let more = |at: usize| {
            let saved = names[at].saved(candidate.len);
            saved.saturating_sub(names[at].saved(taken_len[at]))
        };
        let saved: u64 = candidate.names.clone().map(more).sum();
        saved.saturating_sub(candidate.table_bytes())
    };
    let mut heap: BinaryHeap<(u64, Reverse<usize>)> = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (gain(candidate, &taken_len), Reverse(at)))
        .collect();
    let (mut picked, mut total) = (Vec::new(), 0);
    while let Some((old, Reverse(at))) = heap.pop() {
        if old == 0 || picked.len() == XATTR_LONG_PREFIXES_MAX {
            break;
        }
        let candidate = &candidates[at];
        let now = gain(candidate, &taken_len);
        if now < old {
            heap.push((now, Reverse(at)));
            continue;
        }
        total += now;
        for at in candidate.names.clone() {
            taken_len[at] = taken_len[at].max(candidate.len);
        }
        picked.push(candidate.clone());
    }
    (picked, total)
}
