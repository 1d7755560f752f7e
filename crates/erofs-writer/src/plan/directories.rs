use erofs_format::{BLOCK_SIZE, Dirent, NAME_MAX};
use fs_tree::{Child, InodeId, Node, Tree};

use crate::Error;

/// The order of the inodes, and the entries of each directory in the order on disk.
#[derive(Debug)]
pub(crate) struct Directories<'t> {
    /// Every inode once: the root, then the entries of each directory, depth first, so that `ls -l` reads neighbouring
    /// blocks. Inodes are placed in this order. Then the order becomes that of their places, which differs where an
    /// inode fills a gap.
    pub(crate) order: Vec<InodeId>,
    /// The entries of all directories; those of a directory are sorted and contiguous.
    entries: Vec<Child<'t>>,
    directories: Vec<DirectoryPlan>,
    /// The index in `directories` by inode; `u32::MAX` for an inode that is no directory.
    of_inode: Vec<u32>,
}

/// The entries of one directory, and totals of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectoryPlan {
    pub(crate) inode: InodeId,
    pub(crate) parent: InodeId,
    first: usize,
    count: usize,
    /// `i_size`: full blocks plus the used bytes of the last block.
    pub(crate) size: u64,
    /// The number of entries that are directories.
    pub(crate) subdirectories: u32,
}

impl<'t> Directories<'t> {
    pub(crate) fn new(tree: &'t Tree) -> Result<Self, Error> {
        let mut this = Self {
            order: Vec::with_capacity(tree.inode_count()),
            entries: Vec::with_capacity(tree.entry_count()),
            directories: Vec::new(),
            of_inode: vec![u32::MAX; tree.inode_slots()],
        };
        let mut placed = vec![false; tree.inode_slots()];
        let root = tree.root();
        this.order.push(root);
        placed[root.index()] = true;
        let mut pending = vec![(root, root)];
        while let Some((inode, parent)) = pending.pop() {
            let plan = this.add(tree, inode, parent)?;
            for at in (plan.first..plan.first + plan.count).rev() {
                let child = this.entries[at].inode;
                if tree.directory(child).is_some() {
                    pending.push((child, inode));
                }
            }
            for child in &this.entries[plan.first..] {
                if !std::mem::replace(&mut placed[child.inode.index()], true) {
                    this.order.push(child.inode);
                }
            }
        }
        Ok(this)
    }

    pub(crate) fn get(&self, inode: InodeId) -> Option<&DirectoryPlan> {
        self.directories.get(self.of_inode[inode.index()] as usize)
    }

    /// Returns the blocks of a directory one by one.
    pub(crate) fn blocks(&self, plan: &DirectoryPlan) -> DirectoryBlocks<'_> {
        DirectoryBlocks {
            names: Names::new(plan, &self.entries[plan.first..][..plan.count]),
        }
    }

    fn add(
        &mut self,
        tree: &'t Tree,
        inode: InodeId,
        parent: InodeId,
    ) -> Result<DirectoryPlan, Error> {
        let first = self.entries.len();
        self.entries.extend(tree.children(inode));
        let entries = &mut self.entries[first..];
        entries.sort_unstable_by_key(|child| child.name);

        let mut subdirectories = 0;
        for child in &*entries {
            let name = child.name;
            let dots = name == b"." || name == b"..";
            if !(1..=NAME_MAX).contains(&name.len())
                || dots
                || name.iter().any(|&byte| byte == b'/' || byte == 0)
            {
                return Err(Error::Name {
                    directory: tree.directory_path(inode),
                    name: name.to_vec(),
                });
            }
            subdirectories += u32::from(matches!(tree.inode(child.inode).node, Node::Directory(_)));
        }
        let mut plan = DirectoryPlan {
            inode,
            parent,
            first,
            count: entries.len(),
            size: 0,
            subdirectories,
        };
        let mut blocks = DirectoryBlocks {
            names: Names::new(&plan, entries),
        };
        let mut last = 0;
        while let Some(used) = blocks.next_size() {
            plan.size += u64::from(BLOCK_SIZE);
            last = used;
        }
        plan.size -= u64::from(BLOCK_SIZE) - last as u64;
        self.of_inode[inode.index()] =
            u32::try_from(self.directories.len()).map_err(|_| Error::MetadataTooLarge)?;
        self.directories.push(plan);
        Ok(plan)
    }
}

/// The blocks of a directory: each holds dirents followed by their names.
#[derive(Debug)]
pub(crate) struct DirectoryBlocks<'a> {
    names: Names<'a>,
}

impl<'a> DirectoryBlocks<'a> {
    /// Skips the next block. Returns the number of bytes it uses.
    fn next_size(&mut self) -> Option<usize> {
        let mut used = 0;
        while let Some(child) = self.names.peek() {
            let with = used + size_of::<Dirent>() + child.name.len();
            if with > BLOCK_SIZE as usize {
                break;
            }
            used = with;
            self.names.next();
        }
        (used > 0).then_some(used)
    }

    /// Replaces `block` with the entries of the next block. Returns `false` if there are no more.
    pub(crate) fn next_block(&mut self, block: &mut Vec<Child<'a>>) -> bool {
        block.clear();
        let mut used = 0;
        while let Some(child) = self.names.peek() {
            used += size_of::<Dirent>() + child.name.len();
            if used > BLOCK_SIZE as usize {
                break;
            }
            block.push(child);
            self.names.next();
        }
        !block.is_empty()
    }
}

/// The entries of a directory with `.` and `..` in sorted order. They are not always first: `!` and `+` sort before
/// them.
#[derive(Debug)]
struct Names<'a> {
    dots: [Child<'a>; 2],
    dots_taken: usize,
    entries: &'a [Child<'a>],
    taken: usize,
}

impl<'a> Names<'a> {
    fn new(plan: &DirectoryPlan, entries: &'a [Child<'a>]) -> Self {
        let dots = [
            Child {
                name: b".",
                inode: plan.inode,
            },
            Child {
                name: b"..",
                inode: plan.parent,
            },
        ];
        Self {
            dots,
            dots_taken: 0,
            entries,
            taken: 0,
        }
    }

    fn dot_is_next(&self) -> bool {
        match (self.dots.get(self.dots_taken), self.entries.get(self.taken)) {
            (Some(dot), Some(entry)) => dot.name < entry.name,
            (dot, _) => dot.is_some(),
        }
    }

    fn peek(&self) -> Option<Child<'a>> {
        if self.dot_is_next() {
            Some(self.dots[self.dots_taken])
        } else {
            self.entries.get(self.taken).copied()
        }
    }

    fn next(&mut self) {
        if self.dot_is_next() {
            self.dots_taken += 1;
        } else {
            self.taken += 1;
        }
    }
}
