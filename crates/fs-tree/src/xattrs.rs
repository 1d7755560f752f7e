use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::TreeError;
use crate::bytes::{ByteStore, Span};

/// A set of xattrs of one [`Tree`](crate::Tree); equal sets have equal ids. The default is the empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XattrsId(u32);

impl XattrsId {
    /// Returns whether this is the empty set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the id as an index: below [`Tree::xattr_sets`](crate::Tree::xattr_sets).
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Each distinct set once, encoded: for each xattr in name order `name length (2) value length (4) name value`.
#[derive(Clone, Debug)]
pub(crate) struct XattrSets {
    bytes: ByteStore,
    sets: Vec<Span>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    scratch: Vec<u8>,
}

impl Default for XattrSets {
    fn default() -> Self {
        // Set 0 is the empty set and is never in the index.
        Self {
            bytes: ByteStore::default(),
            sets: vec![Span::default()],
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            scratch: Vec::new(),
        }
    }
}

impl XattrSets {
    pub(crate) fn intern(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<XattrsId, TreeError> {
        if pairs.is_empty() {
            return Ok(XattrsId(0));
        }
        let mut sorted = pairs.to_vec();
        sorted.sort_unstable_by_key(|pair| pair.0);
        self.scratch.clear();
        for (name, value) in &sorted {
            let name_len = u16::try_from(name.len()).map_err(|_| TreeError::Full)?;
            let value_len = u32::try_from(value.len()).map_err(|_| TreeError::Full)?;
            self.scratch.extend_from_slice(&name_len.to_le_bytes());
            self.scratch.extend_from_slice(&value_len.to_le_bytes());
            self.scratch.extend_from_slice(name);
            self.scratch.extend_from_slice(value);
        }
        let Self {
            bytes,
            sets,
            index,
            hasher,
            scratch,
        } = self;
        let hash = hasher.hash_one(&scratch[..]);
        if let Some(&id) = index.find(hash, |&id| bytes.get(sets[id as usize]) == &scratch[..]) {
            return Ok(XattrsId(id));
        }
        let id = u32::try_from(sets.len()).map_err(|_| TreeError::Full)?;
        sets.push(bytes.push(scratch)?);
        index.insert_unique(hash, id, |&id| {
            hasher.hash_one(bytes.get(sets[id as usize]))
        });
        Ok(XattrsId(id))
    }

    pub(crate) fn get(&self, id: XattrsId) -> Pairs<'_> {
        Pairs {
            rest: self.bytes.get(self.sets[id.index()]),
        }
    }

    /// Returns the number of bytes that the sets hold in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.sets.len() * (size_of::<Span>() + size_of::<u32>())
    }

    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }
}

/// The xattrs of one set, in name order.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_len, rest) = self.rest.split_first_chunk::<2>()?;
        let (value_len, rest) = rest.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*name_len)))?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_len) as usize)?;
        self.rest = rest;
        Some((name, value))
    }
}
