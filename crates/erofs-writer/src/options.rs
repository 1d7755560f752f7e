use erofs_format::KernelVersion;
use fs_tree::Timestamp;

/// The largest number of chunk indexes of one file: 8 MiB of them.
pub const MAX_CHUNKS: u64 = 1 << 20;

/// Bytes of memory that planning an image takes for each inode, as an estimate for budgets: the longest per-inode records of the plan.
pub const PLAN_BYTES_PER_INODE: u64 = 64;

/// Properties of an image beside its files. The default is an image on one device, without a label, for Linux 6.12.
///
/// ```
/// use erofs_writer::{Device, KernelVersion, Options, Timestamp};
///
/// let options = Options::default()
///     .with_uuid(*b"0123456789abcdef")
///     .with_fixed_time(Timestamp { secs: 1_700_000_000, nanos: 0 })
///     .with_devices([Device::new("base", 4096)])
///     .with_minimum_kernel(KernelVersion::new(5, 16));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The UUID of the volume. Zeros by default, so that equal input results in equal bytes.
    pub uuid: [u8; 16],
    /// The label of the volume, padded with zeros.
    pub volume_name: [u8; 16],
    /// The modification time of every inode, replacing its own, as with `mkfs.erofs -T`.
    pub fixed_time: Option<Timestamp>,
    /// The devices behind the primary one. A file on device n > 0 is on the n-th of these.
    pub devices: Vec<Device>,
    /// The oldest kernel that must be able to read the image; Linux 6.12 by default.
    ///
    /// A feature that this kernel lacks is an error where the input needs it, and is not used where it would only save space.
    ///
    /// | since Linux | feature | used for |
    /// |---|---|---|
    /// | 5.4 | | directories, contiguous files, inline data, shared xattrs |
    /// | 5.15 | chunk-based files | holes, files on further devices |
    /// | 5.16 | device table | [`devices`](Self::devices), each passed as a `device=` option |
    /// | 6.4 | long xattr name prefixes | repeated names, where that saves a block or more |
    ///
    /// Two features depend on the mount and not on the image: all devices as one flat disk (since 6.4) and mounting a regular
    /// file without a loop device (since 6.12).
    pub minimum_kernel: KernelVersion,
    /// The largest file that [`Builder`](crate::Builder) keeps in memory and writes next to its inode instead of to a block of
    /// its own, in bytes: 0 to 4096, 2048 by default.
    pub inline_max_bytes: u16,
}

impl Options {
    /// Sets [`uuid`](Self::uuid).
    #[must_use]
    pub fn with_uuid(mut self, uuid: [u8; 16]) -> Self {
        self.uuid = uuid;
        self
    }

    /// Sets [`volume_name`](Self::volume_name).
    #[must_use]
    pub fn with_volume_name(mut self, volume_name: [u8; 16]) -> Self {
        self.volume_name = volume_name;
        self
    }

    /// Sets [`fixed_time`](Self::fixed_time).
    #[must_use]
    pub fn with_fixed_time(mut self, time: Timestamp) -> Self {
        self.fixed_time = Some(time);
        self
    }

    /// Sets [`devices`](Self::devices).
    #[must_use]
    pub fn with_devices(mut self, devices: impl IntoIterator<Item = Device>) -> Self {
        self.devices = devices.into_iter().collect();
        self
    }

    /// Sets [`minimum_kernel`](Self::minimum_kernel).
    #[must_use]
    pub fn with_minimum_kernel(mut self, version: KernelVersion) -> Self {
        self.minimum_kernel = version;
        self
    }

    /// Sets [`inline_max_bytes`](Self::inline_max_bytes).
    #[must_use]
    pub fn with_inline_max_bytes(mut self, bytes: u16) -> Self {
        self.inline_max_bytes = bytes;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            uuid: [0; 16],
            volume_name: [0; 16],
            fixed_time: None,
            devices: Vec::new(),
            minimum_kernel: KernelVersion::new(6, 12),
            inline_max_bytes: 2048,
        }
    }
}

/// A device behind the primary one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The name of the device, 1 to 64 bytes. Some 6.4 and 6.5 kernels refuse an empty one.
    pub tag: Vec<u8>,
    /// Its length in blocks of 4096 bytes.
    pub blocks: u32,
}

impl Device {
    /// Creates a device of `blocks` blocks of 4096 bytes, named `tag`.
    #[must_use]
    pub fn new(tag: impl Into<Vec<u8>>, blocks: u32) -> Self {
        Self {
            tag: tag.into(),
            blocks,
        }
    }
}
