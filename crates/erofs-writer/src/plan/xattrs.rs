use std::collections::HashMap;

use erofs_format::{XATTR_ENTRY_ALIGN, XattrEntry, XattrIbodyHeader, XattrNamespace, xattr_icount};
use fs_tree::{InodeId, Tree, XattrsId};
use zerocopy::IntoBytes;

use super::prefixes::{Prefixes, StoredNames};
use crate::{Error, InodeProblem};

/// The mark of an opaque directory for overlayfs.
const OPAQUE: (&[u8], &[u8]) = (b"trusted.overlay.opaque", b"y");

/// The xattr body of every distinct set, the entries shared by inodes, and the long prefixes of the names.
#[derive(Debug)]
pub(crate) struct XattrPlan<'t> {
    /// By (set, opaque).
    bodies: HashMap<SetKey, Vec<u8>>,
    /// The area of shared entries.
    pub(crate) shared: Vec<u8>,
    pub(crate) prefixes: Prefixes<'t>,
    tree: &'t Tree,
}

type Pair<'a> = (&'a [u8], &'a [u8]);
type SetKey = (XattrsId, bool);

/// A set of xattrs, and the number of its inodes.
#[derive(Clone, Copy, Debug)]
struct Use {
    key: SetKey,
    inodes: u64,
    first: InodeId,
}

/// The shared pairs with their numbers, in the order of the shared area.
#[derive(Debug, Default)]
struct Shared<'t> {
    order: Vec<Pair<'t>>,
    number: HashMap<Pair<'t>, usize>,
}

impl<'t> XattrPlan<'t> {
    /// Plans the xattrs of all inodes. Long prefixes are used only if allowed, and if they save a block.
    pub(crate) fn new(
        tree: &'t Tree,
        order: &[InodeId],
        long_prefixes: bool,
    ) -> Result<Self, Error> {
        let uses = uses(tree, order);
        let shared = Shared::new(tree, &uses)?;
        let mut this = Self {
            bodies: HashMap::new(),
            shared: Vec::new(),
            prefixes: Prefixes::default(),
            tree,
        };
        if long_prefixes {
            let mut stored = StoredNames::default();
            for &pair in &shared.order {
                stored.add(pair.0, unpadded(pair), 1);
            }
            for used in &uses {
                for pair in shared.split(tree, used.key).1 {
                    stored.add(pair.0, unpadded(pair), used.inodes);
                }
            }
            this.prefixes = Prefixes::choose(&stored);
        }
        let mut ids = Vec::with_capacity(shared.order.len());
        for &pair in &shared.order {
            ids.push(
                u32::try_from(this.shared.len() / XATTR_ENTRY_ALIGN)
                    .map_err(|_| Error::MetadataTooLarge)?,
            );
            encode(&mut this.shared, &this.prefixes, pair);
        }
        for used in uses {
            let body = this.body(used.key, &shared, &ids);
            if xattr_icount(body.len()).is_none() {
                let bytes = body.len();
                return Err(InodeProblem::XattrsTooLarge { bytes }.of(tree, used.first));
            }
            this.bodies.insert(used.key, body);
        }
        Ok(this)
    }

    /// Returns the xattr body of an inode: empty, or a header and entries.
    pub(crate) fn of(&self, inode: InodeId) -> &[u8] {
        self.bodies
            .get(&key(self.tree, inode))
            .map_or(&[], Vec::as_slice)
    }

    fn body(&self, key: SetKey, shared: &Shared<'t>, ids: &[u32]) -> Vec<u8> {
        let (numbers, own) = shared.split(self.tree, key);
        let header = XattrIbodyHeader {
            h_name_filter: 0.into(),
            // OK because a set is split so that at most 255 pairs are shared.
            h_shared_count: u8::try_from(numbers.len()).unwrap_or(u8::MAX),
            h_reserved: [0; 7],
        };
        let mut body = header.as_bytes().to_vec();
        for number in numbers {
            body.extend_from_slice(&ids[number].to_le_bytes());
        }
        for pair in own {
            encode(&mut body, &self.prefixes, pair);
        }
        body
    }
}

impl<'t> Shared<'t> {
    /// Checks all pairs and chooses those that take less space in the shared area.
    fn new(tree: &'t Tree, uses: &[Use]) -> Result<Self, Error> {
        let mut count: HashMap<Pair<'t>, u64> = HashMap::new();
        for used in uses {
            for pair in pairs(tree, used.key) {
                check(pair).map_err(|problem| problem.of(tree, used.first))?;
                *count.entry(pair).or_default() += used.inodes;
            }
        }
        let mut this = Self::default();
        // In the order of the sets, so that equal trees result in equal bytes.
        for used in uses {
            for pair in pairs(tree, used.key) {
                let bytes = unpadded(pair).next_multiple_of(XATTR_ENTRY_ALIGN) as u64;
                let inodes = count[&pair];
                if !this.number.contains_key(&pair) && bytes + 4 * inodes < bytes * inodes {
                    this.number.insert(pair, this.order.len());
                    this.order.push(pair);
                }
            }
        }
        Ok(this)
    }

