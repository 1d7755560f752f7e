use std::io::{Read, Seek, Write};

use fs_tree::{Change, ChangeKind, Metadata, NewContent, NewNode, Tree, merge_layer};

use crate::{Error, ImageWriter, NoInline, Options, Written};

/// Full names and values of xattrs; no name twice.
type Xattrs<'a> = &'a [(&'a [u8], &'a [u8])];

/// Builds an image entry by entry, in any order but that a hard link comes after its file.
///
/// Paths are normalized: no leading, trailing or repeated `/`, no `.` or `..`; the empty path is the root. Parents that are
/// not given are made, 0755 and root's. An entry replaces an earlier one of the same path; a directory over a directory
/// keeps what it holds.
#[derive(Debug)]
pub struct Builder<W> {
    image: ImageWriter<W>,
    tree: Tree,
    buffer: Vec<u8>,
}

impl<W: Write + Seek> Builder<W> {
    /// Begins an image at the start of `output`, which is empty.
    ///
    /// # Errors
    /// As [`ImageWriter::new`].
    pub fn new(output: W, options: Options) -> Result<Self, Error> {
        Ok(Self {
            image: ImageWriter::new(output, options)?,
            tree: Tree::new(),
            buffer: vec![0; 256 << 10],
        })
    }

    /// Adds a regular file with all that `data` gives.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn file(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        xattrs: Xattrs<'_>,
        data: &mut dyn Read,
    ) -> Result<(), Error> {
        let offset = self.image.begin()?;
        loop {
            let read = match data.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(Error::ReadData {
                        path: path.to_vec(),
                        source,
                    });
                }
            };
            self.image.write(&self.buffer[..read])?;
        }
        let stored = self.image.end()?;
        let content = match stored.len {
            0 => NewContent::Absent,
            _ => NewContent::Contiguous { device: 0, offset },
        };
        let node = NewNode::Regular {
            size: stored.len,
            crc32c: stored.crc32c.get(),
            content,
        };
        self.node(path, metadata, xattrs, node)
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn directory(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        xattrs: Xattrs<'_>,
    ) -> Result<(), Error> {
        self.node(path, metadata, xattrs, NewNode::Directory)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn symlink(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        xattrs: Xattrs<'_>,
        target: &[u8],
    ) -> Result<(), Error> {
        self.node(path, metadata, xattrs, NewNode::Symlink { target })
    }

    /// Gives the file at `target` a further name.
    ///
    /// # Errors
    /// See [`Error`]; among them that there is no such file.
    pub fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), Error> {
        self.apply(&Change {
            path,
            kind: ChangeKind::HardLink { target },
        })
    }

    /// Adds any other inode, or a file whose data lies on one of [`Options::devices`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn node(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        xattrs: Xattrs<'_>,
        node: NewNode<'_>,
    ) -> Result<(), Error> {
        self.apply(&Change {
            path,
            kind: ChangeKind::Node {
                metadata,
                xattrs,
                node,
            },
        })
    }

    /// Writes the metadata and gives the output back, not yet synced.
    ///
    /// # Errors
    /// As [`ImageWriter::finish`].
    pub fn finish(self) -> Result<(Written, W), Error> {
        self.image.finish(&self.tree, &mut NoInline)
    }

    fn apply(&mut self, change: &Change<'_>) -> Result<(), Error> {
        Ok(merge_layer(&mut self.tree, []).apply(change)?)
    }
}
