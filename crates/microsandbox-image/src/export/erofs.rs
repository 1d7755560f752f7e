use std::collections::HashMap;
use std::fs::File;

use erofs_reader::{FileType, Inode};
use erofs_writer::{Attributes, Builder, KernelVersion, Metadata, NewNode, Options, Timestamp};
use fs_tree::show_path;

use super::{ExportError, ExportFormat};
use crate::ImageTree;

/// Writes the tree as one EROFS image to an empty file, and returns its length in bytes.
///
/// The kernel version excludes chunks and long xattr prefixes, so that every file is contiguous; no file data is inline.
pub(super) fn write(tree: &ImageTree, output: &File) -> Result<u64, ExportError> {
    let failed = |source| ExportError::Erofs {
        reference: Box::new(tree.reference().clone()),
        source,
    };
    let options = Options::default()
        .with_minimum_kernel(KernelVersion::BASE)
        .with_inline_max_bytes(0);
    let mut builder = Builder::with_options(output, options).map_err(failed)?;
    // The first path of each inode that has several; the builder keeps the whole tree in memory as well.
    let mut first_paths: HashMap<u64, Vec<u8>> = HashMap::new();
    tree.walk(b"/", |path, inode| {
        if inode.file_type != FileType::Directory && inode.nlink > 1 {
            if let Some(first) = first_paths.get(&inode.nid) {
                return builder.hard_link(path, first).map_err(failed);
            }
            first_paths.insert(inode.nid, path.to_vec());
        }
        let attributes = attributes(tree, inode)?;
        let (major, minor) = inode.rdev.unwrap_or_default();
        let added = match inode.file_type {
            FileType::Regular => {
                let data = tree.image().open_file(inode);
                let data = data.map_err(|source| tree.disk_error(source))?;
                builder.file(path, attributes, data)
            }
            FileType::Directory => builder.directory(path, attributes),
            FileType::Symlink => builder.symlink(path, attributes, tree.read_link(inode)?),
            FileType::CharDevice => {
                builder.node(path, attributes, NewNode::CharDevice { major, minor })
            }
            FileType::BlockDevice => {
                builder.node(path, attributes, NewNode::BlockDevice { major, minor })
            }
            FileType::Fifo => builder.node(path, attributes, NewNode::Fifo),
            FileType::Socket => {
                return Err(ExportError::NotRepresentable {
                    reference: Box::new(tree.reference().clone()),
                    path: show_path(path).to_string(),
                    problem: "a socket",
                    format: ExportFormat::Erofs,
                });
            }
        };
        added.map_err(failed)
    })?;
    let (written, _) = builder.finish().map_err(failed)?;
    Ok(written.bytes())
}

fn attributes(tree: &ImageTree, inode: &Inode) -> Result<Attributes, ExportError> {
    let xattrs = tree.image().xattrs(inode);
    let xattrs = xattrs.map_err(|source| tree.disk_error(source))?;
    let mut attributes = Attributes::from(Metadata {
        mode: inode.mode & 0o7777,
        uid: inode.uid,
        gid: inode.gid,
        mtime: Timestamp {
            secs: inode.mtime_secs,
            nanos: inode.mtime_nanos,
        },
    });
    attributes.xattrs = xattrs.into_iter().map(|x| (x.name, x.value)).collect();
    Ok(attributes)
}
