use std::collections::HashMap;
use std::io::Write;

use erofs_format::{Crc32c, DataLayout, FileType};

use crate::limits::Budget;
use crate::{Error, Image, Inode, Limit, Limits, Place, ReadAt, Walk, WalkEntry};

/// The number of bytes read at once.
const PIECE: u64 = 1 << 20;

/// Options of [`dump_with`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DumpOptions {
    /// Bounds on the work.
    pub limits: Limits,
    /// Whether to read regular files and write their checksums.
    pub contents: bool,
}

impl DumpOptions {
    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`contents`](Self::contents).
    #[must_use]
    pub fn with_contents(mut self, contents: bool) -> Self {
        self.contents = contents;
        self
    }
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            contents: true,
        }
    }
}

/// Writes a whole image as text, one line per path, in the order of [`Image::walk`].
///
/// Two images with the same text contain the same tree, whatever their layouts:
///
/// ```text
/// / d 0755 0:0 nlink=3 mtime=1700000000.000000000
/// /etc d 0755 0:0 nlink=2 mtime=1700000000.000000000
/// /etc/a\x20b f 0644 0:0 nlink=2 mtime=-2.500000000 size=9 crc32c=1cf96d7c user.a=x\x00
/// /etc/b f 0644 0:0 nlink=2 mtime=-2.500000000 same=/etc/a\x20b
/// /etc/null c 0666 0:0 nlink=1 mtime=0.000000000 dev=1:3
/// /etc/to l 0777 0:0 nlink=1 mtime=0.000000000 size=1 target=b
/// ```
///
/// In names, targets and values, every byte except printable ASCII, and also the space, the backslash and `=`, is
/// written as `\xNN`. For the second and later names of an inode, `same=` with the first path replaces the properties
/// of the inode. Times are seconds, rounded down, and nanoseconds. Directories have no size, which depends on the
/// layout. The checksum is [`Crc32c`] over the data, with holes as zeros. Xattrs are sorted.
///
/// # Errors
///
/// As [`Image::walk`], [`Image::xattrs`], [`Image::read_at`]; [`Error::Limit`]; [`Error::Write`].
pub fn dump<D: ReadAt>(image: &Image<D>, out: &mut impl Write) -> Result<(), Error> {
    let options = DumpOptions::default();
    dump_with(image.walk(&options.limits)?, &options, out)
}

/// Writes the entries of a walk as text, in the form of [`dump`]. The walk has its own limits; those of the options
/// bound the reading of inodes.
///
/// # Errors
///
/// As [`dump`].
pub fn dump_with<D: ReadAt>(
    mut walk: Walk<'_, D>,
    options: &DumpOptions,
    out: &mut impl Write,
) -> Result<(), Error> {
    let image = walk.image;
    let mut dumper = Dumper {
        image,
        contents: options.contents,
        budget: Budget::new(image, &options.limits),
        first: HashMap::new(),
        line: Vec::new(),
        piece: Vec::new(),
    };
    while let Some(entry) = walk.next_entry() {
        dumper.entry(&entry?)?;
        out.write_all(&dumper.line)
            .map_err(|source| Error::Write { source })?;
    }
    Ok(())
}

struct Dumper<'a, D> {
    image: &'a Image<D>,
    contents: bool,
    budget: Budget,
    /// The first path of every inode with a link count above one.
    first: HashMap<u64, Vec<u8>>,
    /// The line under construction.
    line: Vec<u8>,
    /// The buffer for file data.
    piece: Vec<u8>,
}

impl<D: ReadAt> Dumper<'_, D> {
    fn entry(&mut self, entry: &WalkEntry<'_>) -> Result<(), Error> {
        let inode = &entry.inode;
        self.line.clear();
        escape(&mut self.line, entry.path);
        let Inode {
            uid,
            gid,
            nlink,
            mtime_secs,
            mtime_nanos,
            ..
        } = inode;
        let (letter, mode) = (letter(inode.file_type), inode.mode & 0o7777);
        self.text(format_args!(
            " {letter} {mode:04o} {uid}:{gid} nlink={nlink} mtime={mtime_secs}.{mtime_nanos:09}"
        ));
        let linked = *nlink > 1 && inode.file_type != FileType::Directory;
        if let Some(path) = linked.then(|| self.first.get(&inode.nid)).flatten() {
            self.line.extend_from_slice(b" same=");
            escape(&mut self.line, path);
        } else {
            if linked {
                self.budget
                    .take(Limit::LinkPathBytes, entry.path.len() as u64)?;
                self.first.insert(inode.nid, entry.path.to_vec());
            }
            self.own(inode)?;
        }
        self.line.push(b'\n');
        Ok(())
    }

    /// Writes the properties of an inode, once per inode.
    fn own(&mut self, inode: &Inode) -> Result<(), Error> {
        if let Some((major, minor)) = inode.rdev {
            self.text(format_args!(" dev={major}:{minor}"));
        }
        if matches!(inode.file_type, FileType::Regular | FileType::Symlink) {
            self.text(format_args!(" size={}", inode.size));
        }
        if inode.file_type == FileType::Regular && self.contents {
            let checksum = self.checksum(inode)?.get();
            self.text(format_args!(" crc32c={checksum:08x}"));
        }
        if inode.file_type == FileType::Symlink {
            self.line.extend_from_slice(b" target=");
            escape(&mut self.line, &self.image.read_link(inode)?);
        }
        let mut xattrs = self.image.xattrs(inode)?;
        let bytes = xattrs.iter().map(|x| (x.name.len() + x.value.len()) as u64);
        self.budget.take(Limit::XattrBytes, bytes.sum())?;
        xattrs.sort_unstable();
        for xattr in &xattrs {
            self.line.push(b' ');
            escape(&mut self.line, &xattr.name);
            self.line.push(b'=');
            escape(&mut self.line, &xattr.value);
        }
        Ok(())
    }

    fn checksum(&mut self, inode: &Inode) -> Result<Crc32c, Error> {
        let mut checksum = Crc32c::new();
        if inode.layout == DataLayout::ChunkBased && inode.has_data() {
            let chunks = self.image.chunks(inode)?.count;
            self.budget.take(Limit::Chunks, chunks)?;
        }
        for extent in self.image.extents(inode)? {
            let extent = extent?;
            let (device_id, offset) = match extent.place {
                Place::Hole => {
                    checksum = checksum.zeros(extent.len);
                    continue;
                }
                Place::Inline { offset } => (0, offset),
                Place::Device { device_id, offset } => (device_id, offset),
            };
            self.budget.take(Limit::DataBytes, extent.len)?;
            let mut done = 0;
            while done < extent.len {
                let here = (extent.len - done).min(PIECE);
                // OK because a piece is far smaller than any address space.
                self.piece.resize(usize::try_from(here).unwrap_or(0), 0);
                self.image
                    .read_device(inode.nid, device_id, &mut self.piece, offset + done)?;
                checksum = checksum.update(&self.piece);
                done += here;
            }
        }
        Ok(checksum)
    }

    fn text(&mut self, text: std::fmt::Arguments<'_>) {
        // OK because writing to a vector cannot fail.
        let _ = self.line.write_fmt(text);
    }
}

fn letter(file_type: FileType) -> char {
    match file_type {
        FileType::Regular => 'f',
        FileType::Directory => 'd',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::Symlink => 'l',
    }
}

fn escape(line: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        if byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'=') {
            line.push(*byte);
        } else {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            line.extend_from_slice(&[b'\\', b'x', high, low]);
        }
    }
}
