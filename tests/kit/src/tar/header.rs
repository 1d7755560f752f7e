//! One 512-byte header block, field by field (POSIX ustar, and GNU tar's variant of it).

/// A tar block, in bytes.
pub(crate) const BLOCK_BYTES: usize = 512;
/// What a field of 12 octal digits (one is the terminator) can say.
pub(crate) const OCTAL_12_MAX: u64 = 0o77_777_777_777;
/// What a field of 8 octal digits (one is the terminator) can say.
pub(crate) const OCTAL_8_MAX: u64 = 0o7_777_777;

/// How a header spells what does not fit the original fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Seventh edition: no magic, no prefix, no names of users.
    V7,
    /// POSIX.1-1988: long names are split over prefix and name.
    Ustar,
    /// ustar, and extended headers where a value does not fit.
    Pax,
    /// GNU: long names in `L` and `K` entries, large numbers in base 256.
    Gnu,
}

/// A header block that is being filled; the checksum is put in at the end.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) block: [u8; BLOCK_BYTES],
}

impl Header {
    pub(crate) fn new(format: Format, typeflag: u8) -> Self {
        let mut header = Header {
            block: [0; BLOCK_BYTES],
        };
        header.block[156] = typeflag;
        match format {
            Format::V7 => {}
            Format::Ustar | Format::Pax => header.put(257, b"ustar\x0000"),
            Format::Gnu => header.put(257, b"ustar  \0"),
        }
        header
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes as much of `bytes` as the field of `width` bytes takes.
    pub(crate) fn text(&mut self, at: usize, width: usize, bytes: &[u8]) {
        self.put(at, &bytes[..bytes.len().min(width)]);
    }

    /// Writes a number in octal, or in base 256 where it is negative or too large for the field.
    pub(crate) fn number(&mut self, at: usize, width: usize, value: i128) {
        let digits = width - 1;
        let octal = format!("{:0digits$o}", value.max(0));
        if value >= 0 && octal.len() == digits {
            self.put(at, octal.as_bytes());
            self.block[at + digits] = 0;
        } else {
            self.base256(at, width, value);
        }
    }

    /// Writes a number in base 256, two's complement, with the marker bit in the first byte.
    pub(crate) fn base256(&mut self, at: usize, width: usize, value: i128) {
        let bytes = value.to_be_bytes();
        self.put(at, &bytes[bytes.len() - width..]);
        self.block[at] |= 0x80;
    }

    /// The block with its checksum: the sum of all bytes, the field itself taken as blanks.
    pub(crate) fn finish(mut self) -> [u8; BLOCK_BYTES] {
        self.put(148, b"        ");
        let sum: u32 = self.block.iter().map(|&byte| u32::from(byte)).sum();
        let text = format!("{sum:06o}\0 ");
        self.put(148, text.as_bytes());
        self.block
    }
}
