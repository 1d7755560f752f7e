use std::collections::{HashMap, HashSet};

use erofs_format::{DataLayout, FileType};

use crate::limits::Budget;
use crate::walk::Step;
use crate::{
    Error, FileReader, Image, Inode, InodeProblem, Limit, Limits, Place, ReadAt, WalkEntry,
    XattrProblem, superblock,
};

/// How [`check`] judges.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Bounds on the work.
    pub limits: Limits,
    /// Whether the superblock's count of inodes must be the number of those that the root leads to.
    pub inode_count: bool,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            inode_count: true,
        }
    }
}

/// What [`check`] counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Paths, the root's among them.
    pub paths: u64,
    /// Inodes.
    pub inodes: u64,
    /// Directories.
    pub directories: u64,
    /// Regular files, each once.
    pub files: u64,
    /// Symbolic links, each once.
    pub symlinks: u64,
    /// Devices, fifos and sockets, each once.
    pub special: u64,
    /// Extended attributes.
    pub xattrs: u64,
    /// Extents of regular files, holes not counted.
    pub extents: u64,
    /// Bytes of regular files, holes not counted.
    pub data_bytes: u64,
    /// Bytes of holes in regular files.
    pub hole_bytes: u64,
}

/// Proves the structure of a whole image.
///
/// Every directory is sorted, sound block by block, and has the right `.`, `..` and link count; every name leads to an inode
/// of its type, and none to inode 0; every other inode has as many names as it says; every extent lies on its device; every
/// xattr can be read and has its own name; no inode shares bytes of metadata with another, with data, or with the superblock
/// and device table; the superblock counts the inodes right.
///
/// File data are bounded, not read: EROFS has no sums of them. [`check_with`] hands them out.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn check<D: ReadAt>(image: &Image<D>, options: &CheckOptions) -> Result<Summary, Error> {
    let mut proof = Proof {
        image,
        summary: Summary::default(),
        budget: Budget::new(image, &options.limits),
        names: HashMap::new(),
        taken: Vec::new(),
        data: Vec::new(),
    };
    match proof.walk(options) {
        Ok(()) => proof.finish(options),
        // An inode that is met too often takes of the budget each time; then that is what is wrong.
        Err(limit @ Error::Limit { .. }) => proof.second_names().and(Err(limit)),
        Err(error) => Err(error),
    }
}

/// As [`check`], and then calls `visit` for every regular file, once however many names it has, with its first path and a
/// reader of its data, so that a caller can compare them with what they should be. The tree is walked twice for that, and the
/// image must not change in between.
///
/// A hole may be far longer than the image: what reads data of unknown images to their end should look at the size first.
///
/// # Errors
///
/// The first thing that is wrong, or what `visit` gives.
pub fn check_with<D, E>(
    image: &Image<D>,
    options: &CheckOptions,
    mut visit: impl FnMut(&WalkEntry<'_>, FileReader<'_, D>) -> Result<(), E>,
) -> Result<Summary, E>
where
    D: ReadAt,
    E: From<Error>,
{
    let summary = check(image, options)?;
    let mut visited = HashSet::new();
    let mut walk = image.walk(&options.limits)?;
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        let inode = &entry.inode;
        // The links were counted: a file that says it has one name has no other.
        if inode.file_type == FileType::Regular && (inode.nlink == 1 || visited.insert(inode.nid)) {
            visit(&entry, image.open_file(inode)?)?;
        }
    }
    Ok(summary)
}

struct Proof<'a, D> {
    image: &'a Image<D>,
    summary: Summary,
    budget: Budget,
    /// How many names were found of each inode, but for directories, and for files that say they have one name.
    names: HashMap<u64, Names>,
    /// The metadata of each inode: first byte, the byte behind the last, nid.
    taken: Vec<(u64, u64, u64)>,
    /// The same of every extent on the primary device.
    data: Vec<(u64, u64, u64)>,
}

struct Names {
    found: u32,
    nlink: u32,
}

