use erofs_format::{FileType, XattrNamespace};

use crate::devices::{self, Device, Mode};
use crate::prefixes::{NAME_MAX, Prefixes};
use crate::{DataLayout, Error, Image, Inode, ReadAt, SuperProblem, superblock};

impl<D: ReadAt> Image<D> {
    /// Opens an image whose extra devices, if it has any, lie behind it on the same disk, each at its `uniaddr`: what
    /// the guest's kernel sees when it is told of no device (flat mode).
    ///
    /// # Errors
    ///
    /// [`Error::Super`] for what is not a readable image, or a disk that is shorter than its devices; [`Error::Inode`]
    /// for a bad root; [`Error::Io`].
    pub fn open(disk: D) -> Result<Self, Error> {
        Self::open_in(disk, Vec::new(), Mode::Flat)
    }

    /// Opens an image with its extra devices given one by one, in the order of the device table (`device=`).
    ///
    /// # Errors
    ///
    /// As [`Image::open`]; also when the number of devices is another than that of slots, or a device is too short.
    pub fn open_with_devices(primary: D, devices: Vec<D>) -> Result<Self, Error> {
        Self::open_in(primary, devices, Mode::Separate)
    }

    /// Opens an image without its extra devices: all metadata can be read, and data that lie on the primary. Other data
    /// give [`Error::DeviceAbsent`].
    ///
    /// # Errors
    ///
    /// As [`Image::open`].
    pub fn open_metadata(primary: D) -> Result<Self, Error> {
        Self::open_in(primary, Vec::new(), Mode::Absent)
    }

    fn open_in(primary: D, separate: Vec<D>, mode: Mode) -> Result<Self, Error> {
        let len = device_len(&primary, 0)?;
        let sb = superblock::read(&primary, len)?;
        let mut devices = devices::read(&primary, &sb, mode)?;
        check_lengths(len, &mut devices, &separate, mode)?;
        let mut image = Self::from_parts(primary, separate, mode, sb, devices);
        image.prefixes = read_prefixes(&image)?;
        image.root()?;
        Ok(image)
    }

    /// The root directory.
    ///
    /// # Errors
    ///
    /// As [`Image::inode`], or if it is no directory.
    pub fn root(&self) -> Result<Inode, Error> {
        let root = self.inode(self.superblock().root_nid.get().into())?;
        root.expect_type(FileType::Directory)?;
        Ok(root)
    }
}

fn device_len(device: &impl ReadAt, device_id: u16) -> Result<u64, Error> {
    device
        .size()
        .map_err(|source| Error::Length { device_id, source })
}

/// Proves that every device has the bytes that its slot says.
fn check_lengths<D: ReadAt>(
    disk_len: u64,
    devices: &mut [Device],
    separate: &[D],
    mode: Mode,
) -> Result<(), Error> {
    if mode == Mode::Separate && separate.len() != devices.len() {
        return Err(Error::Super {
            problem: SuperProblem::DeviceCount {
                expected: devices.len(),
                actual: separate.len(),
            },
        });
    }
    for (index, (device_id, device)) in (1u16..).zip(devices).enumerate() {
        let actual = match mode {
            Mode::Flat => disk_len.saturating_sub(device.flat_offset()),
            Mode::Separate => device_len(&separate[index], device_id)?,
            // Nothing is known of it, and nothing will be read from it. No device is as long as this.
            Mode::Absent => 1 << 62,
        };
        device.measure(actual).map_err(|actual| Error::Super {
            problem: SuperProblem::DeviceTruncated {
                device_id,
                expected: device.bytes(),
                actual,
            },
        })?;
    }
    Ok(())
}

/// Reads the prefixes: each a 16-bit length, the number of a namespace, and what follows the namespace's own prefix
/// (kernel: `erofs_xattr_prefixes_init`, `struct erofs_xattr_long_prefix`).
fn read_prefixes<D: ReadAt>(image: &Image<D>) -> Result<Prefixes, Error> {
    let sb = image.superblock();
    if !superblock::has_xattr_prefixes(sb) {
        return Ok(Prefixes::default());
    }
    let packed = match superblock::packed_prefixes(sb) {
        Some(nid) => Some(image.inode(nid)?),
        None => None,
    };
    if packed.is_some_and(|inode| inode.layout == DataLayout::Compressed) {
        return Ok(Prefixes::Compressed);
    }
    let mut offset = u64::from(sb.xattr_prefix_start.get()) * 4;
    let mut prefixes = Vec::new();
    for index in 0..sb.xattr_prefix_count {
        let malformed = || Error::Super {
            problem: SuperProblem::XattrPrefix { index },
        };
        let read = |buf: &mut [u8], offset| match &packed {
            Some(inode) => Ok(image.read_at(inode, offset, buf)? == buf.len()),
            None => image
                .read_meta(buf, offset)
                .map_or(Ok(false), |done| done.map(|()| true)),
        };
        let mut len = [0; 2];
        if !read(&mut len, offset)? {
            return Err(malformed());
        }
        let len = usize::from(u16::from_le_bytes(len));
        // A longer one could begin no name.
        if !(1..=NAME_MAX).contains(&len) {
            return Err(malformed());
        }
        let mut bytes = vec![0; len];
        if !read(&mut bytes, offset + 2)? {
            return Err(malformed());
        }
        let namespace = XattrNamespace::from_index(bytes[0]).ok_or_else(malformed)?;
        prefixes.push([namespace.prefix(), &bytes[1..]].concat());
        offset = (offset + 2 + len as u64).next_multiple_of(4);
    }
    Ok(Prefixes::Known(prefixes))
}
