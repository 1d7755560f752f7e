use std::collections::HashMap;

use erofs_format::{XATTR_ENTRY_ALIGN, XattrEntry, XattrIbodyHeader, XattrNamespace, xattr_icount};
use fs_tree::{InodeId, Tree, XattrsId};
use zerocopy::IntoBytes;

use crate::Error;

/// What overlayfs reads as "nothing of the lower layers shows through".
const OPAQUE: (&[u8], &[u8]) = (b"trusted.overlay.opaque", b"y");

/// The xattr body of every distinct set, and the entries that several inodes share.
#[derive(Debug)]
pub(crate) struct XattrPlan<'t> {
    /// By (set, opaque).
    bodies: HashMap<(XattrsId, bool), Vec<u8>>,
    /// The area of shared entries.
    pub(crate) shared: Vec<u8>,
    tree: &'t Tree,
}

impl<'t> XattrPlan<'t> {
    pub(crate) fn new(tree: &'t Tree, order: &[InodeId]) -> Result<Self, Error> {
        // How many inodes have each set, in the order in which the sets are met.
        let mut uses: Vec<((XattrsId, bool), u64)> = Vec::new();
        let mut position: HashMap<(XattrsId, bool), usize> = HashMap::new();
        for &inode in order {
            let key = key(tree, inode);
            if key == (XattrsId::default(), false) {
                continue;
            }
            let at = *position.entry(key).or_insert_with(|| {
                uses.push((key, 0));
                uses.len() - 1
            });
            uses[at].1 += 1;
        }
        let mut this = Self {
            bodies: HashMap::new(),
            shared: Vec::new(),
            tree,
        };
        let shared = this.share(&uses)?;
        for (key, _) in uses {
            let body = this.body(key, &shared)?;
            this.bodies.insert(key, body);
        }
        Ok(this)
    }

    /// The xattr body of an inode: empty, or a header and what follows.
    pub(crate) fn of(&self, inode: InodeId) -> &[u8] {
        self.bodies
            .get(&key(self.tree, inode))
            .map_or(&[], Vec::as_slice)
    }

    /// Puts the pairs into the shared area that take less room there, and says where.
    fn share(&mut self, uses: &[((XattrsId, bool), u64)]) -> Result<HashMap<Pair<'t>, u32>, Error> {
        let mut count: HashMap<Pair<'t>, u64> = HashMap::new();
        for &(key, inodes) in uses {
            for pair in pairs(self.tree, key) {
                *count.entry(pair).or_default() += inodes;
            }
        }
        let mut shared = HashMap::new();
        // Again in the order of the sets, so that equal trees give equal bytes.
        for &(key, _) in uses {
            for pair in pairs(self.tree, key) {
                let entry = encode(pair)?;
                let (bytes, inodes) = (entry.len() as u64, count[&pair]);
                if shared.contains_key(&pair) || bytes + 4 * inodes >= bytes * inodes {
                    continue;
                }
                let id = u32::try_from(self.shared.len() / XATTR_ENTRY_ALIGN)
                    .map_err(|_| Error::MetadataTooLarge)?;
                self.shared.extend_from_slice(&entry);
                shared.insert(pair, id);
            }
        }
        Ok(shared)
    }

    fn body(
        &self,
        key: (XattrsId, bool),
        shared: &HashMap<Pair<'t>, u32>,
    ) -> Result<Vec<u8>, Error> {
        let mut ids = Vec::new();
        let mut own = Vec::new();
        for pair in pairs(self.tree, key) {
            match shared.get(&pair) {
                Some(&id) if ids.len() < usize::from(u8::MAX) => ids.push(id),
                _ => own.extend_from_slice(&encode(pair)?),
            }
        }
        let header = XattrIbodyHeader {
            h_name_filter: 0.into(),
            h_shared_count: u8::try_from(ids.len()).unwrap_or(u8::MAX),
            h_reserved: [0; 7],
        };
        let mut body = header.as_bytes().to_vec();
        for id in ids {
            body.extend_from_slice(&id.to_le_bytes());
        }
        body.extend_from_slice(&own);
        match xattr_icount(body.len()) {
            Some(_) => Ok(body),
            None => Err(Error::XattrsTooLarge { bytes: body.len() }),
        }
    }
}

type Pair<'a> = (&'a [u8], &'a [u8]);

fn key(tree: &Tree, inode: InodeId) -> (XattrsId, bool) {
    (
        tree.inode(inode).xattrs,
        tree.directory(inode)
            .is_some_and(|directory| directory.opaque),
    )
}

/// The pairs of a set by name.
fn pairs(tree: &Tree, (set, opaque): (XattrsId, bool)) -> Vec<Pair<'_>> {
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

fn encode((name, value): Pair<'_>) -> Result<Vec<u8>, Error> {
    let refused = || Error::Xattr {
        name: name.to_vec(),
        value_bytes: value.len(),
    };
    let (namespace, suffix) = XattrNamespace::split(name).ok_or_else(refused)?;
    let entry = XattrEntry {
        e_name_len: u8::try_from(suffix.len()).map_err(|_| refused())?,
        e_name_index: namespace as u8,
        e_value_size: u16::try_from(value.len()).map_err(|_| refused())?.into(),
    };
    let mut bytes = [entry.as_bytes(), suffix, value].concat();
    bytes.resize(bytes.len().next_multiple_of(XATTR_ENTRY_ALIGN), 0);
    Ok(bytes)
}
