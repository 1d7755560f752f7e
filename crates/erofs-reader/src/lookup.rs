use std::cmp::Ordering;
use std::collections::VecDeque;
use std::mem;

use erofs_format::{BLOCK_SIZE, FileType};

use crate::dir::bad_block;
use crate::{DirEntry, Error, Image, Inode, ReadAt, dir_block};

/// The largest number of symbolic links in the resolution of a path: `MAXSYMLINKS` of the kernel.
const MAX_LINKS: u32 = 40;

impl<D: ReadAt> Image<D> {
    /// Looks up a name in a directory by binary search, first over blocks and then within one, as the kernel does
    /// (`erofs_namei`). A name that the kernel cannot find in a wrongly sorted directory is not found here either.
    ///
    /// # Errors
    ///
    /// [`Error::Inode`] if `dir` is no directory, [`Error::Dir`] if a block that the search reads is malformed.
    pub fn lookup(&self, dir: &Inode, name: impl AsRef<[u8]>) -> Result<Option<DirEntry>, Error> {
        let name = name.as_ref();
        dir.expect_type(FileType::Directory)?;
        let mut block = Vec::new();
        // The block to search: the last one whose first name is not greater than the name.
        let mut candidate = None;
        let (mut low, mut high) = (0, dir.size.div_ceil(BLOCK_SIZE.into()));
        while low < high {
            let middle = low + (high - low) / 2;
            let start = middle * u64::from(BLOCK_SIZE);
            self.dir_block(dir, start, &mut block)?;
            let bad = |bad| bad_block(dir, start, bad);
            let count = dir_block::count(&block).map_err(bad)?;
            if dir_block::entry(&block, 0, count).map_err(bad)?.name <= name {
                candidate = Some((start, count, mem::take(&mut block)));
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some((start, count, block)) = candidate else {
            return Ok(None);
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = dir_block::entry(&block, middle, count)
                .map_err(|bad| bad_block(dir, start, bad))?;
            match entry.name.cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => {
                    return Ok(Some(DirEntry {
                        name: name.to_vec(),
                        nid: entry.nid,
                        file_type: entry.file_type,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Looks up a path from the root without following symbolic links. A link in the middle of the path ends the
    /// search, a link at its end is the result. Leading, trailing and repeated slashes and `.` are ignored; `..` is
    /// looked up like any other name.
    ///
    /// # Errors
    ///
    /// As [`Image::lookup`].
    pub fn lookup_path(&self, path: impl AsRef<[u8]>) -> Result<Option<Inode>, Error> {
        let mut at = self.root()?;
        for name in components(path.as_ref()) {
            if at.file_type != FileType::Directory {
                return Ok(None);
            }
            match self.lookup(&at, name)? {
                Some(entry) => at = self.inode(entry.nid)?,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Looks up a path from the root, following symbolic links, including the last one. Absolute targets and `..` stay
    /// inside the image, as under `chroot(2)`.
    ///
    /// # Errors
    ///
    /// As [`Image::lookup`]; [`Error::TooManyLinks`] after 40 of them.
    pub fn resolve_path(&self, path: impl AsRef<[u8]>) -> Result<Option<Inode>, Error> {
        let root = self.root()?;
        // The directories from the root to the current one, so that `..` does not depend on the image.
        let mut above = Vec::new();
        let mut at = root;
        let mut rest: VecDeque<Vec<u8>> = components(path.as_ref()).map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if at.file_type != FileType::Directory {
                return Ok(None);
            }
            if name == b".." {
                at = above.pop().unwrap_or(root);
                continue;
            }
            let Some(entry) = self.lookup(&at, &name)? else {
                return Ok(None);
            };
            let inode = self.inode(entry.nid)?;
            if inode.file_type != FileType::Symlink {
                above.push(at);
                at = inode;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::TooManyLinks { allowed: MAX_LINKS });
            }
            let target = self.read_link(&inode)?;
            if target.starts_with(b"/") {
                above.clear();
                at = root;
            }
            for name in components(&target).rev() {
                rest.push_front(name.to_vec());
            }
        }
        Ok(Some(at))
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}
