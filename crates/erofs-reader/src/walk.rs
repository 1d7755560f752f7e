use std::collections::HashSet;

use erofs_format::FileType;

use crate::limits::Budget;
use crate::{DirProblem, Error, Image, Inode, Limit, Limits, ReadAt, ReadDir};

/// A depth-first walk over all paths of a tree, sorted by name within each directory; see [`Image::walk`].
///
/// Not an [`Iterator`], because entries borrow the path: a hostile image may have many long paths.
#[derive(Debug)]
#[must_use = "a walk is lazy"]
pub struct Walk<'a, D> {
    pub(crate) image: &'a Image<D>,
    limits: Limits,
    budget: Budget,
    /// The directories from the first one to the current one.
    stack: Vec<Level<'a, D>>,
    /// The current path. The root has an empty one.
    path: Vec<u8>,
    /// Every directory that was entered. A second name of one could be a cycle.
    entered: HashSet<u64>,
    /// The first directory, until it is returned.
    first: Option<Inode>,
    failed: bool,
}

#[derive(Debug)]
struct Level<'a, D> {
    names: ReadDir<'a, D>,
    /// The expected nid of `..`, if known.
    parent: Option<u64>,
    /// The length of the directory's path, without a trailing slash.
    path_len: usize,
    subdirs: u64,
}

/// A path and its inode.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WalkEntry<'a> {
    /// The full path from the root of the image, with a leading slash; `/` for the root.
    pub path: &'a [u8],
    /// The number of levels below the start of the walk.
    pub depth: usize,
    /// The inode.
    pub inode: Inode,
}

/// A step of [`Walk::step`].
pub(crate) enum Step<'a> {
    Entry(WalkEntry<'a>),
    /// The end of a directory, with the number of its subdirectories.
    Leave {
        dir: Inode,
        subdirs: u64,
    },
}

impl<D: ReadAt> Image<D> {
    /// Walks the whole tree from the root.
    ///
    /// # Errors
    ///
    /// As [`Image::root`]. The walk returns the errors of [`Image::read_dir`] and [`Image::inode`]; [`Error::Dir`] for
    /// a wrong `..`, a directory with two names, or a type that differs from that of the inode; [`Error::Limit`].
    pub fn walk(&self, limits: &Limits) -> Result<Walk<'_, D>, Error> {
        let root = self.root()?;
        self.walk_in(&root, b"", Some(root.nid), limits)
    }

    /// Walks the tree below a directory. `path` is the path of the directory and the prefix of all paths.
    ///
    /// # Errors
    ///
    /// As [`Image::walk`].
    pub fn walk_from(
        &self,
        dir: &Inode,
        path: &[u8],
        limits: &Limits,
    ) -> Result<Walk<'_, D>, Error> {
        self.walk_in(dir, path, None, limits)
    }

    fn walk_in(
        &self,
        dir: &Inode,
        path: &[u8],
        parent: Option<u64>,
        limits: &Limits,
    ) -> Result<Walk<'_, D>, Error> {
        let mut prefix = Vec::new();
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            prefix.push(b'/');
            prefix.extend_from_slice(name);
        }
        let mut walk = Walk {
            image: self,
            limits: limits.clone(),
            budget: Budget::new(self, limits),
            stack: Vec::new(),
            path: prefix,
            entered: HashSet::new(),
            first: Some(*dir),
            failed: false,
        };
        walk.enter(*dir, parent)?;
        Ok(walk)
    }
}

impl<D: ReadAt> Walk<'_, D> {
    /// Returns the next entry; `None` at the end and after an error.
    pub fn next_entry(&mut self) -> Option<Result<WalkEntry<'_>, Error>> {
        // Borrowed again after the loop, because a loop cannot return what it borrows.
        let (inode, depth) = loop {
            match self.step()? {
                Ok(Step::Entry(entry)) => break (entry.inode, entry.depth),
                Ok(Step::Leave { .. }) => {}
                Err(error) => return Some(Err(error)),
            }
        };
        Some(Ok(self.entry(inode, depth)))
    }

    pub(crate) fn step(&mut self) -> Option<Result<Step<'_>, Error>> {
        if self.failed {
            return None;
        }
        match self.advance() {
            Ok(Some(Found::Entry(inode, depth))) => Some(Ok(Step::Entry(self.entry(inode, depth)))),
            Ok(Some(Found::Leave(dir, subdirs))) => Some(Ok(Step::Leave { dir, subdirs })),
            Ok(None) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }

    fn entry(&self, inode: Inode, depth: usize) -> WalkEntry<'_> {
        WalkEntry {
            path: if self.path.is_empty() {
                b"/"
            } else {
                &self.path
            },
            depth,
            inode,
        }
    }

    fn advance(&mut self) -> Result<Option<Found>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(Found::Entry(first, 0)));
        }
        let depth = self.stack.len();
        let Some(level) = self.stack.last_mut() else {
            return Ok(None);
        };
        self.path.truncate(level.path_len);
        let Some(entry) = level.names.next() else {
            let (dir, subdirs) = (*level.names.dir(), level.subdirs);
            let (expected, actual) = (level.parent, level.names.parent());
            if expected.is_some() && actual != expected {
                return Err(dir_error(&dir, DirProblem::DotDot { expected, actual }));
            }
            self.stack.pop();
            return Ok(Some(Found::Leave(dir, subdirs)));
        };
        let entry = entry?;
        self.budget.take(Limit::Names, 1)?;
        if self.path.len() + 1 + entry.name.len() > self.limits.path_bytes {
            return Err(Error::Limit {
                limit: Limit::PathBytes,
                allowed: self.limits.path_bytes as u64,
            });
        }
        self.path.push(b'/');
        self.path.extend_from_slice(&entry.name);
        let inode = self.image.inode(entry.nid)?;
        if inode.file_type != entry.file_type {
            return Err(dir_error(
                level.names.dir(),
                DirProblem::Type {
                    child: inode.nid,
                    expected: inode.file_type,
                    actual: entry.file_type,
                },
            ));
        }
        if inode.file_type == FileType::Directory {
            level.subdirs += 1;
            let dir = *level.names.dir();
            if self.entered.contains(&inode.nid) {
                return Err(dir_error(&dir, DirProblem::SecondName { child: inode.nid }));
            }
            self.enter(inode, Some(dir.nid))?;
        }
        Ok(Some(Found::Entry(inode, depth)))
    }

    /// Enters a directory, whose path is the current one.
    fn enter(&mut self, dir: Inode, parent: Option<u64>) -> Result<(), Error> {
        if self.stack.len() > self.limits.depth {
            return Err(Error::Limit {
                limit: Limit::Depth,
                allowed: self.limits.depth as u64,
            });
        }
        self.entered.insert(dir.nid);
        self.stack.push(Level {
            names: self.image.read_dir(&dir)?,
            parent,
            path_len: self.path.len(),
            subdirs: 0,
        });
        Ok(())
    }
}

enum Found {
    Entry(Inode, usize),
    Leave(Inode, u64),
}

fn dir_error(dir: &Inode, problem: DirProblem) -> Error {
    Error::Dir {
        nid: dir.nid,
        offset: 0,
        problem,
    }
}
