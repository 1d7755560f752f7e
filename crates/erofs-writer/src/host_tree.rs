#[cfg(feature = "xattr")]
mod xattrs;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use fs_tree::NewNode;

use crate::error::HostOperation;
use crate::{Attributes, Builder, Error};

/// A directory tree of the host, to be copied into an image.
///
/// Copies modes, owners, modification times with nanoseconds, symbolic links, hard links, devices and fifos; with the feature
/// `xattr` also extended attributes. The names of a directory are taken in sorted order, so that the same tree results in
/// the same image. File systems that are mounted below the root are copied too. Holes of sparse files are stored as zeros.
///
/// ```no_run
/// use std::fs::File;
/// use erofs_writer::{Builder, HostTree};
///
/// let mut image = Builder::new(File::create("rootfs.erofs")?)?;
/// let omitted = HostTree::new("rootfs").exclude("rootfs.erofs")?.add_to(&mut image, "")?;
/// for omitted in omitted {
///     eprintln!("{omitted}");
/// }
/// image.finish()?.1.sync_all()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct HostTree {
    root: PathBuf,
    excluded: Vec<FileId>,
}

/// Something of a [`HostTree`] that the image does not contain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Omitted {
    /// A socket, which is of no use without the process that listens on it.
    #[error("{}: sockets are not copied", shown(path))]
    Socket {
        /// The host's path.
        path: PathBuf,
    },
    /// An extended attribute in a namespace that EROFS does not have, such as `system.nfs4_acl`.
    #[error(
        "{}: EROFS cannot hold the xattr {}",
        shown(path),
        fs_tree::show_path(name)
    )]
    Xattr {
        /// The host's path.
        path: PathBuf,
        /// The full name.
        name: Vec<u8>,
    },
}

/// The device and inode number of a file, which identify it on the host.
type FileId = (u64, u64);

impl HostTree {
    /// Creates a description of the tree below the directory `root`. Nothing is read until [`add_to`](Self::add_to).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            excluded: Vec::new(),
        }
    }

    /// Leaves out a file or directory that may lie in the tree, under all of its names: the image itself, for example.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] if there is no such file.
    pub fn exclude(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let stat = fs::symlink_metadata(path).map_err(failed(path, HostOperation::Stat))?;
        self.excluded.push(id(&stat));
        Ok(self)
    }

    /// Adds the tree to an image, its root at `path`. Returns what was left out.
    ///
    /// A file that grows while it is read is copied up to the length it had when it was opened.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] if a file cannot be read, [`Error::HostChanged`] if one is replaced during the copy; as
    /// [`Builder::file`].
    pub fn add_to<W: Write + Seek>(
        &self,
        image: &mut Builder<W>,
        path: impl AsRef<[u8]>,
    ) -> Result<Vec<Omitted>, Error> {
        let mut copy = Copy {
            excluded: &self.excluded,
            image,
            linked: HashMap::new(),
            pending: vec![(self.root.clone(), path.as_ref().to_vec())],
            omitted: Vec::new(),
        };
        while let Some((host, path)) = copy.pending.pop() {
            copy.add(&host, path)?;
        }
        Ok(copy.omitted)
    }
}

/// One copy of a tree into an image.
struct Copy<'a, W> {
    excluded: &'a [FileId],
    image: &'a mut Builder<W>,
    /// The first path in the image of each file that has several.
    linked: HashMap<FileId, Vec<u8>>,
    /// The remaining paths, on the host and in the image; the next one is the last.
    pending: Vec<(PathBuf, Vec<u8>)>,
    omitted: Vec<Omitted>,
}

