use erofs_format::{BLOCK_SIZE, Dirent, NAME_MAX};
use fs_tree::{Child, InodeId, Node, Tree};

use crate::Error;

/// The order of the inodes, and each directory's entries in the order of the disk.
#[derive(Debug)]
pub(crate) struct Directories<'t> {
    /// Every inode once: the root, then directory by directory, depth first, what each holds. So one `ls -l` reads
    /// neighbouring blocks. In this order inodes are placed; then it is put into the order of their places, which differs
    /// where an inode fills a gap.
    pub(crate) order: Vec<InodeId>,
    /// The entries of all directories, each directory's sorted and in one piece.
    entries: Vec<Child<'t>>,
    directories: Vec<DirectoryPlan>,
    /// Position in `directories` by inode; `u32::MAX` for what is not a directory.
    of_inode: Vec<u32>,
}

/// One directory: its entries, and what they amount to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectoryPlan {
    pub(crate) inode: InodeId,
    pub(crate) parent: InodeId,
    first: usize,
    count: usize,
    /// `i_size`: full blocks, and what the last one uses.
    pub(crate) size: u64,
    /// Entries that are directories.
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

    /// The blocks of a directory, one by one.
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

/// A directory's entries packed into blocks: each holds its own dirents, then their names.
#[derive(Debug)]
pub(crate) struct DirectoryBlocks<'a> {
    names: Names<'a>,
}

impl<'a> DirectoryBlocks<'a> {
    /// Bytes used in the next block, which is passed over.
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

    /// The entries of the next block; clears `block` first. `false` when there are no more.
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

/// A directory's entries with `.` and `..` in their sorted places, which need not be the first: `!` and `+` come before.
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
