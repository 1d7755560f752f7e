//! Reads EROFS images at the offsets of the kernel's documentation, without any of our code.

use std::collections::BTreeMap;

pub(crate) const BLOCK: usize = 4096;
pub(crate) const SUPER: usize = 1024;
/// The value of an absent address.
pub(crate) const NONE: u32 = u32::MAX;

/// `(i_format >> 1) & 7`.
pub(crate) const PLAIN: u16 = 0;
pub(crate) const INLINE: u16 = 2;
pub(crate) const CHUNKS: u16 = 4;

/// An image in memory.
#[derive(Debug)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

/// An inode and the offsets of its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawInode {
    /// Offset in the image.
    pub(crate) at: usize,
    pub(crate) extended: bool,
    pub(crate) layout: u16,
    pub(crate) mode: u16,
    pub(crate) nlink: u32,
    pub(crate) size: u64,
    /// `i_u`
    pub(crate) union: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Only an extended inode has one.
    pub(crate) mtime: Option<(u64, u32)>,
    /// `i_xattr_icount`
    pub(crate) icount: usize,
}

/// A slot of the device table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) tag: Vec<u8>,
    pub(crate) blocks: u32,
    pub(crate) uniaddr: u32,
}

/// A name of a directory block.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) name: Vec<u8>,
    pub(crate) nid: u64,
}

impl RawInode {
    /// Returns the offset behind the fixed part.
    pub(crate) fn end(&self) -> usize {
        self.at + if self.extended { 64 } else { 32 }
    }

    /// Returns the length of the xattr body.
    pub(crate) fn xattr_bytes(&self) -> usize {
        if self.icount == 0 {
            0
        } else {
            12 + 4 * (self.icount - 1)
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.mode >> 12 == 4
    }

    /// Returns the range of an inline tail.
    pub(crate) fn tail(&self) -> Option<(usize, usize)> {
        let bytes = usize::try_from(self.size).unwrap() % BLOCK;
        let start = self.end() + self.xattr_bytes();
        (self.layout == INLINE && bytes > 0).then_some((start, start + bytes))
    }
}

impl Raw {
    pub(crate) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.0[at..at + 2].try_into().unwrap())
    }

    pub(crate) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap())
    }

    pub(crate) fn epoch(&self) -> (u64, u32) {
        (self.u64(SUPER + 24), self.u32(SUPER + 32))
    }

    pub(crate) fn root_nid(&self) -> u64 {
        u64::from(self.u16(SUPER + 14))
    }

    /// Returns the offset of the device table.
    pub(crate) fn table(&self) -> usize {
        usize::from(self.u16(SUPER + 88)) * 128
    }

    pub(crate) fn slots(&self) -> Vec<Slot> {
        let count = usize::from(self.u16(SUPER + 86));
        let slot = |index: usize| {
            let at = self.table() + index * 128;
            let tag = &self.0[at..at + 64];
            Slot {
                tag: tag.iter().copied().take_while(|&byte| byte != 0).collect(),
                blocks: self.u32(at + 64),
                uniaddr: self.u32(at + 68),
            }
        };
        (0..count).map(slot).collect()
    }

    pub(crate) fn inode(&self, nid: u64) -> RawInode {
        let meta = self.u32(SUPER + 40) as usize * BLOCK;
        let at = meta + usize::try_from(nid).unwrap() * 32;
        let format = self.u16(at);
        let extended = format & 1 != 0;
        RawInode {
            at,
            extended,
            layout: format >> 1 & 7,
            mode: self.u16(at + 4),
            nlink: if extended {
                self.u32(at + 44)
            } else {
                u32::from(self.u16(at + 6))
            },
            size: if extended {
                self.u64(at + 8)
            } else {
                u64::from(self.u32(at + 8))
            },
            union: self.u32(at + 16),
            uid: if extended {
                self.u32(at + 24)
            } else {
                u32::from(self.u16(at + 24))
            },
            gid: if extended {
                self.u32(at + 28)
            } else {
                u32::from(self.u16(at + 26))
            },
            mtime: extended.then(|| (self.u64(at + 32), self.u32(at + 40))),
            icount: usize::from(self.u16(at + 2)),
        }
    }

    /// Returns the blocks of a directory, the last one cut to its used length.
    pub(crate) fn directory(&self, inode: &RawInode) -> Vec<&[u8]> {
        let size = usize::try_from(inode.size).unwrap();
        let full = match inode.tail() {
            Some((start, end)) => size - (end - start),
            None => size,
        };
        let start = inode.union as usize * BLOCK;
        let mut blocks: Vec<&[u8]> = if full == 0 {
            Vec::new()
        } else {
            self.0[start..start + full].chunks(BLOCK).collect()
        };
        if let Some((start, end)) = inode.tail() {
            blocks.push(&self.0[start..end]);
        }
        blocks
    }

    /// Returns the names of a directory block and the offset behind the last one.
    pub(crate) fn names(block: &[u8]) -> (Vec<Name>, usize) {
        let field = |at: usize| usize::from(u16::from_le_bytes([block[at], block[at + 1]]));
        let first = field(8);
        assert!(first > 0 && first.is_multiple_of(12), "{first}");
        let starts: Vec<usize> = (0..first / 12).map(|index| field(index * 12 + 8)).collect();
        let mut names = Vec::new();
        let mut last = first;
        for (index, &start) in starts.iter().enumerate() {
            assert_eq!(start, last, "names lie one behind the other");
            last = match starts.get(index + 1) {
                Some(&next) => next,
                // The last name of a block ends at a zero, or with the block.
                None => block[start..]
                    .iter()
                    .position(|&byte| byte == 0)
                    .map_or(block.len(), |len| start + len),
            };
            names.push(Name {
                name: block[start..last].to_vec(),
                nid: u64::from_le_bytes(block[index * 12..index * 12 + 8].try_into().unwrap()),
            });
        }
        (names, last)
    }

    /// Returns every inode with one of its paths; the path of the root is empty.
    pub(crate) fn tree(&self) -> BTreeMap<Vec<u8>, RawInode> {
        let mut all = BTreeMap::new();
        let mut open = vec![(Vec::new(), self.root_nid())];
        while let Some((path, nid)) = open.pop() {
            let inode = self.inode(nid);
            if inode.is_directory() {
                for block in self.directory(&inode) {
                    for entry in Self::names(block).0 {
                        if entry.name != b"." && entry.name != b".." {
                            open.push(([&path[..], b"/", &entry.name].concat(), entry.nid));
                        }
                    }
                }
            }
            all.insert(path, inode);
        }
        all
    }

    pub(crate) fn at(&self, path: &str) -> RawInode {
        self.tree()[path.as_bytes()]
    }

    /// Returns the chunk indexes of a file, device and block, and the bytes of a chunk.
    pub(crate) fn chunks(&self, inode: &RawInode) -> (Vec<(u16, u32)>, u64) {
        assert_eq!(inode.layout, CHUNKS);
        assert!(inode.union & 0x20 != 0, "8-byte indexes");
        let bytes = (BLOCK as u64) << (inode.union & 0x1f);
        let start = (inode.end() + inode.xattr_bytes()).next_multiple_of(8);
        let count = usize::try_from(inode.size.div_ceil(bytes)).unwrap();
        let index = |index: usize| {
            let at = start + index * 8;
            (self.u16(at + 2), self.u32(at + 4))
        };
        ((0..count).map(index).collect(), bytes)
    }
}

/// Computes CRC-32C bit by bit, with a seed of all ones and without the final inversion.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            sum >> 1 ^ if sum & 1 != 0 { 0x82f6_3b78 } else { 0 }
        })
    })
}
