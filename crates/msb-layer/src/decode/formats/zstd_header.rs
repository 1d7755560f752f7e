//! The part of a zstd frame's header (RFC 8878 section 3.1.1) that determines the window.

/// The longest part of a header that is needed: magic, descriptor, dictionary id, content size.
pub(super) const MAX_BYTES: usize = 4 + 1 + 4 + 8;

/// The type of a frame, from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// More bytes are needed.
    Short,
    /// Not a frame.
    NoFrame,
    /// A frame with data.
    Frame {
        /// The window's size in bytes.
        window: u64,
    },
    /// A skippable frame.
    Skippable,
}

/// Parses the beginning of a frame.
pub(super) fn start(bytes: &[u8]) -> Start {
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Start::Short;
    };
    match *magic {
        [0x50..=0x5f, 0x2a, 0x4d, 0x18] => return Start::Skippable,
        [0x28, 0xb5, 0x2f, 0xfd] => {}
        _ => return Start::NoFrame,
    }
    let Some((descriptor, rest)) = rest.split_first() else {
        return Start::Short;
    };
    let is_single_segment = descriptor & 0x20 != 0;
    let window = if is_single_segment {
        content_size(*descriptor, rest)
    } else {
        rest.first().map(|byte| window_size(*byte))
    };
    window.map_or(Start::Short, |window| Start::Frame { window })
}

/// Returns the window size of a descriptor (section 3.1.1.1.2: exponent and mantissa).
fn window_size(byte: u8) -> u64 {
    let base = 1_u64 << (10 + (byte >> 3));
    base + base / 8 * u64::from(byte & 7)
}

/// Returns the content size, which is the window of a single segment (section 3.1.1.1.4). `rest` begins with the dictionary id.
fn content_size(descriptor: u8, rest: &[u8]) -> Option<u64> {
    let id_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (size_bytes, base) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let field = rest.get(id_bytes..id_bytes + size_bytes)?;
    let mut size = [0; 8];
    size[..size_bytes].copy_from_slice(field);
    Some(u64::from_le_bytes(size).saturating_add(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_both_kinds_of_frames() {
        let frame = |rest: &[u8]| start(&[&[0x28, 0xb5, 0x2f, 0xfd], rest].concat());
        assert_eq!(frame(&[]), Start::Short);
        assert_eq!(frame(&[0x00]), Start::Short);
        assert_eq!(frame(&[0x00, 0x00]), Start::Frame { window: 1024 });
        assert_eq!(frame(&[0x04, 17 << 3]), Start::Frame { window: 128 << 20 });
        assert_eq!(
            frame(&[0x04, 0xff]),
            Start::Frame {
                window: 0x3c0_0000_0000
            }
        );
        assert_eq!(frame(&[0x20, 200]), Start::Frame { window: 200 });
        assert_eq!(frame(&[0x61, 9, 0, 1]), Start::Frame { window: 512 });
        assert_eq!(
            frame(&[0xe3, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]),
            Start::Short
        );
        assert_eq!(
            frame(&[0xe0; 9]),
            Start::Frame {
                window: 0xe0e0_e0e0_e0e0_e0e0
            }
        );
        assert_eq!(start(&[0x5a, 0x2a, 0x4d, 0x18]), Start::Skippable);
        assert_eq!(start(&[0x28, 0xb5, 0x2f, 0xfe]), Start::NoFrame);
        assert_eq!(start(&[0x28, 0xb5]), Start::Short);
    }
}
