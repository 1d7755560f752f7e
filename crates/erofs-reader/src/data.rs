use std::io::{self, Read, Seek, SeekFrom};

use erofs_format::FileType;

use crate::{Error, Image, Inode, InodeProblem, Place, ReadAt};

/// The longest target of a symbolic link, in bytes: `PATH_MAX` of the kernel without the NUL.
const LINK_MAX: u64 = 4095;

impl<D: ReadAt> Image<D> {
    /// Reads data of an inode from byte `offset` on. Holes are read as zeros. Returns the number of bytes, which is
    /// less than `buf.len()` only at the end of the data.
    ///
    /// # Errors
    ///
    /// As [`Image::extents`]; [`Error::DeviceAbsent`], [`Error::Io`].
    pub fn read_at(&self, inode: &Inode, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if !inode.has_data() || offset >= inode.size {
            return Ok(0);
        }
        let len = usize::try_from(inode.size - offset).map_or(buf.len(), |n| n.min(buf.len()));
        let buf = &mut buf[..len];
        let mut done = 0;
        for extent in self.extents_within(inode, offset, offset + len as u64)? {
            let extent = extent?;
            // The first extent may begin before the requested range, the last one may end after it.
            let skip = offset + done as u64 - extent.logical;
            let here = usize::try_from(extent.len - skip).map_or(len - done, |n| n.min(len - done));
            let part = &mut buf[done..done + here];
            match extent.place {
                Place::Hole => part.fill(0),
                Place::Device { device_id, offset } => {
                    self.read_device(inode.nid, device_id, part, offset + skip)?;
                }
                Place::Inline { offset } => self.read_device(inode.nid, 0, part, offset + skip)?,
            }
            done += here;
        }
        Ok(done)
    }

    /// Reads the target of a symbolic link: 1 to 4095 bytes without a NUL.
    ///
    /// # Errors
    ///
    /// [`Error::Inode`] if it is no symbolic link or the target is invalid; as [`Image::read_at`].
    pub fn read_link(&self, inode: &Inode) -> Result<Vec<u8>, Error> {
        inode.expect_type(FileType::Symlink)?;
        let problem = InodeProblem::LinkTarget { size: inode.size };
        let len = match usize::try_from(inode.size) {
            Ok(len) if (1..=LINK_MAX).contains(&inode.size) => len,
            _ => return Err(inode.error(problem)),
        };
        let mut target = vec![0; len];
        self.read_at(inode, 0, &mut target)?;
        if target.contains(&0) {
            return Err(inode.error(problem));
        }
        Ok(target)
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    ///
    /// [`Error::Inode`] if it is no regular file.
    pub fn open_file(&self, inode: &Inode) -> Result<FileReader<'_, D>, Error> {
        inode.expect_type(FileType::Regular)?;
        Ok(FileReader {
            image: self,
            inode: *inode,
            position: 0,
        })
    }
}

/// A reader of a regular file's data; see [`Image::open_file`]. Its I/O errors have an [`Error`] of this crate as their
/// inner error.
#[derive(Debug)]
pub struct FileReader<'a, D> {
    image: &'a Image<D>,
    inode: Inode,
    position: u64,
}

impl<D> FileReader<'_, D> {
    /// Returns the inode of the file.
    #[must_use]
    pub fn inode(&self) -> &Inode {
        &self.inode
    }
}

impl<D: ReadAt> Read for FileReader<'_, D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let done = self
            .image
            .read_at(&self.inode, self.position, buf)
            .map_err(io::Error::other)?;
        self.position += done as u64;
        Ok(done)
    }
}

impl<D> Seek for FileReader<'_, D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(delta) => self.inode.size.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
