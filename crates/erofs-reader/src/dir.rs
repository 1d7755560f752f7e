use erofs_format::{BLOCK_SIZE, FileType};

use crate::dir_block::{self, Bad};
use crate::{DirProblem, Error, Image, Inode, ReadAt};

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirEntry {
    /// The name: 1 to 255 bytes without NUL and slash.
    pub name: Vec<u8>,
    /// The nid of the inode.
    pub nid: u64,
    /// The type of the inode according to the directory.
    pub file_type: FileType,
}

/// The entries of a directory except `.` and `..`, sorted by the bytes of their names; see [`Image::read_dir`].
///
/// Holds one block in memory.
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct ReadDir<'a, D> {
    image: &'a Image<D>,
    dir: Inode,
    block: Vec<u8>,
    /// The offset of the block in the directory's data.
    block_start: u64,
    /// The index of the next entry in the block.
    index: usize,
    /// The number of entries in the block.
    count: usize,
    /// The previous name, to check the order across blocks.
    last: Vec<u8>,
    dot: Option<u64>,
    dot_dot: Option<u64>,
    done: bool,
}

impl<D: ReadAt> Image<D> {
    /// Reads the entries of a directory. Each block is checked when it is read; the iterator ends after an error.
    ///
    /// # Errors
    ///
    /// [`Error::Inode`] if `dir` is no directory. The iterator returns [`Error::Dir`] for a malformed directory; a missing `.` or `..` is reported at the end.
    pub fn read_dir(&self, dir: &Inode) -> Result<ReadDir<'_, D>, Error> {
        dir.expect_type(FileType::Directory)?;
        Ok(ReadDir {
            image: self,
            dir: *dir,
            block: Vec::new(),
            block_start: 0,
            index: 0,
            count: 0,
            last: Vec::new(),
            dot: None,
            dot_dot: None,
            done: false,
        })
    }

    /// Reads the directory block at `start`. The result is shorter than a block only at the end of the directory.
    pub(crate) fn dir_block(
        &self,
        dir: &Inode,
        start: u64,
        block: &mut Vec<u8>,
    ) -> Result<(), Error> {
        block.resize(BLOCK_SIZE as usize, 0);
        let len = self.read_at(dir, start, block)?;
        block.truncate(len);
        Ok(())
    }
}

pub(crate) fn bad_block(dir: &Inode, block_start: u64, (at, problem): Bad) -> Error {
    Error::Dir {
        nid: dir.nid,
        offset: block_start + at as u64,
        problem,
    }
}

impl<D> ReadDir<'_, D> {
    /// Returns the nid of `..`, once the iterator has ended without an error.
    #[must_use]
    pub fn parent(&self) -> Option<u64> {
        self.dot_dot
    }

    pub(crate) fn dir(&self) -> &Inode {
        &self.dir
    }
}

impl<D: ReadAt> ReadDir<'_, D> {
    fn step(&mut self) -> Result<Option<DirEntry>, Error> {
        loop {
            if self.index == self.count {
                let next = self.block_start + self.block.len() as u64;
                if next >= self.dir.size {
                    return self.finish();
                }
                self.image.dir_block(&self.dir, next, &mut self.block)?;
                self.block_start = next;
                self.index = 0;
                self.count = 0;
                self.count = dir_block::count(&self.block).map_err(|bad| self.bad(bad))?;
            }
            let entry = dir_block::entry(&self.block, self.index, self.count)
                .map_err(|bad| self.bad(bad))?;
            if entry.name <= self.last.as_slice() {
                return Err(self.bad((self.index * 12, DirProblem::Order)));
            }
            self.last.clear();
            self.last.extend_from_slice(entry.name);
            let (nid, file_type) = (entry.nid, entry.file_type);
            self.index += 1;
            match (self.last.as_slice(), file_type) {
                (b".", FileType::Directory) => self.dot = Some(nid),
                (b"..", FileType::Directory) => self.dot_dot = Some(nid),
                // Not directories: reported as missing at the end.
                (b"." | b"..", _) => {}
                _ => {
                    return Ok(Some(DirEntry {
                        name: self.last.clone(),
                        nid,
                        file_type,
                    }));
                }
            }
        }
    }

    fn finish(&self) -> Result<Option<DirEntry>, Error> {
        let problem = if self.dot != Some(self.dir.nid) {
            DirProblem::Dot { actual: self.dot }
        } else if self.dot_dot.is_none() {
            DirProblem::DotDot {
                expected: None,
                actual: None,
            }
        } else {
            return Ok(None);
        };
        Err(bad_block(&self.dir, 0, (0, problem)))
    }

    fn bad(&self, bad: Bad) -> Error {
        bad_block(&self.dir, self.block_start, bad)
    }
}

impl<D: ReadAt> Iterator for ReadDir<'_, D> {
    type Item = Result<DirEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.done = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}
