mod entries;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::bytes::{ByteStore, Span};
use crate::inode::{NONE, SymlinkTarget};
use crate::tree_error::{MAX_DEPTH, TreeError};
use crate::xattrs::{XattrSets, XattrsId};
use crate::{Content, Directory, Extent, Inode, InodeId, Metadata, NewContent, NewNode, Node};
use entries::NameHash;

/// A file tree. It always has a root directory, which is implied at first.
///
/// Invariants: every live inode has at least one entry, a directory exactly one (the root none). `(parent, name)` is unique.
/// The inode of an entry is live. Slots of removed inodes and entries are used again.
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
    free_inodes: Vec<u32>,
    entries: Vec<Entry>,
    free_entries: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    names: ByteStore,
    xattrs: XattrSets,
    extents: Vec<Extent>,
}

/// One name of an inode, linked with its siblings.
#[derive(Clone, Copy, Debug)]
struct Entry {
    parent: u32,
    hash: NameHash,
    name: Span,
    inode: u32,
    next: u32,
    previous: u32,
}

/// A name in a directory, and its inode.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The inode.
    pub inode: InodeId,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// Creates a tree with only an implied root.
    #[must_use]
    pub fn new() -> Self {
        let root = Inode {
            metadata: Metadata::IMPLIED,
            xattrs: XattrsId::default(),
            link_count: 1,
            node: Node::Directory(Directory::new(true)),
        };
        Self {
            inodes: vec![root],
            free_inodes: Vec::new(),
            entries: Vec::new(),
            free_entries: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            names: ByteStore::default(),
            xattrs: XattrSets::default(),
            extents: Vec::new(),
        }
    }

    /// Reserves memory for more entries, each with its own inode.
    pub fn reserve(&mut self, entries: usize) {
        self.inodes.reserve(entries);
        self.entries.reserve(entries);
        self.reserve_index(entries);
    }

    /// Returns the root directory.
    #[must_use]
    pub fn root(&self) -> InodeId {
        InodeId(0)
    }

    /// Returns the number of live inodes, including the root.
    #[must_use]
    pub fn inode_count(&self) -> usize {
        self.inodes.len() - self.free_inodes.len()
    }

    /// Returns one more than the largest [`InodeId::index`].
    #[must_use]
    pub fn inode_slots(&self) -> usize {
        self.inodes.len()
    }

    /// Returns one more than the largest [`XattrsId::index`].
    #[must_use]
    pub fn xattr_sets(&self) -> usize {
        self.xattrs.len()
    }

    /// Returns the number of entries, that is of names. The root has none.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entries.len() - self.free_entries.len()
    }

    /// Returns the number of bytes that the xattr sets hold in memory.
    #[must_use]
    pub fn xattr_bytes(&self) -> u64 {
        self.xattrs.memory_bytes() as u64
    }

    /// Returns the number of bytes that the tree holds in memory: inodes, names, xattr sets, link targets, extents and the index.
    ///
    /// Counts stored data, not reserved capacity, so that equal changes give equal numbers. Removed names, xattr sets and
    /// extents stay in memory and are counted.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        /// One slot of the index: an id, a control byte, and the slots that a hash table leaves free.
        const INDEX_BYTES: usize = 2 * (size_of::<u32>() + 1);
        let inodes = self.inodes.len() * size_of::<Inode>();
        let entries = self.entries.len() * (size_of::<Entry>() + INDEX_BYTES);
        let extents = self.extents.len() * size_of::<Extent>();
        let bytes = self.names.len() + self.xattrs.memory_bytes();
        (inodes + entries + extents + bytes) as u64
    }

    /// Returns an inode of this tree.
    #[must_use]
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.index()]
    }

    /// Returns the directory, or `None` if the inode is not one.
    #[must_use]
    pub fn directory(&self, id: InodeId) -> Option<&Directory> {
        match &self.inode(id).node {
            Node::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(crate) fn directory_mut(&mut self, id: InodeId) -> Option<&mut Directory> {
        match &mut self.inodes[id.index()].node {
            Node::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// Returns the target of a symbolic link.
    #[must_use]
    pub fn symlink_target(&self, target: SymlinkTarget) -> &[u8] {
        self.names.get(target.0)
    }

    /// Returns the xattrs of a set, full names and values, sorted by name.
    pub fn xattrs(&self, id: XattrsId) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.xattrs.get(id)
    }

    /// Returns the extents of a file's content, ascending; none unless it is [`Content::Mapped`].
    #[must_use]
    pub fn extents(&self, content: Content) -> &[Extent] {
        match content {
            Content::Mapped { first, count } => &self.extents[first as usize..][..count as usize],
            Content::Absent | Content::Contiguous { .. } | Content::Inline { .. } => &[],
        }
    }

    /// Returns the inode with this name in a directory.
    #[must_use]
    pub fn lookup(&self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        self.find(directory, name)
            .map(|entry| InodeId(self.entries[entry as usize].inode))
    }

    /// Returns the entries of a directory in no particular order; none if the inode is not a directory.
    pub fn children(&self, directory: InodeId) -> impl Iterator<Item = Child<'_>> {
        let mut at = self
            .directory(directory)
            .map_or(NONE, |directory| directory.first);
        std::iter::from_fn(move || {
            let entry = self.entries.get(at as usize)?;
            at = entry.next;
            Some(Child {
                name: self.names.get(entry.name),
                inode: InodeId(entry.inode),
            })
        })
    }

    /// Returns the parent of a directory; the root is its own parent.
    #[must_use]
    pub fn parent(&self, directory: InodeId) -> InodeId {
        match self.directory(directory) {
            Some(directory) if directory.entry != NONE => {
                InodeId(self.entries[directory.entry as usize].parent)
            }
            _ => self.root(),
        }
    }

    /// Returns the normalized path of a directory.
    #[must_use]
    pub fn directory_path(&self, directory: InodeId) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = self
            .directory(directory)
            .map_or(NONE, |directory| directory.entry);
        while let Some(entry) = self.entries.get(at as usize) {
            names.push(self.names.get(entry.name));
            at = self
                .directory(InodeId(entry.parent))
                .map_or(NONE, |directory| directory.entry);
        }
        names.reverse();
        names.join(&b'/')
    }

    /// Adds an inode under a new name.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn add(
        &mut self,
        directory: InodeId,
        name: &[u8],
        metadata: Metadata,
        xattrs: &[(&[u8], &[u8])],
        node: NewNode<'_>,
    ) -> Result<InodeId, TreeError> {
        let node = match node {
            NewNode::Directory => Node::Directory(Directory::new(false)),
            NewNode::Regular {
                size,
                crc32c,
                content,
            } => Node::Regular {
                size,
                crc32c,
                content: self.place(content)?,
            },
            NewNode::Symlink { target } => Node::Symlink(SymlinkTarget(self.names.push(target)?)),
            NewNode::CharDevice { major, minor } => Node::CharDevice { major, minor },
            NewNode::BlockDevice { major, minor } => Node::BlockDevice { major, minor },
            NewNode::Fifo => Node::Fifo,
        };
        let xattrs = self.xattrs.intern(xattrs)?;
        self.add_inode(
            directory,
            name,
            Inode {
                metadata,
                xattrs,
                link_count: 0,
                node,
            },
        )
    }

    pub(crate) fn add_implied(
        &mut self,
        directory: InodeId,
        name: &[u8],
    ) -> Result<InodeId, TreeError> {
        let inode = Inode {
            metadata: Metadata::IMPLIED,
            xattrs: XattrsId::default(),
            link_count: 0,
            node: Node::Directory(Directory::new(true)),
        };
        self.add_inode(directory, name, inode)
    }

    pub(crate) fn add_whiteout(
        &mut self,
        directory: InodeId,
        name: &[u8],
    ) -> Result<InodeId, TreeError> {
        let inode = Inode {
            metadata: Metadata::default(),
            xattrs: XattrsId::default(),
            link_count: 0,
            node: Node::Whiteout,
        };
        self.add_inode(directory, name, inode)
    }

    /// Adds a name to an inode that is not a directory.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn link(
        &mut self,
        directory: InodeId,
        name: &[u8],
        inode: InodeId,
    ) -> Result<(), TreeError> {
        if self.directory(inode).is_some() {
            return Err(TreeError::IsADirectory);
        }
        self.name(directory, name, inode)
    }

    /// Adds a name to an inode. A directory must not have one yet.
    fn name(&mut self, directory: InodeId, name: &[u8], inode: InodeId) -> Result<(), TreeError> {
        self.inodes[inode.index()]
            .link_count
            .checked_add(1)
            .ok_or(TreeError::Full)?;
        let entry = self.add_entry(directory, name, inode)?;
        let inode = &mut self.inodes[inode.index()];
        inode.link_count += 1;
        if let Node::Directory(directory) = &mut inode.node {
            directory.entry = entry;
        }
        Ok(())
    }

    /// Replaces the metadata and xattrs of a directory, which is no longer implied.
    ///
    /// # Errors
    /// [`TreeError::NotADirectory`], [`TreeError::Full`].
    pub fn describe_directory(
        &mut self,
        id: InodeId,
        metadata: Metadata,
        xattrs: &[(&[u8], &[u8])],
    ) -> Result<(), TreeError> {
        let xattrs = self.xattrs.intern(xattrs)?;
        let inode = &mut self.inodes[id.index()];
        let Node::Directory(directory) = &mut inode.node else {
            return Err(TreeError::NotADirectory);
        };
        directory.implied = false;
        (inode.metadata, inode.xattrs) = (metadata, xattrs);
        Ok(())
    }

    /// Removes a name; with its last name also the inode, and everything below a directory. Returns whether the name existed.
    pub fn remove(&mut self, directory: InodeId, name: &[u8]) -> bool {
        let Some(entry) = self.find(directory, name) else {
            return false;
        };
        self.remove_entries(vec![entry]);
        true
    }

    /// Removes everything below a directory.
    pub fn clear(&mut self, directory: InodeId) {
        let first = self
            .directory(directory)
            .map_or(NONE, |directory| directory.first);
        self.remove_entries(self.siblings(first).collect());
    }

    fn place(&mut self, content: NewContent<'_>) -> Result<Content, TreeError> {
        Ok(match content {
            NewContent::Absent => Content::Absent,
            NewContent::Contiguous { device, offset } => Content::Contiguous { device, offset },
            NewContent::Inline { key } => Content::Inline { key },
            NewContent::Mapped(extents) => {
                let first = u32::try_from(self.extents.len()).map_err(|_| TreeError::Full)?;
                let count = u32::try_from(extents.len()).map_err(|_| TreeError::Full)?;
                self.extents.extend_from_slice(extents);
                Content::Mapped { first, count }
            }
        })
    }

    fn add_inode(
        &mut self,
        directory: InodeId,
        name: &[u8],
        mut inode: Inode,
    ) -> Result<InodeId, TreeError> {
        if let Node::Directory(new) = &mut inode.node {
            let parent = self.directory(directory).ok_or(TreeError::NotADirectory)?;
            if parent.depth >= MAX_DEPTH {
                return Err(TreeError::TooDeep);
            }
            new.depth = parent.depth + 1;
        }
        let id = match self.free_inodes.pop() {
            Some(id) => {
                self.inodes[id as usize] = inode;
                id
            }
            None => {
                let id = u32::try_from(self.inodes.len())
                    .ok()
                    .filter(|&id| id != NONE)
                    .ok_or(TreeError::Full)?;
                self.inodes.push(inode);
                id
            }
        };
        if let Err(error) = self.name(directory, name, InodeId(id)) {
            self.free_inodes.push(id);
            return Err(error);
        }
        Ok(InodeId(id))
    }
}
