use std::collections::HashMap;

use erofs_reader::{FileType, Inode, Place};
use fs_tree::show_path;

use super::pax::{BLOCK_BYTES, Member};
use super::sink::Sink;
use super::{ExportError, ExportFormat};
use crate::ImageTree;

/// The number of bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The most memory for the paths to which later hard links refer, in bytes.
const MAX_LINK_BYTES: usize = 256 << 20;

/// Writes the tree as a tar archive: sorted by path, each directory before its contents, further names of a file as hard links.
pub(super) fn write(tree: &ImageTree, sink: &mut Sink<'_>) -> Result<(), ExportError> {
    let mut archive = Archive {
        tree,
        sink,
        first_paths: HashMap::new(),
        path_bytes: 0,
        buffer: vec![0; BUFFER_BYTES],
    };
    tree.walk(b"/", |path, inode| archive.add(path, inode))?;
    // Two blocks of zeros end an archive.
    Ok(archive.sink.write(&[0; 1024])?)
}

/// Full names and values.
type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

struct Archive<'a, 'b> {
    tree: &'a ImageTree,
    sink: &'a mut Sink<'b>,
    /// The first path of each inode that has several.
    first_paths: HashMap<u64, Vec<u8>>,
    path_bytes: usize,
    buffer: Vec<u8>,
}

impl Archive<'_, '_> {
    fn add(&mut self, path: &[u8], inode: &Inode) -> Result<(), ExportError> {
        let mut name = path.strip_prefix(b"/").unwrap_or(path).to_vec();
        if name.is_empty() {
            name.push(b'.');
        }
        if inode.file_type == FileType::Directory {
            name.push(b'/');
        } else if inode.nlink > 1 {
            if let Some(first) = self.first_paths.get(&inode.nid) {
                let member = Member {
                    typeflag: b'1',
                    link: first,
                    xattrs: &[],
                    ..member(&name, inode)
                };
                return Ok(self.sink.write(&member.headers())?);
            }
            self.path_bytes += name.len();
            if self.path_bytes > MAX_LINK_BYTES {
                return Err(ExportError::LinkNames {
                    reference: Box::new(self.tree.reference().clone()),
                    limit: MAX_LINK_BYTES,
                });
            }
            self.first_paths.insert(inode.nid, name.clone());
        }
        let xattrs = self.xattrs(path, inode)?;
        let target = match inode.file_type {
            FileType::Symlink => self.tree.read_link(inode)?,
            _ => Vec::new(),
        };
        let typeflag = match inode.file_type {
            FileType::Regular => b'0',
            FileType::Symlink => b'2',
            FileType::CharDevice => b'3',
            FileType::BlockDevice => b'4',
            FileType::Directory => b'5',
            FileType::Fifo => b'6',
            FileType::Socket => return Err(self.not_representable(path, "a socket")),
        };
        let size = match inode.file_type {
            FileType::Regular => inode.size,
            _ => 0,
        };
        let member = Member {
            typeflag,
            size,
            link: &target,
            device: inode.rdev.unwrap_or_default(),
            xattrs: &xattrs,
            ..member(&name, inode)
        };
        self.sink.write(&member.headers())?;
        if size > 0 {
            self.data(inode)?;
        }
        Ok(())
    }

    /// Writes the data of a file, in whole blocks.
    fn data(&mut self, inode: &Inode) -> Result<(), ExportError> {
        let image = self.tree.image();
        let error = |source| self.tree.disk_error(source);
        for extent in image.extents(inode).map_err(error)? {
            let extent = extent.map_err(error)?;
            if extent.place == Place::Hole {
                self.sink.skip(extent.len)?;
                continue;
            }
            let (mut at, end) = (extent.logical, extent.logical + extent.len);
            while at < end {
                let here = usize::try_from(end - at).map_or(BUFFER_BYTES, |n| n.min(BUFFER_BYTES));
                let buffer = &mut self.buffer[..here];
                let read = image.read_at(inode, at, buffer).map_err(error)?;
                self.sink.write(&self.buffer[..read])?;
                // An extent ends before the end of its file, so nothing is read only where there is nothing.
                at += (read as u64).max(1);
            }
        }
        let padding = inode.size.next_multiple_of(BLOCK_BYTES) - inode.size;
        Ok(self.sink.skip(padding)?)
    }

    /// Returns the xattrs, sorted by name.
    fn xattrs(&self, path: &[u8], inode: &Inode) -> Result<Xattrs, ExportError> {
        let xattrs = self.tree.image().xattrs(inode);
        let xattrs = xattrs.map_err(|source| self.tree.disk_error(source))?;
        let mut xattrs: Vec<_> = xattrs.into_iter().map(|x| (x.name, x.value)).collect();
        xattrs.sort();
        if xattrs.iter().any(|(name, _)| name.contains(&b'=')) {
            return Err(self.not_representable(path, "an xattr with = in its name"));
        }
        Ok(xattrs)
    }

    fn not_representable(&self, path: &[u8], problem: &'static str) -> ExportError {
        ExportError::NotRepresentable {
            reference: Box::new(self.tree.reference().clone()),
            path: show_path(path).to_string(),
            problem,
            format: ExportFormat::Tar,
        }
    }
}

/// Returns what members of every type have.
fn member<'a>(path: &'a [u8], inode: &Inode) -> Member<'a> {
    Member {
        path,
        typeflag: b'0',
        mode: inode.mode & 0o7777,
        uid: inode.uid,
        gid: inode.gid,
        size: 0,
        mtime_secs: inode.mtime_secs,
        mtime_nanos: inode.mtime_nanos,
        link: b"",
        device: (0, 0),
        xattrs: &[],
    }
}
