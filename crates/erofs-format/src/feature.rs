use std::fmt;

/// A version of the Linux kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The major version.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
}

impl KernelVersion {
    /// The first kernel with EROFS outside of its staging area. It reads images that need none of the features.
    pub const BASE: Self = Self::new(5, 4);

    /// Creates the version `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A feature of an image, as a bit of `feature_incompat`. A kernel that does not know the bit refuses the image.
///
/// Three of the bits have two meanings each; both meanings were added in the same kernel version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// `ZERO_PADDING`: the padding of a compressed block precedes its data.
    ZeroPadding,
    /// `COMPR_CFGS`, `BIG_PCLUSTER`: parameters of the compression algorithms.
    CompressionConfigs,
    /// `CHUNKED_FILE`: chunk-based files, which may have holes.
    ChunkedFile,
    /// `DEVICE_TABLE`, `COMPR_HEAD2`: further devices. Linux 5.16 needs a `device=` option for each of them; Linux 6.4
    /// also reads all of them as one flat disk.
    DeviceTable,
    /// `ZTAILPACKING`: compressed tails stored next to inodes.
    TailPacking,
    /// `FRAGMENTS`, `DEDUPE`: parts of files packed together and compressed.
    Fragments,
    /// `XATTR_PREFIXES`: long xattr name prefixes.
    XattrPrefixes,
    /// `48BIT`: 48-bit block addresses.
    Bits48,
    /// `METABOX`: metadata compressed in an inode of their own.
    Metabox,
}

impl Feature {
    /// Every feature, in the order of the bits.
    pub const ALL: [Self; 9] = [
        Self::ZeroPadding,
        Self::CompressionConfigs,
        Self::ChunkedFile,
        Self::DeviceTable,
        Self::TailPacking,
        Self::Fragments,
        Self::XattrPrefixes,
        Self::Bits48,
        Self::Metabox,
    ];

    /// Returns the bit in `feature_incompat`.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Returns the features in `feature_incompat`. Unknown bits are ignored.
    pub fn of(feature_incompat: u32) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |feature| feature_incompat & feature.bit() != 0)
    }

    /// Returns the first kernel that supports the feature.
    #[must_use]
    pub const fn minimum_kernel(self) -> KernelVersion {
        match self {
            Self::ZeroPadding => KernelVersion::BASE,
            Self::CompressionConfigs => KernelVersion::new(5, 13),
            Self::ChunkedFile => KernelVersion::new(5, 15),
            Self::DeviceTable => KernelVersion::new(5, 16),
            Self::TailPacking => KernelVersion::new(5, 17),
            Self::Fragments => KernelVersion::new(6, 1),
            Self::XattrPrefixes => KernelVersion::new(6, 4),
            Self::Bits48 => KernelVersion::new(6, 15),
            Self::Metabox => KernelVersion::new(6, 17),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroPadding => "zero-padded compression",
            Self::CompressionConfigs => "compression configurations",
            Self::ChunkedFile => "chunk-based files",
            Self::DeviceTable => "a device table",
            Self::TailPacking => "packed tails",
            Self::Fragments => "fragments",
            Self::XattrPrefixes => "long xattr name prefixes",
            Self::Bits48 => "48-bit addresses",
            Self::Metabox => "a metabox",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    #[test]
    fn bits_are_the_kernels() {
        assert_eq!(Feature::ChunkedFile.bit(), Features::INCOMPAT_CHUNKED_FILE);
        assert_eq!(Feature::DeviceTable.bit(), Features::INCOMPAT_DEVICE_TABLE);
        assert_eq!(
            Feature::XattrPrefixes.bit(),
            Features::INCOMPAT_XATTR_PREFIXES
        );
        assert_eq!(
            (Feature::Bits48.bit(), Feature::Metabox.bit()),
            (0x80, 0x100)
        );
        let features: Vec<_> = Feature::of(0x8000_0041).collect();
        assert_eq!(features, [Feature::ZeroPadding, Feature::XattrPrefixes]);
    }
}