impl<W: Write + Seek> Copy<'_, W> {
    fn add(&mut self, host: &Path, path: Vec<u8>) -> Result<(), Error> {
        let stat = fs::symlink_metadata(host).map_err(failed(host, HostOperation::Stat))?;
        if self.excluded.contains(&id(&stat)) {
            return Ok(());
        }
        let kind = stat.file_type();
        if kind.is_socket() {
            self.omitted.push(Omitted::Socket { path: host.into() });
            return Ok(());
        }
        if !kind.is_dir() && stat.nlink() > 1 {
            if let Some(first) = self.linked.get(&id(&stat)) {
                return self.image.hard_link(path, first);
            }
            self.linked.insert(id(&stat), path.clone());
        }
        let attributes = self.attributes(host, &stat)?;
        let (major, minor) = device_number(stat.rdev());
        if kind.is_dir() {
            self.image.directory(&path, attributes)?;
            self.list(host, &path)
        } else if kind.is_file() {
            let (data, len) = open(host, &stat)?;
            self.image.file(path, attributes, data.take(len))
        } else if kind.is_symlink() {
            let target = fs::read_link(host).map_err(failed(host, HostOperation::ReadLink))?;
            self.image
                .symlink(path, attributes, target.as_os_str().as_bytes())
        } else {
            let node = if kind.is_char_device() {
                NewNode::CharDevice { major, minor }
            } else if kind.is_block_device() {
                NewNode::BlockDevice { major, minor }
            } else {
                NewNode::Fifo
            };
            self.image.node(path, attributes, node)
        }
    }

    /// Puts the names of a directory on the list of remaining paths.
    fn list(&mut self, host: &Path, path: &[u8]) -> Result<(), Error> {
        let entries = fs::read_dir(host).map_err(failed(host, HostOperation::List))?;
        let first = self.pending.len();
        for entry in entries {
            let name = entry
                .map_err(failed(host, HostOperation::List))?
                .file_name();
            let path = [path, name.as_bytes()].join(&b'/');
            self.pending.push((host.join(name), path));
        }
        self.pending[first..].sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        Ok(())
    }

    fn attributes(&mut self, host: &Path, stat: &fs::Metadata) -> Result<Attributes, Error> {
        // OK because the mask leaves 12 bits, and nanoseconds are below 10^9.
        let mode = u16::try_from(stat.mode() & 0o7777).unwrap_or(0);
        let nanos = u32::try_from(stat.mtime_nsec()).unwrap_or(0);
        let attributes = Attributes::new(mode)
            .owner(stat.uid(), stat.gid())
            .mtime(stat.mtime(), nanos);
        #[cfg(feature = "xattr")]
        let attributes = xattrs::add(attributes, host, &mut self.omitted)?;
        #[cfg(not(feature = "xattr"))]
        let _ = host;
        Ok(attributes)
    }
}

/// Opens a regular file. Returns it with its length.
fn open(host: &Path, stat: &fs::Metadata) -> Result<(File, u64), Error> {
    let file = File::open(host).map_err(failed(host, HostOperation::Open))?;
    let opened = file.metadata().map_err(failed(host, HostOperation::Stat))?;
    // Another program may have replaced the file, by a symbolic link for example.
    if id(&opened) != id(stat) {
        return Err(Error::HostChanged { path: host.into() });
    }
    Ok((file, opened.len()))
}

fn id(stat: &fs::Metadata) -> FileId {
    (stat.dev(), stat.ino())
}

/// Splits a device number of `stat(2)` into major and minor, as `gnu_dev_major` and `gnu_dev_minor` of the C library do.
fn device_number(rdev: u64) -> (u32, u32) {
    let major = (rdev >> 8 & 0xfff) | (rdev >> 32 & 0xffff_f000);
    let minor = (rdev & 0xff) | (rdev >> 12 & 0xffff_ff00);
    // OK because the masks leave 32 bits.
    let number = |part| u32::try_from(part).unwrap_or(u32::MAX);
    (number(major), number(minor))
}

fn failed(path: &Path, operation: HostOperation) -> impl Fn(io::Error) -> Error + use<'_> {
    move |source| Error::Host {
        path: path.into(),
        operation,
        source,
    }
}

fn shown(path: &Path) -> impl std::fmt::Display + use<'_> {
    fs_tree::show_path(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_split_as_by_the_c_library() {
        for (major, minor) in [(0, 0), (1, 3), (8, 257), (4095, 0xf_ffff), (4096, 1 << 20)] {
            assert_eq!(
                device_number(rustix::fs::makedev(major, minor)),
                (major, minor)
            );
        }
    }

    #[test]
    fn a_file_that_was_replaced_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("file"), dir.path().join("other"));
        fs::write(&file, "one").unwrap();
        fs::write(&other, "another").unwrap();
        let stat = fs::symlink_metadata(&file).unwrap();
        assert_eq!(open(&file, &stat).unwrap().1, 3);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&other, &file).unwrap();
        assert!(matches!(
            open(&file, &stat),
            Err(Error::HostChanged { path }) if path == file
        ));
    }
}
