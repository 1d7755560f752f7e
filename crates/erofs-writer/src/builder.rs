mod links;

use std::io::{self, Read, Seek, Write};

use fs_tree::{Change, ChangeKind, Extent, NewContent, NewNode, Tree, Whiteout, merge_layer};

use crate::{
    Attributes, BLOCK_SIZE, Error, ImageWriter, MemoryInline, Options, SparseFile, Written,
};
use links::PendingLinks;

/// The number of bytes of file data read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// The largest file that can be stored with its inode, in bytes.
const MAX_INLINE_BYTES: u16 = 4096;

/// Builds an image entry by entry, in any order. File data is written to its final place as it is read.
///
/// Paths are byte strings with `/` between names. Leading, trailing and repeated slashes and `.` are ignored; the root
/// is the empty path or `/`. Missing parents are created with mode 0755 and owner root.
///
/// An entry replaces an earlier one of the same path; a directory that replaces a directory keeps its contents. A
/// parent that is a symbolic link of the image is followed inside the image, as tar does on extraction.
#[derive(Debug)]
#[must_use = "the metadata is written by `finish`"]
pub struct Builder<W> {
    image: ImageWriter<W>,
    tree: Tree,
    inline: MemoryInline,
    inline_max: usize,
    links: PendingLinks,
    buffer: Vec<u8>,
}

