use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// How many extra devices one image can name: `extra_devices` has 16 bits, and 0 is the primary.
pub const MAX_EXTRA_DEVICES: usize = u16::MAX as usize;

/// `struct erofs_deviceslot`: one further device behind the primary.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DeviceSlot {
    /// A name for the device. Some 6.4 and 6.5 kernels refuse an empty one.
    pub tag: [u8; 64],
    /// The device's length in blocks.
    pub blocks: U32,
    /// Where the device begins when all of them form one flat device, in blocks.
    pub uniaddr: U32,
    /// Upper bits of `blocks` with 48-bit addressing; zero here.
    pub blocks_hi: U32,
    /// Upper bits of `uniaddr` with 48-bit addressing; zero here.
    pub uniaddr_hi: U16,
    /// Zero.
    pub reserved: [u8; 50],
}

const _: () = assert!(size_of::<DeviceSlot>() == 128);