    /// Returns the numbers of a set's shared pairs, and its other pairs.
    fn split(&self, tree: &'t Tree, key: SetKey) -> (Vec<usize>, Vec<Pair<'t>>) {
        let (mut numbers, mut own) = (Vec::new(), Vec::new());
        for pair in pairs(tree, key) {
            match self.number.get(&pair) {
                Some(&number) if numbers.len() < usize::from(u8::MAX) => numbers.push(number),
                _ => own.push(pair),
            }
        }
        (numbers, own)
    }
}

/// Counts the inodes of each set, in the order in which the sets occur.
fn uses(tree: &Tree, order: &[InodeId]) -> Vec<Use> {
    let mut uses: Vec<Use> = Vec::new();
    let mut position: HashMap<SetKey, usize> = HashMap::new();
    for &inode in order {
        let key = key(tree, inode);
        if key == (XattrsId::default(), false) {
            continue;
        }
        let at = *position.entry(key).or_insert_with(|| {
            uses.push(Use {
                key,
                inodes: 0,
                first: inode,
            });
            uses.len() - 1
        });
        uses[at].inodes += 1;
    }
    uses
}

fn key(tree: &Tree, inode: InodeId) -> SetKey {
    (
        tree.inode(inode).xattrs,
        tree.directory(inode)
            .is_some_and(|directory| directory.opaque),
    )
}

/// Returns the pairs of a set by name.
fn pairs(tree: &Tree, (set, opaque): SetKey) -> Vec<Pair<'_>> {
    let mut pairs: Vec<Pair<'_>> = tree
        .xattrs(set)
        .filter(|pair| !opaque || pair.0 != OPAQUE.0)
        .collect();
    if opaque {
        pairs.push(OPAQUE);
        pairs.sort_unstable();
    }
    pairs
}

/// Checks that EROFS can hold the pair.
fn check((name, value): Pair<'_>) -> Result<(), InodeProblem> {
    let suffix = XattrNamespace::split(name).map(|(_, suffix)| suffix.len());
    if suffix.is_some_and(|len| u8::try_from(len).is_ok()) && u16::try_from(value.len()).is_ok() {
        return Ok(());
    }
    Err(InodeProblem::Xattr {
        name: name.to_vec(),
        value_bytes: value.len(),
    })
}

/// Returns the length of an entry without a long prefix and without padding.
fn unpadded((name, value): Pair<'_>) -> usize {
    let suffix = XattrNamespace::split(name).map_or(0, |(_, suffix)| suffix.len());
    size_of::<XattrEntry>() + suffix + value.len()
}

/// Appends a pair that was checked.
fn encode<'t>(to: &mut Vec<u8>, prefixes: &Prefixes<'t>, (name, value): Pair<'t>) {
    let Some((namespace, suffix)) = XattrNamespace::split(name) else {
        return;
    };
    let (e_name_index, suffix) = prefixes.split(namespace, name, suffix);
    let entry = XattrEntry {
        // OK because the pair was checked.
        e_name_len: u8::try_from(suffix.len()).unwrap_or(u8::MAX),
        e_name_index,
        e_value_size: u16::try_from(value.len()).unwrap_or(u16::MAX).into(),
    };
    to.extend_from_slice(entry.as_bytes());
    to.extend_from_slice(suffix);
    to.extend_from_slice(value);
    to.resize(to.len().next_multiple_of(XATTR_ENTRY_ALIGN), 0);
}

#[cfg(test)]
mod tests {
    use fs_tree::{Metadata, NewNode};

    use super::*;

    /// Returns the length of the shared area, and that of the body of each of `inodes` inodes with this pair.
    fn bytes(pair: Pair<'_>, inodes: usize) -> (usize, usize) {
        let mut tree = Tree::new();
        let mut order = Vec::new();
        for index in 0..inodes {
            let (root, name) = (tree.root(), format!("f{index}"));
            let fifo = tree.add(
                root,
                name.as_bytes(),
                Metadata::default(),
                &[pair],
                NewNode::Fifo,
            );
            order.push(fifo.unwrap());
        }
        let plan = XattrPlan::new(&tree, &order, false).unwrap();
        let bodies: Vec<_> = order.iter().map(|&inode| plan.of(inode).len()).collect();
        assert!(bodies.iter().all(|&bytes| bytes == bodies[0]));
        (plan.shared.len(), bodies[0])
    }

    #[test]
    fn a_pair_is_shared_where_that_takes_less_room() {
        // An entry is a head of 4 bytes, the name without "user." and the value, padded to 4; a reference is 4 bytes.
        let four: (&[u8], &[u8]) = (b"user.abcd", b"");
        let five: (&[u8], &[u8]) = (b"user.abcd", b"v");
        let long: (&[u8], &[u8]) = (b"user.a", &[b'v'; 1019]);
        assert_eq!(bytes(four, 1), (0, 12 + 8));
        // 8 bytes twice, shared or not.
        assert_eq!(bytes(four, 2), (0, 12 + 8));
        assert_eq!(bytes(four, 3), (8, 12 + 4));
        assert_eq!(bytes(five, 1), (0, 12 + 12));
        assert_eq!(bytes(five, 2), (12, 12 + 4));
        assert_eq!(bytes(long, 1), (0, 12 + 1024));
        assert_eq!(bytes(long, 2), (1024, 12 + 4));
    }
}