impl<D: ReadAt> Proof<'_, D> {
    fn walk(&mut self, options: &CheckOptions) -> Result<(), Error> {
        let mut walk = self.image.walk(&options.limits)?;
        while let Some(step) = walk.step() {
            match step? {
                Step::Entry(entry) => self.meet(&entry.inode)?,
                Step::Leave { dir, subdirs } => nlink(&dir, subdirs + 2)?,
            }
        }
        Ok(())
    }

    /// Judges an inode at one of its names.
    fn meet(&mut self, inode: &Inode) -> Result<(), Error> {
        self.summary.paths += 1;
        // Most inodes are files of one name, and are not looked up: one that is met again is in `taken` twice.
        let has_one_name = inode.file_type == FileType::Regular && inode.nlink == 1;
        if inode.file_type != FileType::Directory && !has_one_name {
            let names = self.names.entry(inode.nid).or_insert(Names {
                found: 0,
                nlink: inode.nlink,
            });
            names.found = names.found.saturating_add(1);
            if names.found > 1 {
                return Ok(());
            }
        }
        if inode.nid == 0 {
            return Err(inode.error(InodeProblem::NidZero));
        }
        self.summary.inodes += 1;
        self.taken.push((inode.offset, inode.body_end(), inode.nid));
        match inode.file_type {
            FileType::Directory => self.summary.directories += 1,
            FileType::Regular => self.summary.files += 1,
            FileType::Symlink => {
                self.image.read_link(inode)?;
                self.summary.symlinks += 1;
            }
            _ if inode.size != 0 => {
                return Err(inode.error(InodeProblem::SpecialSize { size: inode.size }));
            }
            _ => self.summary.special += 1,
        }
        self.xattrs(inode)?;
        self.data(inode)
    }

    fn xattrs(&mut self, inode: &Inode) -> Result<(), Error> {
        let mut xattrs = self.image.xattrs(inode)?;
        let bytes = xattrs.iter().map(|x| (x.name.len() + x.value.len()) as u64);
        self.budget.take(Limit::XattrBytes, bytes.sum())?;
        self.summary.xattrs += xattrs.len() as u64;
        xattrs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if xattrs.windows(2).any(|pair| pair[0].name == pair[1].name) {
            return Err(Error::Xattr {
                nid: inode.nid,
                offset: inode.xattr_offset(),
                problem: XattrProblem::Duplicate,
            });
        }
        Ok(())
    }

    /// Bounds every extent, and notes where the metadata of the inode, the last in `taken`, end with its data.
    fn data(&mut self, inode: &Inode) -> Result<(), Error> {
        let mut end = inode.body_end();
        if inode.has_data() && inode.layout == DataLayout::ChunkBased {
            let chunks = self.image.chunks(inode)?;
            self.budget.take(Limit::Chunks, chunks.count)?;
            end = chunks.end();
        }
        for extent in self.image.extents(inode)? {
            let extent = extent?;
            match extent.place {
                Place::Inline { offset } => end = offset + extent.len,
                Place::Device {
                    device_id: 0,
                    offset,
                } => self.data.push((offset, offset + extent.len, inode.nid)),
                Place::Device { .. } | Place::Hole => {}
            }
            if inode.file_type == FileType::Regular {
                if extent.place == Place::Hole {
                    self.summary.hole_bytes += extent.len;
                } else {
                    self.summary.extents += 1;
                    self.summary.data_bytes += extent.len;
                }
            }
        }
        if let Some((_, taken_end, _)) = self.taken.last_mut() {
            *taken_end = end;
        }
        Ok(())
    }

    fn finish(mut self, options: &CheckOptions) -> Result<Summary, Error> {
        for (nid, names) in &self.names {
            if names.found != names.nlink {
                nlink(&self.image.inode(*nid)?, names.found.into())?;
            }
        }
        self.second_names()?;
        self.overlaps()?;
        let expected = self.image.superblock().inos.get();
        if options.inode_count && expected != self.summary.inodes {
            return Err(Error::InodeCount {
                expected,
                actual: self.summary.inodes,
            });
        }
        Ok(self.summary)
    }
}

impl<D: ReadAt> Proof<'_, D> {
    /// Sorts `taken`, and proves that no file that says it has one name was met at two.
    fn second_names(&mut self) -> Result<(), Error> {
        self.taken.sort_unstable_by_key(|(start, _, _)| *start);
        for equal in self.taken.chunk_by(|(_, _, a), (_, _, b)| a == b) {
            if let [(_, _, nid), _, ..] = equal {
                nlink(&self.image.inode(*nid)?, equal.len() as u64)?;
            }
        }
        Ok(())
    }

    /// Proves, with `taken` sorted, that the metadata of no inode lie over those of another, or under anybody's data, and that
    /// nothing lies over the superblock and the device table. Data may share blocks with other data: writers find equal blocks.
    fn overlaps(&mut self) -> Result<(), Error> {
        let (super_block, device_table) = superblock::reserved(self.image.superblock());
        for (start, end, nid) in self.taken.iter().chain(&self.data) {
            for range in [&super_block, &device_table] {
                if start.max(&range.start) < end.min(&range.end) {
                    return Err(Error::Reserved {
                        nid: *nid,
                        offset: *start.max(&range.start),
                    });
                }
            }
        }
        for pair in self.taken.windows(2) {
            let ((_, end, first), (offset, _, second)) = (pair[0], pair[1]);
            if offset < end {
                return Err(Error::Overlap {
                    first,
                    second,
                    offset,
                });
            }
        }
        for (start, end, second) in &self.data {
            // The first inode that ends behind the data's start; they are sorted by their ends too, as none overlap.
            let next = self.taken.partition_point(|(_, end, _)| end <= start);
            if let Some((offset, _, first)) = self.taken.get(next)
                && offset < end
            {
                return Err(Error::Overlap {
                    first: *first,
                    second: *second,
                    offset: *offset.max(start),
                });
            }
        }
        Ok(())
    }
}

fn nlink(inode: &Inode, expected: u64) -> Result<(), Error> {
    if u64::from(inode.nlink) == expected {
        return Ok(());
    }
    Err(inode.error(InodeProblem::Nlink {
        expected,
        actual: inode.nlink,
    }))
}