impl<W: Write + Seek> Builder<W> {
    /// Begins an image with the default [`Options`] at the start of `output`, which must be empty.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn new(output: W) -> Result<Self, Error> {
        Self::with_options(output, Options::default())
    }

    /// Begins an image at the start of `output`, which must be empty.
    ///
    /// # Errors
    ///
    /// As [`ImageWriter::new`].
    pub fn with_options(output: W, options: Options) -> Result<Self, Error> {
        let inline_max = usize::from(options.inline_max_bytes.min(MAX_INLINE_BYTES));
        Ok(Self {
            image: ImageWriter::new(output, options)?,
            tree: Tree::new(),
            inline: MemoryInline::default(),
            inline_max,
            links: PendingLinks::default(),
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    /// Adds a regular file with all bytes of `data`. Files up to [`Options::inline_max_bytes`] are kept in memory.
    ///
    /// # Errors
    ///
    /// [`Error::ReadData`], [`Error::Write`]; for the path, [`Error::ParentInPath`], [`Error::Apply`].
    pub fn file(
        &mut self,
        path: impl AsRef<[u8]>,
        attributes: impl Into<Attributes>,
        mut data: impl Read,
    ) -> Result<(), Error> {
        let path = normalize(path.as_ref())?;
        let failed = |source| Error::ReadData {
            path: path.clone(),
            source,
        };
        let mut read = fill(&mut data, &mut self.buffer).map_err(failed)?;
        let bytes = &self.buffer[..read];
        let (size, content) = match read {
            0 => (0, NewContent::Absent),
            // The buffer is not full, so this is the whole file.
            _ if read <= self.inline_max => {
                let key = self.inline.push(bytes);
                (read as u64, NewContent::Inline { key })
            }
            _ => {
                let mut extent = self.image.begin()?;
                while read > 0 {
                    extent.write(&self.buffer[..read])?;
                    read = fill(&mut data, &mut self.buffer).map_err(failed)?;
                }
                let stored = extent.end()?;
                let content = NewContent::Contiguous {
                    device: 0,
                    offset: stored.offset,
                };
                (stored.len, content)
            }
        };
        self.regular(path, attributes, size, content)
    }

    /// Adds a regular file of `size` bytes that consists of `pieces` and holes. A piece is an offset in the file and
    /// the data there; offsets ascend. Holes of whole blocks take no space except for an index of 8 bytes per chunk.
    /// The chunk size is the largest one that fits the boundaries of the pieces.
    ///
    /// ```
    /// use erofs_writer::Builder;
    ///
    /// let mut image = Builder::new(std::io::Cursor::new(Vec::new()))?;
    /// image.sparse_file("disk", 0o600, 1 << 20, [(0, &b"first"[..]), (1 << 19, &b"second"[..])])?;
    /// image.sparse_file::<&[u8]>("nothing", 0o600, 1 << 40, [])?;
    /// assert_eq!(image.finish()?.0.blocks, 4);
    /// # Ok::<(), erofs_writer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::file`]; [`Error::Piece`]. [`Self::finish`] refuses a file with more than
    /// [`MAX_CHUNKS`](crate::MAX_CHUNKS) chunks.
    pub fn sparse_file<R: Read>(
        &mut self,
        path: impl AsRef<[u8]>,
        attributes: impl Into<Attributes>,
        size: u64,
        pieces: impl IntoIterator<Item = (u64, R)>,
    ) -> Result<(), Error> {
        let path = normalize(path.as_ref())?;
        let mut written = SparseFile::new(&path[..], size, BLOCK_SIZE.into());
        for (offset, mut data) in pieces {
            let mut at = offset;
            loop {
                let read = fill(&mut data, &mut self.buffer).map_err(|source| Error::ReadData {
                    path: path.clone(),
                    source,
                })?;
                if read == 0 {
                    break;
                }
                written.write(&mut self.image, at, &self.buffer[..read])?;
                at = at.saturating_add(read as u64);
            }
        }
        let (extents, _) = written.finish(&mut self.image)?;
        self.extents(path, attributes, size, &extents)
    }

    /// Adds a regular file of `size` bytes whose data is on [`Options::devices`]. The ranges between `extents` are
    /// holes.
    ///
    /// No data is read. Each extent covers whole blocks of its device, and whole blocks of the file except at the end
    /// of the file.
    ///
    /// # Errors
    ///
    /// [`Error::ParentInPath`], [`Error::Apply`]. [`Self::finish`] refuses extents outside their devices.
    pub fn mapped_file(
        &mut self,
        path: impl AsRef<[u8]>,
        attributes: impl Into<Attributes>,
        size: u64,
        extents: &[Extent],
    ) -> Result<(), Error> {
        self.extents(normalize(path.as_ref())?, attributes, size, extents)
    }

    /// Adds a directory, or changes the attributes of an existing one. The root is `""`.
    ///
    /// # Errors
    ///
    /// [`Error::ParentInPath`], [`Error::Apply`].
    pub fn directory(
        &mut self,
        path: impl AsRef<[u8]>,
        attributes: impl Into<Attributes>,
    ) -> Result<(), Error> {
        self.node(path, attributes, NewNode::Directory)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    ///
    /// [`Error::ParentInPath`], [`Error::Apply`].
    pub fn symlink(
        &mut self,
        path: impl AsRef<[u8]>,
        attributes: impl Into<Attributes>,
        target: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        let target = target.as_ref();
        self.node(path, attributes, NewNode::Symlink { target })
    }

    /// Adds the hard link `path` to the file at `target`. The file may be added later.
    ///
    /// # Errors
    ///
    /// [`Error::ParentInPath`], [`Error::Apply`]. [`Self::finish`] refuses a link to a missing file.
    pub fn hard_link(
        &mut self,
        path: impl AsRef<[u8]>,
        target: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        let (path, target) = (normalize(path.as_ref())?, normalize(target.as_ref())?);
        self.links.replaced(&path);
        self.links.add(&mut self.tree, path, target)
    }

    /// Adds an inode of any other type: a device or a fifo.
    ///
    /// # Errors
    ///
    /// [`Error::ParentInPath`], [`Error::Apply`].
    pub fn node(
        &mut self,
        path: impl AsRef<[u8]>,
        attributes: impl Into<Attributes>,
        node: NewNode<'_>,
    ) -> Result<(), Error> {
        self.put(normalize(path.as_ref())?, attributes.into(), node)
    }

    /// Removes the entry at `path` and everything below it, if there is one. Symbolic links are not followed. Removing
    /// the root removes its contents.
    ///
    /// Data that was written stays in the image, unused.
    ///
    /// # Errors
    ///
    /// [`Error::ParentInPath`].
    pub fn remove(&mut self, path: impl AsRef<[u8]>) -> Result<(), Error> {
        let path = normalize(path.as_ref())?;
        self.links.removed(&path);
        let whiteout = Whiteout {
            path: &path,
            opaque: path.is_empty(),
        };
        let _ = merge_layer(&mut self.tree, [whiteout]);
        Ok(())
    }

    /// Writes the metadata and returns the output, which is not yet synced.
    ///
    /// # Errors
    ///
    /// As [`ImageWriter::finish`]; [`Error::Apply`] for a hard link to a missing file.
    pub fn finish(mut self) -> Result<(Written, W), Error> {
        self.links.finish(&mut self.tree)?;
        self.image.finish(&self.tree, &mut self.inline)
    }

    fn extents(
        &mut self,
        path: Vec<u8>,
        attributes: impl Into<Attributes>,
        size: u64,
        extents: &[Extent],
    ) -> Result<(), Error> {
        let content = match *extents {
            [] => NewContent::Absent,
            [whole] if whole.logical == 0 && whole.len == size => NewContent::Contiguous {
                device: whole.device,
                offset: whole.offset,
            },
            _ => NewContent::Mapped(extents),
        };
        self.regular(path, attributes, size, content)
    }

    fn regular(
        &mut self,
        path: Vec<u8>,
        attributes: impl Into<Attributes>,
        size: u64,
        content: NewContent<'_>,
    ) -> Result<(), Error> {
        let node = NewNode::Regular {
            size,
            // Unknown; images do not store it.
            crc32c: 0,
            content,
        };
        self.put(path, attributes.into(), node)
    }

    fn put(
        &mut self,
        path: Vec<u8>,
        attributes: Attributes,
        node: NewNode<'_>,
    ) -> Result<(), Error> {
        self.links.replaced(&path);
        let xattrs: Vec<(&[u8], &[u8])> = attributes
            .xattrs
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        let change = Change {
            path: &path,
            kind: ChangeKind::Node {
                metadata: attributes.metadata,
                xattrs: &xattrs,
                node,
            },
        };
        Ok(merge_layer(&mut self.tree, []).apply(&change)?)
    }
}

/// Returns the names of a path with single slashes between them.
fn normalize(path: &[u8]) -> Result<Vec<u8>, Error> {
    let mut normalized = Vec::with_capacity(path.len());
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                return Err(Error::ParentInPath {
                    path: path.to_vec(),
                });
            }
            _ => {
                if !normalized.is_empty() {
                    normalized.push(b'/');
                }
                normalized.extend_from_slice(name);
            }
        }
    }
    Ok(normalized)
}

/// Reads until the buffer is full or the data ends.
fn fill(data: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
