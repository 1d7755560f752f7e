use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Le16, Le32};

/// The largest number of extra devices of an image: `extra_devices` has 16 bits, and 0 is the primary.
pub const MAX_EXTRA_DEVICES: usize = u16::MAX as usize;

/// `struct erofs_deviceslot`: one device besides the primary.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DeviceSlot {
    /// The name of the device. Some 6.4 and 6.5 kernels refuse an empty one.
    pub tag: [u8; 64],
    /// The length of the device in blocks.
    pub blocks: Le32,
    /// The first block of the device on the flat disk that all devices form.
    pub uniaddr: Le32,
    /// Upper bits of `blocks` with 48-bit addressing; zero here.
    pub blocks_hi: Le32,
    /// Upper bits of `uniaddr` with 48-bit addressing; zero here.
    pub uniaddr_hi: Le16,
    /// Zero.
    pub reserved: [u8; 50],
}

const _: () = assert!(size_of::<DeviceSlot>() == 128);
