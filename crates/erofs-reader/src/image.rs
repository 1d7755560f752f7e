use std::fmt;
use std::sync::{Mutex, PoisonError};

use erofs_format::{Feature, KernelVersion, SuperBlock};

use crate::cache::Cache;
use crate::devices::{Device, Mode};
use crate::prefixes::Prefixes;
use crate::{Error, ReadAt, superblock};

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
    /// Assembles an image without long xattr prefixes.
    pub(crate) fn from_parts(
        primary: D,
        separate: Vec<D>,
        mode: Mode,
        sb: SuperBlock,
        devices: Vec<Device>,
    ) -> Self {
        Self {
            primary,
            separate,
            mode,
            primary_bytes: superblock::primary_bytes(&sb),
            sb,
            devices,
            prefixes: Prefixes::default(),
            cache: Mutex::new(Cache::new()),
        }
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
