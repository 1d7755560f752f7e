//! Recognizes layers in unsupported formats, so that the error names the format instead of a symptom.

use std::fmt;

use crate::tar;

/// Names an unsupported format of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsupportedFormat(&'static str);

impl fmt::Display for UnsupportedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A format and its magic number.
struct Magic {
    name: &'static str,
    offset: usize,
    bytes: &'static [u8],
}

/// Formats with a magic number.
const MAGICS: &[Magic] = &[
    magic("xz", 0, &[0xfd, b'7', b'z', b'X', b'Z', 0]),
    magic("bzip2", 0, b"BZh"),
    magic("LZ4", 0, &[0x04, 0x22, 0x4d, 0x18]),
    magic("LZ4 (legacy frame)", 0, &[0x02, 0x21, 0x4c, 0x18]),
    magic("lzma", 0, &[0x5d, 0, 0]),
    magic("lzip", 0, b"LZIP"),
    magic("lzop", 0, &[0x89, b'L', b'Z', b'O', 0]),
    magic("compress (LZW)", 0, &[0x1f, 0x9d]),
    magic("snappy", 0, b"\xff\x06\x00\x00sNaPpY"),
    magic("zip", 0, b"PK\x03\x04"),
    magic("7z", 0, &[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c]),
    magic("rar", 0, b"Rar!\x1a\x07"),
    magic("cpio", 0, b"07070"),
    magic("ar", 0, b"!<arch>\n"),
    magic("SquashFS", 0, b"hsqs"),
    magic("EROFS", 1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
    magic("ext2, ext3 or ext4", 1080, &[0x53, 0xef]),
    magic("QCOW2", 0, b"QFI\xfb"),
    magic("WebAssembly", 0, b"\0asm"),
    magic("ELF", 0, b"\x7fELF"),
    magic("GGUF", 0, b"GGUF"),
    magic("JSON", 0, b"{\""),
];

const fn magic(name: &'static str, offset: usize, bytes: &'static [u8]) -> Magic {
    Magic {
        name,
        offset,
        bytes,
    }
}

/// Returns whether a media type is that of a format.
type Fits = fn(&str) -> bool;

/// Formats without a magic number, recognized by their media type.
const MEDIA_TYPES: &[(&str, Fits)] = &[
    ("encrypted", |media_type| media_type.ends_with("+encrypted")),
    ("nydus", |media_type| {
        media_type
            .split(['.', '+', '/'])
            .any(|word| word == "nydus")
    }),
];

/// The number of bytes that [`check_start`] examines.
pub(crate) const START_BYTES: usize = 1088;

/// Rejects the media types of formats that have no magic number.
pub(crate) fn check_media_type(media_type: &str) -> Result<(), UnsupportedFormat> {
    // Parameters and case of a media type are ignored (RFC 6838).
    let media_type = media_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    let found = MEDIA_TYPES.iter().find(|(_, fits)| fits(&media_type));
    found.map_or(Ok(()), |(name, _)| Err(UnsupportedFormat(name)))
}

/// Checks that a decompressed stream begins like a tar archive. `start` has [`START_BYTES`], or is the whole stream if that is
/// shorter.
///
/// Otherwise returns the format, if it is recognized.
pub(crate) fn check_start(start: &[u8]) -> Result<(), Option<UnsupportedFormat>> {
    if tar::may_begin(start) {
        return Ok(());
    }
    let found = MAGICS.iter().find(|magic| {
        let bytes = start.get(magic.offset..);
        bytes.is_some_and(|bytes| bytes.starts_with(magic.bytes))
    });
    Err(found.map(|magic| UnsupportedFormat(magic.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_without_magic_are_known_by_their_media_type() {
        for (media_type, name) in [
            (
                "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                "encrypted",
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+encrypted",
                "encrypted",
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd+Encrypted",
                "encrypted",
            ),
            ("application/vnd.oci.image.layer.nydus.blob.v1", "nydus"),
            (
                "application/vnd.oci.image.layer.nydus.blob.v1; a=b",
                "nydus",
            ),
        ] {
            let format = check_media_type(media_type).unwrap_err();
            assert_eq!(format.to_string(), name, "{media_type}");
        }
        for media_type in ["", "application/vnd.oci.image.layer.v1.tar+xz", "nydusx/y"] {
            assert!(check_media_type(media_type).is_ok());
        }
    }

    #[test]
    fn formats_with_magic_are_known_by_it() {
        for magic in MAGICS {
            let mut start = vec![0x11; START_BYTES];
            start[magic.offset..][..magic.bytes.len()].copy_from_slice(magic.bytes);
            let found = check_start(&start);
            assert_eq!(found, Err(Some(UnsupportedFormat(magic.name))));
        }
        assert_eq!(check_start(&[0x11; START_BYTES]), Err(None));
        assert_eq!(check_start(b"BZh"), Err(Some(UnsupportedFormat("bzip2"))));
    }

    #[test]
    fn empty_streams_and_archives_pass() {
        for start in [&b""[..], &[0; 10], &[0; 1024]] {
            assert_eq!(check_start(start), Ok(()));
        }
        // A tar whose first name is the magic of another format.
        let tar = msb_testkit::tar::recipe("file BZh91 size=1");
        assert_eq!(check_start(&tar), Ok(()));
    }
}
