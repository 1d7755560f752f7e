use std::collections::{HashMap, HashSet};

use erofs_format::{DataLayout, FileType};

use crate::limits::Budget;
use crate::walk::Step;
use crate::{
    Error, FileReader, Image, Inode, InodeProblem, Limit, Limits, Place, ReadAt, WalkEntry,
    XattrProblem, superblock,
};

/// Options of [`check`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Bounds on the work.
    pub limits: Limits,
    /// Whether the number of inodes in the superblock must equal the number of inodes that can be reached from the
    /// root.
    pub inode_count: bool,
}

impl CheckOptions {
    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`inode_count`](Self::inode_count).
    #[must_use]
    pub fn with_inode_count(mut self, inode_count: bool) -> Self {
        self.inode_count = inode_count;
        self
    }
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            inode_count: true,
        }
    }
}

/// The counts of [`check`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Paths, including the root.
    pub paths: u64,
    /// Inodes.
    pub inodes: u64,
    /// Directories.
    pub directories: u64,
    /// Regular files, each counted once.
    pub files: u64,
    /// Symbolic links, each counted once.
    pub symlinks: u64,
    /// Devices, fifos and sockets, each counted once.
    pub special: u64,
    /// Extended attributes.
    pub xattrs: u64,
    /// Extents of regular files, without holes.
    pub extents: u64,
    /// Bytes of regular files, without holes.
    pub data_bytes: u64,
    /// Bytes of holes in regular files.
    pub hole_bytes: u64,
}

/// Verifies the structure of a whole image:
///
/// - Every directory is sorted, each of its blocks is well-formed, and `.`, `..` and the link count are right.
/// - Every name refers to an inode of its type, and no name refers to inode 0.
/// - The link count of every other inode equals the number of its names.
/// - Every extent lies on its device.
/// - Every xattr can be read, and no name occurs twice in an inode.
/// - No metadata of an inode overlaps other metadata, data, the superblock or the device table.
/// - The superblock has the right number of inodes.
///
/// File data is not read, because EROFS has no checksums of it. [`check_with`] passes it to the caller.
///
/// # Errors
///
/// The first problem that is found.
pub fn check<D: ReadAt>(image: &Image<D>, options: &CheckOptions) -> Result<Summary, Error> {
    let mut verifier = Verifier {
        image,
        summary: Summary::default(),
        budget: Budget::new(image, &options.limits),
        names: HashMap::new(),
        taken: Vec::new(),
        data: Vec::new(),
    };
    match verifier.walk(options) {
        Ok(()) => verifier.finish(options),
        // A file with one link that has many names uses up the budget; report the names and not the limit.
        Err(limit @ Error::Limit { .. }) => verifier.second_names().and(Err(limit)),
        Err(error) => Err(error),
    }
}

/// Verifies an image as [`check`] does, then calls `visit` once for every regular file, with its first path and a
/// reader of its data, so that the caller can verify the data. The tree is walked twice; the image must not change in
/// between.
///
/// A hole may be far longer than the image: check the size before reading data of an unknown image to its end.
///
/// # Errors
///
/// The first problem that is found, or the first error of `visit`.
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
        // The link counts were verified: a file with a link count of one has no second name.
        if inode.file_type == FileType::Regular && (inode.nlink == 1 || visited.insert(inode.nid)) {
            visit(&entry, image.open_file(inode)?)?;
        }
    }
    Ok(summary)
}

struct Verifier<'a, D> {
    image: &'a Image<D>,
    summary: Summary,
    budget: Budget,
    /// The number of names found for each inode, without directories and files with a link count of one.
    names: HashMap<u64, Names>,
    /// The metadata of each inode: offset, end, nid.
    taken: Vec<(u64, u64, u64)>,
    /// The same for every extent on the primary device.
    data: Vec<(u64, u64, u64)>,
}

struct Names {
    found: u32,
    nlink: u32,
}

impl<D: ReadAt> Verifier<'_, D> {
    fn walk(&mut self, options: &CheckOptions) -> Result<(), Error> {
        let mut walk = self.image.walk(&options.limits)?;
        while let Some(step) = walk.step() {
            match step? {
                Step::Entry(entry) => self.visit(&entry.inode)?,
                Step::Leave { dir, subdirs } => nlink(&dir, subdirs + 2)?,
            }
        }
        Ok(())
    }

    /// Checks an inode at one of its names.
    fn visit(&mut self, inode: &Inode) -> Result<(), Error> {
        self.summary.paths += 1;
        // Most inodes are files with one link and need no lookup: one with a second name is in `taken` twice.
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

    /// Checks every extent, and sets the end of the inode's metadata, which are the last in `taken`.
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

impl<D: ReadAt> Verifier<'_, D> {
    /// Sorts `taken` and checks that no file with a link count of one has a second name.
    fn second_names(&mut self) -> Result<(), Error> {
        self.taken.sort_unstable_by_key(|(start, _, _)| *start);
        for equal in self.taken.chunk_by(|(_, _, a), (_, _, b)| a == b) {
            if let [(_, _, nid), _, ..] = equal {
                nlink(&self.image.inode(*nid)?, equal.len() as u64)?;
            }
        }
        Ok(())
    }

    /// Checks, with `taken` sorted, that the metadata of an inode do not overlap those of another inode or any data,
    /// and that nothing overlaps the superblock and the device table. Data may overlap other data: writers deduplicate
    /// blocks.
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
            // The first inode that ends after the start of the data. The inodes are sorted by their ends too, as none
            // overlap.
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
