use erofs_format::KernelVersion;
use fs_tree::Timestamp;

/// How many chunk indexes one file may have: 8 MiB of them.
pub const MAX_CHUNKS: u64 = 1 << 20;

/// What an image is beside its files. The default is an image of one device without a name, for Linux 6.12.
///
/// ```
/// use erofs_writer::{Device, KernelVersion, Options, Timestamp};
///
/// let options = Options {
///     uuid: *b"0123456789abcdef",
///     fixed_time: Some(Timestamp { secs: 1_700_000_000, nanos: 0 }),
///     devices: vec![Device { tag: b"base".to_vec(), blocks: 4096 }],
///     minimum_kernel: KernelVersion::new(5, 16),
///     ..Options::default()
/// };
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The volume's identity. Zeros by default, so that equal input gives equal bytes.
    pub uuid: [u8; 16],
    /// The volume's label, up to 16 bytes, filled up with zeros.
    pub volume_name: [u8; 16],
    /// The time that every inode gets in place of its own, as `mkfs.erofs -T` does it.
    pub fixed_time: Option<Timestamp>,
    /// The devices behind the primary one. A file's `device` n > 0 is the n-th of these.
    pub devices: Vec<Device>,
    /// The oldest kernel that has to read the image; 6.12 by default. What it cannot read is an error where it was asked
    /// for, and is not used where it would only save room.
    ///
    /// | from Linux | feature | used for |
    /// |---|---|---|
    /// | 5.4 | | directories, files in one piece, inline data, shared xattrs |
    /// | 5.15 | chunk-based files | holes, files on further devices |
    /// | 5.16 | a device table | [`devices`](Self::devices), each given as a `device=` option |
    /// | 6.4 | long xattr name prefixes | names that repeat, where that saves a block or more |
    ///
    /// The kernel's other abilities are the mount's, not the image's: all devices as one flat disk from 6.4, images
    /// mounted as files without a loop device from 6.12.
    pub minimum_kernel: KernelVersion,
    /// Up to how many bytes a file is kept in memory and written with its inode, where it takes no block of its own; 0 to
    /// 4096, and 2048 by default. Only for [`Builder::file`](crate::Builder::file).
    pub inline_max_bytes: u16,
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
pub struct Device {
    /// Its name, 1 to 64 bytes. Some 6.4 and 6.5 kernels refuse an empty one.
    pub tag: Vec<u8>,
    /// Its length in blocks of 4096 bytes.
    pub blocks: u32,
}
