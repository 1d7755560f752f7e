use std::fmt;

use super::compression::Compression;
use super::format::{Format, Setup};
use super::stream::StreamDecoder;

mod gzip;
mod gzip_header;
mod inflate;
mod uncompressed;
mod zstd;
mod zstd_header;

/// Every compression, in the order in which their magic bytes are tried. The last one accepts every stream.
const FORMATS: &[Format] = &[gzip::FORMAT, zstd::FORMAT, uncompressed::FORMAT];

impl Compression {
    /// The number of bytes that [`detect`](Self::detect) examines.
    pub const MAGIC_BYTES: usize = 4;

    /// Detects the compression by the first [`MAGIC_BYTES`](Self::MAGIC_BYTES) of a stream, or all of them if it is shorter. A
    /// zstd stream may begin with a skippable frame.
    #[must_use]
    pub fn detect(start: &[u8]) -> Self {
        let found = FORMATS.iter().find(|format| (format.begins)(start));
        found.map_or(Self::None, |format| format.compression)
    }

    /// Returns whether a layer's media type announces this compression.
    #[must_use]
    pub fn is_announced_by(self, media_type: &str) -> bool {
        let suffixes = self.format().media_types;
        suffixes.iter().any(|suffix| media_type.ends_with(suffix))
    }

    /// Creates the decoder of this compression.
    pub(super) fn decoder(self, setup: &Setup) -> Box<dyn StreamDecoder> {
        (self.format().decoder)(setup)
    }

    fn format(self) -> &'static Format {
        let found = FORMATS.iter().find(|format| format.compression == self);
        found.unwrap_or(&uncompressed::FORMAT)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_magic_and_its_media_types() {
        assert_eq!(Compression::detect(&[0x1f, 0x8b]), Compression::Gzip);
        assert_eq!(
            Compression::detect(&[0x28, 0xb5, 0x2f, 0xfd]),
            Compression::Zstd
        );
        assert_eq!(
            Compression::detect(&[0x5f, 0x2a, 0x4d, 0x18]),
            Compression::Zstd
        );
        assert_eq!(Compression::detect(b""), Compression::None);
        for (media_type, compression) in [
            ("application/vnd.oci.image.layer.v1.tar", Compression::None),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                Compression::Gzip,
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                Compression::Zstd,
            ),
        ] {
            for format in FORMATS {
                let is_announced = format.compression.is_announced_by(media_type);
                assert_eq!(is_announced, format.compression == compression);
            }
        }
        for format in FORMATS {
            assert_eq!(format.compression.to_string(), format.name);
        }
    }
}
