/// How many chunk indexes one file may have: 8 MiB of them.
pub const MAX_CHUNKS: u64 = 1 << 20;

/// What an image is beside its files. The default is an image of one device without a name.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The volume's identity. Zeros by default, so that equal input gives equal bytes.
    pub uuid: [u8; 16],
    /// The volume's label, up to 16 bytes, filled up with zeros.
    pub volume_name: [u8; 16],
    /// The devices behind the primary one. A file's `device` n > 0 is the n-th of these.
    pub devices: Vec<Device>,
}

/// A device behind the primary one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name, 1 to 64 bytes. Some 6.4 and 6.5 kernels refuse an empty one.
    pub tag: Vec<u8>,
    /// Its length in blocks of 4096 bytes.
    pub blocks: u32,
}
