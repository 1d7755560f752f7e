use std::fmt;
use std::sync::{Mutex, PoisonError};

use erofs_format::{Feature, FileType, KernelVersion, SuperBlock};

use crate::cache::Cache;
use crate::devices::{self, Device, Mode};
use crate::xattr::Prefixes;
use crate::{Error, Inode, ReadAt, SuperProblem, superblock};

/// Reads of the primary up to this length go through the cache.
const CACHED: usize = 4096;

/// An opened EROFS image, on devices `D`.
///
/// Everything is read when it is asked for; opening reads the superblock, the device table, the long xattr prefixes and
/// the root inode.
pub struct Image<D> {
    primary: D,
    /// The extra devices, if they were given one by one.
    separate: Vec<D>,
    mode: Mode,
    sb: SuperBlock,
    pub(crate) devices: Vec<Device>,
    pub(crate) prefixes: Prefixes,
    /// The primary's bytes by the superblock, not by the disk: all metadata lie below.
    pub(crate) primary_bytes: u64,
    cache: Mutex<Cache>,
}

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
        let mut image = Self {
            primary,
            separate,
            mode,
            primary_bytes: superblock::primary_bytes(&sb),
            sb,
            devices,
            prefixes: Prefixes::default(),
            cache: Mutex::new(Cache::new()),
        };
        image.prefixes = Prefixes::read(&image)?;
        image.root()?;
        Ok(image)
    }

    /// The superblock, as it is on disk.
    #[must_use]
    pub fn superblock(&self) -> &SuperBlock {
        &self.sb
    }

    /// The oldest kernel that reads every feature which the superblock names.
    #[must_use]
    pub fn minimum_kernel(&self) -> KernelVersion {
        Feature::of(self.sb.feature_incompat.get())
            .map(Feature::minimum_kernel)
            .fold(KernelVersion::BASE, Ord::max)
    }

    /// The device table.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The root directory.
    ///
    /// # Errors
    ///
    /// As [`Image::inode`], or if it is no directory.
    pub fn root(&self) -> Result<Inode, Error> {
        let root = self.inode(self.sb.root_nid.get().into())?;
        root.expect_type(FileType::Directory)?;
        Ok(root)
    }

    /// Bytes of all devices that data can be read from: what the image's length means where devices were given.
    pub(crate) fn readable_bytes(&self) -> u64 {
        let devices = match self.mode {
            Mode::Flat | Mode::Separate => self.devices.as_slice(),
            Mode::Absent => &[],
        };
        devices.iter().fold(self.primary_bytes, |sum, device| {
            sum.saturating_add(device.bytes())
        })
    }

    /// Reads metadata from the primary device; `None` when they leave it.
    pub(crate) fn read_meta(&self, buf: &mut [u8], offset: u64) -> Option<Result<(), Error>> {
        let end = offset.checked_add(buf.len() as u64)?;
        (end <= self.primary_bytes).then(|| self.read_primary(buf, offset))
    }

    /// Reads from the primary device, within `primary_bytes`.
    fn read_primary(&self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        let len = buf.len();
        let done = if len <= CACHED {
            // OK because a slot of the cache is marked valid only after it was filled.
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.read(&self.primary, self.primary_bytes, buf, offset)
        } else {
            self.primary.read_exact_at(buf, offset)
        };
        done.map_err(|source| Error::Io {
            device_id: 0,
            offset,
            len,
            source,
        })
    }

    /// Reads data of inode `nid` from a place that an extent named, so that it is known to lie on that device.
    pub(crate) fn read_device(
        &self,
        nid: u64,
        device_id: u16,
        buf: &mut [u8],
        offset: u64,
    ) -> Result<(), Error> {
        let Some(index) = usize::from(device_id).checked_sub(1) else {
            return self.read_primary(buf, offset);
        };
        let absent = Error::DeviceAbsent { nid, device_id };
        let done = match self.mode {
            Mode::Flat => {
                let Some(device) = self.devices.get(index) else {
                    return Err(absent);
                };
                self.primary
                    .read_exact_at(buf, device.flat_offset() + offset)
            }
            Mode::Separate => {
                let Some(device) = self.separate.get(index) else {
                    return Err(absent);
                };
                device.read_exact_at(buf, offset)
            }
            Mode::Absent => return Err(absent),
        };
        done.map_err(|source| Error::Io {
            device_id,
            offset,
            len: buf.len(),
            source,
        })
    }
}

impl<D> fmt::Debug for Image<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("mode", &self.mode)
            .field("superblock", &self.sb)
            .field("devices", &self.devices)
            .finish_non_exhaustive()
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
